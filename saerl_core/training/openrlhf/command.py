"""The command that starts the trainer: OpenRLHF's flags from our settings, as a list that no shell ever reads."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saerl_core.algorithms import ALGORITHMS
from saerl_core.config.openrlhf_layout import gpu_layout
from saerl_core.config.run import RunConfig, TrainingConfig
from saerl_core.environment import state_dir
from saerl_core.errors import ConfigError
from saerl_core.seeds import stage_seed
from saerl_core.training.openrlhf.algorithms import algorithm_flags
from saerl_core.training.openrlhf.files import CHECKPOINTS, EVALUATION, FINAL, JOB, PROMPTS, REWARD
from saerl_core.training.openrlhf.process import OWN_VARIABLES
from saerl_core.training.openrlhf.ray_jobs import submit_command

_LAUNCH = "saerl_core.training.openrlhf.launch"


@dataclass(frozen=True)
class CommandJob:
    """What the flags of one attempt depend on."""

    policy_path: str  # a local folder or a Hub name
    config: TrainingConfig
    n_steps: int
    prompts_per_step: int
    seed: int
    work_dir: Path
    resume: bool  # there is a checkpoint to go on from
    has_eval: bool  # there are prompts to score while training


def openrlhf_flags(job: CommandJob) -> list[str]:
    """Return the flags of OpenRLHF's own command line: full names only, nothing left to a default that matters.

    One batch of the plan is one rollout batch, one epoch and one optimizer step. `ConfigError` where the work folder
    has a comma: OpenRLHF takes a path with one for a list of paths.
    """
    if "," in str(job.work_dir):
        raise ConfigError(
            f"the work folder {job.work_dir} has a comma in its path, at which OpenRLHF splits lists of files; "
            "set SAERL_HOME to a folder without one"
        )
    parts = (_models(job), _placement(job.config), _data(job), _batches(job), _optimizer(job), _books(job))
    flags = [flag for part in parts for flag in part]
    own = job.config.openrlhf.flags(has_critic=ALGORITHMS[job.config.algorithm].has_critic)
    return [*flags, *own, *algorithm_flags(job.config), *job.config.openrlhf.extra_args]


def launch_command(job: CommandJob) -> list[str]:
    """Return the trainer's command: our launcher, which hands the flags to OpenRLHF's, in its environment or image.

    With `launch: ray_job` this is what `ray_jobs.submit_command` submits.
    """
    settings = job.config.openrlhf
    run = ["-m", _LAUNCH, str(job.work_dir / JOB), "--", *openrlhf_flags(job)]
    if settings.image is not None:
        return [*_container(job, settings.image), "python", *run]
    if settings.python is None:
        raise ConfigError("training.openrlhf.python is not set, and no image either; set one of them")
    return [str(Path(settings.python).expanduser().absolute()), *run]


def preview_command(config: RunConfig) -> list[str]:
    """Return what a run's first attempt starts, without needing the interpreter, the model or the data.

    What only a run can know has a name in angle brackets: the policy that it pre-trains, the hash in the work folder.
    `ConfigError` where the configuration starts no command, or one that depends on the number of prompts.
    """
    training, plan = config.training, config.plan
    if not training.enabled or training.backend != "openrlhf":
        raise ConfigError(
            f"training.enabled is {training.enabled} and training.backend is '{training.backend}', which starts no "
            "command; only training.backend 'openrlhf' does"
        )
    if plan.n_steps is None:
        raise ConfigError(
            "plan.n_steps is not set, so the command depends on how many prompts there are; set plan.n_steps"
        )
    job = CommandJob(
        policy_path=_policy_path(config),
        config=training,
        n_steps=plan.n_steps,
        prompts_per_step=plan.prompts_per_step,
        seed=config.seed if training.seed is None else training.seed,
        work_dir=state_dir().absolute() / "work" / "train-<hash>",
        resume=False,
        has_eval=training.eval_every_steps is not None,
    )
    command, settings = launch_command(job), training.openrlhf
    if settings.launch == "process" or settings.python is None:
        return command
    return submit_command(settings, Path(command[0]), job.work_dir / "attempt-01", command)


def container_name(work_dir: Path) -> str:
    """Return the name of the trainer's container: one work folder never has two trainers."""
    return f"saerl-{work_dir.name}"


def _policy_path(config: RunConfig) -> str:
    if config.policy.model is None:
        return f"<policy of prepare_policy, source {config.policy.source}>"
    folder = Path(config.policy.model).expanduser()
    return str(folder.absolute()) if folder.is_dir() else config.policy.model


def _models(job: CommandJob) -> Iterator[str]:
    yield from ("--actor.model_name_or_path", job.policy_path)
    if ALGORITHMS[job.config.algorithm].has_critic:
        yield from ("--critic.model_name_or_path", job.policy_path)
    yield from ("--actor.entropy_coef", "0")  # 0 logs the entropy, leaving it out does not


def _placement(config: TrainingConfig) -> Iterator[str]:
    settings, layout = config.openrlhf, gpu_layout(config)
    for model in ("actor", "ref", "critic"):
        yield from (f"--{model}.num_nodes", str(settings.n_nodes))
        yield from (f"--{model}.num_gpus_per_node", str(settings.gpus_per_node))
    yield from ("--vllm.num_engines", str(layout.n_engines))
    if settings.colocate:
        yield from ("--train.colocate_all", "--vllm.enable_sleep", "--ds.enable_sleep")


def _data(job: CommandJob) -> Iterator[str]:
    """Yield where prompts and rewards come from; prompts are rendered already, so there is no template."""
    config = job.config
    yield from ("--reward.remote_url", str(job.work_dir / REWARD))
    yield from ("--data.prompt_dataset", str(job.work_dir / PROMPTS))
    yield from ("--data.input_key", "prompt", "--data.label_key", "label")
    yield from ("--data.max_len", str(config.openrlhf.max_prompt_tokens + config.max_completion_tokens))
    yield from ("--rollout.max_new_tokens", str(config.max_completion_tokens))
    yield from ("--rollout.temperature", str(config.temperature))
    if job.has_eval and config.eval_every_steps is not None:
        yield from ("--eval.dataset", str(job.work_dir / EVALUATION))
        yield from ("--eval.steps", str(config.eval_every_steps))
        yield from ("--eval.n_samples_per_prompt", str(config.eval_n_samples))
        yield from ("--eval.temperature", str(config.temperature))


def _batches(job: CommandJob) -> Iterator[str]:
    config = job.config
    yield from ("--rollout.batch_size", str(job.prompts_per_step))
    yield from ("--rollout.n_samples_per_prompt", str(config.group_size))
    yield from ("--train.batch_size", str(job.prompts_per_step * config.group_size))
    yield from ("--train.num_episodes", "1", "--train.max_epochs", "1")
    yield from ("--train.seed", str(stage_seed(job.seed, "training")))


def _optimizer(job: CommandJob) -> Iterator[str]:
    """Yield learning rates, and a warm-up whose first step already learns: lr * min(1, (step + 1) / warmup_steps).

    The obvious `constant_with_warmup` has a learning rate of 0 in the first step, which would waste the first
    planned batch. This scheduler starts at 1 / warmup_steps, and with a minimum ratio of 1 its cosine is flat.
    """
    config = job.config
    # ceil(ratio * n_steps) is taken; half a step less makes it exactly warmup_steps, whatever the rounding
    ratio = max(0.0, config.warmup_steps - 0.5) / job.n_steps
    yield from ("--actor.adam.lr", str(config.lr))
    for model in ("actor", "critic") if ALGORITHMS[config.algorithm].has_critic else ("actor",):
        yield from (f"--{model}.max_norm", str(config.max_grad_norm))
        yield from (f"--{model}.lr_scheduler", "cosine_warmup_with_min_lr", f"--{model}.min_lr_ratio", "1.0")
        yield from (f"--{model}.lr_warmup_ratio", str(ratio))


def _books(job: CommandJob) -> Iterator[str]:
    yield from ("--ckpt.path", str(job.work_dir / CHECKPOINTS), "--ckpt.output_dir", str(job.work_dir / FINAL))
    yield from ("--ckpt.save_steps", str(job.config.save_every_steps))
    yield from ("--ckpt.best_metric_key", "none")  # it would keep the best and delete the one to resume from
    if job.resume:
        yield "--ckpt.load_enable"
    yield from ("--logger.logging_steps", "1")


def _container(job: CommandJob, image: str) -> list[str]:
    """Return `docker run` with the folders that the trainer needs under the same paths as outside.

    The container sees the host's processes, so that the launcher notices when the driver is gone. Variables are passed
    by name: their values, which may be secrets, stand in no process list.
    """
    hub = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    folders = [f"{job.work_dir}:{job.work_dir}", f"{hub}:{hub}"]
    if Path(job.policy_path).is_absolute():
        folders.append(f"{job.policy_path}:{job.policy_path}:ro")
    command = ["docker", "run", "--rm", "--init", "--name", container_name(job.work_dir)]
    command += ["--gpus", "all", "--ipc", "host", "--network", "host", "--pid", "host"]
    command += ["--user", f"{os.getuid()}:{os.getgid()}", "--env", f"HOME={job.work_dir}", "--env", f"HF_HOME={hub}"]
    command += [part for folder in folders for part in ("--volume", folder)]
    variables = sorted({*OWN_VARIABLES, *job.config.openrlhf.env, *job.config.openrlhf.env_from})
    command += [part for name in variables for part in ("--env", name)]
    return [*command, image]
