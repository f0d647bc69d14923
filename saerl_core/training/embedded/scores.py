"""Scores of the live policy on held-out prompts, every few steps of its training."""

import numpy as np
import pandas as pd

from saerl_core.errors import DataError
from saerl_core.policy.context import beyond_note
from saerl_core.records import TrainJob
from saerl_core.rollouts.grading import Grader
from saerl_core.rollouts.sampler import Sampler
from saerl_core.seeds import stage_seed
from saerl_core.training.embedded.planned import PlannedTrainer


class HeldOutScores:
    """Samples and grades the held-out prompts, each time with the same random numbers: steps compare in pairs."""

    def __init__(self, job: TrainJob, prompts: pd.DataFrame, trainer: PlannedTrainer, grader: Grader) -> None:
        self._every = job.config.eval_every_steps or 0
        self._n = job.config.eval_n_samples
        self._prompts = [str(p) for p in prompts["prompt"]]
        self._answers = [str(a) for a in prompts["answer"] for _ in range(self._n)]
        self._trainer = trainer
        self._n_done = trainer.session.n_asked // self._every
        self._grader = grader
        self._sampler = Sampler(
            job.policy,
            temperature=job.config.temperature,
            max_completion_tokens=job.config.max_completion_tokens,
            seed=stage_seed(job.seed, "training/evaluation"),
            device=str(trainer.model.device),
            model=trainer.model,
        )
        fits = self._sampler.fitting(self._prompts)
        if not all(fits):
            self._leave_out(prompts, fits)

    def _leave_out(self, prompts: pd.DataFrame, fits: list[bool]) -> None:
        """Score only the prompts that the policy can read, and say so in the report of the training."""
        left_out = sorted(str(p) for p, fit in zip(prompts["prompt_id"], fits, strict=True) if not fit)
        sampler = self._sampler
        note = beyond_note(left_out, len(fits), sampler.context_tokens or 0, sampler.max_completion_tokens)
        if not any(fits):
            raise DataError(f"{note}; remove training.eval_every_steps or give shorter held-out prompts")
        self._trainer.session.note(f"{note}; they were not scored while training")
        self._prompts = [p for p, fit in zip(self._prompts, fits, strict=True) if fit]
        self._answers = [a for i, a in enumerate(self._answers) if fits[i // self._n]]

    def after_step(self) -> None:
        """Score the policy if it is due after the step that has just been booked."""
        session = self._trainer.session
        # Counted in batches of the plan, of which screening uses up several a step.
        due = session.n_asked // self._every
        if due == self._n_done:
            return
        self._n_done = due
        model, before = self._trainer.model, self._sampler.n_generated_tokens
        was_training = model.training
        model.eval()
        groups = self._sampler.sample(self._prompts, self._n, desc="scoring held-out prompts")
        model.train(was_training)
        completions = [completion for group in groups for completion in group]
        verdicts = self._grader.grade([c.text for c in completions], self._answers)
        correct = np.array([v.correct is True for v in verdicts]).reshape(-1, self._n)
        metrics = {
            f"eval_pass_at_{self._n}": float(correct.any(axis=1).mean()),
            "eval_pass_at_1": float(correct.mean()),
            "eval_completion_tokens_mean": float(np.mean([c.n_tokens for c in completions])),
            "eval_truncated_frac": float(np.mean([c.truncated for c in completions])),
        }
        n_tokens = self._sampler.n_generated_tokens - before
        session.evaluated(session.next_step - 1, metrics, len(completions), n_tokens)
