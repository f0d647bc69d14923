"""Build a small causal LM of the Qwen2 architecture from its configuration, with fresh weights."""

from typing import TYPE_CHECKING

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM


def build_model(
    config: PolicyConfig, tokenizer: "PreTrainedTokenizerFast", max_tokens: int, seed: int
) -> "Qwen2ForCausalLM":
    """Build the model in float32 with weights drawn from the seed; the caller's torch generator is left as it was.

    Matrices start with deviation 1/sqrt(fan-in), halved where a block writes to the residual stream: small models learn
    faster from it than from the library's fixed .02, which the embedding keeps. `ConfigError` for heads that misfit.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    if config.hidden_size % (2 * config.n_heads):
        raise ConfigError(
            f"policy.hidden_size is {config.hidden_size} with {config.n_heads} heads; "
            f"rotary positions need an even head size: set hidden_size to a multiple of {2 * config.n_heads}"
        )
    architecture = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden_size,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(architecture)
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2 and "embed" not in name:
                scale = 0.5 if "o_proj" in name or "down_proj" in name else 1.0
                torch.nn.init.normal_(parameter, 0.0, scale * parameter.shape[1] ** -0.5)
    return model.float()
