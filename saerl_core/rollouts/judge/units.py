r"""Units behind a number: `cm`, `\text{ square inches}`, `km/h`, "apples". Known ones are converted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from saerl_core.rollouts.judge.errors import NotReadableError
from saerl_core.rollouts.judge.folding import fold
from saerl_core.rollouts.judge.lexing import Token, lex
from saerl_core.rollouts.judge.vocabulary import words

_MAX_WORDS = 6

# name -> (dimension, size in the first unit of that dimension, spellings)
_TABLE: dict[str, tuple[str, Fraction, str]] = {
    "m": ("length", Fraction(1), "m meter meters metre metres 米"),
    "mm": ("length", Fraction(1, 1000), "mm millimeter millimeters millimetre millimetres 毫米"),
    "cm": ("length", Fraction(1, 100), "cm cms centimeter centimeters centimetre centimetres 厘米"),
    "dm": ("length", Fraction(1, 10), "dm decimeter decimeters decimetre decimetres 分米"),
    "km": ("length", Fraction(1000), "km kms kilometer kilometers kilometre kilometres 千米 公里"),
    "inch": ("length", Fraction(254, 10000), "inch inches"),
    "foot": ("length", Fraction(3048, 10000), "foot feet ft"),
    "yard": ("length", Fraction(9144, 10000), "yard yards yd yds"),
    "mile": ("length", Fraction(1609344, 1000), "mile miles mi"),
    "g": ("mass", Fraction(1), "g gram grams gm 克"),
    "mg": ("mass", Fraction(1, 1000), "mg milligram milligrams"),
    "kg": ("mass", Fraction(1000), "kg kgs kilogram kilograms 千克 公斤"),
    "ounce": ("mass", Fraction(2834952, 100000), "ounce ounces oz"),
    "lb": ("mass", Fraction(45359237, 100000), "lb lbs"),
    "s": ("time", Fraction(1), "s sec secs second seconds 秒"),
    "min": ("time", Fraction(60), "min mins minute minutes 分钟"),
    "h": ("time", Fraction(3600), "h hr hrs hour hours 小时"),
    "day": ("time", Fraction(86400), "day days 天"),
    "week": ("time", Fraction(604800), "week weeks wk wks"),
    "month": ("months", Fraction(1), "month months"),
    "year": ("months", Fraction(12), "year years yr yrs"),
    "L": ("volume", Fraction(1), "L l liter liters litre litres 升"),
    "mL": ("volume", Fraction(1, 1000), "mL ml milliliter milliliters millilitre millilitres 毫升"),
    "gallon": ("gallons", Fraction(1), "gallon gallons gal"),
    "dollar": ("money", Fraction(1), "dollar dollars usd bucks"),
    "cent": ("money", Fraction(1, 100), "cent cents ¢"),
    "euro": ("euros", Fraction(1), "euro euros eur €"),
    "pound": ("pounds", Fraction(1), "pound pounds £"),
    "yuan": ("yuan", Fraction(1), "yuan ¥ rmb 元"),
    "degree": ("degrees", Fraction(1), "degree degrees deg 度"),
    "radian": ("radians", Fraction(1), "radian radians rad"),
    "newton": ("force", Fraction(1), "N newton newtons"),
    "joule": ("energy", Fraction(1), "J joule joules"),
    "watt": ("power", Fraction(1), "W watt watts"),
    "volt": ("voltage", Fraction(1), "V volt volts"),
    "coulomb": ("charge", Fraction(1), "C coulomb coulombs"),
    "kelvin": ("kelvins", Fraction(1), "K kelvin kelvins"),
    "celsius": ("celsius", Fraction(1), "celsius"),
    "fahrenheit": ("fahrenheit", Fraction(1), "fahrenheit"),
}
_NAMES = {spelling: name for name, (_, _, spellings) in _TABLE.items() for spelling in spellings.split()}
_COMPOUND = {"mph": (("mile", 1), ("h", -1)), "kph": (("km", 1), ("h", -1)), "kmh": (("km", 1), ("h", -1))}
_POWER_WORDS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, "平方": 2, "立方": 3}
_RAISING = {"squared": 2, "cubed": 3}  # behind a unit
_IGNORED = words("of the in a an each total 个 本 只 人 名 条 张 块 岁") | {"."}
SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_REFUSED = words(
    "squared cubed factorial doubled tripled halved root th below above zero profit loss par tenth tenths hundredth "
    "hundredths thousandth thousandths half halves third thirds quarter quarters fourth fourths fifth fifths tens "
    "gross score lakh crore percent mod remainder r choose over"
) | words(
    "not no if when or and than least most approximately about more less between to from either neither "
    "is are was all any none other true false undefined where for plus minus times with without"
)
LETTERS = frozenset("mgshL")
TEXT_LETTERS = LETTERS | frozenset("NJWVCK")  # single letters that are units where they stand as text or behind a blank
CURRENCIES = {"\\$": "dollar", "€": "euro", "£": "pound", "¥": "yuan"}


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of powers of units, sorted by name; `known`: every one of them stands in the table."""

    powers: tuple[tuple[str, int], ...]
    known: bool

    def dimension(self) -> tuple[tuple[str, int], ...]:
        """Return the powers of length, mass, time and so on; units that are not known are dimensions of their own."""
        counts: Counter[str] = Counter()
        for name, power in self.powers:
            counts[_TABLE[name][0] if name in _TABLE else name] += power
        return tuple(sorted((name, power) for name, power in counts.items() if power))

    def size(self) -> Fraction:
        """Return the size in the first units of the dimensions."""
        total = Fraction(1)
        for name, power in self.powers:
            total *= (_TABLE[name][1] if name in _TABLE else Fraction(1)) ** power
        return total


def named(name: str) -> Unit:
    """Return a unit of the table by its name."""
    return Unit(((name, 1),), True)


def is_unit_word(word: str) -> bool:
    """Tell whether a word is a unit of the table, in any spelling."""
    return word in _NAMES or word.lower() in _NAMES or word.lower() in _COMPOUND or word.lower() in _POWER_WORDS


def parse_unit(tokens: Sequence[Token]) -> Unit | None:
    """Return the unit that the tokens name; None where they name nothing that counts ("units", "in total").

    Raises:
        NotReadableError: something in them is no unit and no noun.
    """
    powers: Counter[str] = Counter()
    _Reader(list(tokens), powers).read(1)
    left = tuple(sorted((name, power) for name, power in powers.items() if power))
    return Unit(left, all(name in _TABLE for name, _ in left)) if left else None


class _Reader:
    def __init__(self, tokens: list[Token], powers: Counter[str]) -> None:
        self.tokens = tokens
        self.powers = powers
        self.at = 0
        self.n_words = 0
        self.last = ("", 0)  # the unit that was read last, and its power

    def read(self, sign: int) -> None:
        """Read all tokens; a slash or "per" turns the sign of the one unit behind it."""
        next_sign, prefix = sign, 1
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.at += 1
            if token.text in ("/", "per"):
                next_sign = -sign
            elif token.text in ("(", ")", "{", "}", ".", "cdot", "*", "-"):
                continue
            elif token.kind == "command" and token.text == "frac":
                _Reader(self._group(), self.powers).read(sign)
                _Reader(self._group(), self.powers).read(-sign)
            elif token.kind == "text":
                inner = _Reader(list(lex(fold(token.text))), self.powers)
                inner.read(next_sign)
                name, before = inner.last
                power = self._power()  # of \text{m/s}^2: it raises the last unit
                if name:
                    self.powers[name] += before * (power - 1)
                next_sign = sign
            elif token.kind in ("word", "letter") or token.text == "min":
                prefix = self._word(token.text, next_sign, prefix)
                next_sign = next_sign if prefix != 1 else sign
            else:
                self._one(_currency_name(token.text), next_sign)
        if prefix != 1:
            raise NotReadableError("square or cubic nothing")

    def _word(self, word: str, sign: int, prefix: int) -> int:
        """Read a word; return the power for the next one ("square"). "squared" raises the unit before it."""
        lower = word.lower()
        if lower in _RAISING and self.last[0]:
            self.powers[self.last[0]] += self.last[1] * (_RAISING[lower] - 1)
            return 1
        if lower in _POWER_WORDS:
            return _POWER_WORDS[lower]
        self._one(word, sign * prefix * self._power())
        return 1

    def _one(self, word: str, power: int) -> None:
        self.n_words += 1
        lower = word.lower()
        if lower in _REFUSED or self.n_words > _MAX_WORDS or word.startswith("的"):  # 的: what follows is no unit
            raise NotReadableError("words that are no unit")
        if len(word) == 1 and word.isascii() and word.isalpha() and word not in _NAMES and lower not in _IGNORED:
            raise NotReadableError("a letter that is no unit")
        is_inch = word == "in" and (self.at >= len(self.tokens) or abs(power) > 1)  # "12 in total", but 12 in^2
        if lower in _IGNORED and not is_inch:
            return
        if lower in ("unit", "units"):  # "24 square units" has a dimension, "24 units" has none
            self.powers["unit"] += power if abs(power) > 1 else 0
            return
        for suffix in ("平方", "立方"):
            if word.startswith(suffix) and word != suffix:
                word, power = word[2:], power * _POWER_WORDS[suffix]
        for name, one in _COMPOUND.get(lower, ((_name(word), 1),)):
            self.powers[name] += one * power
            self.last = (name, one * power)

    def _power(self) -> int:
        """Read `^2`, `^{2}` or nothing."""
        if self.at >= len(self.tokens) or self.tokens[self.at].text != "^":
            return 1
        self.at += 1
        digits = [t.text for t in self._group()]
        text = "".join(digits)
        if not text.lstrip("-").isdigit() or len(text) > 2:
            raise NotReadableError("a unit with an odd power")
        return int(text)

    def _group(self) -> list[Token]:
        if self.at >= len(self.tokens):
            raise NotReadableError("a unit that ends too early")
        if self.tokens[self.at].text != "{":
            self.at += 1
            return [self.tokens[self.at - 1]]
        depth, start = 0, self.at
        while self.at < len(self.tokens):
            depth += {"{": 1, "}": -1}.get(self.tokens[self.at].text, 0)
            self.at += 1
            if depth == 0:
                return self.tokens[start + 1 : self.at - 1]
        raise NotReadableError("a unit that ends too early")


def _name(word: str) -> str:
    """Return the table's name of a unit, or the noun in the singular; `Mm` is no `mm`."""
    known = "inch" if word == "in" else _NAMES.get(word)
    if known is None and not (len(word) == 2 and word[0].isupper() and word[1].islower()):
        known = _NAMES.get(word.lower())
    return known or _singular(word.lower() if word.lower() not in _NAMES else f"?{word}")


def _currency_name(sign: str) -> str:
    if sign in CURRENCIES or sign == "¢":
        return "dollar" if sign == "\\$" else sign
    raise NotReadableError(f"'{sign}' behind a number")


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
