"""Obtain the policy: pre-train it here, or take an existing model."""

from pathlib import Path

import pandas as pd

from saerl_core.config import PolicyConfig
from saerl_core.ids import normalise_text
from saerl_core.policy import task_world
from saerl_core.policy.storage import policy_id_of, save_policy
from saerl_core.records import PolicyRef, PolicyReport

__all__ = ["policy_id_of", "prepare_policy"]


def prepare_policy(
    config: PolicyConfig, prompts: pd.DataFrame, out_dir: Path, seed: int, *, held_out: pd.DataFrame | None = None
) -> tuple[PolicyRef, PolicyReport]:
    """Obtain the policy named by `config.source`; a policy made here is saved to `out_dir` in Hugging Face format."""
    excluded = frozenset(normalise_text(p) for p in held_out["prompt"]) if held_out is not None else frozenset[str]()
    model, tokenizer, curve, competence = task_world.pretrain(config, excluded, seed)
    report = PolicyReport(
        stage="policy",
        n_rollouts=competence.n_rollouts,
        n_generated_tokens=competence.n_generated_tokens,
        n_prefill_tokens=competence.n_prefill_tokens,
        values=competence.values,
        loss_curve=tuple(curve),
    )
    return save_policy(model, tokenizer, out_dir), report
