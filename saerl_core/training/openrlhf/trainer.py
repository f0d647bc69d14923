"""The OpenRLHF trainer: started as a program of its own, led step by step, resumable."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.openrlhf_layout import gpu_layout
from saerl_core.errors import BackendError
from saerl_core.policy.loading import load_tokenizer, quiet_loading
from saerl_core.policy.storage import policy_id_of
from saerl_core.progress import track
from saerl_core.protocols import Curriculum, OnStep
from saerl_core.records import TrainJob, TrainResult
from saerl_core.training import checkpoints as store
from saerl_core.training.fingerprint import digest, job_fingerprint
from saerl_core.training.openrlhf import files
from saerl_core.training.openrlhf.checks import check_job, interpreter, own_variables
from saerl_core.training.openrlhf.command import CommandJob, launch_command
from saerl_core.training.openrlhf.conversation import Conversation
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.process import TrainerProcess, only_driver, sigterm_raises, trainer_environment
from saerl_core.training.openrlhf.ray_jobs import GRACE_S, submit_command
from saerl_core.training.openrlhf.resume import find_resume
from saerl_core.training.session import TrainingSession

_TRAINED = ".trained"  # in the folder of the final model: the trainer ended well, so the model in it is complete
_TOKENIZER = {
    "added_tokens.json",
    "chat_template.jinja",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
}


class OpenRlhfTrainer:
    """Trains with OpenRLHF in an environment of its own; implements `saerl_core.protocols.Trainer`."""

    def __init__(self, command: Callable[[CommandJob], list[str]] = launch_command) -> None:
        """Give `command` to start something else than OpenRLHF's launcher."""
        self._command = command

    def check(self, job: TrainJob) -> None:
        """Refuse a job that cannot run: `ConfigError` for a setting or the environment, `DataError` for prompts."""
        check_job(job)

    def train(self, job: TrainJob, curriculum: Curriculum, on_step: OnStep) -> TrainResult:
        """Train, or go on where a killed run with this folder stopped; a finished folder returns what it holds.

        Whatever ends this call, the trainer and everything that it started is ended too.

        Raises:
            BackendError: the trainer failed, hung or left the plan; the folder belongs to another job or another
                process trains in it; the disk is full.
        """
        job = replace(job, work_dir=job.work_dir.absolute())
        root, session, now = job.work_dir, TrainingSession(job, curriculum, on_step), job_fingerprint(job)
        with files.explained(root):
            root.mkdir(parents=True, exist_ok=True)
        with only_driver(root), sigterm_raises():
            finished, books = root / files.FINISHED, store.checkpoints(root / files.SESSIONS)
            if finished.is_dir():
                _restore(finished, session, now)
                return _result(job, session)
            if (root / files.FINAL / _TRAINED).is_file() and books:
                _restore(books[-1], session, now)
            else:
                self._attempt(job, session, now)
                with files.explained(root):
                    (root / files.FINAL / _TRAINED).touch()
            _publish(job, session, now)
        return _result(job, session)

    def _attempt(self, job: TrainJob, session: TrainingSession, now: store.Fingerprint) -> None:
        """Train the steps that are left."""
        root, config = job.work_dir, job.config
        saved = find_resume(root, now, with_critic=ALGORITHMS[config.algorithm].has_critic)
        if saved is not None:
            saved.restore(session)
        prompts = files.write_inputs(job, root)
        attempt = files.new_attempt(root)
        with files.explained(root):
            shutil.rmtree(root / files.FINAL, ignore_errors=True)
        _job_file(job, session, attempt, prompts.special_tokens(), digest(now)).save(root / files.JOB)
        command, env = self._start(job, attempt, resume=saved is not None)
        grace = {"grace_s": GRACE_S} if config.openrlhf.launch == "ray_job" else {}
        secrets = [env[name] for name in config.openrlhf.env_from]
        with (
            track(job.n_steps, f"train {config.algorithm} with OpenRLHF", unit="step") as bar,
            TrainerProcess(command, log=files.log_file(attempt), env=env, secrets=secrets, **grace) as trainer,
        ):
            bar.initial = bar.n = session.n_asked
            Conversation(session, prompts, attempt, now, bar).hold(trainer)

    def _start(self, job: TrainJob, attempt: Path, *, resume: bool) -> tuple[list[str], dict[str, str]]:
        """Return the command of an attempt and its environment variables."""
        settings = job.config.openrlhf
        python = interpreter(settings) if settings.python is not None else None
        if python is not None:  # the trainer starts in another folder
            settings = settings.model_copy(update={"python": str(python)})
        command = self._command(
            CommandJob(
                policy_path=_policy_path(job),
                config=job.config.model_copy(update={"openrlhf": settings}),
                n_steps=job.n_steps,
                prompts_per_step=job.prompts_per_step,
                seed=job.seed,
                work_dir=job.work_dir,
                resume=resume,
                has_eval=job.config.eval_every_steps is not None,
            )
        )
        env = trainer_environment(python, attempt / files.CODE, job.work_dir, own_variables(settings))
        if settings.launch == "ray_job" and python is not None:
            command = submit_command(settings, python, attempt, command)
        return command, env


def _job_file(
    job: TrainJob, session: TrainingSession, attempt: Path, special_tokens: tuple[str, ...], fingerprint: str
) -> JobFile:
    root = job.work_dir
    return JobFile(
        attempt_dir=attempt,
        prompts_file=root / files.PROMPTS,
        eval_file=root / files.EVALUATION if job.config.eval_every_steps is not None else None,
        answers_file=root / files.ANSWERS,
        policy_path=_policy_path(job),
        trust_remote_code=job.policy.trust_remote_code,
        n_steps=job.n_steps,
        prompts_per_step=job.prompts_per_step,
        group_size=job.config.group_size,
        screens=job.config.screen != "none",
        first_step=session.next_step,
        grading=job.grading,
        function_folders=(os.getcwd(),),
        special_tokens=special_tokens,
        n_gpus=gpu_layout(job.config).total,
        driver_pid=os.getpid() if job.config.openrlhf.launch == "process" else None,
        fingerprint=fingerprint,
    )


def _policy_path(job: TrainJob) -> str:
    return str(Path(job.policy.path).absolute()) if job.policy.is_local else job.policy.path


def _restore(folder: Path, session: TrainingSession, now: store.Fingerprint) -> None:
    saved = store.read_session(folder)
    store.check_same_run(saved, now, session.job.work_dir)
    saved.restore(session)


def _publish(job: TrainJob, session: TrainingSession, now: store.Fingerprint) -> None:
    """Turn the trainer's model into a policy: its weights are not copied, its tokenizer is that of the base policy.

    The tokenizer that OpenRLHF saves is the one that it loaded, which need not read texts as the base policy does.
    """
    root, final = job.work_dir, job.work_dir / files.FINAL
    if not any(final.glob("*.safetensors")):
        raise BackendError(f"the trainer ended well, but left no model in {final}; look into its log in {root}")
    with store.complete_folder(root / files.POLICY, "the trained policy") as folder:
        for file in sorted(final.iterdir()):
            if file.is_file() and file.name not in (*_TOKENIZER, _TRAINED):
                _link(file, folder / file.name)
        with quiet_loading():
            load_tokenizer(job.policy).save_pretrained(folder)
    with store.complete_folder(root / files.FINISHED, "the training log") as folder:
        store.save_session(folder, session, now)
    shutil.rmtree(final, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; a file system that has no such thing gets a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _result(job: TrainJob, session: TrainingSession) -> TrainResult:
    folder = job.work_dir / files.POLICY
    policy = replace(job.policy, path=str(folder), policy_id=policy_id_of(folder), is_local=True)
    return TrainResult(policy, session.log(), session.consumed(), session.report())
