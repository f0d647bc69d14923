import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saerl_core.errors import ConfigError, DataError
from saerl_core.policy.loading import load_model, load_tokenizer, stop_tokens
from saerl_core.records import PolicyRef, PromptFormat
from saerl_core.rollouts import sampler as sampling
from saerl_core.rollouts.sampler import Sampler, nucleus

MakePolicy = Callable[[str], PolicyRef]
PROMPTS = ["a b c d e f a", "b", "c c", "d e a b", "f e d c b a a b c d", "a", "b b b b b"]
KINDS = ["qwen2", "gpt2"]


def make(policy: PolicyRef, temperature: float = 1.0, length: int = 12, seed: int = 0, top_p: float = 1.0) -> Sampler:
    return Sampler(policy, temperature=temperature, max_completion_tokens=length, seed=seed, top_p=top_p)


def generate_greedily(policy: PolicyRef, prompt: str, length: int) -> list[int]:
    """What the library's own generate makes of one prompt, without padding."""
    model, tokenizer = load_model(policy), load_tokenizer(policy)
    inputs = tokenizer([prompt], return_tensors="pt")
    out = model.generate(
        input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=length, do_sample=False
    )
    return out[0, inputs["input_ids"].shape[1] :].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_equals_generate(tiny_policy: MakePolicy, kind: str) -> None:
    policy = tiny_policy(kind)
    tokenizer = load_tokenizer(policy)
    rows = make(policy, temperature=0.0).sample(PROMPTS, 1)
    lengths = set()
    for prompt, [completion] in zip(PROMPTS, rows, strict=True):
        expected = generate_greedily(policy, prompt, 12)
        assert completion.text == tokenizer.decode(expected, skip_special_tokens=True)
        assert completion.n_tokens == len(expected)
        assert completion.truncated is (expected[-1] != tokenizer.eos_token_id)
        lengths.add(len(expected))
    assert len(lengths) > 1, "the prompts should end at different times, or the test shows little"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_completion_does_not_depend_on_its_batch(
    tiny_policy: MakePolicy, kind: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tiny_policy(kind)
    together = make(policy, temperature).sample(PROMPTS, 3)
    alone = [make(policy, temperature).sample([prompt], 3)[0] for prompt in PROMPTS]
    backwards = make(policy, temperature).sample(PROMPTS[::-1], 3)[::-1]
    monkeypatch.setattr(sampling, "MAX_ROWS", 4)
    in_parts = make(policy, temperature).sample(PROMPTS, 3)
    assert together == alone == backwards == in_parts


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_pairs_follow_the_softmax(tiny_policy: MakePolicy, kind: str) -> None:
    """Chi-square of the first two tokens against p(first) p(second | first) from plain forward passes."""
    policy, n, temperature = tiny_policy(kind), 6000, 0.8
    model = load_model(policy)

    def next_probabilities(ids: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return (model(torch.tensor([ids])).logits[0, -1].double() / temperature).softmax(-1).numpy()

    sampler = make(policy, temperature, length=2)
    drawn: list[list[int]] = []
    decode = sampler._decode
    sampler._decode = lambda *args: drawn.extend(rows := decode(*args)) or rows  # type: ignore[method-assign]
    sampler.sample(["b", "a b c"], n)  # "b" stands in a padded row
    for prompt, rows in (([2, 3, 4], drawn[:n]), ([3], drawn[n:])):
        counts = Counter(map(tuple, rows))
        first = next_probabilities(prompt)
        expected = {(1,): first[1]}
        for i, j in product(range(len(first)), repeat=2):
            if i != 1:
                expected[i, j] = first[i] * next_probabilities([*prompt, i])[j]
        assert set(counts) <= set(expected)
        likely = [pair for pair, p in expected.items() if p * n >= 5]
        observed = np.array([counts[pair] for pair in likely] + [n - sum(counts[pair] for pair in likely)])
        wanted = np.array([expected[pair] * n for pair in likely])
        wanted = np.append(wanted, n - wanted.sum())
        assert len(likely) > 8
        statistic = float((((observed - wanted) ** 2) / np.maximum(wanted, 1.0)).sum())
        assert statistic < stats.chi2.ppf(0.9999, df=len(likely))


def test_the_nucleus_by_hand() -> None:
    probabilities = torch.tensor([[0.1, 0.5, 0.1, 0.3], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 1.0]]).double()
    for top_p, kept in (
        (0.1, [[1], [0], [3]]),
        (0.5, [[1], [0, 1], [3]]),  # reached exactly: nothing more is taken
        (0.6, [[1, 3], [0, 1, 2], [3]]),
        (0.85, [[0, 1, 3], [0, 1, 2, 3], [3]]),  # of the two at 0.1 the first
    ):
        cut = nucleus(probabilities, top_p)
        assert [row.nonzero()[:, 0].tolist() for row in cut] == kept
        assert torch.equal(cut[cut > 0], probabilities[cut > 0])


@given(
    weights=st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any),
    top_p=st.floats(0.0, 1.0, exclude_min=True),
)
def test_the_nucleus_is_the_smallest_set_that_is_likely_enough(weights: list[int], top_p: float) -> None:
    probabilities = torch.tensor([weights]).double()
    probabilities /= probabilities.sum()
    kept = nucleus(probabilities, top_p)[0]
    inside = probabilities[0][kept > 0]
    assert len(inside) > 0
    assert float(inside.sum()) >= top_p - 1e-12
    assert float(inside.sum() - inside.min()) < top_p + 1e-12
    outside = probabilities[0][kept == 0]
    assert len(outside) == 0 or float(outside.max()) <= float(inside.min())


@pytest.mark.parametrize("top_p", [0.3, 0.8, 0.999999])
def test_tokens_are_drawn_from_the_nucleus_only(tiny_policy: MakePolicy, top_p: float) -> None:
    """A sweep over the unit interval draws every token of the nucleus as often as its share says, ends included."""
    sampler = make(tiny_policy("qwen2"), temperature=0.7, top_p=top_p)
    logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(1))
    wanted = nucleus((logits.double() / 0.7).softmax(-1), top_p)[0]
    n = 20_001
    uniform = np.linspace(0.0, np.nextafter(1.0, 0.0), n)
    drawn = sampler._choose(logits.expand(n, -1), uniform)
    shares = torch.bincount(drawn, minlength=40) / n
    assert set(drawn.tolist()) == set(wanted.nonzero()[:, 0].tolist())
    torch.testing.assert_close(shares.double(), wanted / wanted.sum(), atol=2 / n, rtol=0.0)


def test_all_of_the_mass_is_no_cut_and_hardly_any_is_greedy(tiny_policy: MakePolicy) -> None:
    policy = tiny_policy("qwen2")
    assert make(policy, top_p=1.0).sample(PROMPTS, 4) == make(policy).sample(PROMPTS, 4)
    assert make(policy, top_p=1e-9).sample(PROMPTS, 1) == make(policy, temperature=0.0).sample(PROMPTS, 1)
    assert make(policy, top_p=0.5).sample(PROMPTS, 4) != make(policy).sample(PROMPTS, 4)


def test_the_same_seed_gives_the_same_and_another_seed_does_not(tiny_policy: MakePolicy) -> None:
    policy = tiny_policy("qwen2")
    sampler = make(policy, seed=3)
    first = sampler.sample(PROMPTS, 4)
    assert sampler.sample(PROMPTS, 4) == first == make(policy, seed=3).sample(PROMPTS, 4)
    assert make(policy, seed=4).sample(PROMPTS, 4) != first
    assert [row[:2] for row in first] == sampler.sample(PROMPTS, 2)


def test_copies_of_a_prompt_are_sampled_independently(tiny_policy: MakePolicy) -> None:
    one, other = make(tiny_policy("qwen2")).sample(["a b", "a b"], 8)
    assert one != other
    assert len(set(one)) > 1


def test_length_and_truncation(tiny_policy: MakePolicy) -> None:
    sampler = make(tiny_policy("qwen2"), length=3)
    completions = [c for row in sampler.sample(PROMPTS, 20) for c in row]
    assert {c.truncated for c in completions} == {True, False}
    assert {c.n_tokens for c in completions if c.truncated} == {3}
    assert {c.n_tokens for c in completions if not c.truncated} == {1, 2, 3}  # the end token is counted
    assert all(c.text == "" for c in completions if c.n_tokens == 1)


def test_costs_are_counted(tiny_policy: MakePolicy) -> None:
    sampler = make(tiny_policy("qwen2"))
    rows = sampler.sample(PROMPTS, 5)
    assert sampler.n_prefill_tokens == sum(len(p.split()) for p in PROMPTS)  # once a prompt, not once a sample
    assert sampler.n_generated_tokens == sum(c.n_tokens for row in rows for c in row)
    again = sampler.n_generated_tokens
    sampler.sample(PROMPTS, 5)
    assert sampler.n_generated_tokens == 2 * again


def test_finished_rows_are_dropped(tiny_policy: MakePolicy) -> None:
    sampler = make(tiny_policy("qwen2"), length=40)
    sizes: list[int] = []
    sampler._model.register_forward_hook(lambda module, args, output: sizes.append(output.logits.shape[0]))
    rows = sampler.sample(PROMPTS, 30)
    assert sizes[:2] == [len(PROMPTS), 30 * len(PROMPTS)]
    assert sizes[-1] < sizes[1] / 4
    assert len(sizes) == max(c.n_tokens for row in rows for c in row)
    assert sum(sizes[1:]) < 1.6 * sampler.n_generated_tokens


def test_every_stop_token_of_the_model_counts(tiny_policy: MakePolicy) -> None:
    sampler = make(tiny_policy("qwen2"))
    sampler._model.generation_config.eos_token_id = [1, 5]
    assert stop_tokens(sampler._model.generation_config, sampler._tokenizer) == {1, 5}


def test_memory_bounds_the_rows(tiny_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = make(tiny_policy("qwen2"))
    expected = sampler.sample(PROMPTS, 2)
    monkeypatch.setattr(sampling, "CPU_BYTES", 5 * sampler._row_bytes(10 + 12))
    sizes: list[int] = []
    sampler._model.register_forward_hook(lambda module, args, output: sizes.append(output.logits.shape[0]))
    assert sampler.sample(PROMPTS, 2) == expected
    assert 4 <= max(sizes) <= 8  # shorter prompts leave room for more rows
    monkeypatch.setattr(sampling, "CPU_BYTES", 1)
    assert sampler.sample(PROMPTS, 2) == expected


def test_nothing_to_do(tiny_policy: MakePolicy) -> None:
    sampler = make(tiny_policy("qwen2"))
    assert sampler.sample([], 3) == []
    assert sampler.sample(["a", "b"], 0) == [[], []]


def test_bad_input_is_one_clear_error(tiny_policy: MakePolicy) -> None:
    policy = tiny_policy("qwen2")
    with pytest.raises(ConfigError, match="temperature -1"):
        make(policy, temperature=-1.0)
    for top_p in (0.0, 1.5):
        with pytest.raises(ConfigError, match=rf"top_p is {top_p}"):
            make(policy, top_p=top_p)
    with pytest.raises(DataError, match=r"longest prompt has 60 tokens .* context is 64"):
        make(policy).sample(["a", "a " * 60], 1)
    with pytest.raises(DataError, match="no tokens"):
        make(policy).sample(["a", " "], 1)


@pytest.mark.parametrize("system", [None, "f f"])
def test_the_policy_reads_the_prompt_in_its_format(tiny_policy: MakePolicy, tmp_path, system: str | None) -> None:
    """Formatted by the sampler, a prompt is answered as the same text that a plain policy is given."""
    plain = tiny_policy("qwen2")
    shutil.copytree(plain.path, tmp_path / "chat")
    tokenizer = load_tokenizer(plain)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role[0] }} {{ m.content }} {% endfor %}b"
    tokenizer.save_pretrained(tmp_path / "chat")
    chat = PolicyRef(str(tmp_path / "chat"), "chat", prompt_format=PromptFormat(True, system, " c"))
    suffixed = replace(plain, prompt_format=PromptFormat(prompt_suffix=" c"))
    given = ["a b", "d"]
    for policy, texts in (
        (suffixed, ["a b c", "d c"]),
        (chat, [("s f f " if system else "") + text for text in ("u a b c b", "u d c b")]),
    ):
        in_format, spelt = make(policy, temperature=0.0), make(plain, temperature=0.0)
        assert in_format.sample(given, 1) == spelt.sample(texts, 1)
        assert in_format.n_prefill_tokens == spelt.n_prefill_tokens


def test_a_format_that_the_tokenizer_cannot_give_is_refused(tiny_policy: MakePolicy) -> None:
    chat = replace(tiny_policy("qwen2"), prompt_format=PromptFormat(chat_template=True))
    with pytest.raises(ConfigError, match="no chat template"):
        make(chat).sample(["a"], 1)


def test_the_task_world_tokenizer_round_trips(tmp_path) -> None:
    """Its BOS is read, its EOS ends, and neither stands in the text."""
    from transformers import AutoModelForCausalLM

    from saerl_core.world.tokenizer import build_tokenizer
    from tests.rollouts.conftest import tiny_config

    tokenizer = build_tokenizer()
    config = tiny_config("qwen2", len(tokenizer))
    config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    torch.manual_seed(1)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    sampler = make(PolicyRef(str(tmp_path), "world"), length=30)
    [row] = sampler.sample(["12+34="], 50)
    assert sampler.n_prefill_tokens == 7
    assert {c.truncated for c in row} == {True, False}
    assert not any("<" in c.text for c in row)
