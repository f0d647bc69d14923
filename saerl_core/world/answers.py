"""Where the answer stands in a completion."""

ANSWER_MARK = "#"


def extract_answer(completion: str) -> str | None:
    """Return the text after the last `#`, stripped; None where there is no mark or nothing after it."""
    _, mark, tail = completion.rpartition(ANSWER_MARK)
    return (tail.strip() or None) if mark else None
