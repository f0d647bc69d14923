"""The rivals' choices, worked out by hand, and worlds in which they must or must not win."""

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import PlanConfig
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.curriculum import make_curriculum
from saerl_core.plan.strategies.base import Candidates
from saerl_core.plan.strategies.gain import GainSettings, order_by_concentration
from saerl_core.plan.strategies.irds import greedy_log_det
from saerl_core.plan.strategies.prepo import PrepoSettings, order_by_perplexity
from saerl_core.plan.strategies.skip_solved import SkipChooser
from saerl_core.protocols import BatchOutcome
from saerl_core.records import PromptVectors
from tests.plan.pools import Row, make_inputs

RATES = [0.0, 0.1, 0.2, 0.5, 0.6, 0.8, 0.9, 1.0]
POOL = [Row(f"p{i}", 0, 1.0 - rate) for i, rate in enumerate(RATES)]


def chosen(strategy, **own):
    plan, _ = plan_batches(
        make_inputs(POOL), PlanConfig(strategy={"name": strategy, **own}, prompts_per_step=2, n_steps=None), 0
    )
    return set(plan.table["prompt_id"])


def test_the_band_holds_its_bounds():
    assert chosen("pass_rate_band", low=0.2, high=0.8) == {"p2", "p3", "p4", "p5"}


def test_an_empty_band_says_what_to_do():
    with pytest.raises(DataError, match=r"only 0 of 8 prompts have a predicted pass rate within 0\.3 and 0\.4, fewer"):
        chosen("pass_rate_band", low=0.3, high=0.4)


def test_the_most_learnable_are_those_near_one_half_and_ties_go_by_id():
    # p (1 - p): 0, .09, .16, .25, .24, .16, .09, 0; of p2 and p5 the first id
    assert chosen("learnability", keep_frac=0.25) == {"p3", "p4"}
    assert chosen("learnability", keep_frac=0.5) == {"p2", "p3", "p4", "p5"}


def test_the_oracle_knows_the_rates():
    assert chosen("oracle_learnability", keep_frac=0.25) == {"p3", "p4"}
    assert len(chosen("oracle_quality")) == 8


def test_perplexity_runs_from_low_to_high():
    table = pd.DataFrame({"prompt_id": ["a", "b", "c", "d"]})
    vectors = np.array([[0.3, 9.0], [-1.0, 0.0], [0.3, 1.0], [-2.0, 5.0]])
    order = order_by_perplexity(Candidates(table, vectors, 2), PrepoSettings(), np.random.default_rng(0))
    assert [batch.prompt_ids for batch in order.batches] == [("d", "b"), ("a", "c")], "ties by id"


def test_concentration_runs_from_high_to_low():
    table = pd.DataFrame({"prompt_id": ["a", "b", "c", "d"]})
    vectors = np.array([[0.3], [-1.0], [0.3], [2.0]])
    order = order_by_concentration(Candidates(table, vectors, 2), GainSettings(), np.random.default_rng(0))
    assert [batch.prompt_ids for batch in order.batches] == [("d", "a"), ("c", "b")], "ties by id"


def test_the_log_determinant_prefers_new_directions():
    """Of (3, 0), (2.9, 0) and (0, 1) the third is second: log(1 + 8.41 / 10) < log(1 + 1)."""
    rows = np.array([[3.0, 0.0], [2.9, 0.0], [0.0, 1.0]])
    assert list(greedy_log_det(rows, 3)) == [0, 2, 1]
    gains = [np.linalg.slogdet(np.eye(2) + rows[:k].T @ rows[:k])[1] for k in (1, 2)]
    assert gains[1] - gains[0] == pytest.approx(np.log(1 + 8.41 / 10))


def test_a_prompt_that_was_solved_twice_is_passed_over_three_times_in_four():
    chooser = SkipChooser(2, explore=0.5)
    for _ in range(2):
        chooser.observe(0, np.array([0, 1]), np.array([4, 4]), np.array([4, 2]))
    rng = np.random.default_rng(0)
    first = [chooser.choose(0, np.arange(2), 1, rng)[0] for _ in range(4000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(0.25 / 2, abs=0.02), "not passed over, and first of the two"


def _train(strategy, rates, vectors, n_steps=120, **own):
    """Train in thought with fixed rates; the share of each third of the pool in the last half of the steps."""
    n = len(rates)
    ids = [f"p{i:03}" for i in range(n)]
    inputs = make_inputs([Row(p, i % 3, 0.5) for i, p in enumerate(ids)])
    own = {"cooldown_rollouts": 256, **own}
    config = PlanConfig(strategy={"name": strategy, **own}, prompts_per_step=8, n_steps=n_steps)
    curriculum = make_curriculum(plan_batches(inputs, config, 0, PromptVectors(tuple(ids), vectors))[0])
    rng, late = np.random.default_rng(1), []
    for step in range(n_steps):
        batch = curriculum.next_batch(step)
        index = [ids.index(p) for p in batch]
        curriculum.observe(BatchOutcome(step, tuple(batch), (4,) * 8, tuple(rng.binomial(4, rates[index]).tolist())))
        late += index if step >= n_steps // 2 else []
    return np.array(late)


THIRDS = np.tile([0.02, 0.5, 0.98], 200)  # hopeless, informative, solved; clusters follow


@pytest.mark.parametrize(
    ("strategy", "least"), [("adaptive", 0.75), ("bandit", 0.75), ("mopps", 0.42), ("skip_solved", 0.36)]
)
def test_in_a_planted_world_the_informative_third_is_found(strategy, least):
    """Chance is a third. Those that share nothing between prompts must try each."""
    vectors = np.eye(3)[np.arange(600) % 3] * 2
    late = _train(strategy, THIRDS, vectors)
    assert np.mean(late % 3 == 1) >= least


@pytest.mark.parametrize("strategy", ["adaptive", "bandit", "mopps", "skip_solved"])
def test_where_all_prompts_are_alike_it_does_as_a_shuffle(strategy):
    """No third is preferred, and prompts come back hardly more often than in a shuffle."""
    vectors = np.random.default_rng(2).standard_normal((600, 3))
    late = _train(strategy, np.full(600, 0.5), vectors)
    shares = np.bincount(late % 3, minlength=3) / len(late)
    assert shares.max() < 0.55
    assert len(np.unique(late)) >= 0.5 * len(late)
