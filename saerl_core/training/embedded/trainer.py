"""The embedded trainer: TRL on one device, resumable, with the order in the curriculum's hands."""

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saerl_core.config.checks_training import refusal
from saerl_core.errors import ConfigError, DataError
from saerl_core.policy.loading import load_model, load_tokenizer, quiet_loading
from saerl_core.policy.storage import policy_id_of
from saerl_core.progress import track
from saerl_core.protocols import Curriculum, OnStep, StepMetrics
from saerl_core.records import TrainJob, TrainResult
from saerl_core.rollouts.grading import Grader
from saerl_core.training import checkpoints as store
from saerl_core.training.embedded.library_logs import quiet_libraries
from saerl_core.training.embedded.planned import PlannedTrainer, planned_trainer
from saerl_core.training.embedded.scores import HeldOutScores
from saerl_core.training.embedded.trl_settings import rules_of, trl_config
from saerl_core.training.fingerprint import job_fingerprint
from saerl_core.training.held_out import held_out_prompts
from saerl_core.training.intact import newest_intact
from saerl_core.training.session import TrainingSession

if TYPE_CHECKING:
    from tqdm import tqdm


class EmbeddedTrainer:
    """Trains in this process; implements `saerl_core.protocols.Trainer`."""

    def check(self, job: TrainJob) -> None:
        """Refuse a job that cannot run: `ConfigError` for a setting, `DataError` for prompts."""
        config, n_rollouts = job.config, job.prompts_per_step * job.config.group_size
        refused = refusal(config.algorithm, "embedded")
        if refused is not None:
            raise ConfigError(refused)
        if job.n_steps < 1:
            raise ConfigError(f"the job has {job.n_steps} steps; training needs at least 1")
        if len(job.prompts) < job.prompts_per_step:
            raise DataError(
                f"the job has {len(job.prompts)} prompts, fewer than one batch of {job.prompts_per_step}; lower "
                "plan.prompts_per_step or give more prompts"
            )
        of = f"rollouts of a step ({job.prompts_per_step} prompts x {config.group_size})"
        n_updates = config.updates_per_batch
        if n_rollouts % n_updates != 0:
            raise ConfigError(
                f"training.updates_per_batch is {n_updates}, which does not divide the {n_rollouts} {of}; choose a "
                "divisor"
            )
        micro = config.micro_batch_rollouts
        if micro is not None and n_rollouts // n_updates % micro != 0:
            parts = "" if n_updates == 1 else f" in {n_updates} updates"
            raise ConfigError(
                f"training.micro_batch_rollouts is {micro}, which does not divide the {n_rollouts} {of}{parts}; choose "
                "a divisor"
            )
        held_out_prompts(job)
        resolve_device(config.device)

    def train(self, job: TrainJob, curriculum: Curriculum, on_step: OnStep) -> TrainResult:
        """Train, or go on where a killed run with this folder stopped; a finished folder returns what it holds.

        Raises:
            BackendError: the folder belongs to another job; the disk is full; the loss is not finite; the curriculum
            named
                prompts that cannot be trained.
        """
        self.check(job)
        session, now = TrainingSession(job, curriculum, on_step), _fingerprint(job)
        finished, root = job.work_dir / "finished", job.work_dir / "checkpoints"
        if finished.is_dir():
            self._restore(finished, session, now)
            return _result(job, session)
        saved, damage = newest_intact(root)
        if saved is not None:
            self._restore(saved, session, now)
        if damage is not None:
            session.note(damage)
        if not session.is_done:
            self._run(job, session, now, saved)
        last = store.checkpoints(root)[-1]
        with store.complete_folder(job.work_dir / "policy", "the trained policy") as folder:
            store.copy_policy(last, folder)
        with store.complete_folder(finished, "the training log") as folder:
            store.save_session(folder, session, now)
        return _result(job, session)

    def _restore(self, folder: Path, session: TrainingSession, now: store.Fingerprint) -> None:
        saved = store.read_session(folder)
        store.check_same_run(saved, now, session.job.work_dir)
        saved.restore(session)

    def _run(self, job: TrainJob, session: TrainingSession, now: store.Fingerprint, resume: Path | None) -> None:
        """Train the steps that are left."""
        with ExitStack() as stack:
            stack.enter_context(quiet_libraries())
            grader = stack.enter_context(Grader(job.grading))
            with quiet_loading():
                trainer = build_trainer(job, session, grader)
            trainer.save_to = partial(save_checkpoint, session=session, now=now)
            bar = stack.enter_context(track(job.n_steps, f"train {job.config.algorithm}", unit="step"))
            bar.initial = bar.n = session.n_asked
            held_out = held_out_prompts(job)
            scores = None if held_out is None else HeldOutScores(job, held_out, trainer, grader)
            trainer.after_step = partial(_advance, session, bar, scores)
            trainer.train(resume_from_checkpoint=None if resume is None else str(resume))


def build_trainer(job: TrainJob, session: TrainingSession, grader: Grader) -> PlannedTrainer:
    """Load the policy and return TRL's trainer for this job, not yet started."""
    from datasets import Dataset
    from transformers import PrinterCallback

    device = resolve_device(job.config.device)
    model, tokenizer = load_model(job.policy), load_tokenizer(job.policy)
    job.work_dir.mkdir(parents=True, exist_ok=True)
    built: list[PlannedTrainer] = []  # TRL wants both functions before there is a trainer

    def reward(completions: list[str], prompt_id: list[str], **_: object) -> list[float]:
        return built[0].grade(completions, prompt_id)

    def rollout(prompts: list[str], trainer: PlannedTrainer) -> dict[str, object]:
        return trainer.sample()

    trainer: PlannedTrainer = planned_trainer()(
        model=model,
        reward_funcs=reward,
        rollout_func=rollout,
        args=trl_config(job, device, job.work_dir),
        train_dataset=Dataset.from_dict({"prompt": ["a placeholder"]}),
        processing_class=tokenizer,
    )
    built.append(trainer)
    trainer.remove_callback(PrinterCallback)
    trainer.session, trainer.rules, trainer.grader, trainer.encoded = session, rules_of(job.config), grader, {}
    return trainer


def save_checkpoint(trainer: PlannedTrainer, session: TrainingSession, now: store.Fingerprint) -> None:
    """Write a checkpoint after the step that has just ended, then delete all but the newest two."""
    root = session.job.work_dir / "checkpoints"
    step = session.next_step
    place, what = store.checkpoint_folder(root, step), f"the checkpoint after {step} steps"
    with store.complete_folder(place, what) as folder, quiet_loading():
        trainer.write_state(folder)
        store.save_session(folder, session, now)
    store.prune(root)


def resolve_device(device: str) -> str:
    """Return "cpu" or "cuda"; `ConfigError` when CUDA is asked for and there is none."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("training.device is 'cuda', but torch sees no CUDA device; set it to 'auto' or 'cpu'")
    return "cuda" if available and device != "cpu" else "cpu"


def _fingerprint(job: TrainJob) -> store.Fingerprint:
    return job_fingerprint(job, device=resolve_device(job.config.device))


def _advance(session: TrainingSession, bar: "tqdm[Any]", scores: HeldOutScores | None, metrics: StepMetrics) -> None:
    bar.set_postfix_str(f"reward {metrics['reward_mean']:.2f}, zero-std {metrics['zero_std_frac']:.2f}", refresh=False)
    bar.update(session.n_asked - bar.n)  # batches of the plan: with screening a step may use up several
    if scores is not None:
        scores.after_step()


def _result(job: TrainJob, session: TrainingSession) -> TrainResult:
    folder = job.work_dir / "policy"
    policy = replace(job.policy, path=str(folder), policy_id=policy_id_of(folder), is_local=True)
    return TrainResult(policy, session.log(), session.consumed(), session.report())
