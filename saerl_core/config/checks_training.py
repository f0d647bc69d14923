"""Combinations of training settings that cannot work, or that the chosen backend would ignore."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from saerl_core.algorithms import ALGORITHMS, BACKENDS, trained_by
from saerl_core.config.openrlhf_flags import extra_args_problems
from saerl_core.config.openrlhf_layout import gpu_layout

if TYPE_CHECKING:
    from saerl_core.config.run import OpenRlhfConfig, RunConfig, TrainingConfig

_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "AUTH")
_CREDENTIALS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HERE = "training.openrlhf"


def training_problems(config: "RunConfig") -> Iterator[str]:
    """Yield one sentence a problem of the training section; none where training is off."""
    training = config.training
    yield from _secrets(training.openrlhf)
    if not training.enabled:
        return
    if training.clip_high is not None and training.clip_high < training.clip_low:
        yield (
            f"training.clip_high is {training.clip_high}, below training.clip_low = {training.clip_low}; "
            "raise training.clip_high or leave it out"
        )
    yield from _no_dev_split(config)
    told = refusal(training.algorithm, training.backend)
    if told is not None:
        yield told
    yield from _screening(training)
    if training.backend == "embedded":
        yield from _embedded(training)
    else:
        yield from _environment(training.openrlhf)
        yield from _ignored(training)
        yield from _engines(training.openrlhf)
        yield from _sizes(config)
        yield from _algorithm(training)
        yield from extra_args_problems(training.openrlhf.extra_args)


def refusal(algorithm: str, backend: str) -> str | None:
    """Return the sentence that refuses an algorithm for a backend, with the reason; None where it is trained."""
    refused = ALGORITHMS[algorithm].refused_by
    if backend not in refused:
        return None
    others = [name for name in BACKENDS if name not in refused]
    return (
        f"training.algorithm is '{algorithm}', which {refused[backend]}: only the "
        f"{' or '.join(BACKENDS[name] for name in others)} backend trains it; set training.backend to '{others[0]}', "
        f"or training.algorithm to one of {', '.join(trained_by(backend))}"
    )


def _screening(training: "TrainingConfig") -> Iterator[str]:
    screen = training.screen
    if screen == "pilot" and training.pilot_rollouts >= training.group_size:
        yield (
            f"training.pilot_rollouts is {training.pilot_rollouts}, but a group has {training.group_size} rollouts in "
            "all (training.group_size); a pilot must be smaller"
        )
    for name, readers in (("max_rounds", ("dynamic", "pilot")), ("pilot_rollouts", ("pilot",))):
        if screen not in readers and _changed(training, name):
            yield (
                f"training.{name} is {getattr(training, name)}, but training.screen is '{screen}', which does not read "
                f"it; remove it, or set training.screen to {_any_of(readers)}"
            )


def _secrets(settings: "OpenRlhfConfig") -> Iterator[str]:
    """Yield what would put a secret into a file: the configuration is logged, printed and stored. Never its value."""
    for name, value in settings.env.items():
        if any(part.endswith(_SECRET) for part in name.upper().split("_")):
            yield (
                f"{_HERE}.env sets {name}, whose name says that its value is a secret, and a configuration is logged "
                f"and stored; remove it, list the name in {_HERE}.env_from and set the variable where training runs"
            )
        elif _CREDENTIALS.search(value):
            yield (
                f"{_HERE}.env sets {name} to an address with a password in it, and a configuration is logged and "
                f"stored; remove it, list the name in {_HERE}.env_from and set the variable where training runs"
            )
    for name in settings.env_from:
        if not _NAME.fullmatch(name):  # not shown: a value given in place of a name may be the secret
            yield f"{_HERE}.env_from lists something that is no variable's name; list names only, such as HF_TOKEN"
        elif name in settings.env:
            yield f"{_HERE}.env_from lists {name}, which {_HERE}.env sets too; remove one"


def _no_dev_split(config: "RunConfig") -> Iterator[str]:
    every, prompts = config.training.eval_every_steps, config.prompts
    if every is not None and (prompts.world is None or prompts.world.n_dev == 0):
        yield (
            f"training.eval_every_steps is {every}, but there is no dev split to score; remove it"
            + (f" or raise prompts.{prompts.source}.n_dev above 0" if prompts.world is not None else "")
        )


def _embedded(training: "TrainingConfig") -> Iterator[str]:
    changed = _changed(training.openrlhf, *type(training.openrlhf).model_fields)
    if changed:
        yield (
            f"training.openrlhf sets {', '.join(changed)}, but training.backend 'embedded' does not read that section; "
            "set training.backend to 'openrlhf' or remove the section"
        )


def _environment(settings: "OpenRlhfConfig") -> Iterator[str]:
    if settings.python is None and settings.image is None:
        yield (
            f"training.backend is 'openrlhf', but neither {_HERE}.python nor {_HERE}.image is set, and the trainer has "
            "an environment of its own; name its Python interpreter or an image (docs/openrlhf.md says how)"
        )
    if settings.python is not None and settings.image is not None:
        yield (
            f"{_HERE}.python is '{settings.python}' and {_HERE}.image is '{settings.image}', but the trainer runs in "
            "one of them; remove one"
        )
    if settings.launch == "ray_job" and settings.image is not None:
        yield (
            f"{_HERE}.image is '{settings.image}', but with {_HERE}.launch 'ray_job' the cluster's own nodes run the "
            f"trainer; start the cluster from that image and name its interpreter in {_HERE}.python"
        )
    if settings.launch == "process" and _changed(settings, "ray_address"):
        yield (
            f"{_HERE}.ray_address is '{settings.ray_address}', but {_HERE}.launch is 'process'; "
            f"set {_HERE}.launch to 'ray_job' or remove {_HERE}.ray_address"
        )
    for name in settings.env:
        if not name or "=" in name or "\0" in name + settings.env[name]:
            yield f"{_HERE}.env names the variable '{name}', which no environment can hold; correct the name"


def _ignored(training: "TrainingConfig") -> Iterator[str]:
    if training.micro_batch_rollouts is not None:
        yield (
            f"training.micro_batch_rollouts is {training.micro_batch_rollouts}, but training.backend 'openrlhf' does "
            f"not read it; use {_HERE}.train_micro_batch (rollouts on one GPU)"
        )
    if training.screen == "pilot":
        yield (
            f"training.screen is '{training.screen}', but training.backend 'openrlhf' samples the groups of a prompt "
            "as a whole; set training.screen to 'dynamic' or 'none', or training.backend to 'embedded'"
        )
    if training.updates_per_batch != 1:
        yield (
            f"training.updates_per_batch is {training.updates_per_batch}, but training.backend 'openrlhf' takes one "
            "step a batch; remove it or set training.backend to 'embedded'"
        )
    if training.device != "auto":
        yield (
            f"training.device is '{training.device}', but training.backend 'openrlhf' trains on the GPUs that Ray has; "
            "remove training.device"
        )


def _engines(settings: "OpenRlhfConfig") -> Iterator[str]:
    actor_gpus, width = settings.n_nodes * settings.gpus_per_node, settings.vllm_tensor_parallel
    given = f"{_HERE}.n_nodes x gpus_per_node = {actor_gpus}"
    if settings.vllm_engines is not None:
        if settings.colocate and settings.vllm_engines * width != actor_gpus:
            yield (
                f"{_HERE}.vllm_engines x vllm_tensor_parallel is {settings.vllm_engines} x {width}, but colocated "
                f"engines fill the actor's GPUs exactly, {given}; leave out {_HERE}.vllm_engines or set "
                f"{_HERE}.colocate to false"
            )
    elif actor_gpus % width:
        yield (
            f"{_HERE}.vllm_tensor_parallel is {width}, which does not divide {given}; choose a divisor, or set "
            f"{_HERE}.colocate to false and {_HERE}.vllm_engines"
        )
    if settings.packing and "flash_attention" not in settings.attention:
        yield (
            f"{_HERE}.packing is true with {_HERE}.attention '{settings.attention}', for which OpenRLHF would silently "
            f"take flash_attention_2; set {_HERE}.packing to false or {_HERE}.attention to 'flash_attention_2'"
        )


def _sizes(config: "RunConfig") -> Iterator[str]:
    """Yield sizes that do not divide: OpenRLHF drops the rest, or carries its gradient into the next planned batch."""
    training, settings = config.training, config.training.openrlhf
    n_rollouts, gpus = config.plan.prompts_per_step * training.group_size, gpu_layout(training).actor_gpus
    given = (
        f"plan.prompts_per_step x training.group_size is {config.plan.prompts_per_step} x {training.group_size} = "
        f"{n_rollouts} rollouts, no multiple of"
    )
    leak = "the gradient of the rest would leak into the next batch"
    if n_rollouts % gpus:
        yield f"{given} the {gpus} GPUs of {_HERE}.n_nodes x gpus_per_node: {leak}; make it a multiple of {gpus}"
        return
    for field in ("train_micro_batch", "rollout_micro_batch"):
        micro = getattr(settings, field)
        if n_rollouts % (micro * gpus):
            yield (
                f"{given} {_HERE}.{field} = {micro} on {gpus} GPU{'s' * (gpus != 1)}: {leak}; "
                f"set {_HERE}.{field} to a divisor of {n_rollouts // gpus}"
            )


def _algorithm(training: "TrainingConfig") -> Iterator[str]:
    settings, algorithm = training.openrlhf, training.algorithm
    changed = _changed(settings, "critic_lr", "critic_value_clip", "gae_lambda", "gae_gamma")
    if not ALGORITHMS[algorithm].has_critic and changed:
        yield (
            f"{_HERE} sets {', '.join(changed)}, but training.algorithm '{algorithm}' has no critic; "
            f"set training.algorithm to {_any_of(a.name for a in ALGORITHMS.values() if a.has_critic)} or remove them"
        )
    buffer = settings.overlong_buffer_tokens
    if buffer is None and _changed(settings, "overlong_penalty"):
        yield (
            f"{_HERE}.overlong_penalty is {settings.overlong_penalty}, but {_HERE}.overlong_buffer_tokens is not set "
            f"and nothing is penalised; set {_HERE}.overlong_buffer_tokens or remove {_HERE}.overlong_penalty"
        )
    if buffer is not None and not ALGORITHMS[algorithm].penalises_length:
        owner = _any_of(a.name for a in ALGORITHMS.values() if a.penalises_length)
        yield (
            f"{_HERE}.overlong_buffer_tokens is {buffer}, which belongs to {owner}, but training.algorithm is "
            f"'{algorithm}'; set training.algorithm to {owner} or remove {_HERE}.overlong_buffer_tokens"
        )
    if buffer is not None and buffer > training.max_completion_tokens:
        yield (
            f"{_HERE}.overlong_buffer_tokens is {buffer}, more than training.max_completion_tokens = "
            f"{training.max_completion_tokens}; lower it"
        )


def _any_of(names: Iterable[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def _changed(settings: "OpenRlhfConfig | TrainingConfig", *fields: str) -> list[str]:
    """Return those of the fields that differ from their default."""
    defaults = type(settings)()
    return [field for field in fields if getattr(settings, field) != getattr(defaults, field)]
