"""Words around an answer that change it or take it back: negations, bounds, other candidates, second thoughts."""

import re

from saerl_core.rollouts.judge.agreement import agree
from saerl_core.rollouts.judge.units import is_unit_word

_FOLLOWING_CHARS = 2000  # behind an answer, in which it may be taken back
VALUE = r"(?:\$|\\\(|\\text\s*\{\s*)*\s*[-\u2212(]?(?:\\?\$)?(?:\d|\\(?:frac|dfrac|sqrt|boxed|pi)\b|[a-zA-Z]\s*=)"
_RETRACTED = re.compile(
    r"\bWait\b|\bwait\b\s*[,.!\u2026\u2013\u2014-]+\s*\w|(?<![A-J][.:)]\s)\bno,|\bnope\b"
    r"|\bscratch that\b|\bsorry\b|\bmade an? (?:error|slip|mistake)\b|\breconsider|\bon reflection\b|\bextraneous\b"
    r"|\bcorrection\b|\boops\b|\bI mean(?:t)?\b|\bon second thou|\b[Hh]mm+\b|\bmiscalculat|\bmisread"
    r"|\bnot (?:the|my|a|our) (?:final |right |correct )?(?:answer|solution|result)\b|\blet me (?:redo|retry"
    r"|try again|correct)|(?:\A|[.,;!?\n]\s*|\b(?:but|so|oh|no)\s+)actually\b"
    r"|\bshould (?:really |instead |rather )?(?:be|have been)\s+"
    + VALUE
    + r"|\brather\s+(?:it is\b|the answer is\b|\d)|不对",
    re.IGNORECASE,
)
_CALLED_WRONG = re.compile(  # takes an answer back unless it is said of another one
    r"\bincorrect\b|\bwrong\b|\bmistaken?\b|错了|错误|不正确"
    r"|(?:\b(?:is|was|be|are|that's|it's)\s+not|n't)\s+(?:right|correct|valid|true|quite|the (?:right|correct))\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.!?;\u3002]\s+|\n|\b(?:because|since|as|while|whereas|but|and)\b")
_OTHERS = re.compile(r"\b(?:others?|rest|remaining|common|students?|people)\b", re.IGNORECASE)
_NAMES = re.compile(r"(?<![\w'])(?:[A-J]|-?\d[\d.]*)(?![\w'])")
_OPTION_A = re.compile(
    r"\b(?i:options?|choices?)\s+\(?A\b|\(A\)|(?:\A|[:,]\s*|\b(?:and|but)\s+)A\)?(?:\s+(?:is|was|would|and|or|does|can)\b|\s*\Z)"
)
DENIED = re.compile(  # directly behind the answer
    r"[\s$*)\\\]}.,\"']*(?:(?:is|was|are|would|will|can|could|does|do|did|should|must)\s*(?:not\b|n't)|cannot\b"
    r"|fails?\b|can't\b|won't\b"
    r"|(?:(?:is|was|are|must|can|could|should|would|may)\s+(?:be\s+)?)(?:too\b|impossible|rejected|ruled"
    r"|discarded|excluded|false"
    r"|eliminated|out\b|invalid|only (?:a|one)\b)|(?:is|are) (?:an? )?(?:upper|lower) bound|seems? (?:too|off)"
    r"|at (?:most|least)\b|(?:is|are|was) (?:one of the (?:answers|solutions|values)|my (?:first|initial))|\?"
    r"|不是|不行)",
    re.IGNORECASE,
)
_OTHER = re.compile(  # another candidate, or a bound
    rf"[\s$*)\\\]}},%]*(?:\b(?:or|and/or)\b(?!\s*(?:equivalently|simply|just|approximately|about|roughly|in\s))"
    r"|(?:maybe|perhaps|possibly)\b|或"
    rf"|(?:->|\u2192|\\(?:to|rightarrow|Rightarrow)\b)\s*{VALUE}"
    rf"|\b(?:and|to|through|versus|vs\.?)\s+{VALUE}[^\n]{{0,12}}?(?:[.,;$]|\Z)"
    rf"|[,;/]\s*(?:\$|\\\()?\s*-?\d+(?:[./]\d+)?(?:\$|\\\))?\s*(?:[.,;]?\s*\Z|[.,;]\s|(?:or|and)\b))",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"[\s$*)\\\]},]*or\s+(\$[^$]{1,40}\$|\\\([^()]{1,40}\\\)|-?\d+(?:\.\d+)?(?:/\d+)?\s*(?:\\?%)?)(?=\s*(?:[.,;)]|\Z|\n))",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"[\s$*)\\\]},]*(?:if|unless|except|provided|assuming)\b|[^.\n]{0,80}(?:\b(?:otherwise|unless)\b|,\s*else\b"
    r"|\bI also get\b)",
    re.IGNORECASE,
)
_CHANGED = re.compile(  # words that make another number of the one in front
    rf"[\s$*)\\\]}}]*(?:squared|cubed|factorial|(?:th|nd|rd)\b|(?:more|less|fewer|greater"
    rf"|smaller) than\s+\$?(?:[a-z]\b(?!\s+[a-z])|\d)|plus|minus|mod(?:ulo)?\b|divided by|multiplied by|and (?:a"
    rf"|one|two"
    rf"|three)[ -](?:half|third|quarter|fourth|fifth)"
    rf"|(?:times|over)\s+{VALUE}|halves|thirds|quarters|fourths|fifths|sixths|eighths|tenths|hundredths"
    rf"|thousandths|to the power|choose\s+\d"
    r"|point\s+\w|万|亿|千(?![米克瓦])|百|的)",
    re.IGNORECASE,
)
_NEGATION = r"(?:\b(?:not|never|neither|nor|cannot|hardly|excluding|except|without)\b|n't\b)"
_STOP = r"(?!(?:but|so|thus|hence|then|therefore|and|we|because|since|only)\b)"
_CHAIN = (  # what may stand between "not" and the answer that it denies
    "be been is are was were equals? equal to the a an any answer answers value result total "
    "number possibly necessarily really simply just actually correct right exactly that it have has had get gets got "
    "gives? makes? needs? takes? costs? contains? includes? true "
    "option choice say claim one as think believe accept pick choose expect quite even allowed"
)
_LINKS = "|".join(_CHAIN.split())
NEGATED_BEFORE = re.compile(
    rf"{_NEGATION}(?:\s+(?:{_LINKS}))*\s*:?\Z|(?:不等于|不是|并非|而非)\Z"
    rf"|\b(?:isn't|not)\s+{_STOP}[^\W\d_]+\s*:?\Z",
    re.IGNORECASE,
)
NEGATED_FAR = re.compile(
    rf"{_NEGATION}(?:\s+{_STOP}[^\W\d_]+){{0,4}}(?<!\bis)(?<!\bare)(?<!\bwas)(?<!\bequals)\s*:?\Z", re.IGNORECASE
)
BOUND_BEFORE = re.compile(
    r"(?:\b(?:\w+ than|at (?:the )?(?:very )?(?:most|least)|under|below|above|beyond|within"
    r"|(?<!add )(?<!adds )(?<!adding )(?<!comes )up to"
    r"|exceed(?:s|ing|ed)?|surpass(?:es)?|upwards of|no more|bounded by|starting (?:at|from)|short of|between"
    r"|minimum|maximum"
    r"|close to|near|one of (?:them|the \w+)(?: is)?|different from|distinct from|differs from|far from"
    r"|instead of|apart from|aside from|anything but"
    r"|(?:rul(?:e[sd]?|ing) out|reject(?:s|ed|ing)?|eliminat(?:e[sd]?|ing)|discard(?:s|ed|ing)?|exclud(?:e[sd]?"
    r"|ing)|avoid(?:s|ed|ing)?)"
    r"(?: the)?(?: value| answer| option| possibility)?(?: of)?)"
    r"|大于|小于|至少|至多|超过|不足|多于|少于)\s*\Z",
    re.IGNORECASE,
)
OPERATOR_BEFORE = re.compile(
    r"\b(?:negative|minus|less|plus|times|twice|double|triple|half(?: of)?|divided by|multiplied by|divisible by"
    r"|(?:square|cube|\w+th) roots? of|roots? of"
    r"|(?:square|cube|squares|cubes|reciprocal|inverse|logarithm|log|factorial|absolute value|opposite|multiples?"
    r"|multiple|factors?|divisors?|powers?) of"
    r"|to the(?: power(?: of)?)?|mod(?:ulo)?|sqrt|sqrt of)\s*\Z",
    re.IGNORECASE,
)
_WRONG_BEFORE = re.compile(
    r"\b(?:wrong|incorrect|false|mistaken|mistakenly|wrongly"
    r"|incorrectly)(?:\s+[^\W\d_]+){0,4}\s*:?\s*\Z",
    re.IGNORECASE,
)
_DOUBTED = re.compile(
    r"\b(?:doubt|deny|wonder|unlikely|unsure|impossible|whether|fails?)(?:\s+(?:that|if|it|this|is|for|to|be|the"
    r"|answer|total|value))*\Z",
    re.IGNORECASE,
)
_UNREAL = re.compile(
    r"\b(?:doubt|maybe|perhaps|possibly|might be|could be|if it (?:were|was|is)|guess(?:es|ed)?|not sure"
    r"|unsure)\b[^,;]*\Z|\b(?:said|claims?|whereas)\b[^,;]*\Z",
    re.IGNORECASE,
)
_FIRST = re.compile(r"[\s$*(\\]*(?:boxed\{|text\{|\()*([A-J]|-?\d[\d.]*)(?![\w'])")
_NOT_FIRST = re.compile(r"not\b|.*\bis not the answer\b", re.IGNORECASE)
_VERB = re.compile(r"(?:\b(?:is|are|be|was|equals?|gives?|get|of|to|by|[a-zA-Z])|[\d)}$\]=])\s*\$?\Z", re.IGNORECASE)
_OR_BEFORE = re.compile(
    r"(?:\b(?:or|either|versus)(?:\s+(?:it|that|this|he|she|they|we|maybe|perhaps|possibly|even|could|might|may"
    r"|would|is|be|it's|has"
    r"|have|was|are|the|a|an|total|answer|value))*|或者?)\s*\Z",
    re.IGNORECASE,
)
_LIST_BEFORE = re.compile(
    r"(?:\A|[^\W\d_]{2,}\s|[,:]\s?)\$?-?\d+(?:[./]\d+)?\$?\s*(?:,|;|/|\band\b|\bto\b|\bor\b|,\s*and\b)\s*\Z"
)
_PART_BEFORE = re.compile(r"\d\s+(?:([A-Za-z]+)\s+and|(in|out of|of))\s*\Z")
_NEXT_TURN = re.compile(r"\n\s*(?:#+\s*)?(?:User|Human|Question|Problem|Q|Assistant|Instruction)\b", re.IGNORECASE)
_UNWRAP = re.compile(r"\\(?:text\w*|mathrm|mbox)\s*\{([^{}]*)\}")
_SENTENCE = re.compile(r"[.!?;\u3002]\s+|\n")
_PLAIN = re.compile(r"\$+|\\[()\[\]]|\*\*|__|`|\\[ ,;:!]|\\q?quad(?![A-Za-z])|[\"\u201c\u201d]|(?:\\?[{(]\s*)\Z")


def before(text: str) -> str:
    """Return the end of the text as plain words: the sentence that leads to an answer."""
    plain = _PLAIN.sub(" ", _UNWRAP.sub(r" \1 ", text[-400:]))
    return re.sub(r"\s+", " ", _SENTENCE.split(plain.rstrip() + " ")[-1] if plain.strip() else "").strip()


def retracted(rest: str, said: str) -> bool:
    """Tell whether what follows an answer takes it back; "A is wrong" behind the answer B takes nothing back."""
    flat = _UNWRAP.sub(r" \1 ", rest[:_FOLLOWING_CHARS])
    if _RETRACTED.search(flat) is not None:
        return True
    return any(not _is_of_another(flat[: found.start()], said) for found in _CALLED_WRONG.finditer(flat))


def _is_of_another(lead: str, said: str) -> bool:
    """Tell whether the sentence that begins with `lead` speaks of another option or value than the one `said`."""
    sentence = _CLAUSE.split(lead)[-1].strip(" $*,:-\\(")
    if _OTHERS.search(sentence):
        return True
    named = set(_NAMES.findall(sentence)) - {"I"}
    if named == {"A"} and not _OPTION_A.search(sentence):  # an article
        return False
    return bool(named) and said.strip("$ ().") not in named


def around_box(text: str, start: int, end: int, content: str) -> bool:
    """Tell whether the words around a box change its content, or take it back."""
    lead = before(text[:start])
    if not lead and (line := text[:start].rstrip(" $\n")) and not text[:start].endswith("\n\n"):
        lead = before(line.split("\n")[-1]) if line.endswith(("not", "or", "than", "n't")) else ""
    if any(
        p.search(lead) for p in (NEGATED_BEFORE, BOUND_BEFORE, OPERATOR_BEFORE, _WRONG_BEFORE, _OR_BEFORE, _DOUBTED)
    ):
        return True
    if _LIST_BEFORE.search(lead) and not re.search(r"\b(?:for|in|when|if|at|by|with|=)\s+\$?-?\d+[^\d]*\Z", lead):
        return True
    if (part := _PART_BEFORE.search(lead)) is not None and (part[2] or is_unit_word(part[1])):
        return True  # "3 km and 8 m"
    rest = _NEXT_TURN.split(text[end:])[0]
    flat = _UNWRAP.sub(r" \1 ", rest)
    return retracted(rest, content) or (changed_behind(flat) and not _says_it_again(content, flat))


def _says_it_again(content: str, rest: str) -> bool:
    """Tell whether what follows "or" is the same value in another spelling: 1/2, or 50%."""
    also = _ALSO.match(rest)
    return also is not None and agree(content, also[1])


def changed_behind(rest: str) -> bool:
    """Tell whether what stands directly behind an answer denies it, bounds it, or names another one."""
    return any(pattern.match(rest) for pattern in (DENIED, _OTHER, _CONDITION, _CHANGED))


def changed_before(lead: str) -> bool:
    """Tell whether the words that lead to a number deny it, bound it, or make another one of it."""
    patterns = (
        NEGATED_BEFORE,
        NEGATED_FAR,
        BOUND_BEFORE,
        OPERATOR_BEFORE,
        _WRONG_BEFORE,
        _OR_BEFORE,
        _DOUBTED,
        _UNREAL,
    )
    return any(p.search(lead) for p in patterns)


def denied_before(lead: str) -> bool:
    """Tell whether the words that lead to "the answer is" deny it, or call it wrong."""
    return any(p.search(lead) for p in (NEGATED_BEFORE, _WRONG_BEFORE, _DOUBTED))


def taken_back(said: str) -> bool:
    """Tell whether an answer in words is taken back; a single word ("Wrong") is an answer."""
    said = said.strip()
    if re.fullmatch(r"\W*\w+\W*", said):
        return False
    answer = _FIRST.match(said)
    return retracted(said, answer[1] if answer is not None else "") or _NOT_FIRST.match(said) is not None


def is_minus(said: str) -> bool:
    """Tell whether a dash behind these words may be a minus, and not the dash of "Answer - 8"."""
    return _VERB.search(said) is not None
