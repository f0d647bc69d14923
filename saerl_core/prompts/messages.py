"""Chat messages: `[{"role": "user", "content": …}]`, or `from` and `value` as ShareGPT and others write them."""

import ast
import json
import re
from collections.abc import Mapping, Sequence

from saerl_core.prompts.rows import Suspicion, excerpt

_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_LOOKS_LIKE = re.compile(r"""\s*\[\s*\{\s*['"](?:role|content|from|value)['"]\s*:""")

Message = tuple[str, str]  # role, text


def read_messages(value: object) -> list[Message] | None:
    """Return roles and texts of a list of messages; None where the value is no such list.

    A turn without a text (an image, a ground truth) has an empty one.
    """
    if not isinstance(value, (list, tuple)) or not value:
        return None
    found: list[Message] = []
    for turn in value:
        if not isinstance(turn, Mapping):
            return None
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str):
            return None
        found.append((_ROLES.get(role.lower(), role.lower()), _content(content)))
    return found


def _content(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        parts = [part.get("text") for part in value if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def has_image(value: object) -> bool:
    """Tell whether a turn holds a part that is no text."""
    turns = value if isinstance(value, (list, tuple)) else []
    parts = [turn.get("content") for turn in turns if isinstance(turn, Mapping)]
    return any(
        isinstance(part, Mapping) and str(part.get("type", "text")) not in ("text", "input_text")
        for content in parts
        if isinstance(content, (list, tuple))
        for part in content
    )


def prompt_of(messages: Sequence[Message]) -> tuple[str, list[Suspicion]]:
    """Return the last user turn behind the system turns, and what is worth knowing; empty without a user turn."""
    users = [i for i, (role, _) in enumerate(messages) if role == "user"]
    if not users:
        return "", []
    last = users[-1]
    if not messages[last][1].strip():  # a system turn asks nothing
        return "", []
    system = "\n\n".join(text.strip() for role, text in messages[:last] if role == "system" and text.strip())
    odd = []
    if system:
        odd.append(Suspicion("system_turn", f"the system turn stands before the question: {excerpt(system)}"))
    if len(users) > 1 or any(role == "assistant" for role, _ in messages[:last]):
        odd.append(Suspicion("earlier_turns", f"only the last of {len(users)} user turns is the prompt"))
    prompt = messages[last][1]
    return (f"{system}\n\n{prompt}" if system else prompt), odd


def reply_of(messages: Sequence[Message]) -> str:
    """Return the text of the last assistant turn, empty without one."""
    return next((text for role, text in reversed(messages) if role == "assistant"), "")


def looks_like_messages(text: str) -> bool:
    """Tell whether a text begins as a list of chat messages does."""
    return _LOOKS_LIKE.match(text) is not None


def parse_text(text: str) -> object | None:
    """Return the messages that a text spells out, as JSON or as Python writes them; None where it is no such text."""
    return parse_literal(text) if looks_like_messages(text) else None


def parse_literal(text: str) -> object | None:
    """Return the value that a text spells out in JSON or as a Python literal, None for anything else."""
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)  # type: ignore[no-any-return]
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
