"""A pool whose prompts, answers and topics are markup, shell and template code, and a tiny policy that reads bytes."""

import json
from pathlib import Path

N_ROWS = 96
CANARY = "saerl-canary"
_TEXTS = (
    "<script>document.title='{mark}'</script> {n} + 1",
    '<img src=x onerror="alert({n})"> {n} + 1',
    "</td></table><svg onload=alert({n})>",
    "$(touch {canary}) {n}",
    "`touch {canary}` {n}",
    "; touch {canary} # {n}",
    "{n}\nsecond line | touch {canary}\n",
    "{{{{ 7*7 }}}} {{% raw %}} {n}",
    "' OR 1=1 -- {n}\\",
    '"><a href="javascript:alert({n})">{n}</a>',
)
_TOPICS = ("<b>bold</b>", "$(touch {canary})", "{{{{ 7*7 }}}}", '"><script>alert(1)</script>')


def write_pool(file: Path, canary: Path, start: int = 0) -> None:
    """Write the rows as JSON lines; the shell code in them would create `canary`."""
    fill = {"canary": str(canary), "mark": CANARY}
    rows = [
        {
            "prompt": _TEXTS[n % len(_TEXTS)].format(n=n, **fill),
            "answer": f"<i>{n + 1}</i>" if n % 2 else f"$(touch {canary}){n}",
            "topic": _TOPICS[n % len(_TOPICS)].format(**fill),
            "level": 1 + n % 5,
        }
        for n in range(start, start + N_ROWS)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def save_byte_policy(folder: Path) -> None:
    """Save a random causal LM of 2 blocks whose tokens are bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({t: i for i, t in enumerate(["<pad>", "<bos>", "<eos>", *letters])}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 512}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(Qwen2Config(vocab_size=len(tokenizer), **shape, **heads, **ids))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
