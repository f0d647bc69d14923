"""Prompts that are longer than a model's context, in every room that reads them."""

import pandas as pd
import pytest

from saerl_core.config.run import EvaluationConfig, FeaturesConfig, GradingConfig, PassRatesConfig, SaeConfig
from saerl_core.errors import DataError
from saerl_core.evaluation.evaluate import evaluate_policies
from saerl_core.features.extract import extract_features
from saerl_core.features.likelihood import policy_likelihood
from saerl_core.features.sae import obtain_sae
from saerl_core.policy.context import context_tokens, fitting, mark_beyond_context
from saerl_core.policy.loading import load_tokenizer
from saerl_core.records import PolicyRef, PromptFormat
from saerl_core.rollouts.measure import measure_pass_rates
from saerl_core.tables import PROMPTS

CONTEXT = 32
LETTERS = "abcdef"
CPU = FeaturesConfig(device="cpu")


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> PolicyRef:
    """A model whose learned positions end at 32: what is longer has no position at all."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("short")
    words = ["<pad>", "<bos>", "<eos>", "<unk>", *LETTERS]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(words),
                n_embd=16,
                n_layer=2,
                n_head=2,
                n_positions=CONTEXT,
                initializer_range=0.3,
                bos_token_id=1,
                eos_token_id=2,
            )
        ).save_pretrained(folder)
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    return PolicyRef(str(folder), "short")


def pool(*lengths: int) -> pd.DataFrame:
    texts = [(LETTERS * 40)[i : i + n] for i, n in enumerate(lengths)]
    fixed = {"source": "test", "topic": None, "level": None, "known_pass_rate": None, "quality_label": None}
    state = {"duplicate_of": None, "conflict": False, "contamination": 0.0, "flags": "", "usable": True, "truth": None}
    rows = {"prompt_id": [f"p{i}" for i in range(len(texts))], "prompt": texts, "answer": "a"}
    return PROMPTS.check(pd.DataFrame(rows).assign(**fixed, **state))


def clusters_of(prompts: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"prompt_id": prompts["prompt_id"], "cluster_id": 0, "centroid_distance": 0.0})


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"model_type": "gpt2", "n_positions": 77}, 77),
        ({"model_type": "qwen2", "max_position_embeddings": 99}, 99),
        ({"model_type": "mpt", "max_seq_len": 55}, 55),
        ({"model_type": "bloom"}, None),
    ],
)
def test_the_context_is_read_under_each_name(settings, wanted):
    from transformers import AutoConfig

    assert context_tokens(AutoConfig.for_model(**settings)) == wanted


def test_a_prompt_fits_up_to_the_last_token(short):
    tokenizer = load_tokenizer(short)
    assert fitting(["a" * 9, "a" * 10, "a" * 11, ""], tokenizer, PromptFormat(), 10) == [True, True, False, True]
    assert fitting(["a" * 9, "a" * 8], tokenizer, PromptFormat(prompt_suffix="bb"), 10) == [False, True]
    assert fitting([], tokenizer, PromptFormat(), 10) == []


def test_the_plan_is_told_which_prompts_cannot_be_read(short):
    prompts = pool(5, 28, 29, 33).assign(flags=["", "", "", "duplicate"])
    marked = mark_beyond_context(prompts, short, 4)
    assert list(marked.prompts["usable"]) == [True, True, False, False]
    assert list(marked.prompts["flags"]) == ["", "", "beyond_context", "duplicate,beyond_context"]
    assert marked.note == (
        "2 of 4 prompts are longer than the policy's context (32 tokens less 4 for the completion), e.g. p2; the plan "
        "leaves them out"
    )
    assert mark_beyond_context(prompts[:2], short, 4).note is None
    assert mark_beyond_context(prompts, short, None).prompts is prompts


def test_features_come_from_what_fits_and_the_rest_is_counted(short, tmp_path):
    prompts = pool(*range(4, 30), 32, 33, 90)
    config = SaeConfig(expansion=2, k=4, train_tokens=500, batch_size=32)
    sae, _ = obtain_sae(config, CPU, short, prompts, tmp_path / "sae", 0)
    features, _, report = extract_features(prompts, short, sae, CPU, 0, controls=True)
    assert features.matrix.shape[0] == len(prompts)
    assert report.values["n_truncated"] == 2
    assert "2 of 29 prompts are longer than 32 tokens, the context of the model" in report.notes[0]


def test_the_likelihood_of_a_long_prompt_is_that_of_its_end(short):
    long = policy_likelihood(pool(60), short, GradingConfig(kind="exact"), CPU)
    end = pool(60).assign(prompt=lambda t: t["prompt"].str[-(CONTEXT - 1) :])
    alone = policy_likelihood(end, short, GradingConfig(kind="exact"), CPU)
    assert long.table.equals(alone.table)
    assert "1 of 1 prompts are longer than the policy's context of 32 tokens" in long.notes[0]
    assert alone.notes == ()


def test_a_long_answer_leaves_one_token_of_the_prompt(short):
    scored = policy_likelihood(pool(3).assign(answer="b" * 50), short, GradingConfig(kind="exact"), CPU)
    assert scored.n_prefill_tokens == CONTEXT
    assert scored.table["answer_nll_mean"][0] > 0


def test_pass_rates_are_measured_on_the_others(short):
    prompts = pool(5, 29, 6, 40, 28)
    config = PassRatesConfig(n_labelled=5, n_rollouts=2, max_completion_tokens=4)
    grading = GradingConfig(kind="exact")
    table, report = measure_pass_rates(prompts, clusters_of(prompts), short, config, grading, 0)
    assert list(table["prompt_id"]) == ["p0", "p2", "p4"]
    assert report.notes[0] == (
        "2 of 5 prompts are longer than the policy's context (32 tokens less 4 for the completion), e.g. p1; they got "
        "no label"
    )
    with pytest.raises(DataError, match=r"2 of 2 prompts are longer .* lower pass_rates\.max_completion_tokens"):
        measure_pass_rates(pool(40, 41), clusters_of(pool(40, 41)), short, config, grading, 0)


def test_both_policies_are_evaluated_on_the_same_prompts_that_fit(short):
    config = EvaluationConfig(n_samples=2, ks=(1,), max_completion_tokens=4)
    grading = GradingConfig(kind="exact")
    _, items, report = evaluate_policies(short, short, pool(5, 40, 6), config, grading, 0)
    assert list(items["prompt_id"]) == ["p0", "p2"] * 2
    assert report.values["n_prompts"] == 2
    assert "1 of 3 prompts are longer than the policy's context" in report.notes[0]
    assert "e.g. p1; they were not evaluated" in report.notes[0]
    with pytest.raises(DataError, match=r"nothing is left of 'test'"):
        evaluate_policies(short, None, pool(40), config, grading, 0)
