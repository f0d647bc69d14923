"""Which planned prompt a logged rollout belongs to: by its id where that travels, else by text, else by its place."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from saerl_core.export.exported import Exported
from saerl_core.export.logs import Rollout
from saerl_core.export.records import PlannedRow
from saerl_core.ids import normalise_text

_N_SAMPLES = 64  # logged texts that are searched for planned ones, to learn the chat template


@dataclass(frozen=True)
class Joined:
    """One prompt_id a rollout, in the order of the rollouts; None where no planned prompt was found."""

    ids: tuple[str | None, ...]
    n_ambiguous: int  # several planned prompts have the text, and neither step nor answer tells them apart
    n_unknown: int  # no planned prompt is it


def join(plan: Exported, rollouts: Sequence[Rollout]) -> Joined:
    """Find the prompt of every rollout.

    Texts are compared in normalised form, after the chat template: the pair of texts around the prompt that most of the
    logged texts share. A text that several planned prompts have is told apart by the step, then by the reference
    answer, then by the place of the group in its step.
    """
    by_text = _TextJoin(plan, [r.text for r in rollouts if r.prompt_id is None and r.text is not None])
    n_of_step = Counter(r.step for r in rollouts)
    known = {row.prompt_id for row in plan.rows}
    ids: list[str | None] = []
    n_ambiguous = 0
    for rollout in rollouts:
        if rollout.prompt_id is not None:
            ids.append(rollout.prompt_id if rollout.prompt_id in known else None)
            continue
        found = by_text.candidates(rollout)
        if len(found) != 1 and (placed := _at_place(plan, rollout, n_of_step[rollout.step])) is not None:
            found = {placed.prompt_id} if not by_text.works or placed.prompt_id in found else found
        n_ambiguous += len(found) > 1
        ids.append(next(iter(found)) if len(found) == 1 else None)
    return Joined(tuple(ids), n_ambiguous, sum(i is None for i in ids) - n_ambiguous)


def _at_place(plan: Exported, rollout: Rollout, n_in_step: int) -> PlannedRow | None:
    """Return the planned row of the group that stands at the rollout's place; None where groups cannot be told."""
    batch = plan.batch(rollout.step)
    if rollout.place is None or not batch or n_in_step % len(batch) or not 0 <= rollout.place < n_in_step:
        return None
    return batch[rollout.place // (n_in_step // len(batch))]


class _TextJoin:
    """Planned prompts by what the policy read."""

    def __init__(self, plan: Exported, texts: Iterable[str]) -> None:
        self._plan = plan
        self._read = {text: normalise_text(text) for text in dict.fromkeys(texts)}
        self._before, self._after = self._template(list(dict.fromkeys(self._read.values())))

    @cached_property
    def _rows(self) -> dict[str, list[PlannedRow]]:
        rows: dict[str, list[PlannedRow]] = defaultdict(list)
        for row in self._plan.rows:
            rows[normalise_text(row.prompt)].append(row)
        return dict(rows)

    @cached_property
    def works(self) -> bool:
        """Say whether any logged text holds a planned one."""
        return any(self._prompt(text) in self._rows for text in self._read.values())

    def candidates(self, rollout: Rollout) -> set[str]:
        """Return the ids of the planned prompts that the rollout may belong to, as few as can be told."""
        if rollout.text is None:
            return set()
        rows = self._rows.get(self._prompt(self._read[rollout.text]), [])
        here = [row for row in rows if row.step == rollout.step] or rows
        same = [row for row in here if rollout.gold is not None and row.answer == rollout.gold]
        return {row.prompt_id for row in same or here}

    def _prompt(self, text: str) -> str:
        if not (text.startswith(self._before) and text.endswith(self._after)):
            return ""
        return text[len(self._before) : len(text) - len(self._after)].strip()

    def _template(self, texts: list[str]) -> tuple[str, str]:
        """Return what stands before and behind the prompt in most of the texts; nothing where none is found."""
        step = max(1, len(texts) // _N_SAMPLES)
        votes: Counter[tuple[str, str]] = Counter()
        for text in texts[::step]:
            found = max((planned for planned in self._rows if planned and planned in text), key=len, default=None)
            if found is not None:
                before, _, after = text.partition(found)
                votes[before, after] += 1
        return votes.most_common(1)[0][0] if votes else ("", "")
