"""The one grader of labels, training and evaluation: was this completion's answer right?"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType

from saerl_core.config.grading import GradingConfig
from saerl_core.errors import DataError
from saerl_core.progress import track
from saerl_core.rollouts import modes
from saerl_core.rollouts.judge.extraction import Extracted, extract, unboxed_gold
from saerl_core.rollouts.judge.judge import Judgement, as_formula, judge, same_symbols
from saerl_core.rollouts.math_pool import MathPool
from saerl_core.rollouts.reward_pool import RewardPool, reason_of_failure, refuse_mostly_failed
from saerl_core.world.answers import extract_answer

MAX_ANSWER_CHARS = 2000  # a longer "answer" is a degenerate completion
_CACHE_SIZE = 200_000
_BAR_FROM = 2000  # pairs; fewer are graded within about two seconds
_SHOWN_CHARS = 200  # of an answer in a verdict
_UNREADABLE = ("gold not readable", "answer not readable", "comparison failed")


@dataclass(frozen=True)
class Verdict:
    """Right, wrong, or None: the grader cannot tell. `reason` is one of a few fixed phrases.

    correct True: "equal"; False: "different", "no answer"; None: "gold not readable", "answer not readable",
    "not decided" (it depends on what nobody said, such as the sign of x, or words around the answer change it or
    take it back), "comparison failed", "answer too long",
    "answer too large", "timeout", "crash", "batch limit". `answer`, `gold` and `rule` say what was compared: the two
    texts, and where in the completion the answer stood.

    Of a user's function the reasons are "rewarded" and "below correct_from", and for None "function failed" or one of
    the last three; `score` is what it returned, None for every other kind, and `failure` why it returned nothing.
    """

    correct: bool | None
    reason: str
    answer: str = field(default="", compare=False)
    gold: str = field(default="", compare=False)
    rule: str = field(default="", compare=False)
    score: float | None = None
    failure: str = field(default="", compare=False)

    @property
    def reward(self) -> float:
        """What training gets, in [0, 1]: the score of a user's function, else 1 for a right answer and 0 otherwise."""
        return float(self.correct is True) if self.score is None else self.score


_EQUAL = Verdict(True, "equal")
_DIFFERENT = Verdict(False, "different")
_NO_ANSWER = Verdict(False, "no answer")
_REWARDED, _BELOW = "rewarded", "below correct_from"
_KNOWN = frozenset((*(v.reason for v in (_EQUAL, _DIFFERENT, _NO_ANSWER)), _REWARDED, _BELOW))


class Grader:
    """Grades completions against gold answers; a context manager, safe to use from any thread.

    Kinds: `task_world` compares the text after the last '#' exactly; `exact` compares the extracted answer as text;
    `math` reads both sides strictly and compares them exactly or with high precision, and asks math-verify, in
    killable processes, about sums and integrals, which it cannot read; `lm_eval`, `qwen_math` and `lighteval` grade as
    those tools do (see `modes`); `python` calls a user's function, which is looked for in `folders` (see `RewardPool`).
    A completion that gives no answer is wrong; one that cannot be judged is unknown.
    """

    def __init__(self, config: GradingConfig, folders: Sequence[str] = ()) -> None:
        self.config = config
        self.first_failure = ""  # of a user's function
        self.reasons: Counter[str] = Counter()  # reason -> verdicts given so far
        self.n_cache_hits = 0
        self._cache: dict[tuple[str, Extracted], Judgement] = {}
        self._lock = threading.RLock()
        self._pool = MathPool(config.n_workers, config.timeout_s) if config.kind in ("math", "lighteval") else None
        self._rewards = RewardPool(config, folders) if config.kind == "python" else None

    def __enter__(self) -> "Grader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the grading processes; the grader can be used again and starts new ones."""
        for pool in (self._pool, self._rewards):
            if pool is not None:
                with self._lock:
                    pool.close()

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
        return {reason: count for reason, count in self.reasons.items() if reason not in _KNOWN}

    def unknown_told(self) -> str:
        """Return the reasons for unknown verdicts as a text, with the first failure of a user's function."""
        told = ", ".join(f"{count} x {reason}" for reason, count in sorted(self.unknown_reasons().items()))
        return f"{told}; the first failure: {self.first_failure}" if self.first_failure else told

    def refuse_mostly_failed(self) -> None:
        """Raise `BackendError` where a user's function has failed on more than half of the completions so far."""
        refuse_mostly_failed(self.config, self.n_unknown, self.n_graded, self.first_failure)

    def start(self) -> None:
        """Import a user's function now, and not at the first completion; `ConfigError` where it cannot be used."""
        if self._rewards is not None:
            with self._lock:
                self._rewards.start()

    def grade(self, completions: list[str], answers: list[str]) -> list[Verdict]:
        """Return one verdict a completion against the gold answer at the same place; never raises on content.

        Raises:
            DataError: the two lists differ in length.
            BackendError: the grading processes cannot start.
            ConfigError: there is no such function of a user, or its source has changed since the run started.
        """
        if len(completions) != len(answers):
            raise DataError(f"{len(completions)} completions for {len(answers)} gold answers; give one answer each")
        with self._lock:
            if self.config.kind == "math":
                verdicts = self._grade_math(completions, answers)
            elif self.config.kind == "lighteval":
                verdicts = self._grade_lighteval(completions, answers)
            elif self._rewards is not None:
                verdicts = self._grade_rewards(self._rewards, completions, answers)
            else:
                one = _BY_TEXT[self.config.kind]
                verdicts = [one(c, a) for c, a in zip(completions, answers, strict=True)]
            self.reasons.update(v.reason for v in verdicts)
        return verdicts

    def _grade_math(self, completions: list[str], answers: list[str]) -> list[Verdict]:
        """Judge each different pair once here; what is not readable but has the same symbols goes to math-verify."""
        if len(self._cache) > _CACHE_SIZE:
            self._cache.clear()
        pairs = [(answer, extract(completion)) for completion, answer in zip(completions, answers, strict=True)]
        asked = [pair for pair in dict.fromkeys(pairs) if pair not in self._cache and _settled(*pair) is None]
        self.n_cache_hits += sum(_settled(*pair) is None for pair in pairs) - len(asked)
        with _bar(len(asked)) as advance:
            for answer, extracted in asked:
                self._cache[answer, extracted] = judge(unboxed_gold(answer), extracted)
                advance(1)
        self._second_reading([pair for pair in asked if self._cache[pair].reason in _UNREADABLE])
        return [_settled(*pair) or self._verdict(pair) for pair in pairs]

    def _second_reading(self, pairs: list[tuple[str, Extracted]]) -> None:
        """Ask math-verify about pairs with the same letters, digits and commands: it drops what it cannot read."""
        judged = {pair: self._cache[pair] for pair in pairs}
        again = [pair for pair, found in judged.items() if same_symbols(found.gold, found.answer)]
        formulas = [(as_formula(judged[pair].gold), as_formula(judged[pair].answer)) for pair in again]
        for pair, (correct, reason) in zip(again, self._ask(formulas), strict=True):
            if correct or reason in ("timeout", "crash", "batch limit"):
                found = judged[pair]
                self._cache[pair] = Judgement(correct, reason, found.answer, found.gold)

    def _grade_lighteval(self, completions: list[str], answers: list[str]) -> list[Verdict]:
        pairs = [
            (as_formula(answer), completion[-modes.TAIL_CHARS :])
            for completion, answer in zip(completions, answers, strict=True)
        ]
        new = list(dict.fromkeys(pairs))
        found = dict(zip(new, self._ask(new), strict=True))
        return [Verdict(*found[pair], answer=pair[1][-_SHOWN_CHARS:], gold=pair[0], rule="lighteval") for pair in pairs]

    def _grade_rewards(self, pool: RewardPool, completions: list[str], answers: list[str]) -> list[Verdict]:
        """Call the user's function once a completion, twice for two equal ones: it may be random."""
        with _bar(len(completions)) as advance:
            replies = pool.run(list(zip(completions, answers, strict=True)), advance)
        verdicts = [self._rewarded(score, reason) for score, reason in replies]
        failures = (v.failure for v in verdicts if v.failure)
        self.first_failure = self.first_failure or next(failures, "")
        return verdicts

    def _rewarded(self, score: float | None, told: str) -> Verdict:
        if score is None:
            reason, failure = reason_of_failure(told, self.config)
            return Verdict(None, reason, failure=failure)
        correct = score >= self.config.correct_from
        return Verdict(correct, _REWARDED if correct else _BELOW, score=score)

    def _ask(self, pairs: list[tuple[str, str]]) -> list[tuple[bool | None, str]]:
        if not pairs or self._pool is None:
            return []
        with _bar(len(pairs)) as advance:
            return self._pool.run(pairs, advance)

    def _verdict(self, pair: tuple[str, Extracted]) -> Verdict:
        """Return what was judged; a completion without any mark of an answer that nobody can read gave none."""
        found, rule = self._cache[pair], pair[1].rule
        if found.reason == "answer not readable" and rule == "whole text":
            return Verdict(False, "no answer", found.answer[:_SHOWN_CHARS], found.gold, rule)
        return Verdict(found.correct, found.reason, found.answer[:_SHOWN_CHARS], found.gold[:_SHOWN_CHARS], rule)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], object]]:
    if total < _BAR_FROM:
        yield lambda n: None
        return
    with track(total, "grading", unit="answer") as bar:
        yield bar.update


def _settled(answer: str, extracted: Extracted) -> Verdict | None:
    """Return the verdict that needs no comparison: no gold, no answer, far too long; None for anything else."""
    if not answer.strip() or len(answer) > MAX_ANSWER_CHARS:
        return Verdict(None, "gold not readable", gold=answer[:_SHOWN_CHARS], rule=extracted.rule)
    if not extracted.texts:
        return Verdict(False, "no answer", gold=answer[:_SHOWN_CHARS])
    if all(len(text) > MAX_ANSWER_CHARS for text in extracted.texts):
        shown = extracted.texts[0][:_SHOWN_CHARS]
        return Verdict(None, "answer too long", shown, answer[:_SHOWN_CHARS], extracted.rule)
    return None


def _task_world(completion: str, answer: str) -> Verdict:
    given = extract_answer(completion)
    if given is None:
        return _NO_ANSWER
    correct = given == answer.strip()
    return Verdict(correct, "equal" if correct else "different", given[:_SHOWN_CHARS], answer, "after #")


def _by_text(name: str) -> Callable[[str, str], Verdict]:
    """Return a grader that extracts a text and compares it in one of the named modes."""
    mode = modes.MODES[name]

    def grade(completion: str, answer: str) -> Verdict:
        given, rule = mode.extract(completion)
        if given is None:
            return Verdict(False, "no answer", gold=answer[:_SHOWN_CHARS])
        correct = mode.equal(given, answer)
        reason = "equal" if correct else "different"
        return Verdict(correct, reason, given[:_SHOWN_CHARS], answer[:_SHOWN_CHARS], rule)

    return grade


_BY_TEXT: dict[str, Callable[[str, str], Verdict]] = {"task_world": _task_world} | {
    name: _by_text(name) for name in modes.MODES
}
