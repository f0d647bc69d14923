"""Pass rates of a small labelled subset: which prompts to try, and what the policy can do on them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from saerl_core.config.rollouts import OWN_SAMPLER, RolloutsConfig
from saerl_core.config.run import GradingConfig, PassRatesConfig
from saerl_core.errors import DataError
from saerl_core.policy.context import beyond_note
from saerl_core.records import PassRatesReport, PolicyRef
from saerl_core.rollouts.completions import Completion, CompletionSampler
from saerl_core.rollouts.engines import Sampling, make_sampler
from saerl_core.rollouts.grading import Grader, Verdict
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.shards import WHOLE, Shard, refuse_too_many
from saerl_core.tables import PASS_RATES


def choose_labelled(prompts: pd.DataFrame, clusters: pd.DataFrame, n: int, seed: int) -> list[str]:
    """Draw `n` usable prompts, from each cluster in proportion to its size, and return their ids sorted.

    Shares are rounded by largest remainder, and every cluster gets at least one prompt where `n` allows it; with fewer
    labels than clusters the largest clusters come first. All usable prompts are returned where there are no more than
    `n`. The row order of the tables does not matter.

    Raises:
        DataError: no prompt is usable, or a usable prompt has no cluster.
    """
    usable = prompts.loc[prompts["usable"], ["prompt_id"]].sort_values("prompt_id")
    if usable.empty:
        raise DataError(f"none of the {len(prompts)} prompts is usable; the column 'flags' of the prompts says why")
    cluster_of = dict(zip(clusters["prompt_id"], clusters["cluster_id"], strict=True))
    groups: dict[int, list[str]] = {}
    for prompt_id in usable["prompt_id"]:
        if prompt_id not in cluster_of:
            raise DataError(f"prompt {prompt_id} has no cluster; cluster the same pool that is labelled")
        groups.setdefault(int(cluster_of[prompt_id]), []).append(str(prompt_id))
    rng = stage_rng(seed, "pass_rates.choose")
    chosen: list[str] = []
    ids = sorted(groups)
    for cluster_id, share in zip(ids, _shares([len(groups[c]) for c in ids], n), strict=True):
        members = groups[cluster_id]
        chosen += [members[i] for i in rng.choice(len(members), size=share, replace=False)]
    return sorted(chosen)


def _shares(sizes: list[int], n: int) -> list[int]:
    """Split `n` over groups in proportion to their sizes: at least one each where possible, never more than a size."""
    total = sum(sizes)
    n = min(n, total)
    least = [1] * len(sizes) if n >= len(sizes) else [0] * len(sizes)
    exact = [n * size / total for size in sizes]
    shares = [max(low, int(share)) for low, share in zip(least, exact, strict=True)]
    while sum(shares) != n:  # at most one round a group: the groups that are furthest from their exact share go first
        step = 1 if sum(shares) < n else -1
        open_ = [i for i, share in enumerate(shares) if (share < sizes[i] if step > 0 else share > least[i])]
        i = max(open_, key=lambda i: (step * (exact[i] - shares[i]), sizes[i], -i))
        shares[i] += step
    return shares


_MANY_CUT = 0.2  # share of completions that ended at the bound, above which a note says so
_NEARLY_ALL = 0.9  # share of labels that are 0 or 1, above which a note says so


@dataclass(frozen=True)
class Group:
    """All rollouts of one prompt."""

    prompt_id: str
    completions: list[Completion]
    verdicts: list[Verdict]

    @property
    def n_correct(self) -> int:
        """Number of right completions."""
        return sum(v.correct is True for v in self.verdicts)

    @property
    def n_unknown(self) -> int:
        """Number of completions that the grader cannot judge."""
        return sum(v.correct is None for v in self.verdicts)

    @property
    def n_graded(self) -> int:
        """Number of right and wrong completions."""
        return len(self.verdicts) - self.n_unknown

    def row(self) -> dict[str, object]:
        """Return the row of `tables.PASS_RATES`; lengths and truncation count every completion."""
        return {
            "prompt_id": self.prompt_id,
            "n_rollouts": self.n_graded,
            "n_correct": self.n_correct,
            "n_unknown": self.n_unknown,
            "pass_rate": self.n_correct / self.n_graded,
            "mean_completion_tokens": float(np.mean([c.n_tokens for c in self.completions])),
            "truncated_frac": float(np.mean([c.truncated for c in self.completions])),
        }


@dataclass(frozen=True)
class Tried:
    """The rollouts of every prompt that was tried, and what they cost."""

    groups: list[Group]
    grader: Grader
    engine: str
    n_prefill_tokens: int
    n_generated_tokens: int
    beyond: tuple[str, ...]  # the note about prompts that the policy cannot read


def measure_pass_rates(
    prompts: pd.DataFrame,
    clusters: pd.DataFrame,
    policy: PolicyRef,
    config: PassRatesConfig,
    grading: GradingConfig,
    seed: int,
    *,
    rollouts: RolloutsConfig = OWN_SAMPLER,
    device: str = "auto",
) -> tuple[pd.DataFrame, PassRatesReport]:
    """Sample and grade rollouts of a labelled subset: pass_rate = n_correct / (n_correct + n_wrong).

    An unknown verdict counts neither way; a prompt that has no other is not labelled. Returns `tables.PASS_RATES`,
    sorted by prompt id, and the report with the cost of all rollouts, also of those that labelled nothing.

    Raises:
        DataError: no prompt is usable, or no completion at all could be graded.
        BackendError: a user's reward function failed on more than half of the completions.
    """
    return labels_of(
        try_out(prompts, clusters, policy, config, grading, seed, rollouts=rollouts, device=device), config
    )


def try_out(  # noqa: PLR0913 (what `measure_pass_rates` takes, and which part of it)
    prompts: pd.DataFrame,
    clusters: pd.DataFrame,
    policy: PolicyRef,
    config: PassRatesConfig,
    grading: GradingConfig,
    seed: int,
    *,
    rollouts: RolloutsConfig = OWN_SAMPLER,
    device: str = "auto",
    shard: Shard = WHOLE,
) -> Tried:
    """Sample and grade rollouts of the labelled subset, or of a shard of it.

    Raises:
        ConfigError: there are more shards than prompts to label.
        DataError: no prompt is usable.
        BackendError: a user's reward function failed on more than half of the completions.
    """
    how = Sampling(config.temperature, config.max_completion_tokens, stage_seed(seed, "pass_rates.sample"))
    sampler = make_sampler(policy, how, rollouts, device=device, shard=shard)
    readable, beyond = _readable(prompts, sampler)
    chosen = choose_labelled(readable, clusters, config.n_labelled, seed)
    refuse_too_many(shard.n, len(chosen), "shards.pass_rates", "pass rates are measured of")
    rows = prompts.set_index("prompt_id").loc[chosen]
    sampled = sampler.sample([str(p) for p in rows["prompt"]], config.n_rollouts, desc="labelling")
    tried = [(p, str(a), of) for p, a, of in zip(chosen, rows["answer"], sampled, strict=True) if of]
    with Grader(grading) as grader:
        verdicts = grader.grade(
            [c.text for _, _, of in tried for c in of], [a for _, a, _ in tried for _ in range(config.n_rollouts)]
        )
    grader.refuse_mostly_failed()
    n = config.n_rollouts
    groups = [Group(p, of, verdicts[i * n : (i + 1) * n]) for i, (p, _, of) in enumerate(tried)]
    return Tried(groups, grader, sampler.engine, sampler.n_prefill_tokens, sampler.n_generated_tokens, beyond)


def labels_of(tried: Tried, config: PassRatesConfig) -> tuple[pd.DataFrame, PassRatesReport]:
    """Return `tables.PASS_RATES` and its report; `DataError` where no completion at all could be graded."""
    labelled = [g for g in tried.groups if g.n_graded]
    if not labelled:
        raise DataError(
            f"none of the {tried.grader.n_graded} completions could be graded ({tried.grader.unknown_told()}); "
            f"grading.kind is '{tried.grader.config.kind}': does it fit the answers?"
        )
    table = PASS_RATES.check(pd.DataFrame([g.row() for g in labelled]))
    return table, _report(tried, labelled, config)


def not_measured(known: str) -> tuple[pd.DataFrame, PassRatesReport]:
    """Return the empty table of a pool whose data bring labels of the given kind, and the report that says so."""
    note = (
        f"no rollout was spent on labels: the data bring a {known} (difficulty.label 'pass_rate' measures all the same)"
    )
    return PASS_RATES.empty(), PassRatesReport(stage="pass_rates", notes=(note,), values={"n_labelled": 0.0})


def _readable(prompts: pd.DataFrame, sampler: CompletionSampler) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the pool in which a usable prompt that the policy cannot read is not usable, and the note about those."""
    usable = prompts[prompts["usable"]]
    fits = np.array(sampler.fitting([str(p) for p in usable["prompt"]]), dtype=bool)
    if fits.all():
        return prompts, ()
    left_out = sorted(usable.loc[~fits, "prompt_id"].astype(str))
    limit, n_new = sampler.context_tokens or 0, sampler.max_completion_tokens
    note = beyond_note(left_out, len(usable), limit, n_new)
    if len(left_out) == len(usable):
        raise DataError(
            f"{note}; take a policy of a longer context, raise rollouts.max_model_len where it is set, or lower "
            "pass_rates.max_completion_tokens"
        )
    return prompts.assign(usable=prompts["usable"] & ~prompts["prompt_id"].isin(left_out)), (
        f"{note}; they got no label",
    )


def _report(tried: Tried, labelled: list[Group], config: PassRatesConfig) -> PassRatesReport:
    groups, grader = tried.groups, tried.grader
    notes = [*tried.beyond, *([f"sampled by {tried.engine}"] if tried.engine else [])]
    if len(groups) < config.n_labelled:
        notes.append(f"{config.n_labelled} labels were asked for; the pool has only {len(groups)} usable prompts")
    if len(labelled) < len(groups):
        notes.append(f"{len(groups) - len(labelled)} prompts got no label: none of their completions could be graded")
    if grader.n_unknown:
        notes.append(
            f"{grader.n_unknown} of {grader.n_graded} completions could not be graded: {grader.unknown_told()}"
        )
    rates = np.array([g.n_correct / g.n_graded for g in labelled])
    cut = float(np.mean([c.truncated for g in groups for c in g.completions]))
    notes += [*_cut_short(cut, config.max_completion_tokens), *_one_sided(rates)]
    return PassRatesReport(
        stage="pass_rates",
        n_rollouts=grader.n_graded,
        n_generated_tokens=tried.n_generated_tokens,
        n_prefill_tokens=tried.n_prefill_tokens,
        notes=tuple(notes),
        values={
            "n_labelled": len(labelled),
            "n_not_labelled": len(groups) - len(labelled),
            "mean_pass_rate": float(rates.mean()),
            "zero_variance_frac": float(np.mean((rates == 0.0) | (rates == 1.0))),
            "unknown_frac": grader.n_unknown / grader.n_graded,
            "truncated_frac": cut,
            **_mean_reward(groups, grader),
        },
    )


def _cut_short(cut: float, n_tokens: int) -> Iterator[str]:
    """Yield the note about completions that ended at the bound: they count as wrong, whatever they led to."""
    if cut > _MANY_CUT:
        yield (
            f"{cut:.0%} of the completions were cut at pass_rates.max_completion_tokens = {n_tokens}, before the "
            "policy had finished: these pass rates are too low; raise it, and in training and evaluation too"
        )


def _one_sided(rates: Float[np.ndarray, " n"]) -> Iterator[str]:
    """Yield the note about labels that hardly tell one prompt from another."""
    right, wrong = float(np.mean(rates == 1.0)), float(np.mean(rates == 0.0))
    if right + wrong > _NEARLY_ALL:
        yield (
            f"{right + wrong:.0%} of the labelled prompts were answered always right ({right:.0%}) or always wrong "
            f"({wrong:.0%}): such labels say little about difficulty, and such groups train nothing; take prompts "
            "that fit the policy, or check the grading and the completion length"
        )


def _mean_reward(groups: list[Group], grader: Grader) -> dict[str, float]:
    """Return the mean reward where it is no share of right answers: of a user's function."""
    if grader.config.kind != "python":
        return {}
    return {"mean_reward": float(np.mean([v.reward for g in groups for v in g.verdicts]))}
