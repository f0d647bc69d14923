r"""The answer of a completion: one function, one order.

1. What stands after `</think>`, where anything does.
2. The content of the last `<answer>...</answer>` narrows the search.
3. The last `\boxed{...}` or `\fbox{...}` with content; boxes joined by "and", "or" or a comma are one answer. A box
   that never closes is no answer. What stands beside it in its formula belongs to it, see `surroundings`.
4. What follows the last "#### ", "Answer:", "the answer is", "the final answer is" and their like.
5. Without any of these: the whole completion where it is one short line, else the last formula or number of the last
   line that has one. A number before that line is never taken, nor a part of something else, see `last`.

Words around an answer that change it or take it back leave it in doubt, see `doubts`.
"""

import re
from dataclasses import dataclass

from saerl_core.latex import BOX, closing
from saerl_core.rollouts.judge import doubts, labels
from saerl_core.rollouts.judge.last import FORMULA, NUMBER, ONE, last_value
from saerl_core.rollouts.judge.surroundings import around

_THINK_END = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_THINK_OPEN = re.compile(r"<(?:think|thinking)>", re.IGNORECASE)
_CONTROL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</s>|<eos>|<end_of_turn>")
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)
_BOX_OF_ONE = re.compile(r"\\(f?boxed|fbox)\s*(?![{\s])(\w)")  # \boxed5
_PLACEHOLDER = re.compile(
    r"[\s.$]*|\\l?dots|\\cdots|…|(?:your|the|final)?[ _-]*(?:final)?[ _-]*answer(?:[ _-]*here)?", re.IGNORECASE
)
_JOIN = re.compile(
    r"(?:[\s$,;&]|\\[,;:! ()\[\]]|\\q?quad|\\text\s*\{[\s,]*(?:and|or)?[\s,]*\}|\band\b|\bor\b|和|或|以及"
    r"|[A-Za-z]\s*=|[A-Za-z]_\{?\w\}?\s*=)*"
)
_JOINING = re.compile(r"and|or|,|;|和|或")
_PHRASE = re.compile(
    r"(?:^|(?<=\s))####\s*"
    r"|(?:final\s+|correct\s+)?(?:answers?|option|choice|solution|result)\s*(?:\([^)\n]{1,20}\))?[*_\s]*(?::|=|\uff1a|\bis\b|\bare\b)[*_]*\s*:?"
    r"|(?:最终)?(?:答案|选项|选)\s*(?:是|为|\uff1a|:)+|(?:故|应|所以|因此|答案)?选\s*(?=[A-J])",
    re.IGNORECASE,
)
_LETTER_ASIDE = re.compile(r"\([A-J]\)")
_VERDICT = re.compile(r"(?:not\b|n't\b|in?correct\b|wrong\b|right\b|too\b|impossible\b)", re.IGNORECASE)
_HOPE = re.compile(r"[.\s]*\bI hope (?:it|this) is correct.*", re.IGNORECASE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[^\d\s.])\.\s+(?=[A-Z\"(]|$)|(?<=\d)\.\s+(?=[A-Z][a-z])|。")
_MARKDOWN = re.compile(r"\*\*|__|`")
_COMMAND = re.compile(r"\\(?:text\w*|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_LEAD = re.compile(r"(?:Hence|Thus|So|Therefore|Then|Finally),?\s+(?=\$?[A-Za-z]\s*=)")
_PROSE_WORD = re.compile(r"[^\W\d_]{2,}")
_MAX_WORDS = 3
_GOES_ON = re.compile(r"\s*(?:$|[,.;]?\s*\(?(?:because|since|as|so|which|given|by the|where|for|hence|due to)\b)")
_REASON = re.compile(r"[\s,.]*(?:because|since|as)\b")
_WHOLE_CHARS = 200
_TAIL_CHARS = 4000
_NEAR_CHARS = 300
_MAX_DEPTH = 20  # of boxes in boxes


@dataclass(frozen=True, slots=True)
class Extracted:
    """The texts that are the answer, in the order in which they are tried; `several`: all of them together.

    `in_doubt`: the words around them change them or take them back, or nobody can put them together.

    rule: "box", "boxes", "answer tag", "answer phrase", "whole text", "last formula", "last number"; "" without answer.
    """

    texts: tuple[str, ...] = ()
    rule: str = ""
    several: bool = False
    in_doubt: bool = False


NOTHING = Extracted()


def extract(completion: str) -> Extracted:
    """Return the answer of a completion by the order above; one that never stops thinking has given none."""
    text = _after_thinking(_CONTROL.sub(" ", completion))
    if _THINK_OPEN.search(text):
        return NOTHING
    scope, tagged = _tag(text)
    found = boxes(scope)
    if found is None and tagged:
        attempts, in_doubt = _attempts(scope)
        return Extracted(attempts, "answer tag", in_doubt=in_doubt)
    if found is not None:
        return found
    return _phrase(text) or _bare(text)


def unboxed_gold(gold: str) -> Extracted:
    """Return a gold answer: what its boxes hold, where it has any, else all of it."""
    if "####" in gold:
        gold = gold.rpartition("####")[2].strip()
    found = boxes(gold)
    return found if found is not None and found.texts else Extracted((gold,), "gold")


def _after_thinking(text: str) -> str:
    ends = list(_THINK_END.finditer(text))
    if not ends:
        return text
    rest = text[ends[-1].end() :]
    return rest if rest.strip() else _THINK_OPEN.sub(" ", text[: ends[-1].start()])


def _tag(text: str) -> tuple[str, bool]:
    """Return the content of the last answer tag; a tag that stays open holds the rest (the stop string was cut)."""
    for start in reversed(list(_TAG.finditer(text))):
        end = _TAG_END.search(text, start.end())
        content = text[start.end() : end.start() if end else len(text)]
        if content.strip() and not _PLACEHOLDER.fullmatch(content.strip()):
            return content, True
    return text, False


def has_box(text: str) -> bool:
    r"""Tell whether a `\boxed{` stands in the text, closed or not."""
    return BOX.search(text) is not None


def boxes(text: str) -> Extracted | None:
    """Return the last box and those joined to it; no answer where the last one never closes; None without a box."""
    text = _BOX_OF_ONE.sub(r"\\\1{\2}", text)
    found = _spans(text, 0)
    if found is None:
        return NOTHING
    every, too_deep = found
    spans = [span for span in every if not _PLACEHOLDER.fullmatch(span[2])]
    if not spans:
        return NOTHING if BOX.search(text) and not _PHRASE.search(text) else None
    chosen = [spans[-1]]
    for span in reversed(spans[:-1]):
        between = text[span[1] : chosen[0][0]]
        if not (_JOIN.fullmatch(between) and _JOINING.search(between)):
            break
        chosen.insert(0, span)
    start, end, content = chosen[-1]
    in_doubt = too_deep or doubts.around_box(text, chosen[0][0], end, content) or _contradicted(text[end:], content)
    if len(chosen) > 1:
        return Extracted(tuple(content for _, _, content in chosen), "boxes", several=True, in_doubt=in_doubt)
    for other in every:  # they are no part of what stands beside this one
        if other[0] != start:
            text = text[: other[0]] + "\ufffc" * (other[1] - other[0]) + text[other[1] :]
    answer, unclear = around(text, start, end, content)
    return Extracted((answer,), "box", in_doubt=in_doubt or unclear)


def last_content(text: str) -> str | None:
    """Return what is in the last box and nothing beside it, as other tools read it; None without one that closes."""
    found = _spans(_BOX_OF_ONE.sub(r"\\\1{\2}", text), 0)
    contents = [span[2] for span in (found[0] if found is not None else []) if not _PLACEHOLDER.fullmatch(span[2])]
    return contents[-1] if contents else None


def _spans(text: str, depth: int) -> tuple[list[tuple[int, int, str]], bool] | None:
    """Return start, end and content of every box, and whether boxes stand too deep in each other to be looked into.

    None where the last one never closes.
    """
    spans: list[tuple[int, int, str]] = []
    end_of_last, too_deep = -1, False
    for start in BOX.finditer(text):
        if start.start() < end_of_last:
            continue  # a box inside a box
        end = closing(text, start.end() - 1)
        if end is None:
            return None
        end_of_last = end + 1
        content = text[start.end() : end].strip()
        inner = BOX.match(content)
        while depth < _MAX_DEPTH and inner is not None and closing(content, inner.end() - 1) == len(content) - 1:
            content, depth = content[inner.end() : -1].strip(), depth + 1
            inner = BOX.match(content)
        if BOX.search(content) is not None:
            too_deep = True
        spans.append((start.start(), end_of_last, content))
    return spans, too_deep


def _contradicted(rest: str, content: str) -> bool:
    """Tell whether a later "Answer: 9" names another number or letter than the box."""
    phrase = _PHRASE.search(rest[:_NEAR_CHARS])
    if phrase is None:
        return False
    said = re.match(rf"[\s$*(]*(?:\\boxed\{{)?(-?{ONE}|[A-J](?![\w']))", rest[phrase.end() :])
    plain = content.strip("$ ()")
    is_number = re.fullmatch(rf"-?{ONE}", plain) is not None
    if said is None or not (is_number or re.fullmatch("[A-J]", plain)):
        return False
    return said[1].replace(",", "").rstrip("0").rstrip(".") != plain.replace(",", "").rstrip("0").rstrip(".")


def _phrase(text: str) -> Extracted | None:
    tail = text[-_TAIL_CHARS:]
    for match in reversed(list(_PHRASE.finditer(tail))):
        rest = _HOPE.sub("", _MARKDOWN.sub("", tail[match.end() :])).strip()
        if rest and not (_LETTER_ASIDE.search(match[0]) and _VERDICT.match(rest)):  # "Option (A) is not correct"
            attempts, in_doubt = _attempts(rest)
            if attempts:
                denied = doubts.denied_before(doubts.before(tail[: match.start()]))
                return Extracted(attempts, "answer phrase", in_doubt=in_doubt or denied)
    return None


def _attempts(rest: str) -> tuple[tuple[str, ...], bool]:
    """Return what may be the answer behind a phrase, and whether it is taken back.

    The first sentence, its only formula, its first number.
    """
    rest = _MARKDOWN.sub("", rest).strip()
    display = re.match(r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\])", rest, re.DOTALL)
    line = next((one.strip() for one in rest.splitlines() if one.strip()), "")
    if display is not None:
        line = (display[1] or display[2]).strip()
    elif (first := FORMULA.match(rest)) is not None and "\n" in first[0]:
        line = first[0].strip()
    if doubts.taken_back(rest) or labels.is_doubtful(line):
        return (rest,), True
    line = labels.without_rejected(line)
    sentence = _SENTENCE_END.split(line)[0].strip()
    attempts = [sentence] if sentence and not _is_prose(sentence) else []
    formulas = [next(g for g in m.groups() if g is not None) for m in FORMULA.finditer(sentence)]
    last = last_value(sentence, bullets=False)
    if len(formulas) == 1 and not _is_prose(sentence) and last is not None:
        attempts.append(last[0])
    option = re.match(r"\(?([A-J])\)(?=\W|$)|\(?([A-J])[.:](?=\s|$)|([A-J])(?=[\s,.]|$)", sentence)
    if option is not None and _REASON.match(sentence[option.end() :]):
        return (option[1] or option[2] or option[3],), False
    if option is not None and not formulas:
        attempts.append(option[1] or option[2] or option[3])
    number = NUMBER.match(sentence)
    if number is not None and not formulas and _GOES_ON.match(sentence[number.end() :]):
        attempts.append(number[0])
    if _is_prose(sentence) and last is not None:
        attempts.append(last[0])
    elif sentence:
        attempts.append(sentence)
    return tuple(dict.fromkeys(a for a in attempts if a)), False


def _is_prose(text: str) -> bool:
    """Tell whether words stand around the formulas: such a text is searched for its answer, not read as one."""
    return len(_PROSE_WORD.findall(FORMULA.sub(" ", _COMMAND.sub(" ", text)))) > _MAX_WORDS


def _bare(text: str) -> Extracted:
    """Read a completion without any mark of its answer."""
    stripped = _LEAD.sub("", _MARKDOWN.sub("", text).strip())
    if not stripped:
        return NOTHING
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    if doubts.taken_back(lines[-1]) or labels.is_doubtful(stripped):
        return Extracted((stripped,), "whole text", in_doubt=True)
    whole = (stripped,) if len(stripped) <= _WHOLE_CHARS and len(lines) == 1 and not _is_prose(stripped) else ()
    for line in (stripped if stripped.endswith(("$$", r"\]")) else "", *reversed(lines[-2:])):
        last = last_value(line[-_WHOLE_CHARS * 5 :])
        if last is not None:
            return Extracted((*whole, last[0]), "whole text" if whole else last[1])
    return Extracted(whole, "whole text") if whole else NOTHING
