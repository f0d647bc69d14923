"""A data set folder with its card: it loads in the plan's order, and no prompt's text is read as YAML or Markdown."""

import re

import pandas as pd
import pytest
import yaml

from saerl_core import export_plan, load_prompts, make_plan
from saerl_core.export.pool import receipts_of
from saerl_core.export.records import ExportOptions
from saerl_core.export.write import export_plan as write_export
from saerl_core.tables import MATCHES
from tests.export.conftest import CHAT, SIZE, STEPS, order_of
from tests.training.world import tiny_prompts

HOSTILE = (
    "---\nlicense: mit\n--- | <script>alert(1)</script> ![x](https://evil.example/p.png) `a` [b](c) www.x.example\u202e"
)


def front_and_body(folder):
    page = (folder / "README.md").read_text(encoding="utf-8")
    found = re.fullmatch(r"---\n(.*?)\n---\n(.*)", page, flags=re.DOTALL)
    return yaml.safe_load(found[1]), found[2]


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    return lambda folder: load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))


@pytest.mark.parametrize("reads", [None, CHAT], ids=["text", "chat"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_loads_again_in_the_order_of_the_plan(reads, exported, loaded, plan):
    rows = loaded(exported("hub", prompt_format=reads))
    assert list(rows["prompt_id"]) == order_of(plan)
    assert list(rows["step"]) == [i // SIZE for i in range(SIZE * STEPS)]
    assert rows.column_names == ["row", "step", "slot", "prompt_id", "prompt", "answer", "source"]
    if reads is not None:
        assert [m["role"] for m in rows[0]["prompt"]] == ["system", "user"]


def test_the_front_matter_says_what_it_is(exported, plan):
    front, body = front_and_body(exported("hub"))
    assert front["configs"][0]["data_files"] == [{"split": "train", "path": "data/train.parquet"}]
    assert front["size_categories"] == ["n<1K"]
    assert front["saerl"]["plan_hash"] == plan.plan_hash
    assert (front["saerl"]["strategy"], front["saerl"]["order"]) == ("vanilla", "planned")
    assert "license" not in front
    assert "The prompts name no licence" in body
    assert "Not checked: the pool was compared with no evaluation set." in body


@pytest.mark.parametrize(
    ("licences", "front"),
    [
        (["MIT"] * 12, {"license": "mit"}),
        (["mit", "apache-2.0"] * 6, {"license": "other", "license_name": "apache-2.0-mit"}),
        (["my own: do not\ncopy"] * 12, {"license": "other", "license_name": "see-the-card"}),
        ([None] * 12, {}),
    ],
)
@pytest.mark.parametrize("column", ["license", "licence"])
def test_licences_of_the_prompts(licences, front, column, tmp_path):
    prompts = tiny_prompts(12).assign(**{column: licences})
    export_plan(make_plan(tiny_prompts(12), "vanilla", prompts_per_step=3), prompts, "hub", tmp_path)
    found, body = front_and_body(tmp_path)
    assert {k: v for k, v in found.items() if k.startswith("license")} == front
    rows = pd.read_parquet(tmp_path / "data/train.parquet")
    assert ("licence" in rows) == (licences[0] is not None)
    for name in {"my own"} & {str(licences[0])[:6]}:
        assert f"| {name}&#58; do not copy | 12 |" in body


def test_hostile_texts_are_data(tmp_path, loaded):
    prompts = tiny_prompts(12)
    prompts["prompt"] = [f"{HOSTILE} {i}" for i in range(12)]
    prompts = prompts.assign(source=HOSTILE, license=HOSTILE, flags=HOSTILE)
    plan = make_plan(tiny_prompts(12), "vanilla", prompts_per_step=3)
    match = {"prompt_id": HOSTILE, "benchmark": HOSTILE, "eval_id": HOSTILE, "coverage": 0.625, "exact": False}
    matches = MATCHES.check(pd.DataFrame([{**match, "prompt": HOSTILE, "eval_prompt": HOSTILE}]))
    options = ExportOptions(receipts=receipts_of(matches, 40))
    write_export(plan, prompts, "hub", tmp_path / "hub", options)
    front, body = front_and_body(tmp_path / "hub")
    assert front["license"] == "other"
    assert front["license_name"] == "see-the-card"
    card = body.partition("## Data card")[2]
    for sign in ("<", "`", "[", "![", "https:", "www.", "\u202e", "\n---\n"):
        assert sign not in card
    assert "compared with 40 evaluation items. Pairs that share text: 1;" in card
    assert card.count("| 62 % |") == 1
    assert set(loaded(tmp_path / "hub")["prompt"]) == set(prompts["prompt"])


def test_a_pool_without_a_match_says_so(tmp_path, plan, prompts):
    write_export(plan, prompts, "hub", tmp_path / "hub", ExportOptions(receipts=receipts_of(MATCHES.empty(), 7)))
    assert "compared with 7 evaluation items; no prompt shares" in front_and_body(tmp_path / "hub")[1]


def test_a_licence_of_a_file_reaches_the_card(tmp_path):
    rows = [
        {"prompt": f"How much is {i} plus 1?", "answer": str(i + 1), "source": "sums", "license": "cc-by-4.0"}
        for i in range(6)
    ]
    prompts = load_prompts(rows)
    export_plan(make_plan(prompts, "vanilla", prompts_per_step=3), prompts, "hub", tmp_path / "hub")
    front, body = front_and_body(tmp_path / "hub")
    assert front["license"] == "cc-by-4.0"
    assert "| sums | 6 |" in body
    rows = pd.read_parquet(tmp_path / "hub" / "data" / "train.parquet")
    assert (set(rows["source"]), set(rows["licence"])) == ({"sums"}, {"cc-by-4.0"})
