"""The curriculum around every online chooser: who is eligible, what was handed out, what was predicted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saerl_core.errors import DataError
from saerl_core.plan.blame import blamed
from saerl_core.plan.choosers import Chooser, Explains, Indices
from saerl_core.plan.strategies.base import OnlineSettings
from saerl_core.protocols import BatchOutcome, PromptId
from saerl_core.seeds import stage_rng
from saerl_core.tables import PREDICTIONS

_MIN_CHOICE = 4  # batches that must be eligible, or there is nothing to choose from

_Prediction = tuple[int, int, float, float | None, int, str]  # step, prompt, rate, its sd, rollouts seen of it, why


class OnlineCurriculum:
    """Asks a chooser for each batch; implements `saerl_core.protocols.Curriculum`.

    A prompt rests after its use until `cooldown_rollouts` have been generated for other batches, and is used at most
    `max_uses` times. Where fewer than four batches are eligible all are, and `notes` says how often. The random
    numbers of a step depend on seed and step alone, so that a resumed run chooses as an uninterrupted one.
    """

    def __init__(
        self,
        chooser: Chooser,
        prompt_ids: tuple[str, ...],
        *,
        strategy: str,
        plan_hash: str,
        prompts_per_step: int,
        n_steps: int,
        settings: OnlineSettings,
        seed: int,
    ) -> None:
        self._chooser, self._ids, self._hash, self._size = chooser, prompt_ids, plan_hash, prompts_per_step
        self._strategy = strategy
        self._n_steps, self._settings, self._seed = n_steps, settings, seed
        self._where = {p: i for i, p in enumerate(prompt_ids)}
        self._n_rollouts = 0  # generated so far
        self._last = np.full(len(prompt_ids), -1, dtype=np.int64)  # rollouts generated until its last use; -1: never
        self._seen = np.zeros(len(prompt_ids), dtype=np.int64)  # rollouts of the prompt itself
        self._uses = np.zeros(len(prompt_ids), dtype=np.int64)
        self._asked: dict[int, list[int]] = {}  # batches that were handed out and not yet observed
        self._predictions: list[_Prediction] = []
        self._unrested: list[int] = []  # steps for which too few prompts had rested, so that all were eligible
        self._next_step = 0

    def next_batch(self, step: int) -> list[PromptId]:
        """Return the prompts of a step; `DataError` for a step that is not due."""
        if not 0 <= step < self._n_steps or step != self._next_step:
            raise DataError(
                f"step {step!r} was asked for, but step {self._next_step} of {self._n_steps} is due; an online "
                "curriculum must see the rewards of every step before it chooses the next"
            )
        eligible = self._eligible(step)
        rng, who = stage_rng(self._seed, f"plan/step={step}"), f"strategy '{self._strategy}', step {step}:"
        with blamed(self._strategy, f"choosing the batch of step {step}"):
            chosen = np.asarray(self._chooser.choose(step, eligible, self._size, rng))
        check_choice(chosen, eligible, self._ids, self._size, who)
        self._note_predictions(step, chosen, who)
        self._asked = {step: chosen.tolist()}
        return [self._ids[i] for i in chosen]

    def observe(self, outcome: BatchOutcome) -> None:
        """Learn from a step; `DataError` when it is not the batch that was handed out."""
        index = np.array([self._where.get(p, -1) for p in outcome.prompt_ids], dtype=np.int64)
        if self._asked.get(outcome.step) != index.tolist():
            raise DataError(
                f"the outcome of step {outcome.step} is not that of the batch that was handed out for it; "
                "train on exactly that batch, in its order"
            )
        self._learn(outcome, index)
        self._uses[index[np.array(outcome.n_rollouts) > 0]] += 1
        self._asked, self._next_step = {}, outcome.step + 1

    def learn_from(self, outcomes: Iterable[BatchOutcome]) -> int:
        """Learn from the steps of an earlier training, in their order; return how many of its rollouts count here.

        Prompts that this plan does not have are passed over; `max_uses` counts the uses of this plan alone. `DataError`
        once a batch was asked for: what was chosen then rests on what was known then.
        """
        if self._asked or self._next_step:
            raise DataError(
                f"an earlier training was to be learnt from at step {self._next_step}, after a batch was chosen; do it "
                "before the first next_batch"
            )
        before = self._n_rollouts
        for outcome in outcomes:
            index = np.array([self._where.get(p, -1) for p in outcome.prompt_ids], dtype=np.int64)
            if (index >= 0).any():
                self._learn(outcome, index)
        return self._n_rollouts - before

    def _learn(self, outcome: BatchOutcome, index: Indices) -> None:
        """Take in the prompts of a step that are of this pool and were sampled; an index of -1 is none of the pool."""
        ours = (index >= 0) & (np.array(outcome.n_rollouts) > 0)
        if not ours.any():
            return
        n_rollouts, n_correct = (np.array(v, dtype=np.int64)[ours] for v in (outcome.n_rollouts, outcome.n_correct))
        with blamed(self._strategy, f"learning from step {outcome.step}"):
            self._chooser.observe(outcome.step, index[ours], n_rollouts, n_correct)
        self._n_rollouts += int(n_rollouts.sum())
        self._last[index[ours]] = self._n_rollouts
        self._seen[index[ours]] += n_rollouts

    def predictions(self) -> pd.DataFrame:
        """Return what was predicted for every prompt when it was chosen, and why it was: `tables.PREDICTIONS`."""
        rows = [(step, self._ids[i], *rest) for step, i, *rest in self._predictions]
        table = pd.DataFrame(rows, columns=list(PREDICTIONS.columns))
        return PREDICTIONS.check(table.astype({"predicted": "float64", "sd": "float64"}))

    def notes(self) -> tuple[str, ...]:
        """Return what the reader of a training must know of its order: how often the rest of prompts was lifted."""
        if not self._unrested:
            return ()
        own, n = self._settings, len(self._ids)
        uses = "" if own.max_uses is None else f", plan.strategy.max_uses = {own.max_uses}"
        return (
            f"in {len(self._unrested)} of {self._next_step} steps fewer than {_MIN_CHOICE} batches of "
            f"plan.prompts_per_step = {self._size} prompts had rested (plan.strategy.cooldown_rollouts = "
            f"{own.cooldown_rollouts}{uses}), and strategy '{self._strategy}' chose among all {n}; more prompts, a "
            "smaller batch or a shorter rest keep prompts from coming back at once",
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the JSON-serialisable state."""
        used = np.flatnonzero(self._last >= 0)
        return {
            "plan_hash": self._hash,
            "next_step": self._next_step,
            "n_rollouts": self._n_rollouts,
            "used": used.tolist(),
            "last_use": self._last[used].tolist(),
            "seen": self._seen[used].tolist(),
            "uses": self._uses[used].tolist(),
            "predictions": [list(row) for row in self._predictions],
            "unrested": self._unrested,
            "asked": [[step, index] for step, index in self._asked.items()],
            "chooser": self._chooser.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state; `DataError` when it belongs to another plan, or is damaged."""
        found = state.get("plan_hash")
        if found != self._hash:
            raise DataError(
                f"the saved state belongs to plan {found}, this is plan {self._hash}; resume "
                "with the signals and settings that the checkpoint was made with, or start in an empty folder"
            )
        try:
            self._restore(state)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError(
                f"the saved state of plan {self._hash} is damaged ({type(error).__name__}: {error}); resume from an "
                "earlier checkpoint with a new curriculum"
            ) from error

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._next_step = int(state["next_step"])
        self._n_rollouts = int(state["n_rollouts"])
        used = np.array(state["used"], dtype=np.int64)
        for values, name, empty in ((self._last, "last_use", -1), (self._seen, "seen", 0), (self._uses, "uses", 0)):
            values[:] = empty
            values[used] = np.array(state[name], dtype=np.int64)
        self._predictions = [(int(s), int(i), p, sd, int(n), str(w)) for s, i, p, sd, n, w in state["predictions"]]
        self._unrested = [int(step) for step in state.get("unrested", ())]
        self._asked = {int(step): list(map(int, index)) for step, index in state["asked"]}
        self._chooser.load(state["chooser"])

    def _eligible(self, step: int) -> Indices:
        own = self._settings
        free = (self._last < 0) | (self._n_rollouts - self._last >= own.cooldown_rollouts)
        if own.max_uses is not None:
            free &= self._uses < own.max_uses
        rested = np.flatnonzero(free)
        if len(rested) >= min(_MIN_CHOICE * self._size, len(self._ids)):
            return rested
        self._unrested = sorted({*self._unrested, step})
        return np.arange(len(self._ids))

    def _note_predictions(self, step: int, chosen: Indices, who: str) -> None:
        """Keep what is expected of a batch; asked again before its rewards, the later answer counts."""
        predicted = self._chooser.predicted(chosen)
        if predicted is None:
            return
        predicted = np.asarray(predicted, dtype=np.float64)
        check_predicted(predicted, self._size, who)
        reasons = self._chooser.reasons(step, chosen) if isinstance(self._chooser, Explains) else None
        sds = [None] * self._size if reasons is None else [round(float(sd), 4) for sd in reasons.sd]
        whys = ("",) * self._size if reasons is None else reasons.why
        self._predictions = [row for row in self._predictions if row[0] != step]
        rows = zip(
            chosen.tolist(), np.round(predicted, 5).tolist(), sds, self._seen[chosen].tolist(), whys, strict=True
        )
        self._predictions += [(step, *row) for row in rows]


def check_choice(chosen: np.ndarray, eligible: Indices, ids: Sequence[str], size: int, who: str) -> None:
    """Raise `DataError` for a choice that is no full batch of different eligible prompts."""
    if chosen.shape != (size,) or chosen.dtype.kind not in "iu":
        raise DataError(
            f"{who} chose {chosen.size} prompts as {chosen.dtype}; a batch is the indices of plan.prompts_per_step = "
            f"{size} prompts"
        )
    is_eligible = np.zeros(len(ids), dtype=bool)  # not a set: it would cost more than the choice where pools are large
    is_eligible[eligible] = True
    for place, index in enumerate(chosen.tolist()):
        name = repr(ids[index]) if 0 <= index < len(ids) else f"number {index} of {len(ids)}"
        if not 0 <= index < len(ids) or not is_eligible[index]:
            raise DataError(f"{who} chose prompt {name}, which is none of the {len(eligible)} that are eligible")
        if index in chosen[:place]:
            raise DataError(f"{who} chose prompt {name} twice; a batch holds every prompt once")


def check_predicted(predicted: np.ndarray, size: int, who: str) -> None:
    """Raise `DataError` for predictions that are not one pass rate a prompt."""
    if predicted.shape != (size,):
        raise DataError(f"{who} predicted {predicted.size} pass rates for {size} prompts; predict one each, or None")
    wrong = predicted[~((predicted >= 0) & (predicted <= 1))]
    if wrong.size:
        raise DataError(f"{who} predicted a pass rate of {wrong[0]}; it must lie within 0 and 1")
