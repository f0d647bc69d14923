"""Advice by hand: groups that teach, the band, the best quarter, labels, prompts that are never solved."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binom

from pipelines.commands.advise import advise as command
from saerl_core.advice.advise import advise, best_weights, inside_band, live
from saerl_core.advice.mixture import estimate, fitted
from saerl_core.advice.records import Estimate, KnownPassRates, Price, RunSize
from saerl_core.advice.words import in_words, run_in_words
from saerl_core.errors import ConfigError, DataError


def exact(*rates):
    return KnownPassRates(np.array(rates))


def measured(counts, n):
    """So many prompts with k of n correct, k = 0, 1, ..."""
    rates = np.repeat(np.arange(n + 1) / n, counts)
    return KnownPassRates(rates, np.full(len(rates), float(n)))


def test_live_groups_by_hand():
    """1 - 0.5^2 - 0.5^2 = 0.5; 1 - 0.1^4 - 0.9^4 = 0.3438; all right or all wrong: never."""
    assert live(np.array([0.5]), 2) == pytest.approx([0.5])
    assert live(np.array([0.1]), 4) == pytest.approx([0.3438])
    assert list(live(np.array([0.0, 1.0]), 8)) == [0.0, 0.0]


def test_four_prompts_of_known_rates():
    """Rates 0, .5, .5, 1 in groups of 2: a quarter of the groups teach; the band holds half, each .5."""
    found = advise(exact(0.0, 0.5, 0.5, 1.0), group_size=2, group_sizes=(2, 4))
    shuffle, band, best = found.selections
    assert shuffle.live == pytest.approx((0.25, 0.4375))
    assert (band.share, band.live) == (0.5, pytest.approx((0.5, 0.875)))
    assert (best.share, best.live) == (0.25, pytest.approx((0.5, 0.875)))
    assert found.naive_dead == pytest.approx(0.75)
    assert found.broken.n_sure == 1
    assert (found.mean, found.is_exact, found.most_rollouts) == (0.5, True, None)


def test_the_best_quarter_cuts_the_last_point():
    """The largest p (1 - p): a tenth of the pool at .5, then .15 of what stands at .2."""
    p, weights = np.array([0.0, 0.2, 0.5]), np.array([0.6, 0.3, 0.1])
    found = Estimate(p, weights, np.zeros((1, 2)), np.ones(1), np.ones((1, 3)) / 3)
    assert best_weights(found) == pytest.approx([0.0, 0.15, 0.1])


def test_inside_the_band_by_hand():
    """Of 4 rollouts 1, 2 or 3 correct; of 5 rollouts 1 to 4; of one rollout none."""
    p = np.array([0.5, 0.1])
    assert inside_band(p, 4) == pytest.approx([1 - 2 / 16, 1 - 0.9**4 - 0.1**4])
    assert inside_band(p, 5) == pytest.approx([1 - 2 / 32, 1 - 0.9**5 - 0.1**5])
    assert list(inside_band(p, 1)) == [0.0, 0.0]


def test_labels_pay_after_a_while():
    """Half the prompts at 0, half at .5, groups of 2: L = .25, behind labels L' = .5: R = C .5 / .25 = 2 C."""
    labels = advise(exact(*[0.0] * 5, *[0.5] * 5), group_size=2).labels
    two = next(label for label in labels if label.n_rollouts == 2)
    assert (two.cost, two.share, two.live) == (20, pytest.approx(0.25), pytest.approx(0.5))
    assert two.paid_after == pytest.approx(40)
    rollouts = 1000
    assert rollouts * 0.25 / 2 < (rollouts - 20) * two.live / 2
    assert (39 - 20) * two.live < 39 * 0.25
    assert all(label.paid_after is None for label in advise(exact(0.5, 0.5), group_size=2).labels)


@pytest.mark.parametrize(("low", "high", "share"), [(0.2, 0.8, 0.3), (0.0, 0.5, 0.4), (0.1, 1.0, 0.7)])
def test_em_recovers_two_points(low, high, share):
    n = 32
    k = np.arange(n + 1)
    seen = 10_000 * (share * binom.pmf(k, n, low) + (1 - share) * binom.pmf(k, n, high))
    found = fitted(np.column_stack([k / n, np.full(n + 1, float(n))]), seen)
    near = np.abs(found.p - low) < 0.08
    assert found.weights.sum() == pytest.approx(1)
    assert found.weights[near].sum() == pytest.approx(share, abs=0.02)
    assert found.p[near] @ found.weights[near] / found.weights[near].sum() == pytest.approx(low, abs=0.01)
    for size in (2, 8, 32):
        truth = share * live(np.array([low]), size)[0] + (1 - share) * live(np.array([high]), size)[0]
        assert live(found.p, size) @ found.weights == pytest.approx(truth, abs=0.005)


def test_noise_is_taken_out():
    """All prompts at .5, four rollouts each: raw rates call an eighth of them all right or all wrong for good."""
    found = advise(measured([100, 400, 600, 400, 100], 4), group_size=8)
    dead = 1 - found.selections[0].live[found.group_sizes.index(8)]
    assert dead == pytest.approx(2 * 0.5**8, abs=0.01)
    assert found.naive_dead > 0.17
    assert found.most_rollouts == 4
    assert "Lines beyond 4 are extrapolated" in in_words(found)


def test_groups_as_large_as_the_measurement_are_as_dead_as_measured():
    """E[p^n + (1 - p)^n] is the share of prompts with none or all of n correct, whatever the mixture."""
    found = advise(measured([439, 151, 103, 91, 73, 76, 88, 96, 92], 8), group_size=8)
    assert 1 - found.selections[0].live[found.group_sizes.index(8)] == pytest.approx((439 + 92) / 1209, abs=0.003)
    assert found.broken.n_unsolved == 439
    assert found.broken.n_sure == 0
    assert 100 < found.broken.n_expected < 439


def test_never_solved_in_many_rollouts_is_sure():
    """0 of 58 leaves p below 1 - .05^(1/58) = 5.03 %, 0 of 59 below 4.95 %."""
    rates = KnownPassRates(np.array([0.0, 0.0, 0.5]), np.array([58.0, 59.0, 64.0]))
    assert advise(rates).broken.n_sure == 1
    assert "look broken or out of reach: 1 (never solved, below 5 % with 95 % confidence), of 2 that" in in_words(
        advise(rates)
    )


def test_exact_rates_are_their_own_distribution():
    found = estimate(exact(0.5, 0.25, 0.5))
    assert list(found.p) == [0.25, 0.5]
    assert found.weights == pytest.approx([1 / 3, 2 / 3])


def test_the_run_in_words():
    """10 x 4 x 8 = 320 rollouts of 100 tokens, twice, and 50 labels of 10: 64,500 tokens; at 10 a second 1.8 hours."""
    run = RunSize(10, 4, 8, 100, 50, 10, trains_control=True)
    assert (run.n_rollouts, run.n_tokens) == (320, 64_500)
    said = run_in_words(run, Price(10, 2), dead=0.5)
    assert "10 steps x 4 prompts x 8 = 320 rollouts, and its control, a plain shuffle, as many again" in said
    assert "at most 64,500 generated tokens" in said
    assert "1.8 GPU-hours (3.58 in money) of generation" in said
    assert "Dead groups of a shuffle take 0.9 of these GPU-hours (1.78 in money)." in said


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: exact(0.5, 1.5, -1), DataError, r"a pass rate is 1.5; .*\[0, 1\]: correct 2 of 3"),
        (lambda: exact(np.nan), DataError, "a pass rate is nan"),
        (exact, DataError, "there is no pass rate"),
        (lambda: KnownPassRates(np.array([0.5]), np.array([0.0])), DataError, "n_rollouts is 0; say a whole number"),
        (lambda: KnownPassRates(np.array([0.5]), np.array([np.nan])), DataError, "n_rollouts is nan"),
        (lambda: advise(exact(0.5), group_size=1), ConfigError, "group_size is 1"),
        (lambda: Price(0.0), ConfigError, "tokens per second are 0"),
        (lambda: Price(1.0, -1.0), ConfigError, "price per hour is -1"),
    ],
)
def test_rubbish_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_where_nothing_is_ever_solved_no_band_is_promised():
    said = in_words(advise(measured([20, 0, 0, 0, 0], 4)))
    assert "With groups of 8, 100 % of your rollouts will teach nothing" in said
    assert said.count("no prompt is expected inside the band") == 4
    assert "Only the prompts measured 0.2 to 0.8: there are none." in said


# --- the command


def prompts_file(path, rates, **more):
    rows = [
        {
            "prompt": f"How much is {i} plus {i}?",
            "answer": str(2 * i),
            "pass_rate": rate,
            **{k: v[i] for k, v in more.items()},
        }
        for i, rate in enumerate(rates)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def called(*arguments):
    done = CliRunner().invoke(command, list(arguments))
    return done.exit_code, done.output


def test_a_file_with_its_rollouts(tmp_path):
    file = prompts_file(tmp_path / "p.jsonl", [0.0, 0.5, None, 1.0], n_rollouts=[4, 4, 0, 8])
    code, said = called(file, "--group-size", "4")
    assert code == 0, said
    assert "3 usable prompts have a pass rate" in said
    assert "from up to 8 rollouts each" in said
    assert "With groups of 4, " in said


def test_a_run_file_says_sizes_and_prices(tmp_path):
    file = prompts_file(tmp_path / "p.jsonl", [0.0, 0.5, 0.5, 1.0])
    run = tmp_path / "run.yaml"
    run.write_text(
        f"parameters:\n  prompts: {{source: file, path: {file}}}\n  control: none\n"
        "  plan: {n_steps: 5, prompts_per_step: 2}\n"
        "  policy: {source: pretrained, model: mine}\n  evaluation: {enabled: false}\n"
        "  training: {group_size: 2, max_completion_tokens: 50}\n  pass_rates: {max_completion_tokens: 50}\n"
        "  grading: {kind: exact}\n"
    )
    code, said = called("-c", str(run), "--tokens-per-second", "10", "--price-per-hour", "36")
    assert code == 0, said
    assert "With groups of 2, 75 % of your rollouts will teach nothing" in said
    assert "5 steps x 2 prompts x 2 = 20 rollouts." in said
    assert "at most 1,000 generated tokens" in said
    assert "0.0 GPU-hours (1.00 in money)" in said
    assert "does not pay in this run" in said
    assert called("-c", str(run), "--set", "plan.n_steps=null")[1].count("2 steps x 2 prompts") == 1


def test_without_pass_rates_the_way_out_is_named(tmp_path):
    none = prompts_file(tmp_path / "none.jsonl", [None, None])
    odd = prompts_file(tmp_path / "odd.jsonl", [0.5, 50])
    short = prompts_file(tmp_path / "short.jsonl", [0.5, 0.5], n_rollouts=[4, None])
    cases = [
        ((none,), "none of the 2 usable prompts has a pass rate; give a file with a column pass_rate"),
        ((odd,), r"1 of 2 pass rates are no numbers in [0, 1]"),
        ((short,), "n_rollouts is nan"),
        ((), "name a file with pass rates, a run file with -c, or both"),
        ((none, "--price-per-hour", "2"), "--price-per-hour needs --tokens-per-second"),
        ((none, "--tokens-per-second", "2"), "--tokens-per-second needs a run file"),
        ((none, "--set", "seed=1"), "--set changes a run file"),
        ((str(tmp_path / "nowhere.jsonl"),), "there is no such file"),
    ]
    for arguments, message in cases:
        code, said = called(*arguments)
        assert code == 1, arguments
        assert message in said
        assert said.count("\n") == 1


@pytest.fixture
def finished(monkeypatch):
    """A run that measured two of its three prompts, as ZenML would give it."""
    from types import SimpleNamespace

    import pandas as pd

    from pipelines import planned

    ids = ["a", "b", "c"]
    prompts = pd.DataFrame({"prompt_id": ids, "usable": True, "known_pass_rate": np.nan, "flags": ""})
    rates = pd.DataFrame({"prompt_id": ["a", "c"], "pass_rate": [0.0, 1.0], "n_rollouts": 512})
    artifacts = {"prompts": prompts, "pass_rates": rates}
    config = {"plan": {"n_steps": 5, "prompts_per_step": 2}, "training": {"group_size": 16}}
    run = SimpleNamespace(name="mine", config=SimpleNamespace(parameters={"config": config}))
    monkeypatch.setattr(planned, "_named", lambda name, unknown: run)
    monkeypatch.setattr(planned, "artifact", lambda run, step, name: artifacts[name])
    return artifacts


def test_a_finished_run_gives_what_it_measured(finished, tmp_path):
    done = CliRunner().invoke(command, ["--run", "mine", "--tokens-per-second", "100"])
    assert done.exit_code == 0, done.output
    assert "2 usable prompts have a pass rate, 50 % on average, from up to 512 rollouts each" in done.output
    assert "With groups of 16, 100 % of your rollouts will teach nothing" in done.output
    assert "5 steps x 2 prompts x 16 = 160 rollouts" in done.output
    assert "GPU-hours" in done.output
    other = tmp_path / "run.yaml"
    other.write_text("parameters: {training: {group_size: 4}}")
    assert "With groups of 4, " in CliRunner().invoke(command, ["--run", "mine", "-c", str(other)]).output


def test_a_run_without_measurements_or_beside_a_file_is_refused(finished):
    assert "name one of the two" in CliRunner().invoke(command, ["a.jsonl", "--run", "mine"]).output
    finished["pass_rates"] = None
    done = CliRunner().invoke(command, ["--run", "mine"])
    assert done.exit_code == 1
    assert "run mine measured no pass rate" in done.output
