"""Obtain the policy: pre-train it here, or take an existing model."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from saerl_core.config.run import PolicyConfig
from saerl_core.ids import normalise_text
from saerl_core.policy import task_world, text
from saerl_core.policy.gguf_files import origin_of
from saerl_core.policy.pretrained import take_existing
from saerl_core.policy.prompt_format import format_of
from saerl_core.policy.storage import check_writable, policy_id_of, save_policy
from saerl_core.records import PolicyRef, PolicyReport

__all__ = ["policy_id_of", "prepare_policy"]


def prepare_policy(
    config: PolicyConfig, prompts: pd.DataFrame, out_dir: Path, seed: int, *, held_out: pd.DataFrame | None = None
) -> tuple[PolicyRef, PolicyReport]:
    """Obtain the policy that `config.source` names; a policy made here is saved to `out_dir` in Hugging Face format.

    task_world ignores `prompts` and draws problems of the train split; text learns the usable `prompts`; neither ever
    sees a prompt of `held_out` (dev and test). The same config, texts and seed give the same id on one machine. A
    pretrained model stays where it is. The reference carries the prompt format that `config` asks for. `BackendError`
    where `out_dir` cannot be written, before any work starts.
    """
    if config.source == "pretrained":
        ref = take_existing(config)
        origin = origin_of(ref.path)
        rounded = () if origin is None or origin.note is None else (origin.note,)
        return ref, PolicyReport(stage="policy", notes=(f"existing model {config.model}", *rounded))
    check_writable(out_dir)
    excluded = frozenset(normalise_text(p) for p in held_out["prompt"]) if held_out is not None else frozenset[str]()
    if config.source == "text":
        return _from_text(config, prompts, out_dir, excluded, seed)
    model, tokenizer, curve, competence = task_world.pretrain(config, excluded, seed)
    report = PolicyReport(
        stage="policy",
        n_rollouts=competence.n_rollouts,
        n_generated_tokens=competence.n_generated_tokens,
        n_prefill_tokens=competence.n_prefill_tokens,
        values={**competence.values, "n_parameters": float(model.num_parameters())},
        loss_curve=tuple(curve),
    )
    return replace(save_policy(model, tokenizer, out_dir), prompt_format=format_of(config)), report


def _from_text(
    config: PolicyConfig, prompts: pd.DataFrame, out_dir: Path, excluded: frozenset[str], seed: int
) -> tuple[PolicyRef, PolicyReport]:
    model, tokenizer, curve, values, notes = text.pretrain(config, prompts, excluded, seed)
    report = PolicyReport(
        stage="policy",
        notes=notes,
        values={**values, "n_parameters": float(model.num_parameters())},
        loss_curve=tuple(curve),
    )
    return replace(save_policy(model, tokenizer, out_dir), prompt_format=format_of(config)), report
