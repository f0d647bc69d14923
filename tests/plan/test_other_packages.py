"""Strategies of other packages: installed by an entry point, and refused by name where they are wrong."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from saerl_core.config.load import flatten, validate
from saerl_core.config.run import PlanConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.code import strategy_code
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plan.storage import load_plan, save_plan
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.plan.strategies.lookup import find, known_names
from saerl_core.protocols import BatchOutcome
from saerl_core.records import PromptVectors
from tests.plan.pools import Row, make_inputs, steps_of

INPUTS = make_inputs([Row(f"p{i:02}", i % 2, i / 12) for i in range(12)])
STATIC = """
from typing import Literal
from saerl_core.plan.batches import Batch, Order, cut
from saerl_core.plan.strategies.base import StaticStrategy, StrategySettings
from acme_strategies.helper import HARDEST_FIRST

class Settings(StrategySettings):
    name: Literal["hardest"] = "hardest"
    share: float = 1.0

def order(candidates, settings, rng):
    size = candidates.prompts_per_step
    ids = list(candidates.table.sort_values("difficulty", ascending=not HARDEST_FIRST)["prompt_id"])
    ids = ids[: int(len(ids) * settings.share)]
    return {order}

STRATEGY = StaticStrategy(
    settings=Settings, title="hard to easy", source="a test", signals=("difficulty",), order=order
)
"""
GOOD = "Order(tuple(cut(ids, size, 0)[0]))"
ONLINE = """
from typing import Literal
import numpy as np
from saerl_core.plan.strategies.base import OnlineSettings, OnlineStrategy

class Settings(OnlineSettings):
    name: Literal["rounds"] = "rounds"
    cooldown_rollouts: int = 0

class Chooser:
    def choose(self, step, eligible, n, rng):
        return {choice}
    def predicted(self, index):
        return {predicted}
    def observe(self, step, index, n_rollouts, n_correct):
        pass
    def state(self):
        return {{}}
    def load(self, state):
        pass

STRATEGY = OnlineStrategy(settings=Settings, title="in turn", source="a test", chooser=lambda *given: Chooser())
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a package with metadata on the path, as pip does; gone again after the test."""

    def installed(modules, entries, package="acme_strategies"):
        site = tmp_path / f"site-{package}"
        (site / package).mkdir(parents=True)
        for name, text in {"__init__": "", "helper": "HARDEST_FIRST = True\n", **modules}.items():
            (site / package / f"{name}.py").write_text(text)
        info = site / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[saerl.strategies]\n" + "\n".join(entries) + "\n")
        monkeypatch.syspath_prepend(site)
        return site / package

    yield installed
    for name in [name for name in sys.modules if name.split(".")[0] in ("acme_strategies", "other_strategies")]:
        del sys.modules[name]


def static(install, order=GOOD):
    return install({"hard": STATIC.format(order=order)}, ["hardest = acme_strategies.hard:STRATEGY"])


def online(install, choice="eligible[:n]", predicted="None"):
    return install(
        {"rounds": ONLINE.format(choice=choice, predicted=predicted)}, ["rounds = acme_strategies.rounds:STRATEGY"]
    )


def planned(strategy, n_steps=None):
    return plan_batches(INPUTS, PlanConfig(strategy=strategy, prompts_per_step=4, n_steps=n_steps), 0)


def test_what_a_strategy_raises_is_told_by_its_name(install):
    static(install, order="1 / 0")
    with pytest.raises(
        DataError, match=r"strategy 'hardest' failed ordering epoch 0: ZeroDivisionError: .* \(line \d+ of .*hard\.py\)"
    ):
        planned("hardest")


def test_what_an_online_strategy_raises_is_told_by_its_name(install):
    online(install, choice="1 / 0")
    plan, _ = planned("rounds", n_steps=2)
    with pytest.raises(DataError, match="strategy 'rounds' failed choosing the batch of step 0: ZeroDivisionError"):
        make_curriculum(plan).next_batch(0)


def test_a_static_one_plans_with_its_own_settings(install, tmp_path):
    static(install)
    plan, _ = planned("hardest")
    assert steps_of(plan.table)[0] == ["p11", "p10", "p09", "p08"]
    half, report = planned({"name": "hardest", "share": 0.5})
    assert steps_of(half.table) == [["p11", "p10", "p09", "p08"]]
    reasons = half.decisions.set_index("prompt_id")["reason"]
    assert set(reasons[reasons != "planned"]) == {"not chosen"}
    assert report.values["left_out_not_chosen"] == 8
    more, _ = planned({"name": "hardest", "share": 0.5}, n_steps=3)
    assert more.table["step"].nunique() == 3
    assert list(more.table.groupby("step")["epoch"].first()) == [0, 1, 2]
    config = validate({"plan": {"strategy": {"name": "hardest", "share": 0.5}}})
    assert type(config).model_validate_json(config.model_dump_json()) == config
    assert flatten(config)["plan.strategy.share"] == 0.5
    save_plan(plan, tmp_path / "plan")
    assert load_plan(tmp_path / "plan").plan_hash == plan.plan_hash


def test_the_one_of_the_docs_works_as_printed(install):
    page = (Path(__file__).resolve().parents[2] / "docs" / "strategies.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    entry = re.search(r'^band = "(.*)"$', page, re.MULTILINE).group(1)
    install({"band": code}, [f"band = {entry}"])
    plan, _ = planned({"name": "band", "low": 0.3})
    inside = {f"p{i:02}" for i in range(12) if 0.3 <= i / 12 <= 0.75}
    assert set(plan.table["prompt_id"]) < inside
    assert len(plan.table) == 4


def test_an_online_one_chooses_in_training(install, tmp_path):
    online(install, choice="(np.arange(n) + 4 * step) % 12", predicted="np.full(4, 0.5)")
    plan, _ = planned("rounds", n_steps=4)
    save_plan(plan, tmp_path / "plan")
    curriculum = make_curriculum(load_plan(tmp_path / "plan"))
    for step in range(4):
        batch = curriculum.next_batch(step)
        assert batch == [f"p{(i + 4 * step) % 12:02}" for i in range(4)]
        curriculum.observe(BatchOutcome(step, tuple(batch), (2,) * 4, (1,) * 4))
    assert len(curriculum.predictions()) == 16


def test_it_is_listed_and_the_nearest_name_is_told(install):
    static(install)
    assert known_names() == (*STRATEGIES, "hardest")
    with pytest.raises(ConfigError, match=r"'hardst' is not known \(did you mean 'hardest'\?\).*or 'hardest'"):
        validate({"plan": {"strategy": "hardst"}})
    with pytest.raises(ConfigError, match=r"plan.strategy.shar is not a setting; did you mean plan.strategy.share\?"):
        validate({"plan": {"strategy": {"name": "hardest", "shar": 1}}})
    with pytest.raises(ConfigError, match="strategy 'hardst' is not known; there is saerl, vanilla"):
        find("hardst")


def test_its_code_counts_for_it_and_for_no_other(install):
    folder = static(install)
    before = {name: strategy_code(name) for name in ("hardest", "vanilla")}
    (folder / "helper.py").write_text("HARDEST_FIRST = False\n")
    assert strategy_code("hardest") != before["hardest"]
    assert strategy_code("vanilla") == before["vanilla"]
    (folder / "unrelated.py").write_text("A = 1\n")
    (folder / "helper.py").write_text("HARDEST_FIRST = True\n")
    assert strategy_code("hardest") == before["hardest"]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("Order((Batch(tuple(ids[:3]), 0),))", r"as batch 0 of an epoch, 3 prompts; every batch must have .* = 4"),
        ("Order((Batch(tuple(ids[:5]), 0),))", "as batch 0 of an epoch, 5 prompts"),
        ("Order((Batch((ids[0], ids[1], ids[1], ids[2]), 0),))", "prompt 'p10', which the epoch holds already"),
        ("Order((Batch(tuple(ids[:4]), 0), Batch(tuple(ids[3:7]), 0)))", "as batch 1 of an epoch, prompt 'p08'"),
        ("Order((Batch((*ids[:3], 'nobody'), 0),))", "prompt 'nobody', which is none of its 12 candidates"),
        ("Order(())", "returned no batch"),
        ("ids", "returned a list; it must return an Order"),
    ],
)
def test_what_is_no_order_is_refused_by_name(install, order, told):
    static(install, order)
    with pytest.raises(DataError, match=told) as caught:
        planned("hardest")
    assert str(caught.value).startswith("strategy 'hardest' returned")


@pytest.mark.parametrize(
    ("choice", "predicted", "told"),
    [
        ("eligible[:3]", "None", "chose 3 prompts as int64"),
        ("eligible[[0, 1, 1, 2]]", "None", "chose prompt 'p01' twice"),
        ("np.array([0, 1, 2, 99])", "None", "chose prompt number 99 of 12"),
        ("np.array([0, 1, 2, -1])", "None", "chose prompt number -1 of 12"),
        ("eligible[:n] / 2", "None", "chose 4 prompts as float64"),
        ("list(eligible[:3])", "None", "chose 3 prompts as int64"),
        ("[]", "None", "chose 0 prompts"),
        ("eligible[:n]", "[0.5] * 5", "predicted 5 pass rates for 4 prompts"),
        ("eligible[:n]", "np.full(3, 0.5)", "predicted 3 pass rates for 4 prompts"),
        ("eligible[:n]", "np.full(4, 1.5)", r"predicted a pass rate of 1\.5"),
        ("eligible[:n]", "np.full(4, np.nan)", "predicted a pass rate of nan"),
    ],
)
def test_what_is_no_choice_is_refused_before_it_is_trained_on(install, choice, predicted, told):
    online(install, choice, predicted)
    curriculum = make_curriculum(planned("rounds", n_steps=2)[0])
    before = curriculum.state_dict()
    with pytest.raises(DataError, match=told) as caught:
        curriculum.next_batch(0)
    assert str(caught.value).startswith("strategy 'rounds', step 0:")
    assert curriculum.state_dict() == before, "nothing was lost"


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("import a_package_that_is_not_there", "cannot be imported: ModuleNotFoundError: No module named 'a_pack"),
        ("raise RuntimeError('no licence')", "cannot be imported: RuntimeError: no licence"),
        ("def (", "cannot be imported: SyntaxError"),
        ("", "cannot be imported: AttributeError"),
        ("STRATEGY = 3", "is a int, and must be a StaticStrategy or an OnlineStrategy"),
        (STATIC.format(order=GOOD).replace('"hardest"', '"other"'), "`name` is 'other' by default, and must be 'hard"),
        (STATIC.format(order=GOOD).replace('("difficulty",)', '("truth",)'), "asks for the signal 'truth', and there"),
        (
            ONLINE.format(choice=0, predicted=0).replace("OnlineSettings", "StrategySettings"),
            "has settings that are no OnlineSettings",
        ),
    ],
)
def test_a_package_that_is_wrong_is_named(install, module, told):
    install({"hard": module}, ["hardest = acme_strategies.hard:STRATEGY"])
    with pytest.raises(ConfigError) as caught:
        validate({"plan": {"strategy": "hardest"}})
    said = str(caught.value)
    assert said.startswith("plan.strategy: strategy 'hardest' (acme_strategies.hard:STRATEGY of acme_strategies 1.2)")
    assert told in said
    assert validate({"plan": {"strategy": "vanilla"}}).plan.strategy.name == "vanilla", "the others work on"


def test_a_name_that_is_taken_is_refused(install):
    install({"hard": STATIC.format(order=GOOD)}, ["saerl = acme_strategies.hard:STRATEGY"])
    with pytest.raises(ConfigError, match=r"'saerl' is one of saerl's own, and acme_strategies 1\.2 registers"):
        validate({"plan": {"strategy": "saerl"}})


def test_a_name_of_two_packages_is_refused(install):
    static(install)
    install({}, ["hardest = other_strategies.hard:STRATEGY"], package="other_strategies")
    with pytest.raises(ConfigError, match=r"registered by acme_strategies 1\.2 and other_strategies 1\.2"):
        validate({"plan": {"strategy": "hardest"}})


def test_a_plan_whose_strategy_is_gone_is_told(install, tmp_path, monkeypatch):
    online(install)
    save_plan(planned("rounds", n_steps=2)[0], tmp_path / "plan")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-acme" not in p])
    with pytest.raises(DataError, match=r"strategy 'rounds' is not known; there is saerl, .*; plan again") as caught:
        load_plan(tmp_path / "plan")
    assert "\n" not in str(caught.value)


def test_a_strategy_reads_no_signal_that_its_row_does_not_name():
    for name, row in STRATEGIES.items():
        if not row.is_online:
            continue
        vectors = None if row.settings().vectors() is None else _vectors()
        config = PlanConfig(strategy=name, prompts_per_step=4, n_steps=2)
        plan, _ = plan_batches(INPUTS, config, 0, vectors)
        assert list(plan.candidates.columns) == ["prompt_id", *row.signals]


def _vectors():
    return PromptVectors(tuple(INPUTS.prompts["prompt_id"]), np.zeros((12, 2)))
