"""The one grader of labels, training and evaluation: was this completion's answer right?"""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from saerl_core.config import GradingConfig
from saerl_core.errors import DataError
from saerl_core.progress import track
from saerl_core.rollouts import answers as spelling
from saerl_core.rollouts.math_pool import MathPool
from saerl_core.world.answers import extract_answer

MAX_ANSWER_CHARS = 2000  # a longer "answer" is a degenerate completion; parsing it takes seconds
_TAIL_CHARS = 2000  # without a box, math-verify looks for a final answer in the end of the completion
_CACHE_SIZE = 200_000
_BAR_FROM = 2000  # pairs; fewer are graded within about two seconds


@dataclass(frozen=True)
class Verdict:
    """Right, wrong, or None: the grader cannot tell. `reason` is one of a few fixed phrases, never the answer itself.

    correct True: "equal"; False: "different", "no answer"; None: "timeout", "crash", "gold not readable",
    "answer not readable", "comparison failed", "answer too long".
    """

    correct: bool | None
    reason: str


_EQUAL = Verdict(True, "equal")
_DIFFERENT = Verdict(False, "different")
_NO_ANSWER = Verdict(False, "no answer")
_TOO_LONG = Verdict(None, "answer too long")


class Grader:
    """Grades completions against gold answers; a context manager, safe to use from any thread.

    Kinds: `task_world` compares the text after the last '#' exactly; `exact` compares the last boxed answer, else the
    whole completion, after normalising white space, dollars and a final full stop; `math` asks math-verify in killable
    processes. A completion that gives no answer is wrong; one that cannot be judged is unknown.
    """

    def __init__(self, config: GradingConfig) -> None:
        self.config = config
        self.reasons: Counter[str] = Counter()  # reason -> verdicts given so far
        self.n_cache_hits = 0
        self._cache: dict[tuple[str, str], Verdict] = {}
        self._lock = threading.RLock()
        self._pool = MathPool(config.n_workers, config.timeout_s) if config.kind == "math" else None

    def __enter__(self) -> "Grader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the grading processes; the grader can be used again and starts new ones."""
        if self._pool is not None:
            with self._lock:
                self._pool.close()

    @property
    def n_graded(self) -> int:
        """Number of verdicts given so far."""
        return self.reasons.total()

    @property
    def n_unknown(self) -> int:
        """Number of verdicts so far that are neither right nor wrong."""
        return sum(self.unknown_reasons().values())

    def unknown_reasons(self) -> dict[str, int]:
        """Return how often each reason for an unknown verdict was given so far."""
        known = {v.reason for v in (_EQUAL, _DIFFERENT, _NO_ANSWER)}
        return {reason: count for reason, count in self.reasons.items() if reason not in known}

    def grade(self, completions: list[str], answers: list[str]) -> list[Verdict]:
        """Return one verdict a completion against the gold answer at the same place; never raises on content.

        Raises:
            DataError: the two lists differ in length.
            BackendError: the grading processes cannot start.
        """
        if len(completions) != len(answers):
            raise DataError(f"{len(completions)} completions for {len(answers)} gold answers; give one answer each")
        with self._lock:
            if self._pool is not None:
                verdicts = self._grade_math(self._pool, completions, answers)
            else:
                one = _task_world if self.config.kind == "task_world" else _exact
                verdicts = [one(c, a) for c, a in zip(completions, answers, strict=True)]
            self.reasons.update(v.reason for v in verdicts)
        return verdicts

    def _grade_math(self, pool: MathPool, completions: list[str], answers: list[str]) -> list[Verdict]:
        """Settle what needs no algebra, ask the pool once for each different pair, keep what it says."""
        verdicts = [_without_algebra(c, a) for c, a in zip(completions, answers, strict=True)]
        pairs = {
            i: (spelling.as_latex(answers[i]), _candidate(completions[i]))
            for i, verdict in enumerate(verdicts)
            if verdict is None
        }
        if len(self._cache) > _CACHE_SIZE:
            self._cache.clear()
        new = [pair for pair in dict.fromkeys(pairs.values()) if pair not in self._cache]
        self.n_cache_hits += len(pairs) - len(new)
        for pair, (correct, reason) in zip(new, self._ask(pool, new), strict=True):
            self._cache[pair] = Verdict(correct, reason)
        return [
            v if v is not None else self._read(pairs[i], spelling.has_box(completions[i]))
            for i, v in enumerate(verdicts)
        ]

    def _ask(self, pool: MathPool, pairs: list[tuple[str, str]]) -> list[tuple[bool | None, str]]:
        if len(pairs) < _BAR_FROM:
            return pool.run(pairs)
        with track(len(pairs), "grading", unit="answer") as bar:
            advance: Callable[[int], object] = bar.update
            return pool.run(pairs, advance)

    def _read(self, pair: tuple[str, str], boxed: bool) -> Verdict:
        """Return what the pool said; nothing readable in a completion without a box means that it gave no answer."""
        verdict = self._cache[pair]
        return _NO_ANSWER if verdict.reason == "answer not readable" and not boxed else verdict


def _task_world(completion: str, answer: str) -> Verdict:
    given = extract_answer(completion)
    if given is None:
        return _NO_ANSWER
    return _EQUAL if given == answer.strip() else _DIFFERENT


def _exact(completion: str, answer: str) -> Verdict:
    boxed = spelling.has_box(completion)
    given = spelling.last_boxed(completion) if boxed else completion
    if given is None or not spelling.plain(given):
        return _NO_ANSWER
    return _EQUAL if spelling.plain(given) == spelling.plain(answer) else _DIFFERENT


def _without_algebra(completion: str, answer: str) -> Verdict | None:
    """Return the verdict where spelling alone decides it: no answer, the same text, two words, or far too long."""
    gold = spelling.plain(answer)
    if not gold or len(gold) > MAX_ANSWER_CHARS:
        return Verdict(None, "gold not readable")
    if not completion.strip():
        return _NO_ANSWER
    if not spelling.has_box(completion):
        return None
    boxed = spelling.last_boxed(completion)
    given = spelling.plain(boxed) if boxed else ""
    return _by_spelling(given, gold) if given else _NO_ANSWER


def _by_spelling(given: str, gold: str) -> Verdict | None:
    if given == gold:
        return _EQUAL
    if len(given) > MAX_ANSWER_CHARS:
        return _TOO_LONG
    gold_word, given_word = spelling.word(gold), spelling.word(given)
    if gold_word and given_word:
        return _EQUAL if gold_word == given_word else _DIFFERENT
    return None


def _candidate(completion: str) -> str:
    """Return the boxed answer as a formula, or the end of a completion that has no box."""
    boxed = spelling.last_boxed(completion)
    return spelling.as_latex(boxed) if boxed else completion[-_TAIL_CHARS:]
