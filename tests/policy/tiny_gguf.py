"""A tiny random Llama in a GGUF file, with a byte-level tokenizer and, where asked for, a chat template."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

WIDTH, HEADS, INNER = 64, 2, 96
BOS, EOS, PAD = "<s>", "</s>", "<pad>"
TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"


def write_gguf(
    path: Path, *, kind: str = "Q4_1", architecture: str = "llama", template: str | None = TEMPLATE, n_layers: int = 2
) -> Path:
    writer = GGUFWriter(path, architecture)
    tokens = _tokens()
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(n_layers)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t in (BOS, EOS, PAD) else 1 for t in tokens])
    writer.add_token_merges(["a b", "ab c"])  # transformers reads a list of one as a word
    for add, token in ((writer.add_bos_token_id, BOS), (writer.add_eos_token_id, EOS), (writer.add_pad_token_id, PAD)):
        add(tokens.index(token))
    if template is not None:
        writer.add_chat_template(template)
    _add_tensors(writer, len(tokens), n_layers, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokens() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return [BOS, EOS, PAD, *sorted(ByteLevel.alphabet()), "ab", "abc"]


def _add_tensors(writer: GGUFWriter, n_tokens: int, n_layers: int, kind: str) -> None:
    rng = np.random.default_rng(0)
    matrices = {"token_embd.weight": (n_tokens, WIDTH)}
    vectors = ["output_norm.weight"]
    for i in range(n_layers):
        block = f"blk.{i}."
        matrices |= {f"{block}attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        matrices |= {f"{block}ffn_{name}.weight": (INNER, WIDTH) for name in ("gate", "up")}
        matrices[f"{block}ffn_down.weight"] = (WIDTH, INNER)
        vectors += [f"{block}attn_norm.weight", f"{block}ffn_norm.weight"]
    as_type = GGMLQuantizationType[kind]
    for name, shape in matrices.items():
        values = rng.normal(0, 0.1, shape).astype(np.float32)
        if kind == "F32":
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, quantize(values, as_type), raw_dtype=as_type)
    for name in vectors:
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))
