"""Take an existing model: a local folder, a GGUF file or a Hub name."""

from pathlib import Path

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import ConfigError
from saerl_core.policy.gguf_files import local_folder
from saerl_core.policy.loading import load_tokenizer, loading_error
from saerl_core.policy.prompt_format import format_of, prompt_tokens
from saerl_core.policy.storage import policy_id_of
from saerl_core.records import PolicyRef


def take_existing(config: PolicyConfig) -> PolicyRef:
    """Return the reference of `config.model` after reading its configuration and tokenizer; weights wait until needed.

    A GGUF file, or a folder that holds one, is converted to a Hugging Face folder first. A Hub name's identity is
    `name@commit`. Code that comes with a model runs only when `trust_remote_code` is set.
    """
    if not config.model:
        raise ConfigError(
            "policy.source is 'pretrained' but policy.model is not set; give a local folder or a Hub name"
        )
    folder = Path(local_folder(config.model)).expanduser()
    is_local = folder.is_dir() or config.model.startswith((".", "/", "~"))
    path, identity = (
        (str(folder), policy_id_of(folder)) if is_local else (config.model, f"{config.model}@{_commit(config)}")
    )
    fmt = format_of(config)
    ref = PolicyRef(path, identity, is_local, config.trust_remote_code, fmt)
    prompt_tokens(load_tokenizer(ref), ["1"], fmt)  # a format that this tokenizer cannot give is refused here
    return ref


def _commit(config: PolicyConfig) -> str:
    """Return the commit of the Hub model that would be used; reads its configuration."""
    from transformers import AutoConfig

    try:
        described = AutoConfig.from_pretrained(config.model, trust_remote_code=config.trust_remote_code)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise loading_error(str(config.model), False, error) from error
    return str(getattr(described, "_commit_hash", None) or "unknown")
