r"""The answer of a completion: one function, one order.

1. What stands after `</think>`, where anything does.
2. The content of the last `<answer>...</answer>` narrows the search.
3. The last `\boxed{...}` or `\fbox{...}` with content; boxes joined by "and", "or" or a comma are one answer. A box
   that never closes is no answer.
4. What follows the last "#### ", "Answer:", "the answer is", "the final answer is" and their like.
5. Without any of these: the whole completion where it is one short line, else the last formula or number of the last
   line that has one. A number before that line is never taken.
"""

import re
from dataclasses import dataclass

from saerl_core.latex import BOX, closing

_THINK_END = re.compile(r"</(?:think|thinking|reasoning|thought)>", re.IGNORECASE)
_THINK_OPEN = re.compile(r"<(?:think|thinking)>", re.IGNORECASE)
_CONTROL = re.compile(r"<\|[^|<>\n]{1,40}\|>|</s>|<eos>|<end_of_turn>")
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)
_BOX_OF_ONE = re.compile(r"\\(f?boxed|fbox)\s*(?![{\s])(\w)")  # \boxed5
_FACTOR_BEFORE = re.compile(r"(?:(?<![\w)}-])[-\u2212+]|\d|\\(?:times|cdot|pm|mp)\s*|\\(?:sqrt|frac)\s*\{|[*/^])\Z")
_BEHIND_BOX = re.compile(
    r"\s*(?:\\?%|\^|\\(?:times|cdot|div|pm)(?![a-zA-Z])|[+]\s*[\dA-Za-z\\]|-\s*\d|/\s*\d|\\[ ,;]|~"
    r"|\\(?:text|mathrm)\s*\{"
    r"|(?:hundred|thousand|million|billion|dozen|percent)\b)"
)
_FORMULA_END = re.compile(r"\$|\\[)\]]|\n|[.,;](?=\s|\Z)|\Z")
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
_HOPE = re.compile(r"[.\s]*\bI hope (?:it|this) is correct.*", re.IGNORECASE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[^\d\s.])\.\s+(?=[A-Z\"(]|$)|(?<=\d)\.\s+(?=[A-Z][a-z])|。")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_ONE = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9_.,/^])(?:\\?[$€£¥]\s?)?[-\u2212\u2013]?(?:\\?[$€£¥]\s?)?{_ONE}(?:\s\d+/\d+|\s?/\s?{_ONE})?(?:\s?\\?%|\s?percent)?"
    rf"(?:\s[ap]\.?m\b\.?)?(?![\w^/]*[A-Za-z_^]\d)(?!\.\d|,\d|:\d)"
)
_MARKDOWN = re.compile(r"\*\*|__|`")
_COMMAND = re.compile(r"\\(?:text\w*|mathrm|mbox|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+")
_PROSE_WORD = re.compile(r"[^\W\d_]{2,}")
_MAX_WORDS = 3
_GOES_ON = re.compile(r"\s*(?:$|[,.;]?\s*\(?(?:because|since|as|so|which|given|by the|where|for|hence|due to)\b)")
_RETRACTED = re.compile(
    r"\b(?:wait|actually|incorrect|wrong|mistake)\b|\bis not the answer\b|\bno,|\A\s*not\b", re.IGNORECASE
)
_QUALIFIED = re.compile(  # what changes the meaning of the number behind it
    r"(?:\b(?:not|less than|more than|greater than|fewer than|at most|at least|about|approximately|around|between"
    r"|nearly|almost|minus|negative|plus|times|over|mod|twice|double|triple|half(?: of)?|page|theorem|lemma|step"
    r"|problem|out of|divided by|to the(?: power of)?|(?:square|cube|root|squares?) (?:root )?of)|n't(?: be)?|[<>/^*]"
    r"|\d\s*:|\\(?:le|ge|ne|lt|gt|neq|leq|geq)|[\u2260\u2264\u2265\u2248\u2212\u00d7]|\bx|不等于|不是|大于|小于|至少|至多)"
    r"\s*\$?\s*\Z",
    re.IGNORECASE,
)
_REMARK = re.compile(r"\b(?:check|note|verification|verify|remark|proof)\s*:.*", re.IGNORECASE | re.DOTALL)
_ASIDE = re.compile(r"\((?=[^()]*[A-Za-z]{2})[^()]*\)")
_WHOLE_CHARS = 200
_TAIL_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Extracted:
    """The texts that are the answer, in the order in which they are tried; `several`: all of them together.

    rule: "box", "boxes", "answer tag", "answer phrase", "whole text", "last formula", "last number"; "" without answer.
    """

    texts: tuple[str, ...] = ()
    rule: str = ""
    several: bool = False


NOTHING = Extracted()


def extract(completion: str) -> Extracted:
    """Return the answer of a completion by the order above; one that never stops thinking has given none."""
    text = _after_thinking(_CONTROL.sub(" ", completion))
    if _THINK_OPEN.search(text):
        return NOTHING
    scope, tagged = _tag(text)
    found = boxes(scope)
    if found is None and tagged:
        return Extracted(_attempts(scope), "answer tag")
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
    spans: list[tuple[int, int, str]] = []
    for start in BOX.finditer(text):
        if spans and start.start() < spans[-1][1]:
            continue  # a box inside a box
        end = closing(text, start.end() - 1)
        if end is None:
            return NOTHING
        content = text[start.end() : end].strip()
        if (inner := boxes(content)) is not None and inner.texts:
            content = inner.texts[0]
        if not _PLACEHOLDER.fullmatch(content):
            spans.append((start.start(), end + 1, content))
    if not spans:
        return NOTHING if BOX.search(text) and not _PHRASE.search(text) else None
    chosen = [spans[-1]]
    for span in reversed(spans[:-1]):
        between = text[span[1] : chosen[0][0]]
        if not (_JOIN.fullmatch(between) and _JOINING.search(between)):
            break
        chosen.insert(0, span)
    if len(chosen) == 1:
        return Extracted((_with_surroundings(text, chosen[0]),), "box")
    contents = tuple(content for _, _, content in chosen)
    return Extracted(contents, "boxes", several=True)


def _with_surroundings(text: str, span: tuple[int, int, str]) -> str:
    r"""Return a box's content with what changes it outside: a sign, a factor, a power, a unit, a per cent sign."""
    start, end, content = span
    before = _FACTOR_BEFORE.search(text[max(0, start - 20) : start])
    behind = _BEHIND_BOX.match(text, end)
    tail = text[end : _FORMULA_END.search(text, end).start()] if behind else ""  # type: ignore[union-attr]
    has_unit = re.match(r"\s*(?:\\[ ,;]|~)*\\(?:text|mathrm)\s*\{", tail) is not None
    if before is None and (has_unit or not tail.strip(" \\,;~")):
        return content + tail
    return f"{before[0] if before else ''}{{{content}}}{tail}"


def _phrase(text: str) -> Extracted | None:
    tail = text[-_TAIL_CHARS:]
    for match in reversed(list(_PHRASE.finditer(tail))):
        rest = _HOPE.sub("", _MARKDOWN.sub("", tail[match.end() :])).strip()
        if rest:
            attempts = _attempts(rest)
            if attempts:
                return Extracted(attempts, "answer phrase")
    return None


def _attempts(rest: str) -> tuple[str, ...]:
    """Return what may be the answer behind a phrase: the first sentence, its only formula, its first number."""
    rest = _MARKDOWN.sub("", rest).strip()
    display = re.match(r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\])", rest, re.DOTALL)
    line = next((one.strip() for one in rest.splitlines() if one.strip()), "")
    if display is not None:
        line = (display[1] or display[2]).strip()
    elif (first := _FORMULA.match(rest)) is not None and "\n" in first[0]:
        line = first[0].strip()
    sentence = _SENTENCE_END.split(line)[0].strip()
    attempts = [sentence] if sentence and not _is_prose(sentence) else []
    formulas = [next(g for g in m.groups() if g is not None) for m in _FORMULA.finditer(sentence)]
    if len(formulas) == 1 and not _is_prose(sentence):
        attempts.append(formulas[0])
    option = re.match(r"\(?([A-J])\)(?=\W|$)|\(?([A-J])[.:](?=\s|$)|([A-J])(?=[\s,.]|$)", sentence)
    if option is not None and not formulas:
        attempts.append(option[1] or option[2] or option[3])
    number = _NUMBER.match(sentence)
    if number is not None and not formulas and _GOES_ON.match(sentence[number.end() :]):
        attempts.append(number[0])
    if _RETRACTED.search(rest):
        return (rest,)
    if _is_prose(sentence) and (last := _last(sentence)) is not None:
        attempts.append(last[0])
    elif sentence:
        attempts.append(sentence)
    return tuple(dict.fromkeys(a for a in attempts if a))


def _is_prose(text: str) -> bool:
    """Tell whether words stand around the formulas: such a text is searched for its answer, not read as one."""
    return len(_PROSE_WORD.findall(_FORMULA.sub(" ", _COMMAND.sub(" ", text)))) > _MAX_WORDS


def _bare(text: str) -> Extracted:
    """Read a completion without any mark of its answer."""
    stripped = _MARKDOWN.sub("", text).strip()
    if not stripped:
        return NOTHING
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    whole = (stripped,) if len(stripped) <= _WHOLE_CHARS and len(lines) == 1 and not _is_prose(stripped) else ()
    for line in (stripped if stripped.endswith(("$$", r"\]")) else "", *reversed(lines[-2:])):
        last = _last(line[-_WHOLE_CHARS * 5 :])
        if last is not None:
            return Extracted((*whole, last[0]), "whole text" if whole else last[1])
    return Extracted(whole, "whole text") if whole else NOTHING


def _last(line: str) -> tuple[str, str] | None:
    """Return the last formula or the last number outside formulas, whichever ends later.

    None where words or signs in front change its meaning ("not 7", "less than 4", "3:4", "x = 3 and y = 4").
    """
    line = _ASIDE.sub(" ", _REMARK.sub("", line))
    formulas = list(_FORMULA.finditer(line))
    covered = [(m.start(), m.end()) for m in formulas]
    numbers = [
        m for m in _NUMBER.finditer(line) if not any(a <= m.start() < b or m.start() < a < m.end() for a, b in covered)
    ]
    is_formula = bool(formulas) and (not numbers or formulas[-1].end() > numbers[-1].end())
    last = formulas[-1] if is_formula else numbers[-1] if numbers else None
    if last is None or _QUALIFIED.search(line[: last.start()]) or line[last.end() :].lstrip().startswith("的"):
        return None
    if re.search(r"[A-Za-z]\s*=\s*\$?\Z|[A-Za-z]\s*=", line[: last.start()][-4:] + (last[0] if is_formula else "")):
        names = set(re.findall(r"(?<![A-Za-z\\])([A-Za-z])\s*=", line))
        if len(names) > 1:  # one of several values
            return None
    if is_formula:
        return next(g for g in last.groups() if g is not None), "last formula"
    return last[0], "last number"
