r"""Characters that nobody sees: zero-width blanks and joiners, byte order marks, direction marks, selectors, fillers.

Two texts that differ in these alone look the same and mean the same, so they are left out before anything is compared.
Joiners and selectors that shape a script or an emoji (Persian, Hindi, a family of four) are no accident and raise no
flag. U+0600..U+0605 and their like are of the same Unicode category (Cf) but visible; they are not listed.
"""

import re
from typing import Final

_NEVER_MEANT = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_JOINERS = "\u200c\u200d\ufe00-\ufe0f"
_ALL = re.compile(f"[{_NEVER_MEANT}{_JOINERS}]+")
# a joiner or selector is meant only between characters beyond Latin text
ACCIDENTAL: Final = re.compile(
    f"[{_NEVER_MEANT}]|(?<![^\x00-\u024f])[{_JOINERS}]|[\u200c\u200d](?![^\x00-\u024f])", re.DOTALL
)


def without_invisible(text: str) -> str:
    """Return the text without any character that is not seen."""
    return text if text.isascii() else _ALL.sub("", text)
