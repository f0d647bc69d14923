"""The pages say of every strategy what its row and its settings say, and every strategy has a config."""

import json
import re
from pathlib import Path

import pytest
import yaml

from saerl_core.config.load import load_config, validate
from saerl_core.config.run import PlanConfig
from saerl_core.plan.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "strategies.md").read_text()
DEFAULT = PlanConfig().strategy.name


def section(name):
    return re.search(rf"^## `{name}`\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE).group(1)


def told(value):
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("row", STRATEGIES.values(), ids=STRATEGIES)
def test_the_page_tells_title_source_and_every_setting_with_its_default(row):
    text = " ".join(section(row.name).split()).lower()
    assert row.title.lower() in text
    assert row.source.lower().removeprefix("the ") in text
    listed = re.findall(r"^\| `(\w+)` \| (\S+) \|", section(row.name), re.MULTILINE)
    declared = {n: told(f.default) for n, f in row.settings.model_fields.items() if n != "name"}
    assert dict(listed) == declared
    for signal in row.signals:
        assert f"`{signal}`" in section(row.name)


@pytest.mark.parametrize("row", STRATEGIES.values(), ids=STRATEGIES)
def test_both_tables_hold_it_with_its_kind(row):
    kind = "online" if row.is_online else "static"
    assert re.search(rf"^\| \[`{row.name}`\]\(#{row.name}\) \| {kind} \|", PAGE, re.MULTILINE)
    readme = (ROOT / "README.md").read_text().split("## Strategies")[1].split("\n## ")[0]
    assert re.search(rf"^\| `{row.name}`( \(default\))? \| {kind} \| {re.escape(row.title[:20])}", readme, re.MULTILINE)
    assert (f"`{row.name}` (default)" in readme) == (row.name == DEFAULT)


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n != DEFAULT and not n.startswith("oracle_")])
def test_it_has_a_config(name):
    path = ROOT / "configs" / ("paper.yaml" if name == "saerl" else f"embedded_{name}.yaml")
    assert load_config(path).plan.strategy.name == name
    assert f"`configs/{path.name}`" in PAGE


def test_the_examples_of_the_page_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    assert [validate(yaml.safe_load(b)["parameters"]).plan.strategy.name for b in blocks] == ["vanilla", "adaptive"]
