"""Pre-train the policy of the task world to partial competence.

Two phases, after a real base model before RL, which mostly knows how but often answers carelessly (regime B): first the
correct solutions are learnt; then some hundred steps on solutions of which a share is sloppy, by topic and level. The
knowledge stays (pass@8 is high), the habit is bad (pass@1 is low): what RL can undo.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from saerl_core.config.run import PolicyConfig
from saerl_core.ids import normalise_text
from saerl_core.policy.competence import Competence, measure_competence
from saerl_core.policy.fitting import Rates, TokenBatch, fit
from saerl_core.policy.model import build_model
from saerl_core.progress import track
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.world.problems import LEVELS, TOPICS, Problem, sample_problem
from saerl_core.world.sloppy import sloppy_solution
from saerl_core.world.splits import split_of
from saerl_core.world.tokenizer import build_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

MAX_TOKENS = 256
_PROMPT_WEIGHT = 0.2  # of a prompt's token in the loss; a solution's token counts 1
_LEVEL_WEIGHTS = np.array([0.3, 0.26, 0.2, 0.14, 0.1])  # of the first phase
_BUFFER_BATCHES = 16  # sorted by length together, so that a batch holds little padding


def sloppy_share(topic: str, level: int) -> float:
    """Return the share of sloppy solutions in the second phase: rising with the level, shifted by the topic."""
    shift = 0.3 * (TOPICS.index(topic) * 5 % len(TOPICS)) / (len(TOPICS) - 1) - 0.15
    return float(np.clip(0.2 + 0.17 * (level - 1) + shift, 0.1, 0.97))


def pretrain(
    config: PolicyConfig, held_out: frozenset[str], seed: int
) -> "tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast, list[tuple[int, float]], Competence]":
    """Train a fresh model on problems of the train split that are not in `held_out` (normalised prompts).

    Returns the model, its tokenizer, the loss curve of both phases, and the competence on fresh dev-like problems.
    """
    tokenizer = build_tokenizer()
    model = build_model(config, tokenizer, MAX_TOKENS, stage_seed(seed, "policy.init"))
    n_steps = config.pretrain_steps + config.sloppy_steps
    with track(n_steps, "pre-training", "step") as bar:
        first = _batches(config.batch_size, held_out, False, stage_rng(seed, "policy.competent"))
        curve = fit(model, first, config.pretrain_steps, Rates(0.02, 3e-3, 0.8), bar)
        second = _batches(config.batch_size, held_out, True, stage_rng(seed, "policy.sloppy"))
        messy = fit(model, second, config.sloppy_steps, Rates(0.01, 2e-3, 0.7), bar)
    curve += [(step + config.pretrain_steps, loss) for step, loss in messy]
    return model, tokenizer, curve, measure_competence(model, tokenizer, held_out, seed)


def corpus(sloppy: bool, held_out: frozenset[str], rng: np.random.Generator) -> Iterator[tuple[Problem, str]]:
    """Yield problems of the train split with a solution each, without end."""
    while True:
        topic = TOPICS[int(rng.integers(len(TOPICS)))]
        level = int(rng.integers(1, 6)) if sloppy else LEVELS[int(rng.choice(len(LEVELS), p=_LEVEL_WEIGHTS))]
        problem = sample_problem(topic, level, rng)
        if split_of(problem.prompt) != "train" or normalise_text(problem.prompt) in held_out:
            continue
        careless = sloppy and rng.random() < sloppy_share(topic, level)
        yield problem, sloppy_solution(problem, rng) if careless else problem.solution


def _batches(batch_size: int, held_out: frozenset[str], sloppy: bool, rng: np.random.Generator) -> Iterator[TokenBatch]:
    tokenizer = build_tokenizer()
    codes = tokenizer.get_vocab()
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    source = corpus(sloppy, held_out, rng)
    while True:
        items = [next(source) for _ in range(batch_size * _BUFFER_BATCHES)]
        pairs = [
            ([bos, *(codes[c] for c in problem.prompt)], [*(codes[c] for c in solution), eos])
            for problem, solution in items
        ]
        pairs.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        for i in rng.permutation(_BUFFER_BATCHES):
            yield _padded(pairs[i * batch_size : (i + 1) * batch_size])


def _padded(pairs: list[tuple[list[int], list[int]]]) -> TokenBatch:
    import torch

    width = max(len(p) + len(s) for p, s in pairs)
    ids = np.zeros((len(pairs), width), dtype=np.int64)
    weights = np.zeros((len(pairs), width), dtype=np.float32)
    for row, (p, s) in enumerate(pairs):
        ids[row, : len(p) + len(s)] = p + s
        weights[row, 1 : len(p)] = _PROMPT_WEIGHT
        weights[row, len(p) : len(p) + len(s)] = 1.0
    return TokenBatch(torch.from_numpy(ids), torch.from_numpy(weights))
