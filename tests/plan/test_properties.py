"""What holds for every plan, whatever the pool."""

import hashlib
import json
from dataclasses import replace
from typing import Literal, get_args, get_origin

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from saerl_core.config.run import PlanConfig, Unit
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.storage import save_plan
from saerl_core.plan.strategies import STRATEGIES
from saerl_core.protocols import BatchOutcome
from saerl_core.records import PromptVectors
from tests.plan.pools import Row, make_inputs, steps_of

STATIC = [name for name, row in STRATEGIES.items() if not row.is_online]
ONLINE = [name for name, row in STRATEGIES.items() if row.is_online]
UNIT = Unit.__metadata__[0].metadata
few = settings(max_examples=25)  # a plan of a small pool takes 20 to 50 ms, nearly all of it in pandas
difficulties = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.875, 1.0])  # few values: ties are the rule


@st.composite
def pools(draw, min_candidates=4):
    n = draw(st.integers(min_candidates, 50))
    k = draw(st.integers(1, 6))
    ids = draw(st.permutations([f"p{i:02}" for i in range(n)]))
    row = st.tuples(st.integers(0, k - 1), difficulties, st.sampled_from([True, True, True, False]))
    flags = st.sampled_from(["", "", "", "duplicate"])
    rows = [Row(i, *draw(row), draw(flags)) for i in ids]
    # the first few can always be planned: whether a pool is large enough is tested elsewhere
    return [replace(r, keep=True, flags="") if i < min_candidates else r for i, r in enumerate(rows)]


def switches(section):
    """Draw values of a strategy's switches: whatever is a yes or no, a choice of words, or a share."""
    drawn = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if kind is bool:
            drawn[name] = st.booleans()
        elif get_origin(kind) is Literal and name != "name":
            drawn[name] = st.sampled_from(get_args(kind))
        elif kind is float and isinstance(field.default, float) and field.metadata == UNIT:
            drawn[name] = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])
    return st.fixed_dictionaries(drawn)


@st.composite
def configs(draw, names=STATIC, **fixed):
    name = draw(st.sampled_from(names))
    strategy = {"name": name, **draw(switches(STRATEGIES[name].settings)), **fixed}
    sizes = {
        "prompts_per_step": draw(st.integers(1, 4)),
        "n_steps": draw(st.one_of(st.none(), st.integers(1, 40))),
    }
    return {"strategy": strategy, **sizes}  # not yet a PlanConfig: the shape checker draws random numbers


def vectors_of(inputs):
    ids = tuple(sorted(inputs.prompts["prompt_id"]))
    return PromptVectors(ids, np.random.default_rng(0).random((len(ids), 3)))


def planned(inputs, config, seed):
    """Plan; a strategy that keeps a part of the pool may keep less than a batch, which is refused: of no interest."""
    try:
        return plan_batches(inputs, config, seed, vectors_of(inputs))
    except DataError as error:
        if "fewer than plan.prompts_per_step" not in str(error):
            raise
        reject()


@few
@given(pools(), configs(), st.integers(0, 5))
def test_every_plan_keeps_the_rules(rows, settings, seed):
    config = PlanConfig(**settings)
    plan, report = planned(make_inputs(rows), config, seed)
    check_steps_are_full_and_no_prompt_comes_twice_in_an_epoch(plan.table, config)
    check_nothing_outside_usable_and_keep_is_planned(plan.table, rows, config)
    check_decisions_cover_the_pool_and_agree_with_the_table(plan, rows, report.values)
    check_values_are_finite_and_in_range(report.values)


def check_steps_are_full_and_no_prompt_comes_twice_in_an_epoch(table, config):
    steps = steps_of(table)
    assert [len(s) for s in steps] == [config.prompts_per_step] * len(steps)
    assert not table.duplicated(["epoch", "prompt_id"]).any()
    assert sorted(set(table["step"])) == list(range(len(steps)))
    assert table["epoch"].is_monotonic_increasing
    if config.n_steps is not None:
        assert len(steps) == config.n_steps


def check_nothing_outside_usable_and_keep_is_planned(table, rows, config):
    filters = config.strategy.filters_by_quality()
    allowed = {r.prompt_id for r in rows if not r.flags and (r.keep or not filters)}
    planned = set(table["prompt_id"])
    assert planned <= allowed
    if config.n_steps is None and config.strategy.name in ("saerl", "vanilla", "difficulty"):  # they want every prompt
        assert len(planned) == len(allowed) // config.prompts_per_step * config.prompts_per_step


def check_decisions_cover_the_pool_and_agree_with_the_table(plan, rows, values):
    decisions = plan.decisions.set_index("prompt_id")
    assert list(decisions.index) == sorted(r.prompt_id for r in rows)
    uses = plan.table["prompt_id"].value_counts().reindex(decisions.index, fill_value=0)
    assert (decisions["n_uses"] == uses).all()
    assert (decisions["planned"] == (uses > 0)).all()
    assert ((decisions["reason"] == "planned") == decisions["planned"]).all()
    first = plan.table.groupby("prompt_id")["step"].min().reindex(decisions.index, fill_value=-1)
    assert (decisions["first_step"] == first).all()
    known = decisions["reason"].isin(["planned", "low quality", "remainder", "beyond n_steps", "not chosen"])
    assert (known | decisions["reason"].str.startswith("not usable")).all()
    counts = {k: v for k, v in values.items() if k.startswith("left_out_")}
    assert sum(counts.values()) == values["left_out"] == (~decisions["planned"]).sum()


def check_values_are_finite_and_in_range(values):
    assert all(np.isfinite(v) for v in values.values())
    for name in ("coherence", "coverage", "coverage_epoch", "mixed_frac"):
        assert 0.0 <= values[name] <= 1.0
    assert values["coherence"] > 0.0
    assert -1.0 - 1e-9 <= values.get("difficulty_trend", 0.0) <= 1.0 + 1e-9


@few
@given(pools(), configs(["saerl"], use_difficulty=True, use_clusters=True, mix_frac=0.0), st.integers(0, 5))
def test_every_cluster_runs_easy_to_hard_over_the_steps(rows, settings, seed):
    config = PlanConfig(**settings)
    inputs = make_inputs(rows)
    table = plan_batches(inputs, config, seed)[0].table.merge(inputs.difficulty[["prompt_id", "calibrated"]])
    ordered = table.sort_values(["step", "slot"])
    for _, prompts in ordered.groupby(["epoch", "cluster_id"]):
        assert prompts["calibrated"].is_monotonic_increasing


@few
@given(pools(), configs(["saerl"]), st.integers(0, 5))
def test_the_mixed_share_of_a_batch_is_at_most_rho_and_mixing_keeps_the_prompts(rows, settings, seed):
    config = PlanConfig(**settings)
    inputs = make_inputs(rows)
    table = plan_batches(inputs, config, seed)[0].table
    unmixed = config.strategy.model_copy(update={"mix_frac": 0.0})
    plain = plan_batches(inputs, config.model_copy(update={"strategy": unmixed}), seed)[0].table
    assert table.groupby("step")["is_mixed"].mean().max() <= config.strategy.mix_frac
    assert sorted(table["prompt_id"]) == sorted(plain["prompt_id"])
    moved = table.merge(plain, on=["epoch", "prompt_id"], suffixes=("", "_plain"))
    distance = (moved["step"] - moved["step_plain"]).abs()
    assert (distance == moved["is_mixed"]).all()  # one step for the mixed, none for the others


@few
@given(pools(), configs(), st.integers(0, 5), st.integers(0, 1000))
def test_the_row_order_of_the_inputs_does_not_matter(rows, settings, seed, shuffle):
    config = PlanConfig(**settings)
    inputs = make_inputs(rows)
    rng = np.random.default_rng(shuffle)
    shuffled = PlanInputs(*(frame.iloc[rng.permutation(len(frame))] for frame in vars(inputs).values()))
    one, other = planned(inputs, config, seed)[0], planned(shuffled, config, seed)[0]
    assert one.plan_hash == other.plan_hash
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.decisions, other.decisions)


def online_plan(inputs, config, seed):
    return plan_batches(inputs, config, seed, vectors_of(inputs))


def played(plan, interrupted_at=None):
    """Train in thought: a prompt's pass rate follows from its name; the batches that were handed out."""
    curriculum, batches = make_curriculum(plan), []
    for step in range(plan.n_steps):
        if step == interrupted_at:
            state = json.loads(json.dumps(curriculum.state_dict()))
            curriculum = make_curriculum(plan)
            curriculum.load_state_dict(state)
        batch = curriculum.next_batch(step)
        correct = tuple(int(p[1:]) % 5 for p in batch)
        curriculum.observe(BatchOutcome(step, tuple(batch), (4,) * len(batch), correct))
        batches.append(batch)
    return batches


@pytest.mark.parametrize("name", ONLINE)
@settings(max_examples=8)
@given(st.data(), pools(), st.integers(0, 5), st.integers(0, 1000))
def test_every_online_order_keeps_the_rules(name, data, rows, seed, shuffle):
    drawn = data.draw(configs([name]))
    config = PlanConfig(**{**drawn, "n_steps": min(drawn["n_steps"] or 6, 12)})
    inputs = make_inputs(rows)
    plan, report = online_plan(inputs, config, seed)
    batches = played(plan)
    filters = config.strategy.filters_by_quality()
    allowed = {r.prompt_id for r in rows if not r.flags and (r.keep or not filters)}
    assert set(plan.candidates["prompt_id"]) == allowed
    assert len(batches) == plan.n_steps == report.values["n_steps"] == config.n_steps
    for batch in batches:
        assert len(set(batch)) == len(batch) == config.prompts_per_step
        assert set(batch) <= allowed
    assert played(plan, interrupted_at=len(batches) // 2) == batches
    rng = np.random.default_rng(shuffle)
    shuffled = PlanInputs(*(frame.iloc[rng.permutation(len(frame))] for frame in vars(inputs).values()))
    again, _ = online_plan(shuffled, config, seed)
    assert again.plan_hash == plan.plan_hash
    assert played(again) == batches


def test_same_inputs_and_seed_give_the_same_bytes(tmp_path):
    rows = [Row(f"p{i:03}", i % 7, (i * 37 % 100) / 100, keep=i % 11 > 0) for i in range(200)]
    for strategy in STATIC:
        digests = set()
        for attempt in ("first", "second"):
            plan, _ = planned(make_inputs(rows), PlanConfig(strategy=strategy, prompts_per_step=8, n_steps=30), 3)
            save_plan(plan, tmp_path / strategy / attempt)
            files = sorted((tmp_path / strategy / attempt).iterdir())
            digests.add(tuple(hashlib.sha256(f.read_bytes()).hexdigest() for f in files))
        assert len(digests) == 1


def test_another_seed_gives_another_shuffle_and_the_same_curriculum():
    inputs = make_inputs([Row(f"p{i:03}", i % 3, i / 100) for i in range(100)])
    hashes = {
        s: {plan_batches(inputs, PlanConfig(strategy=s, prompts_per_step=8), seed)[0].plan_hash for seed in range(4)}
        for s in ("saerl", "vanilla", "difficulty")
    }
    assert {s: len(h) for s, h in hashes.items()} == {"saerl": 1, "vanilla": 4, "difficulty": 1}


@pytest.mark.parametrize("name", [n for n in STRATEGIES if not n.startswith("oracle_")])
def test_no_choice_reads_the_truth(name):
    rows = [Row(f"p{i:03}", i % 7, (i * 37 % 100) / 100, keep=i % 11 > 0) for i in range(60)]
    inputs = make_inputs(rows)
    blind = replace(inputs, prompts=inputs.prompts.assign(truth=None, known_pass_rate=None, level=None, topic=None))
    config = PlanConfig(strategy=name, prompts_per_step=4, n_steps=6)
    one, other = (plan_batches(i, config, 0, vectors_of(i))[0] for i in (inputs, blind))
    assert one.plan_hash == other.plan_hash
    assert played(one) == played(other)


@pytest.mark.parametrize("name", [n for n in STRATEGIES if n.startswith("oracle_")])
def test_an_oracle_is_told_so_and_refuses_real_prompts(name):
    assert STRATEGIES[name].title.startswith("oracle, built-in worlds")
    inputs = make_inputs([Row(f"p{i:03}", 0, 0.5) for i in range(20)])
    blind = replace(inputs, prompts=inputs.prompts.assign(truth=None, known_pass_rate=None))
    with pytest.raises(DataError, match=f"strategy '{name}' is an oracle and reads truth, which 20 of 20 prompts lack"):
        plan_batches(blind, PlanConfig(strategy=name, prompts_per_step=4), 0)
