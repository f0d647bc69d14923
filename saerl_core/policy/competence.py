"""How competent a policy of the task world is: sampled pass rates on fresh problems."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from saerl_core.ids import normalise_text
from saerl_core.seeds import stage_rng, stage_seed
from saerl_core.world.answers import extract_answer
from saerl_core.world.problems import LEVELS, TOPICS, Problem, sample_problem
from saerl_core.world.splits import split_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

N_SAMPLES = 8
MAX_NEW_TOKENS = 24
_PER_CELL = 4
_PROMPTS_A_BATCH = 64


@dataclass(frozen=True)
class Competence:
    """Values such as pass@1 and pass@8_level3, and what measuring them cost."""

    values: dict[str, float]
    n_rollouts: int
    n_generated_tokens: int
    n_prefill_tokens: int


def measure_competence(
    model: "Qwen2ForCausalLM", tokenizer: "PreTrainedTokenizerFast", held_out: frozenset[str], seed: int
) -> Competence:
    """Sample 8 completions at temperature 1 for 4 fresh problems of every cell, off the train split and `held_out`."""
    problems = _fresh_problems(held_out, stage_rng(seed, "policy.competence"))
    correct, n_tokens, n_prefill = sample_correct(
        model, tokenizer, [(p.prompt, p.answer) for p in problems], stage_seed(seed, "policy.competence")
    )
    levels = np.array([p.level for p in problems])
    values = {"pass@1": float(correct.mean()), f"pass@{N_SAMPLES}": float(correct.any(axis=1).mean())}
    for level in LEVELS:
        rows = correct[levels == level]
        values[f"pass@1_level{level}"] = float(rows.mean())
        values[f"pass@{N_SAMPLES}_level{level}"] = float(rows.any(axis=1).mean())
    values["zero_variance_frac"] = float(np.isin(correct.mean(axis=1), (0.0, 1.0)).mean())
    return Competence(values, correct.size, n_tokens, n_prefill)


def sample_correct(
    model: "Qwen2ForCausalLM", tokenizer: "PreTrainedTokenizerFast", items: list[tuple[str, str]], seed: int
) -> tuple[Bool[np.ndarray, "n group"], int, int]:
    """Sample 8 completions a (prompt, answer); return which are correct and the tokens generated and prefilled."""
    import torch

    found = np.zeros((len(items), N_SAMPLES), dtype=bool)
    n_generated = n_prefill = 0
    order = sorted(range(len(items)), key=lambda i: (len(items[i][0]), items[i]))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for start in range(0, len(order), _PROMPTS_A_BATCH):
            rows = order[start : start + _PROMPTS_A_BATCH]
            encoded = tokenizer([items[i][0] for i in rows], return_tensors="pt", padding=True)
            out = model.generate(
                **encoded,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                num_return_sequences=N_SAMPLES,
                max_new_tokens=MAX_NEW_TOKENS,
                pad_token_id=tokenizer.pad_token_id,
            )[:, encoded["input_ids"].shape[1] :]
            n_prefill += int(encoded["attention_mask"].sum())
            n_generated += int((out != tokenizer.pad_token_id).sum())
            texts = tokenizer.batch_decode(out, skip_special_tokens=True)
            for j, text in enumerate(texts):
                row = rows[j // N_SAMPLES]
                found[row, j % N_SAMPLES] = extract_answer(text) == items[row][1]
    return found, n_generated, n_prefill


def _fresh_problems(held_out: frozenset[str], rng: np.random.Generator) -> list[Problem]:
    out: list[Problem] = []
    for topic in TOPICS:
        for level in LEVELS:
            texts: dict[str, Problem] = {}
            for _ in range(2000):
                problem = sample_problem(topic, level, rng)
                if split_of(problem.prompt) == "dev" and normalise_text(problem.prompt) not in held_out:
                    texts.setdefault(problem.prompt, problem)
                if len(texts) == _PER_CELL:
                    break
            out += texts.values()
    return out
