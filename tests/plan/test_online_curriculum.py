import json
from collections import Counter

import numpy as np
import pytest

from saerl_core.errors import DataError
from saerl_core.plan.online_curriculum import OnlineCurriculum
from saerl_core.plan.pass_rate_model import Beliefs, PassRateModel
from saerl_core.plan.strategies.adaptive import AdaptiveChooser, AdaptiveSettings
from saerl_core.plan.strategies.bandit import ClusterBandit
from saerl_core.plan.strategies.base import OnlineSettings
from saerl_core.plan.strategies.mopps import BetaChooser
from saerl_core.protocols import BatchOutcome

N, SIZE, STEPS = 60, 4, 40
IDS = tuple(f"p{i:02d}" for i in range(N))
FEATURES = np.repeat(np.eye(3), N // 3, axis=0) * 3  # three kinds of prompts
RATES = np.repeat([0.0, 0.5, 1.0], N // 3)  # hopeless, instructive, solved
CHOOSERS = {
    "adaptive": lambda: AdaptiveChooser(
        PassRateModel(FEATURES, Beliefs(40.0, 300.0, 0.16, 8.0, 2000.0)),
        AdaptiveSettings(warmup_rollouts=2 * SIZE * 8, explore_frac=0.25),
    ),
    "mopps": lambda: BetaChooser(N, half_life_rollouts=400.0, target=0.5),
    "bandit": lambda: ClusterBandit(np.repeat([0, 1, 2], N // 3), rate=0.3, temperature=0.05),
}


@pytest.fixture(params=sorted(CHOOSERS))
def make(request):
    def curriculum(seed=0, cooldown=2, plan_hash="r", max_uses=None):
        own = OnlineSettings(name="any", cooldown_rollouts=cooldown * SIZE * 8, max_uses=max_uses)
        return OnlineCurriculum(
            CHOOSERS[request.param](),
            IDS,
            strategy=request.param,
            plan_hash=plan_hash,
            prompts_per_step=SIZE,
            n_steps=STEPS,
            settings=own,
            seed=seed,
        )

    return curriculum


def outcome(step, ids, group=8):
    rng = np.random.default_rng(step)
    correct = [int(rng.binomial(group, RATES[IDS.index(i)])) for i in ids]
    return BatchOutcome(step, tuple(ids), (group,) * len(ids), tuple(correct))


def play(curriculum, first, last):
    batches = []
    for step in range(first, last):
        batches.append(curriculum.next_batch(step))
        curriculum.observe(outcome(step, batches[-1]))
    return batches


def test_every_batch_is_full_and_holds_no_prompt_twice(make):
    for batch in play(make(), 0, STEPS):
        assert len(set(batch)) == SIZE


def test_instructive_prompts_are_found(make):
    late = [RATES[IDS.index(i)] for batch in play(make(), 0, STEPS)[20:] for i in batch]
    assert np.mean(np.array(late) == 0.5) > 0.55, "chance is a third"


def test_a_prompt_that_was_not_sampled_teaches_nothing_and_does_not_rest(make):
    curriculum = make(max_uses=1)
    batch = curriculum.next_batch(0)
    curriculum.observe(BatchOutcome(0, tuple(batch), (0, *(8,) * (SIZE - 1)), (0, *(4,) * (SIZE - 1))))
    state = curriculum.state_dict()
    assert IDS.index(batch[0]) not in state["used"]
    assert len(state["used"]) == SIZE - 1
    play(curriculum, 1, 4)  # nothing is poisoned
    nobody = make()
    batch = nobody.next_batch(0)
    nobody.observe(BatchOutcome(0, tuple(batch), (0,) * SIZE, (0,) * SIZE))
    assert nobody.state_dict()["n_rollouts"] == 0
    play(nobody, 1, 4)


@pytest.mark.parametrize(
    ("n_rollouts", "n_correct"),
    [
        ((8, 8), (9, 1)),
        ((8, 8), (-1, 1)),
        ((-8, 8), (0, 1)),
        ((8,), (1, 1)),
        ((8, 8), (1,)),
    ],
)
def test_counts_that_are_none_are_refused(n_rollouts, n_correct):
    with pytest.raises(DataError, match=r"the outcome of step 3 .*; give (two whole numbers|one of each)"):
        BatchOutcome(3, ("a", "b"), n_rollouts, n_correct)


def test_a_damaged_state_is_refused(make):
    curriculum = make()
    play(curriculum, 0, 3)
    state = curriculum.state_dict()
    with pytest.raises(DataError, match="belongs to plan None"):
        make().load_state_dict({})
    for name in state:
        if name not in ("plan_hash", "unrested"):
            with pytest.raises(DataError, match=r"the saved state of plan r is damaged"):
                make().load_state_dict({**state, name: None})


def test_a_prompt_rests_after_its_use(make):
    batches = play(make(cooldown=3), 0, STEPS)
    for step, batch in enumerate(batches):
        assert not set(batch) & {i for other in batches[max(0, step - 3) : step] for i in other}


def test_a_prompt_is_used_no_more_often_than_allowed(make):
    batches = play(make(cooldown=0, max_uses=2), 0, 25)
    uses = Counter(i for batch in batches[:20] for i in batch)
    assert max(uses.values()) <= 2


def test_where_too_few_are_rested_all_are_eligible(make):
    assert len(play(make(cooldown=1000), 0, STEPS)) == STEPS


def test_a_resumed_curriculum_chooses_as_an_uninterrupted_one(make):
    whole, first = make(), make()
    expected = play(whole, 0, STEPS)
    play(first, 0, 9)
    second = make()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert play(second, 9, STEPS) == expected[9:]
    assert second.predictions().equals(whole.predictions())


def test_another_seed_is_another_order(make):
    assert play(make(seed=1), 0, STEPS) != play(make(), 0, STEPS)


def test_what_was_predicted_is_kept_with_its_step():
    curriculum = OnlineCurriculum(
        CHOOSERS["adaptive"](),
        IDS,
        strategy="adaptive",
        plan_hash="r",
        prompts_per_step=SIZE,
        n_steps=STEPS,
        settings=OnlineSettings(name="any", cooldown_rollouts=64),
        seed=0,
    )
    batches = play(curriculum, 0, 6)
    table = curriculum.predictions()
    assert [list(rows["prompt_id"]) for _, rows in table.groupby("step")] == batches
    assert set(table.loc[table["step"] == 0, "predicted"]) == {0.5}, "nothing was known"
    late = table[table["step"] == 5]
    assert late["predicted"].nunique() > 1
    assert list(late["why"]) == ["expected to teach"] * 3 + ["explored"]
    assert set(table.loc[table["step"] < 2, "why"]) == {"warm-up"}
    assert (late["sd"] > 0).all()
    seen = {i: 8 * sum(i in batch for batch in batches[:5]) for i in late["prompt_id"]}
    assert dict(zip(late["prompt_id"], late["n_seen"], strict=True)) == seen


@pytest.mark.parametrize("step", [1, STEPS, -1])
def test_only_the_step_that_is_due_is_handed_out(make, step):
    with pytest.raises(DataError, match=rf"step {step} was asked for, but step 0 of {STEPS} is due"):
        make().next_batch(step)


def test_the_rewards_of_another_batch_are_refused(make):
    curriculum = make()
    batch = curriculum.next_batch(0)
    with pytest.raises(DataError, match="not that of the batch that was handed out"):
        curriculum.observe(outcome(0, batch[::-1]))


def test_the_state_of_another_plan_is_refused(make):
    state = make().state_dict()
    with pytest.raises(DataError, match="belongs to plan r, this is plan other"):
        make(plan_hash="other").load_state_dict(state)


def test_an_earlier_training_is_learnt_from_before_the_first_batch(make):
    """What a curriculum chooses behind five steps of somebody else's log is what it chooses behind five of its own."""
    own, told = make(), make()
    batches = play(own, 0, 5)
    foreign = [outcome(step, batch) for step, batch in enumerate(batches)]
    stranger = BatchOutcome(5, ("elsewhere",), (8,), (8,))
    mixed = BatchOutcome(0, (*foreign[0].prompt_ids, "x"), (*foreign[0].n_rollouts, 8), (*foreign[0].n_correct, 0))
    assert told.learn_from([mixed, *foreign[1:], stranger]) == 5 * SIZE * 8
    state, wanted = told.state_dict(), own.state_dict()
    for name in ("chooser", "n_rollouts", "used", "last_use", "seen"):
        assert json.dumps(state[name]) == json.dumps(wanted[name])
    assert (state["next_step"], set(state["uses"])) == (0, {0})
    told.next_batch(0)
    with pytest.raises(DataError, match="before the first next_batch"):
        told.learn_from(foreign)


def test_that_prompts_could_not_rest_is_told_and_survives_a_resume(make):
    whole, curriculum = make(cooldown=14), make(cooldown=14)  # after 12 steps 48 of 60 rest: four batches are 16
    play(whole, 0, 12)
    assert whole.notes() == ()
    play(whole, 12, 13)
    assert whole.notes()[0].startswith(
        "in 1 of 13 steps fewer than 4 batches of plan.prompts_per_step = 4 prompts had rested "
        "(plan.strategy.cooldown_rollouts = 448), and strategy '"
    )
    play(curriculum, 0, 13)
    curriculum = restored(curriculum, make(cooldown=14))
    play(whole, 13, 20)
    play(curriculum, 13, 20)
    assert curriculum.notes() == whole.notes()


def test_a_limit_of_uses_that_cannot_be_kept_is_told(make):
    curriculum = make(cooldown=0, max_uses=1)
    play(curriculum, 0, 15)
    (note,) = curriculum.notes()
    assert "plan.strategy.max_uses = 1" in note


def restored(curriculum, fresh):
    fresh.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    return fresh
