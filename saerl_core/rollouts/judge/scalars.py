"""Single values that are no expressions: times of day, numbers in a base, congruences, ratios, words."""

import re
from collections.abc import Callable, Sequence

from saerl_core.rollouts.judge import labels
from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.expressions import parse
from saerl_core.rollouts.judge.folding import fold
from saerl_core.rollouts.judge.lexing import Token, lex
from saerl_core.rollouts.judge.nodes import number
from saerl_core.rollouts.judge.tokens import split
from saerl_core.rollouts.judge.values import Based, Clock, Congruence, Quantity, Ratio, Value, Words

_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?\s*(?:([ap])\.?\s*m\.?)?", re.IGNORECASE)
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_NUMERALS = {name: n for n, name in enumerate(re.findall(r"\w+", _SMALL))}
_ARTICLES = frozenset(("a", "an", "the"))
_SAME_WORDS = {
    **dict.fromkeys(
        ("no solutions", "there is no solution", "there are no solutions", "no solution exists", "no real solutions"),
        "no solution",
    ),
    **dict.fromkeys(("infinitely many solutions", "infinite solutions", "infinitely many"), "infinitely many"),
    **dict.fromkeys(("dne", "doesn t exist", "limit does not exist"), "does not exist"),
    **dict.fromkeys(("all reals", "all real", "every real number", "set of all real numbers"), "all real numbers"),
}


def clock(tokens: Sequence[Token]) -> Clock | None:
    r"""Read 3:00 PM and 12:30."""
    if not (tokens[0].kind in ("number", "text") and len(tokens) <= 9):
        return None
    text = re.sub(r"\s*:\s*", ":", "".join((" " if t.spaced else "") + t.text for t in tokens).strip())
    match = _CLOCK.fullmatch(text)
    if match is None or (match[2] is None and match[4] is None):
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    if hour > 24 or minute > 59 or second > 59:
        return None
    return Clock(hour, minute, second, f"{match[4].lower()}m" if match[4] else "")


def based(tokens: Sequence[Token]) -> Based | None:
    r"""Read `204_5`, `(1011)_{2}`, `-37_8`."""
    at = next((i for i, t in enumerate(tokens) if t.text == "_"), None)
    if at is None or not any(c.isdigit() for t in tokens[:at] for c in t.text):
        return None
    negative = tokens[0].text == "-"
    digits = [t for t in tokens[negative:at] if t.text not in ("(", ")")]
    if not all(t.kind in ("number", "letter", "word", "text") for t in digits) or any(t.spaced for t in digits[1:]):
        return None
    base_tokens = [t.text.lower() for t in tokens[at + 1 :] if t.text not in ("{", "}", "(", ")")]
    base_text = base_tokens[-1] if base_tokens and base_tokens[:-1] in ([], ["base"]) else ""
    base_text = base_text.removeprefix("base").strip()
    base = int(base_text) if base_text.isdigit() and len(base_text) <= 2 else _NUMERALS.get(base_text, 0)
    text = "".join(t.text for t in digits)
    try:
        if not text.isascii() or not text.isalnum() or len(text) > 300 or not 2 <= base <= 36:
            raise ValueError
        value = int(text, base)
    except ValueError as error:
        raise NotReadableError("a number with an index that is no base") from error
    return Based(-value if negative else value, base)


def congruence(tokens: Sequence[Token]) -> Congruence | None:
    r"""Read `n \\equiv 1 \\pmod 3`."""
    texts = [t.text for t in tokens]
    at = next((i for i, t in enumerate(texts) if t in ("pmod", "mod")), None)
    if at is None:
        return None
    if "equiv" not in texts:
        raise NotReadableError("a modulus without a congruence")
    sign = texts.index("equiv")
    right = list(tokens[sign + 1 : at])
    modulus = list(tokens[at + 1 :])
    if right and right[-1].text == "(":
        right = right[:-1]
        modulus = modulus[:-1] if modulus and modulus[-1].text == ")" else modulus
    return Congruence(parse(tokens[:sign]), parse(right), parse(modulus))


def ratio(tokens: Sequence[Token]) -> Ratio | None:
    r"""Read `2:3`."""
    parts, signs = split(tokens, frozenset((":",)))
    return Ratio(tuple(parse(part) for part in parts)) if signs else None


def plain_words(tokens: Sequence[Token], read: Callable[[Sequence[Token]], Value]) -> Value | None:
    """Read an answer of words only; a run of up to three variables (`xy`, `abc`) is a product."""
    if not any(t.kind in ("word", "text") for t in tokens) or not all(wordlike(t) for t in tokens):
        return None
    if len(tokens) == 1 and tokens[0].kind == "text":
        inner = lex(fold(tokens[0].text))
        if len(tokens[0].text) == 1 and tokens[0].text.isalpha():
            return None
        if inner and not all(wordlike(t) for t in inner):
            try:
                return read(inner)
            except NotReadableError:  # a date
                return Words(words_of(inner))
    text = words_of(tokens)
    if text in _NUMERALS:
        return Quantity(number(_NUMERALS[text]))
    if len(tokens) == 1 and tokens[0].kind == "word" and labels.is_product(tokens[0].text):
        return None
    if not text or any(c.isdigit() for c in text):
        return None
    return Words(text)


def wordlike(token: Token) -> bool:
    r"""Tell whether a token may stand in an answer of words only."""
    if token.kind in ("word", "text", "letter"):
        return not token.text.startswith("\\")
    return token.text in (".", "-", "'", "!", "?", '"', ",")


def words_of(tokens: Sequence[Token]) -> str:
    """Return the words in lower case with single blanks, without articles and punctuation."""
    pieces = " ".join(t.text for t in tokens)
    words = re.sub(r"[^\w\s]", " ", pieces.lower()).replace("_", " ").split()
    text = " ".join(w for w in words if w not in _ARTICLES) or " ".join(words)
    return _SAME_WORDS.get(text, text)
