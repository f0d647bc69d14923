"""The data source for slime, driven as slime's RolloutManager does, with stand-ins for slime's own classes.

SAERL_SLIME_SOURCE names a folder with slime's source: then its own RolloutDataSource and Sample are taken.
"""

import importlib
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from saerl_core.errors import ConfigError, DataError
from saerl_core.online.pool import write_pool
from saerl_core.online.slime import CurriculumSource
from saerl_core.online.steps import Steps
from tests.export.conftest import json_lines
from tests.online.conftest import GROUP, SIZE, STEPS


@dataclass
class Sample:
    """As in slime.utils.types, so far as a data source sets it."""

    prompt: str = ""
    label: str | None = None
    metadata: dict = field(default_factory=dict)
    group_index: int | None = None
    index: int | None = None
    reward: object = None


class RolloutDataSource:
    """As in slime.rollout.data_source: reads --prompt-data."""

    def __init__(self, args):
        self.dataset = None
        if args.prompt_data is not None:
            rows = json_lines(Path(args.prompt_data))
            samples = [Sample(r["prompt"], r["label"], r.get(args.metadata_key) or {}) for r in rows]
            self.dataset = SimpleNamespace(samples=samples)


@pytest.fixture(autouse=True)
def slime(monkeypatch):
    source = os.environ.get("SAERL_SLIME_SOURCE")
    if source:
        monkeypatch.syspath_prepend(source)
        monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))  # imported, and not used by the data source
        module = importlib.import_module("slime.rollout.data_source")
        monkeypatch.setattr(module, "load_tokenizer", lambda *_, **__: None)
        monkeypatch.setattr(module, "load_processor", lambda *_, **__: None)
        return
    for name in ("slime", "slime.rollout", "slime.rollout.data_source"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["slime.rollout.data_source"].RolloutDataSource = RolloutDataSource


@pytest.fixture
def args(plan, prompts, tmp_path):
    """The command line of docs/export.md, and slime's defaults for what it leaves out."""
    write_pool(plan, prompts, tmp_path / "pool.jsonl")
    return SimpleNamespace(
        prompt_data=str(tmp_path / "pool.jsonl"),
        input_key="prompt",
        label_key="label",
        metadata_key="metadata",
        rollout_batch_size=SIZE,
        n_samples_per_prompt=GROUP,
        rollout_shuffle=False,
        rollout_global_dataset=True,
        hf_checkpoint="tiny",
        dump_details=None,
        rollout_max_prompt_len=None,
        multimodal_keys=None,
        tool_key=None,
        apply_chat_template=False,
        apply_chat_template_kwargs=None,
        rollout_seed=42,
        reward_key=None,
        save=str(tmp_path / "checkpoints"),
        load=None,
    )


def rollout(source, args, rollout_id, spread=False):
    """As `RolloutManager.generate`: fetch, generate and reward, log; returns the prompts of the rollout."""
    groups = source.open_source.get_samples(args.rollout_batch_size)
    for group in groups:
        for i, sample in enumerate(group):
            value = float(i < 2 and int(sample.metadata["prompt_id"][1:]) % 2)
            sample.reward = {"score": value} if args.reward_key else value
    flat = [sample for group in groups for sample in group]
    assert [s.index for s in flat] == list(range(rollout_id * SIZE * GROUP, (rollout_id + 1) * SIZE * GROUP))
    assert source.log(rollout_id, args, flat[::-1] if spread else flat, {}, 1.0) is False
    assert all(len({s.group_index for s in group}) == 1 and len(group) == GROUP for group in groups)
    return [group[0].metadata["prompt_id"] for group in groups]


def opened(plan_folder, args):
    source = CurriculumSource(plan_folder)
    source.open_source = source.open(args)
    source.open_source.load(-1)
    return source


@pytest.fixture
def wanted(plan):
    steps, found = Steps(plan), []
    while not steps.is_done:
        found.append(steps.ask(SIZE, "size"))
        steps.tell({p: [float(int(p[1:]) % 2)] * 2 + [0.0] * 2 for p in found[-1]})
    return found


@pytest.mark.parametrize("reward_key", [None, "score"])
def test_every_rollout_is_the_curriculums_answer(plan_folder, args, wanted, reward_key):
    args.reward_key = reward_key
    source = opened(plan_folder, args)
    assert [rollout(source, args, i, spread=i % 2) for i in range(STEPS)] == wanted
    assert len(source) == STEPS * SIZE
    with pytest.raises(DataError, match="the plan has 5 steps, and all are trained"):
        source.get_samples(SIZE)


def test_texts_are_those_of_the_pool(plan_folder, args, prompts):
    texts = prompts.set_index("prompt_id")
    for group in opened(plan_folder, args).get_samples(SIZE):
        row = texts.loc[group[0].metadata["prompt_id"]]
        assert {(s.prompt, s.label) for s in group} == {(row["prompt"], row["answer"])}


def test_a_training_goes_on_from_its_checkpoint(plan_folder, args, wanted):
    first = opened(plan_folder, args)
    for i in range(2):
        rollout(first, args, i)
    first.save(1)
    args.load = args.save
    again = CurriculumSource(plan_folder)
    again.open_source = again.open(args)
    again.load(1)
    assert [rollout(again, args, i) for i in range(2, STEPS)] == wanted[2:]
    with pytest.raises(DataError, match=r"curriculum_7\.json cannot be read"):
        again.load(7)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"prompt_data": None}, "slime reads no prompts"),
        ({"rollout_shuffle": True}, "--rollout-shuffle was given"),
        ({"metadata_key": "none"}, "has no prompt_id in its metadata"),
    ],
)
def test_arguments_that_cannot_work(plan_folder, args, changed, told):
    vars(args).update(changed)
    with pytest.raises(ConfigError, match=told):
        opened(plan_folder, args)


def test_filters_and_what_is_not_finished(plan_folder, args):
    source = opened(plan_folder, args)
    with pytest.raises(ConfigError, match="asks for 6 prompts, a step of the plan has 3; set --rollout-batch-size"):
        source.get_samples(6)
    groups = source.get_samples(SIZE)
    with pytest.raises(DataError, match="before the rewards of step 0 are in; switch off dynamic sampling"):
        source.get_samples(SIZE)
    source.add_samples([])
    with pytest.raises(DataError, match="gives 3 unfinished groups back"):
        source.add_samples(groups)
    with pytest.raises(DataError, match="has the reward None"):
        source.log(0, args, groups[0], {}, 1.0)
    with pytest.raises(ConfigError, match="the source was not opened"):
        CurriculumSource(plan_folder).save(0)


def test_a_prompt_that_slime_filtered(plan_folder, args, prompts, plan, tmp_path):
    lines = (tmp_path / "pool.jsonl").read_text().splitlines()
    (tmp_path / "pool.jsonl").write_text("\n".join(lines[:1]) + "\n")
    with pytest.raises(DataError, match="is not among the 1 prompts that slime read"):
        opened(plan_folder, args).get_samples(SIZE)
