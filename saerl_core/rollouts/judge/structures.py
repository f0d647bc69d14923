"""From the tokens of an answer to what it is: a quantity, several values, an interval, an equation, words, a letter."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from saerl_core.rollouts.judge import labels
from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.expressions import parse
from saerl_core.rollouts.judge.folding import fold
from saerl_core.rollouts.judge.lexing import Token, lex
from saerl_core.rollouts.judge.quantities import read_quantity, sum_of_parts
from saerl_core.rollouts.judge.reals import as_reals, everything, operate
from saerl_core.rollouts.judge.relations import SIGNS, read_relation
from saerl_core.rollouts.judge.scalars import based, clock, congruence, plain_words, ratio
from saerl_core.rollouts.judge.signs import both_signs
from saerl_core.rollouts.judge.tokens import cut_words, enclosed, split, trim
from saerl_core.rollouts.judge.values import (
    Items,
    Named,
    Quantity,
    Reals,
    Value,
    Words,
)
from saerl_core.rollouts.judge.variants import comma_variants, plain_colons

_SYSTEMS = frozenset(("cases", "aligned", "align", "array", "gathered", "split", "dcases", "rcases"))
_LOGIC = frozenset(("lor", "land"))
_SEPARATORS = _LOGIC | frozenset((",", ";", "and", "or", "&", "和", "或", "以及"))


def readings(text: str) -> tuple[Value, ...]:
    """Return every way in which the answer can be read as a whole; usually one.

    `1,234` is a number and a pair, "A" an option and a letter, "xy" a word and a product.

    Raises:
        NotReadableError: there is none.
        TooLargeError: a number has too many digits.
    """
    folded = fold(text)
    if folded.rstrip(" $").endswith(("...", r"\ldots", r"\dots")):
        raise NotReadableError("it goes on")
    found: list[Value] = []
    option = labels.read_option(folded)
    if option is not None:
        found.append(option)
    problem = "nothing is there"
    try:
        variants = comma_variants(plain_colons(lex(folded)))
    except NotReadableError as error:
        variants, problem = [], str(error)
    for tokens in variants:
        try:
            value = read(tokens)
        except NotReadableError as error:
            problem = str(error)
            continue
        if value not in found:
            found.append(value)
        if (word := _lone_word(tokens)) is not None and word not in found:
            found.append(word)
    if not found:
        raise NotReadableError(problem)
    return tuple(found)


def read(tokens: Sequence[Token]) -> Value:
    """Return what the tokens are, all of them.

    Raises:
        NotReadableError: no kind of answer takes all of them.
    """
    tokens = trim(tokens)
    if not tokens:
        raise NotReadableError("nothing is there")
    if (inner := enclosed(tokens, "{", "}")) is not None:
        return read(inner)
    for reader in _READERS:
        value = reader(tokens)
        if value is not None:
            return value
    return _expand(read_quantity(tokens))


def _lone_word(tokens: Sequence[Token]) -> Words | None:
    tokens = trim(tokens)
    if len(tokens) == 1 and tokens[0].kind == "word" and not labels.is_product(tokens[0].text):
        return Words(tokens[0].text.lower())
    return None


def _system(tokens: Sequence[Token]) -> Value | None:
    """Read `cases` and their like as several equations; a piecewise function is not read."""
    if tokens[0].text == "\\{" and len(tokens) > 1 and tokens[1].kind == "begin":
        tokens = tokens[1:]
    elif tokens[0].text not in ("cases", "aligned", "align", "gathered", "split", "dcases", "rcases"):
        return None
    if tokens[0].kind != "begin" or tokens[0].text not in _SYSTEMS or tokens[-1].kind != "end":
        return None
    rows: list[list[Token]] = [[]]
    for token in tokens[1:-1]:
        if token.kind in ("begin", "end"):
            raise NotReadableError("an environment inside another")
        if token.kind == "row":
            rows.append([])
        elif token.text != "&":
            rows[-1].append(token)
        elif any(t.text == "," for t in rows[-1]):
            raise NotReadableError("a function with cases")
    values = tuple(read(row) for row in rows if trim(row))
    return values[0] if len(values) == 1 else Items(values, "")


# --- several values


def _several(tokens: Sequence[Token]) -> Value | None:
    tokens = cut_words(tokens)
    parts, separators = split(tokens, frozenset((";",)))  # p = 5, q = 2; p = 7, q = 2
    if len([part for part in parts if trim(part)]) < 2 or not any(t.text == "," for t in tokens):
        parts, separators = _solutions(tokens)
    parts = [part for part in parts if trim(part)]
    if len(parts) < 2:
        return None
    values = _share_name([read(part) for part in parts])
    reals = [v for v in values if isinstance(v, Reals)]
    words = {s.removeprefix("l") if s in _LOGIC else s for s in separators if s not in (",", ";")}
    if _LOGIC & set(separators) and not all(isinstance(v, (Reals, Named)) for v in values):
        raise NotReadableError("a formula of logic")
    if len(reals) == len(values) and len({v.variable for v in reals}) == 1 and len(words) == 1:
        return operate("cup" if words <= {"or", "或"} else "cap", reals)
    if words == {"and"} and (total := sum_of_parts(values)) is not None:
        return total
    names = {v.name for v in values if isinstance(v, Named)}
    if len(names) == 1 and all(isinstance(v, Named) for v in values):
        inner = tuple(v.value for v in values if isinstance(v, Named))
        return Named(names.pop(), Items(_flat(inner), ""))
    either = len(names) > 1 and bool(words & {"or", "或", "或者"})  # one of them, and nobody knows which
    return Items(_flat(values), "or" if either else "")


def _solutions(tokens: Sequence[Token]) -> tuple[list[list[Token]], list[str]]:
    """Split at "or" first where every part names several values: x = 1, y = 2 or x = 3, y = 4."""
    parts, separators = split(tokens, frozenset(("or",)))
    texts = [[t.text for t in part] for part in parts]
    if len(parts) > 1 and all("," in text and text.count("=") > 1 for text in texts):
        return parts, separators
    return split(tokens, _SEPARATORS)


def _share_name(values: list[Value]) -> list[Value]:
    """Give the name of `x = 1, 2` to every value, as long as the first one only has a name."""
    first = values[0]
    if isinstance(first, Named) and not any(isinstance(v, (Named, Reals)) for v in values[1:]):
        return [first, *(Named(first.name, v) for v in values[1:])]
    return values


def _flat(values: Sequence[Value]) -> tuple[Value, ...]:
    """Put what a plus-minus sign made into the list around it."""
    flat: list[Value] = []
    for value in values:
        flat.extend(value.values if isinstance(value, Items) and value.brackets == "pm" else [value])
    return tuple(flat)


def _expand(value: Value) -> Value:
    """Return both values of an expression with a plus-minus sign."""
    if not isinstance(value, Quantity):
        return value
    nodes = both_signs(value.node)
    if len(nodes) == 1:
        return value
    return Items(tuple(replace(value, node=node) for node in nodes), "pm")


# --- relations, sets, brackets


def _related(tokens: Sequence[Token]) -> Value | None:
    parts, signs = split(tokens, SIGNS)
    return read_relation(parts, signs, read) if signs else None


def _sympy_equation(tokens: Sequence[Token]) -> Value | None:
    """Read `Eq(a, b)`, as sympy prints an equation."""
    inner = enclosed(tokens[1:], "(", ")") if tokens[0].text == "Eq" else None
    parts, _ = split(inner or (), frozenset((",",)))
    return read_relation(parts, ["="], read) if len(parts) == 2 else None


def _union(tokens: Sequence[Token]) -> Reals | None:
    parts, signs = split(tokens, frozenset(("cup", "cap", "setminus")))
    if not signs:
        if len(tokens) == 1 and tokens[0].text in (r"\mathbb{R}", r"\mathbf{R}"):
            return everything()
        if len(tokens) > 2 and tokens[0].text == r"\mathbb{R}" and tokens[1].text == "-":
            parts, signs = [list(tokens[:1]), list(tokens[2:])], ["setminus"]
        else:
            return None
    if len(set(signs)) > 1:
        raise NotReadableError("unions and intersections without brackets")
    sets = [as_reals(read(part)) for part in parts]
    known = [s for s in sets if s is not None]
    if len(known) != len(sets):
        raise NotReadableError("a union of something else than sets of numbers")
    return operate(signs[0], known)


def _bracketed(tokens: Sequence[Token]) -> Value | None:
    if len(tokens) == 1 and tokens[0].text == "emptyset":
        return Items((), "{}")
    if (inner := enclosed(tokens, "\\{", "\\}")) is not None:
        return _set(inner)
    if (inner := enclosed(tokens, "langle", "rangle")) is not None:
        return _ordered(inner, "()")
    for opening, closing in itertools.product("([", ")]"):
        if (inner := enclosed(tokens, opening, closing)) is not None:
            return _ordered(inner, opening + closing)
    return None


def _set(inner: Sequence[Token]) -> Value:
    if not inner:
        return Items((), "{}")
    parts, signs = split(inner, frozenset(("mid", "|", ":")))
    if signs:
        if len(parts) != 2:
            raise NotReadableError("a set with several conditions")
        condition = read(parts[1])
        name = _variable(parts[0])
        if isinstance(condition, Named) and condition.name == name:
            condition = condition.value
        found = as_reals(condition)
        if found is None or (found.variable or name) != name:
            raise NotReadableError("a set by a condition")
        return replace(found, variable=None)
    parts, _ = split(inner, frozenset((",", ";")))
    return Items(_flat([read(part) for part in parts if trim(part)]), "{}")


def _variable(tokens: Sequence[Token]) -> str:
    r"""Return the variable left of the bar: `x`, or `x \in \mathbb{R}`; another domain changes the set."""
    texts = [t.text for t in tokens]
    if len(tokens) == 1 and tokens[0].kind == "letter":
        return texts[0]
    if len(tokens) == 3 and texts[1:] == ["in", r"\mathbb{R}"]:
        return texts[0]
    raise NotReadableError("a set of something else than real numbers")


def _ordered(inner: Sequence[Token], brackets: str) -> Value | None:
    parts, signs = split(inner, frozenset((",", ";")))
    if not signs:
        return read(inner) if brackets in ("()", "[]") and len(parts) == 1 and not _is_expression(inner) else None
    values = [read(part) for part in parts]
    spread = [v.values if isinstance(v, Items) and v.brackets == "pm" else (v,) for v in values]
    tuples = [Items(combination, brackets) for combination in itertools.islice(itertools.product(*spread), 20)]
    if len(tuples) > 1:
        return Items(tuple(tuples), "pm")
    interval = as_reals(tuples[0]) if _has_infinity(tuples[0]) else None
    return interval if interval is not None else tuples[0]


def _is_expression(tokens: Sequence[Token]) -> bool:
    try:
        parse(tokens)
    except NotReadableError:
        return False
    return True


def _has_infinity(items: Items) -> bool:
    return any(isinstance(v, Quantity) and "infinity" in v.node.operations() for v in items.values)


def _plain_words(tokens: Sequence[Token]) -> Value | None:
    return plain_words(tokens, read)


_READERS: tuple[Callable[[Sequence[Token]], Value | None], ...] = (  # the first that takes the tokens decides
    clock,
    based,
    congruence,
    _system,
    _sympy_equation,
    _several,
    _related,
    _union,
    _bracketed,
    ratio,
    _plain_words,
)
