"""What the policy reads: worked by hand, and the text that a trainer tokenises again gives the same tokens."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saerl_core.config.run import PolicyConfig
from saerl_core.errors import ConfigError, DataError
from saerl_core.policy.model import build_model
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.prompt_format import added_prefix, prompt_tokens, render
from saerl_core.policy.storage import save_policy
from saerl_core.policy.text import train_tokenizer
from saerl_core.records import PromptFormat
from saerl_core.tables import PROMPTS
from saerl_core.world.tokenizer import build_tokenizer

pytest.importorskip("transformers")

PLAIN = PromptFormat()
CHAT = PromptFormat(chat_template=True)
WITH_SYSTEM = PromptFormat(chat_template=True, system_prompt="Be brief.", prompt_suffix=" Go.")
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXTS = ["12+34=", "rev ab=", " a", "", "  two  blanks ", "x^2 = 4\n", "<eos>1", "café 😀"]


def words(*, bos: bool, named_bos: bool = True):
    """Words split at spaces; `bos` says whether BOS is put in front."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(("<unk>", "<s>", "</s>", "a", "b"))}, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
        )
    names = {"bos_token": "<s>"} if named_bos else {}
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>", unk_token="<unk>", **names)


def with_metaspace(scheme: str = "first"):
    """Like Llama 2's: the first word of a text is marked with a blank, a word after a special token is not."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {w: i for i, w in enumerate(("<unk>", "<s>", "</s>", "▁", "▁a", "a", "▁b", "b"))}
    backend = Tokenizer(models.WordLevel(vocab, "<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme=scheme),
            pre_tokenizers.Split(Regex("▁?[ab]"), behavior="isolated"),
        ]
    )
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def for_chat():
    tokenizer = build_tokenizer()
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(scope="module")
def bytes_bpe():
    return train_tokenizer(["the sum of 12 and 34 is 46", "reverse ab, then count the blanks"] * 20, 300)


def again(tokenizer, prompt: str, fmt: PromptFormat = PLAIN) -> list[int]:
    """The tokens that a trainer makes of the rendered text."""
    return tokenizer(render(tokenizer, prompt, fmt), add_special_tokens=False)["input_ids"]


def test_plain_is_bos_prompt_and_suffix():
    tokenizer = words(bos=True)
    assert prompt_tokens(tokenizer, ["a b", "b"], PLAIN) == [[1, 3, 4], [1, 4]]  # without the </s> it would append
    assert prompt_tokens(tokenizer, ["a"], PromptFormat(prompt_suffix=" b")) == [[1, 3, 4]]
    assert render(tokenizer, "a", PromptFormat(prompt_suffix=" b")) == "<s>a b"


def test_no_bos_is_invented():
    tokenizer = words(bos=False)
    assert prompt_tokens(tokenizer, ["a b"], PLAIN) == [[3, 4]]
    assert render(tokenizer, "a b", PLAIN) == "a b"


@pytest.mark.parametrize("prompt", ["", " "])
def test_an_empty_prompt_is_bos_alone(prompt: str):
    for bos in (True, False):
        tokenizer = words(bos=bos)
        assert prompt_tokens(tokenizer, [prompt], PLAIN) == [[1]] == [again(tokenizer, prompt)]
    with pytest.raises(DataError, match="no tokens and the tokenizer has no BOS"):
        render(words(bos=False, named_bos=False), prompt, PLAIN)


def test_nothing_to_encode():
    assert prompt_tokens(words(bos=True), [], PLAIN) == []


def test_the_template_gets_one_user_message():
    tokenizer = for_chat()
    assert render(tokenizer, "1+1=", CHAT) == "<|user|>1+1=<|end|><|assistant|>"
    expected = "<|system|>Be brief.<|end|><|user|>1+1= Go.<|end|><|assistant|>"
    assert render(tokenizer, "1+1=", WITH_SYSTEM) == expected
    [tokens] = prompt_tokens(tokenizer, ["1+1="], WITH_SYSTEM)
    assert tokens == tokenizer(expected, add_special_tokens=False)["input_ids"]
    assert tokenizer.bos_token_id not in tokens  # the template does not write one


@pytest.mark.parametrize("fmt", [PLAIN, PromptFormat(prompt_suffix=" =#"), CHAT, WITH_SYSTEM], ids=str)
@pytest.mark.parametrize("text", TEXTS)
def test_the_text_gives_the_tokens_again(text: str, fmt: PromptFormat, bytes_bpe):
    bytes_bpe.chat_template = TEMPLATE
    for tokenizer in (for_chat(), bytes_bpe):
        assert [again(tokenizer, text, fmt)] == prompt_tokens(tokenizer, [text], fmt)


@given(text=st.text(max_size=30), suffix=st.text(max_size=5))
def test_any_text_gives_the_tokens_again(text: str, suffix: str, bytes_bpe):
    fmt = PromptFormat(prompt_suffix=suffix)
    for tokenizer in (build_tokenizer(), bytes_bpe):
        wanted = prompt_tokens(tokenizer, [text], fmt)
        assert wanted == [tokenizer(text + suffix)["input_ids"]]
        assert [again(tokenizer, text, fmt)] == wanted


def test_a_first_word_that_is_marked_with_a_blank():
    tokenizer = with_metaspace()
    assert prompt_tokens(tokenizer, ["ab"], PLAIN) == [[1, 4, 7]]
    assert tokenizer("<s>ab", add_special_tokens=False)["input_ids"] == [1, 5, 7], "else the test shows nothing"
    assert render(tokenizer, "ab", PLAIN) == "<s> ab"
    assert again(tokenizer, "ab") == [1, 4, 7]


def test_a_prefix_that_is_not_read_back_is_refused():
    from tokenizers import normalizers, processors

    tokenizer = words(bos=False)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(single="b $A", special_tokens=[("b", 4)])
    assert prompt_tokens(tokenizer, ["a"], PLAIN) == [[4, 3]]
    assert render(tokenizer, "a", PLAIN) == "b a"  # "ba" is one unknown word
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("b", "")
    with pytest.raises(DataError, match=r"'b' in front .* the prompt 'a' gives other tokens.*chat_template"):
        render(tokenizer, "a", PLAIN)


def test_formats_that_the_tokenizer_cannot_give():
    tokenizer = build_tokenizer()
    with pytest.raises(ConfigError, match="tokenizer has no chat template"):
        render(tokenizer, "1", CHAT)
    with pytest.raises(ConfigError, match=r"system_prompt is set, but policy.chat_template is false"):
        prompt_tokens(tokenizer, ["1"], PromptFormat(system_prompt="x"))
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(ConfigError, match=r"refuses the messages \(System role not supported\)"):
        render(tokenizer, "1", WITH_SYSTEM)
    tokenizer.chat_template = "{{ messages[-1].content }}"
    assert render(tokenizer, "1", CHAT) == "1"
    with pytest.raises(ConfigError, match="leaves the system message out"):
        render(tokenizer, "1", WITH_SYSTEM)


def test_the_prefix_is_what_the_tokenizer_really_adds():
    assert added_prefix(words(bos=True)) == [1]
    assert added_prefix(words(bos=False)) == []


TINY = PolicyConfig(hidden_size=16, n_layers=1, n_heads=2, intermediate_size=32, pretrain_steps=1, sloppy_steps=0)


def test_a_policy_made_here_carries_the_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = TINY.model_copy(update={"prompt_suffix": " ="})
    made = build_model(TINY, build_tokenizer(), 64, 0), build_tokenizer(), []
    monkeypatch.setattr("saerl_core.policy.text.pretrain", lambda *_: (*made, {"held_out_loss": 1.0}, ()))
    ref, _ = prepare_policy(config.model_copy(update={"source": "text"}), PROMPTS.empty(), tmp_path / "text", 0)
    assert ref.prompt_format == PromptFormat(prompt_suffix=" =")
    ref, _ = prepare_policy(config.model_copy(update={"batch_size": 2}), PROMPTS.empty(), tmp_path / "world", 0)
    assert ref.prompt_format == PromptFormat(prompt_suffix=" =")


def test_an_existing_model_carries_the_format_or_is_refused(tmp_path: Path):
    folder = str(tmp_path / "policy")
    asked = {"chat_template": True, "system_prompt": "Be brief.", "prompt_suffix": " Go."}
    config = PolicyConfig(source="pretrained", model=folder, **asked)
    save_policy(build_model(TINY, build_tokenizer(), 64, 0), build_tokenizer(), Path(folder))
    with pytest.raises(ConfigError, match="no chat template"):
        prepare_policy(config, PROMPTS.empty(), tmp_path / "out", 0)
    save_policy(build_model(TINY, build_tokenizer(), 64, 0), for_chat(), Path(folder))
    ref, _ = prepare_policy(config, PROMPTS.empty(), tmp_path / "out", 0)
    assert ref.prompt_format == WITH_SYSTEM
