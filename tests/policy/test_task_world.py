"""Pre-training on the task world: reproducible, off the held-out problems, and it learns."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saerl_core.config.run import PolicyConfig, TaskWorldConfig
from saerl_core.ids import normalise_text
from saerl_core.policy.fitting import Rates, TokenBatch, weighted_loss
from saerl_core.policy.loading import load_model, load_tokenizer
from saerl_core.policy.prepare import prepare_policy
from saerl_core.policy.task_world import corpus, sloppy_share
from saerl_core.records import PolicyRef, PolicyReport
from saerl_core.world.answers import extract_answer
from saerl_core.world.problems import LEVELS, TOPICS
from saerl_core.world.splits import build_world, split_of

pytest.importorskip("transformers")

TINY = PolicyConfig(
    hidden_size=16, n_layers=2, n_heads=2, intermediate_size=32, pretrain_steps=40, sloppy_steps=4, batch_size=16
)


@pytest.fixture(scope="module")
def world() -> dict[str, pd.DataFrame]:
    return build_world(TaskWorldConfig(n_train=60, n_dev=30, n_test=40), 0)


@pytest.fixture(scope="module")
def prepared(
    world: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> tuple[PolicyRef, PolicyReport]:
    return prepare_policy(TINY, world["train"], tmp_path_factory.mktemp("policy") / "base", 3, held_out=world["test"])


def test_same_seed_same_policy_and_other_seed_another(
    prepared: tuple[PolicyRef, PolicyReport], world: dict[str, pd.DataFrame], tmp_path: Path
):
    again, report = prepare_policy(TINY, world["train"], tmp_path / "again", 3, held_out=world["test"])
    assert again.policy_id == prepared[0].policy_id
    assert report.values == prepared[1].values
    other, _ = prepare_policy(TINY, world["train"], tmp_path / "other", 4, held_out=world["test"])
    assert other.policy_id != again.policy_id


def test_the_report_tells_curve_competence_and_cost(prepared: tuple[PolicyRef, PolicyReport]):
    report = prepared[1]
    assert report.loss_curve[-1][0] == 44
    assert report.loss_curve[1][1] < report.loss_curve[0][1]  # steps 25 and 40, of the first phase
    for level in LEVELS:
        assert report.values[f"pass@8_level{level}"] >= report.values[f"pass@1_level{level}"] >= 0.0
    assert report.n_rollouts > 1000
    assert report.n_rollouts % 8 == 0
    assert 0 < report.n_generated_tokens <= 24 * report.n_rollouts
    assert report.n_prefill_tokens > 0


def test_the_policy_loads_as_a_hugging_face_model(prepared: tuple[PolicyRef, PolicyReport]):
    import torch

    model, tokenizer = load_model(prepared[0]), load_tokenizer(prepared[0])
    assert not model.training
    assert model.dtype == torch.float32
    assert model.config.model_type == "qwen2"
    assert model.config.vocab_size == len(tokenizer)
    assert tokenizer("1+1=")["input_ids"][0] == model.config.bos_token_id
    assert tokenizer.padding_side == "left"


def test_the_default_policy_has_the_size_that_was_asked_for():
    from saerl_core.policy.model import build_model
    from saerl_core.world.tokenizer import build_tokenizer

    model = build_model(PolicyConfig(), build_tokenizer(), 256, 0)
    assert 200_000 <= model.num_parameters() <= 1_000_000


@pytest.mark.parametrize("sloppy", [False, True])
def test_the_corpus_holds_no_held_out_problem(sloppy: bool, world: dict[str, pd.DataFrame]):
    some_train = frozenset(normalise_text(p) for p in world["train"]["prompt"][:30])
    items = list(islice(corpus(sloppy, some_train, np.random.default_rng(0)), 3000))
    texts = {normalise_text(problem.prompt) for problem, _ in items}
    for split in ("dev", "test"):
        assert not texts & {normalise_text(p) for p in world[split]["prompt"]}
    assert not texts & some_train
    assert {split_of(t) for t in texts} == {"train"}
    assert {(p.topic, p.level) for p, _ in items} == {(t, level) for t in TOPICS for level in LEVELS}


def test_the_first_phase_is_correct_and_the_second_is_sloppy_as_stated():
    careful = islice(corpus(False, frozenset(), np.random.default_rng(1)), 500)
    assert all(extract_answer(solution) == problem.answer for problem, solution in careful)
    messy = list(islice(corpus(True, frozenset(), np.random.default_rng(1)), 6000))
    for level in LEVELS:
        rows = [(p, s) for p, s in messy if p.level == level]
        wrong = np.mean([extract_answer(s) != p.answer for p, s in rows])
        stated = np.mean([sloppy_share(p.topic, p.level) for p, _ in rows])
        assert abs(wrong - stated) < 4 * np.sqrt(0.25 / len(rows))


def test_the_sloppy_share_rises_with_the_level():
    for topic in TOPICS:
        shares = [sloppy_share(topic, level) for level in LEVELS]
        assert shares == sorted(shares)
        assert shares[0] < 0.5 < shares[-1]
    assert len({sloppy_share(topic, 3) for topic in TOPICS}) == len(TOPICS)  # no two topics alike


def test_the_loss_is_the_weighted_mean_of_the_next_tokens():
    import torch

    logits = torch.log(torch.tensor([[[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [1.0, 1.0, 1.0]]]))
    batch = TokenBatch(torch.tensor([[0, 1, 2]]), torch.tensor([[9.0, 1.0, 3.0]]))  # the first token is not predicted
    expected = (1.0 * np.log(4) + 3.0 * -np.log(0.6)) / 4.0
    assert float(weighted_loss(logits, batch)) == pytest.approx(expected, rel=1e-6)


def test_a_diverging_loss_stops_the_work():
    import torch

    from saerl_core.errors import BackendError
    from saerl_core.policy.fitting import fit
    from saerl_core.policy.model import build_model
    from saerl_core.progress import track
    from saerl_core.world.tokenizer import build_tokenizer

    model = build_model(TINY, build_tokenizer(), 256, 0)
    bad = TokenBatch(torch.full((2, 4), 5), torch.full((2, 4), float("inf")))
    with track(1, "x") as bar, pytest.raises(BackendError, match="diverged"):
        fit(model, iter([bad]), 1, Rates(0.02, 1e-3, 0.5), bar)


def test_heads_that_do_not_fit_are_refused(world: dict[str, pd.DataFrame], tmp_path: Path):
    from saerl_core.errors import ConfigError

    config = TINY.model_copy(update={"hidden_size": 18, "n_heads": 4})
    with pytest.raises(ConfigError, match="multiple of 8"):
        prepare_policy(config, world["train"], tmp_path / "p", 0)
