"""Evidence for the gate from lists of counts."""

import pandas as pd

from saerl_core.promotion.records import Candidate
from saerl_core.tables import COSTS, ITEM_SCORES, MATCHES

N_SAMPLES = 4


def items(n_correct, topics=None, policy="after", benchmark="test"):
    n = len(n_correct)
    return ITEM_SCORES.check(
        pd.DataFrame(
            {
                "policy": policy,
                "benchmark": benchmark,
                "prompt_id": [f"p{i:05}" for i in range(n)],
                "topic": topics if topics is not None else [None] * n,
                "level": 1.0,
                "n_samples": N_SAMPLES,
                "n_correct": n_correct,
            }
        )
    )


def costs(n_rollouts=100, n_tokens=1000):
    row = {"stage": "train_policy", "seconds": 1.0, "n_rollouts": n_rollouts, "n_generated_tokens": n_tokens}
    return COSTS.check(pd.DataFrame([{**row, "n_prefill_tokens": 0}]))


def matches(*prompt_ids):
    columns = {"benchmark": "b", "eval_id": "e", "coverage": 1.0, "exact": True, "prompt": "x", "eval_prompt": "x"}
    if not prompt_ids:
        return MATCHES.empty()
    return MATCHES.check(pd.DataFrame([{"prompt_id": p, **columns} for p in prompt_ids]))


def candidate(n_correct, topics=None, **changes):
    facts = {"costs": costs(), "trained_ids": frozenset({"t1", "t2"}), "matches": matches(), **changes}
    return Candidate(items=items(n_correct, topics), **facts)
