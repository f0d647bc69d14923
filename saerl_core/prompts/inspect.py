r"""What is suspicious about a prompt or an answer: found by patterns, flagged, never repaired.

The whole table of flags. "unusable": the row stays in the pool, but the plan leaves it out and says why. Everything
else is noted only: the row can be trained on.

| flag                  | unusable | meaning                                                                       |
|-----------------------|----------|-------------------------------------------------------------------------------|
| duplicate             | yes      | copy of a row that is kept: same prompt in any spelling, and the same answer  |
| conflict              | yes      | the same prompt stands with another answer; all rows concerned                |
| contaminated          | yes      | covers an evaluation item's n-grams up to the threshold, or holds it whole    |
| swallowed_latex       | yes      | an escape ate a command's first letter: `\f` + "rac", tab + "imes"            |
| replacement_character | yes      | U+FFFD: characters were lost before the file was written                      |
| missing_image         | yes      | an image stands there as a link or placeholder, which the model cannot see    |
| missing_tools         | yes      | the row names tools to call in a column `tools`, which no prompt of text holds |
| long_prompt           | yes      | longer than `prompts.max_prompt_chars`                                        |
| list_answer           | yes      | several answers in a list: which one counts, and in what order, is unknown    |
| imprecise_answer      | yes      | a float beyond 2^53: digits of the answer are lost                            |
| answer_marker         | yes      | a worked solution with "####": the answer itself is not alone in the column   |
| no_answer             | yes      | "proof", "not found", "N/A", "null", "?", ".": what says that there is no answer |
| choice_without_options | yes     | the answer is an option's letter; the options stand in another column         |
| special_token         | yes      | a model's control token inside the prompt, which would end it there           |
| invisible_character   |          | zero-width blanks, byte order or direction marks: left out of comparisons     |
| control_character     |          | another control character, such as a form feed for the ligature "fi"          |
| line_separator        |          | U+2028, U+2029 or U+0085 inside a field                                       |
| short_prompt          |          | under 25 characters                                                           |
| cjk                   |          | Chinese, Japanese or Korean characters                                        |
| asy                   |          | an [asy] drawing, readable as code only                                       |
| mentions_figure       |          | speaks of a figure, and no drawing is in the text                             |
| multiple_choice       |          | options A, B, C in order: guessing pays                                       |
| proof                 |          | asks for a proof, yet has an answer                                           |
| multi_part            |          | parts (a), (b) or (i), (ii): one answer for several questions                 |
| system_turn           |          | a system turn of chat messages stands in front of the question                |
| earlier_turns         |          | of a conversation, only the last user turn is the prompt                      |
| unwrapped_prompt      |          | chat messages spelled out as text, read as messages                           |
| index_answer          |          | an index into `choices`, counted from 0, read as the option's letter          |
| letter_answer         |          | the answer is one letter, and the prompt has neither options nor that letter  |
| numeric_answer        |          | a number in the file, written out as text (27.0 is "27")                      |
| unwrapped_answer      |          | the only element of a list                                                    |
| answer_whitespace     |          | white space around the answer, removed                                        |
| answer_newline        |          | line breaks inside the answer                                                 |
| answer_dollar         |          | a dollar sign: a currency, or LaTeX delimiters                                |
| answer_unit           |          | a unit or words behind a number                                               |
| answer_percent        |          | a per cent sign                                                               |
| answer_thousands      |          | separators such as 1,234 or 10{,}000                                          |
| answer_boxed          |          | one \boxed inside the answer                                                  |
| answer_multiple_boxed |          | several \boxed: the grader takes the last                                     |
| long_answer           |          | over 200 characters: perhaps a solution                                       |
| unreadable_level      |          | the level is no number (`Level ?`); taken as missing                          |
| unreadable_pass_rate  |          | the pass rate is no number in [0, 1]; taken as missing                        |
| unreadable_quality    |          | the quality label is no number in [0, 1]; taken as missing                    |
| no_final_newline      |          | last row of a CSV file without a line end: its last value may be cut          |
"""

import re
from collections.abc import Iterable
from typing import Final

from saerl_core.invisible import ACCIDENTAL
from saerl_core.prompts.rows import Suspicion, excerpt

CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"  # inside a character class

_SHORT_CHARS = 25
_LONG_ANSWER_CHARS = 200

# a swallowed command goes on without its first letter; a longer word ("first" after a form feed) is none of these
SWALLOWED: Final = re.compile(
    r"\x0c(?:rac|orall|box|lat)(?![a-z])"
    r"|\t(?:ext(?:bf|it|rm|tt|sf|sc|style)?|imes|heta|herefore|riangle|au|frac|ilde)(?![a-z])"
    r"|\x08(?:eta|egin|oxed|inom|ar|ig|igl|igr|mod|ot|ullet|ecause|f|mathbf)(?![a-z])"
    r"|\r(?:ight|angle|ho|floor|ceil|m)(?![a-z])"
    r"|\x0b(?:ec|ert|dots|arphi|ee)(?![a-z])"
    r"|\x07(?:lpha|ngle|pprox|lign|rc|st)(?![a-z])"
    r"|\n(?:eq|abla)(?![a-z])",
)
# an order to prove or show; "records show that" is none
PROOF: Final = re.compile(r"\bprove\b|(?:\A|[.!?,;:$]\s+|\b(?:and|to)\s+)show that\b", re.IGNORECASE)
_PROMPT_PATTERNS: Final = (
    ("cjk", re.compile(f"[{CJK}]")),
    ("missing_image", re.compile(r"!\[[^\]\n]{0,200}\]\(|\\includegraphics|<ima?ge?\b|\[insert (?:pic|image|figure)")),
    ("proof", PROOF),
    (
        "special_token",
        re.compile(
            r"<\|(?:endoftext|im_start|im_end|eot_id|begin_of_text|end_of_text|start_header_id|end|eos|user|assistant"
            r"|system|endofprompt)\|>|</s>|<eos>|<end_of_turn>|<start_of_turn>|\[/?INST\]"
        ),
    ),
)
_CHARACTER_PATTERNS: Final = (
    ("control_character", re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")),
    ("invisible_character", ACCIDENTAL),
    ("replacement_character", re.compile("\ufffd")),
    ("line_separator", re.compile("[\u2028\u2029\u0085]")),
)
_FIGURE = re.compile(
    r"\b(?:in|from|to|on) the (?:figure|diagram|picture|image)\b"
    r"|\b(?:figure|diagram|picture|image|graph|drawing|map)s? (?:shown|below|above|at (?:the )?right|to the right)\b"
    r"|\bas (?:shown|pictured|depicted|illustrated)\b"
    r"|\b(?:shown|pictured|depicted|illustrated) (?:below|above|here|in the (?:figure|diagram|picture|image))\b",
    re.IGNORECASE,
)
_UNITS = (
    r"cm|mm|km|ft|feet|foot|inch(?:es)?|yards?|miles?|met(?:er|re)s?|square|cubic|hours?|minutes?|seconds?|days?|weeks?"
    r"|months?|years?|degrees?|dollars?|cents?|pounds?|grams?|kg|mph|units?|lit(?:er|re)s?|percent"
)
_ANSWER_PATTERNS: Final = (
    ("answer_newline", re.compile(r"[\n\r]")),
    ("answer_dollar", re.compile(r"\$")),
    ("answer_percent", re.compile("%")),
    ("answer_thousands", re.compile(r"(?<![\^\d])\d{1,3}(?:\{?,\}?|,?\\!\s?|,?\\,\s?)\d{3}(?!\d)")),
    (
        "answer_unit",
        re.compile(
            rf"[\d}})]\s*\\(?:text|mbox|mathrm|textrm)\s*\{{(?!\s*,?\s*(?:or|and)\b)|\^\s*\{{?\\circ|[\d}}]\s*(?:{_UNITS})\b|°"
        ),
    ),
    ("answer_marker", re.compile("####")),
    (
        "answer_unit",
        re.compile(r"\A\s*[-+$€£]?\s*\d[\d.,/ ]*\s*(?:\([^\W\d_][^()\d]*\)|[^\W\d_]{2,}(?:[ /][^\W\d_]+)*)\.?\s*\Z"),
    ),
    (
        "no_answer",
        re.compile(
            r"\A[\s$*.]*(?:\\text\s*\{)?\s*(?:proof|not[ _-]?found|nan|none|null|n\.?/?a\.?|no answer|unknown|-+)"
            r"\s*\}?[\s$*.]*\Z",
            re.IGNORECASE,
        ),
    ),
    ("no_answer", re.compile(r"\A[-\u2013\u2014.\u2026,;:?_\s]+\Z")),
)
_OPTIONS: Final = tuple(
    tuple(re.compile(rf"(?:^|(?<=[\s{{$])){left}{letter}{right}", re.MULTILINE) for letter in "ABC")
    for left, right in ((r"\(", r"\)"), ("", r"[.:]\s"), ("", r"\)\s?"))
)
_LETTER = re.compile(r"\s*\\?(?:text(?:bf)?\s*\{)?\s*\(?([A-J])\)?[.:]?\s*\}?\s*")
_PARTS: Final = tuple(
    tuple(re.compile(rf"(?:^|(?<=\s))\(?{re.escape(label)}\)\s", re.MULTILINE) for label in pair)
    for pair in (("a", "b"), ("i", "ii"))
)


def inspect_prompt(prompt: str, max_chars: int) -> list[Suspicion]:
    """Return what is odd about a prompt, in the order of the table above."""
    found = _characters(prompt)
    if len(prompt) > max_chars:
        found.append(Suspicion("long_prompt", f"{len(prompt)} characters, more than max_prompt_chars {max_chars}"))
    if len(prompt.strip()) < _SHORT_CHARS:
        found.append(Suspicion("short_prompt", f"{len(prompt.strip())} characters: {excerpt(prompt.strip())}"))
    found += _matching(_PROMPT_PATTERNS, prompt)
    if "[asy]" in prompt:
        found.append(Suspicion("asy", "an [asy] drawing"))
    elif match := _FIGURE.search(prompt):
        found.append(Suspicion("mentions_figure", _context(prompt, match)))
    if any(_in_order(patterns, prompt) for patterns in _OPTIONS):
        found.append(Suspicion("multiple_choice", "options A, B and C in order"))
    if any(_in_order(patterns, prompt) for patterns in _PARTS):
        found.append(Suspicion("multi_part", "parts in order"))
    return found


def inspect_answer(answer: str) -> list[Suspicion]:
    """Return what is odd about an answer, in the order of the table above."""
    found = _characters(answer) + _matching(_ANSWER_PATTERNS, answer)
    n_boxed = answer.count("\\boxed")
    if n_boxed:
        flag = "answer_boxed" if n_boxed == 1 else "answer_multiple_boxed"
        found.append(Suspicion(flag, f"{n_boxed} \\boxed in {excerpt(answer)}"))
    if len(answer) > _LONG_ANSWER_CHARS:
        found.append(Suspicion("long_answer", f"{len(answer)} characters: {excerpt(answer)}"))
    return found


def inspect_pair(prompt: str, answer: str, column: str, options_in: str | None) -> list[Suspicion]:
    """Return what shows only where prompt and answer are seen together.

    `column` is the prompt's; `options_in` another one that holds options.
    """
    letter = _LETTER.fullmatch(answer)
    if letter is None or any(_in_order(patterns, prompt) for patterns in _OPTIONS):
        return []
    if re.search(rf"(?<![A-Za-z]){letter[1]}(?![A-Za-z])", prompt.removeprefix("A ")):  # a point, a set, a name
        return []
    if options_in is None:
        return [Suspicion("letter_answer", f"the answer is {answer!r}, and the prompt has no options")]
    way = f"put the column into the prompt: prompts.columns.prompt: '{{{column}}}\\n{{{options_in}}}'"
    return [Suspicion("choice_without_options", f"the options of answer {answer!r} stand in '{options_in}'; {way}")]


def _characters(text: str) -> list[Suspicion]:
    found = []
    swallowed = SWALLOWED.search(text)
    if swallowed:
        found.append(Suspicion("swallowed_latex", _context(text, swallowed)))
        text = SWALLOWED.sub("", text)
    return found + _matching(_CHARACTER_PATTERNS, text)


def _matching(patterns: Iterable[tuple[str, re.Pattern[str]]], text: str) -> list[Suspicion]:
    found: dict[str, Suspicion] = {}
    for flag, pattern in patterns:  # a flag may have several patterns
        if flag not in found and (match := pattern.search(text)):
            found[flag] = Suspicion(flag, _context(text, match))
    return list(found.values())


def _in_order(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    start = 0
    for pattern in patterns:
        match = pattern.search(text, start)
        if match is None:
            return False
        start = match.end()
    return True


def _context(text: str, match: re.Match[str]) -> str:
    start = max(0, match.start() - 20)
    return f"{text[start : match.end() + 20]!r} at position {match.start()}"
