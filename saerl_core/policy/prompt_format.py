"""How a prompt of the pool becomes what the policy reads: as tokens, and as a text that gives the same tokens.

Labels, training and evaluation read tokens from `prompt_tokens`. A trainer that takes text and tokenises it itself,
without adding anything, gets the text from `render`, with the BOS token spelt out.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.records import PromptFormat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def format_of(config: PolicyConfig) -> PromptFormat:
    """Return the format that a configuration asks for."""
    return PromptFormat(config.chat_template, config.system_prompt, config.prompt_suffix)


def prompt_tokens(tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[str], fmt: PromptFormat) -> list[list[int]]:
    """Return the tokens that the policy reads for every prompt, before it answers.

    With a chat template: the template's text with the prompt and its suffix as one user message, up to where the
    assistant begins; templates write their own BOS. Without: what the tokenizer puts in front of a text, then prompt
    and suffix. An EOS that a tokenizer would append is left out. A prompt without tokens is the BOS token alone.

    Raises:
        ConfigError: the tokenizer has no chat template, or one that takes no such messages.
        DataError: a prompt has no tokens and there is no BOS token.
    """
    if not prompts:
        return []
    before: list[int] = []
    if fmt.chat_template:
        texts = [_in_template(tokenizer, prompt, fmt) for prompt in prompts]
    else:
        _refuse_lost_system_prompt(fmt)
        before, texts = added_prefix(tokenizer), [prompt + fmt.prompt_suffix for prompt in prompts]
    empty = before or [t for t in [tokenizer.bos_token_id] if t is not None]
    rows = [[*before, *row] or empty for row in _plain(tokenizer, texts)]
    if not all(rows):
        raise DataError("a prompt has no tokens and the tokenizer has no BOS token; remove empty prompts")
    return rows


def render(tokenizer: "PreTrainedTokenizerBase", prompt: str, fmt: PromptFormat) -> str:
    """Return a text whose tokens, with `add_special_tokens=False`, are exactly those of `prompt_tokens`.

    Raises:
        ConfigError: the tokenizer has no chat template, or one that takes no such messages.
        DataError: no such text exists for this tokenizer and prompt, or there are no tokens.
    """
    [wanted] = prompt_tokens(tokenizer, [prompt], fmt)
    if fmt.chat_template:
        return _in_template(tokenizer, prompt, fmt)
    text = prompt + fmt.prompt_suffix
    before = wanted[: len(wanted) - len(_plain(tokenizer, [text])[0])]
    spelt = "".join(tokenizer.convert_ids_to_tokens(before))
    # A tokenizer that marks the first word with a blank does so at the start of a text, but not after a special token.
    for candidate in (spelt + text, f"{spelt} {text}"):
        if _plain(tokenizer, [candidate]) == [wanted]:
            return candidate
    raise DataError(
        f"the policy's tokenizer puts {spelt!r} in front of a prompt, but does not read it back from a text: written "
        f"out, the prompt {text[:40]!r} gives other tokens; train with training.backend 'embedded', or take a policy "
        "with a chat template and set policy.chat_template"
    )


def added_prefix(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the ids that the tokenizer really puts in front of a text, whatever its config claims.

    Qwen2.5 names a BOS token in some exports but never adds it; dropping position 0 there would lose a real token.
    """
    plain = tokenizer("1", add_special_tokens=False)["input_ids"]
    full = tokenizer("1")["input_ids"]
    for start in range(len(full) - len(plain) + 1):
        if full[start : start + len(plain)] == plain:
            return [int(t) for t in full[:start]]
    return []


def _plain(tokenizer: "PreTrainedTokenizerBase", texts: list[str]) -> list[list[int]]:
    rows: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return rows


def _in_template(tokenizer: "PreTrainedTokenizerBase", prompt: str, fmt: PromptFormat) -> str:
    from jinja2 import TemplateError

    if tokenizer.chat_template is None:
        raise ConfigError(
            "policy.chat_template is true, but the policy's tokenizer has no chat template; set it to false (a base "
            "model reads the prompt with policy.prompt_suffix) or take a model that was tuned for chat"
        )
    messages = [{"role": "user", "content": prompt + fmt.prompt_suffix}]
    if fmt.system_prompt is not None:
        messages.insert(0, {"role": "system", "content": fmt.system_prompt})
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise ConfigError(
            f"the tokenizer's chat template refuses the messages ({error}); remove policy.system_prompt, or set "
            "policy.chat_template to false"
        ) from error
    if fmt.system_prompt is not None and fmt.system_prompt.strip() not in text:
        raise ConfigError(
            "the tokenizer's chat template leaves the system message out; remove policy.system_prompt, or put its text "
            "into policy.prompt_suffix"
        )
    return text


def _refuse_lost_system_prompt(fmt: PromptFormat) -> None:
    if fmt.system_prompt is not None:
        raise ConfigError(
            "policy.system_prompt is set, but policy.chat_template is false and only a template has a place for it; "
            "set policy.chat_template to true or remove policy.system_prompt"
        )
