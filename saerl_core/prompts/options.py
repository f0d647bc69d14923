"""Options of a question: in the prompt, in another column, and answers that are an index into them."""

from collections.abc import Mapping

from saerl_core.config.run import ColumnMap
from saerl_core.prompts.rows import RawRow, RejectedError, Suspicion


def letter_of_index(raw: RawRow, columns: ColumnMap, answer: str, odd: list[Suspicion]) -> str:
    """Return the letter for an index into options that stand in the prompt: `choices` are counted from 0, as in MMLU.

    Raises:
        RejectedError: another column of options, whose first index nobody knows.
    """
    name = next((n for n in ("choices", "options") if f"{{{n}}}" in columns.prompt), None)
    options = raw.values.get(name) if name is not None else None
    if not isinstance(options, (list, tuple)) or not answer.isdigit() or answer in [str(o) for o in options]:
        return answer
    if name == "choices" and int(answer) < len(options):
        odd.append(Suspicion("index_answer", f"{answer} is read as an index from 0: {chr(ord('A') + int(answer))}"))
        return chr(ord("A") + int(answer))
    detail = f"the answer {answer!r} is an index into '{name}', counted from 0 or 1; write letters"
    raise RejectedError("unsupported_answer", detail)


def options_column(raw: RawRow, columns: ColumnMap) -> str | None:
    """Return a column with several texts that the mapping does not use: options that the prompt may need."""
    used = {name.partition(".")[0] for name in dict(columns).values() if name is not None}
    for name, value in raw.values.items():
        texts = list(value.values()) if isinstance(value, Mapping) else value
        if name in used or f"{{{name}}}" in columns.prompt or not isinstance(texts, (list, tuple)):
            continue
        if len(texts) > 1 and all(isinstance(text, (str, int, float)) for text in texts):
            return name
    return None
