"""OpenRLHF's controller with the curriculum in place of its shuffling prompt loader. Runs in the trainer's environment.

Nothing of OpenRLHF is copied or edited: its class is subclassed, and every step proves from the rollouts themselves
that they are of the batch that was planned.
"""

import inspect
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from saerl_core.errors import BackendError
from saerl_core.policy.loading import load_tokenizer
from saerl_core.records import PolicyRef
from saerl_core.training.openrlhf.job_file import JobFile
from saerl_core.training.openrlhf.loader import CurriculumLoader, Place
from saerl_core.training.openrlhf.mailbox import Mailbox, StepReport
from saerl_core.training.openrlhf.screened import Generates, ScreenedSamples


class PlanNotInForceError(BackendError):
    """OpenRLHF does not train what the curriculum names."""


class Rollouts(Protocol):
    """What is used of OpenRLHF's Experience."""

    labels: Sequence[object]


class HoldsLoader(Protocol):
    """What is used of OpenRLHF's SamplesGenerator."""

    prompts_dataloader: object


class DrawsPrompts(HoldsLoader, Protocol):
    """What is used of OpenRLHF's PPOTrainer."""

    samples_generator: HoldsLoader


def planned_trainer(job: JobFile) -> type:
    """Return a subclass of OpenRLHF's PPOTrainer that trains what the driver sends through the mailbox.

    The class carries the job: Ray ships it to the controller's process by value.
    """
    base: Any = _class_under_ray()

    class PlannedPPOTrainer(base):  # type: ignore[misc]
        """PPOTrainer, driven by a curriculum; Ray makes an actor of it."""

        prompts_dataloader: Any

        def __init__(self, pretrain: str, strategy: object, *args: object, **kwargs: object) -> None:
            use_own_tokenizer(base, job)
            super().__init__(pretrain, strategy, *args, **kwargs)
            self.mailbox, self.max_steps = Mailbox(job.mailbox_dir), job.n_steps
            self.loader = CurriculumLoader(self.prompts_dataloader.dataset, self.mailbox, job)
            self.prompts_dataloader = self.samples_generator.prompts_dataloader = self.loader
            self.screened = screened_samples(self.samples_generator, self.loader, self.mailbox, job)
            require_loader(self, self.loader)

        def fit(self, global_step: int = 0) -> None:
            require_loader(self, self.loader)
            super().fit(global_step)

        def train_step(self, rollout_samples: Sequence[Rollouts], global_step: int) -> object:
            slots = None if self.screened is None else self.screened.chosen
            require_planned([label for sample in rollout_samples for label in sample.labels], global_step, job, slots)
            return super().train_step(rollout_samples, global_step)

        def save_logs_and_checkpoints(
            self, global_step: int, logs_dict: dict[str, object] | None = None, client_states: object = None
        ) -> None:
            self.mailbox.send_report(StepReport(global_step - 1, scalars(logs_dict or {})))
            # The next batch says that the books of this step are on disk: no checkpoint is ever newer than its books.
            self.mailbox.wait_for_batch(global_step, job.mailbox_timeout_s)
            super().save_logs_and_checkpoints(global_step, logs_dict, client_states)

        def evaluate(self, global_step: int, **generate_kwargs: object) -> object:
            logs: dict[str, object] = super().evaluate(global_step, **generate_kwargs)
            self.mailbox.send_evaluation(StepReport(global_step, scalars(logs)))
            return logs

    return PlannedPPOTrainer


def screened_samples(
    generator: Generates, loader: CurriculumLoader, mailbox: Mailbox, job: JobFile
) -> ScreenedSamples | None:
    """Put screening in the place of OpenRLHF's way of sampling a step, where the job asks for it."""
    if not job.screens:
        return None
    generator.generate_samples = screened = ScreenedSamples(generator, loader, mailbox, job.mailbox_timeout_s)
    return screened


def _class_under_ray() -> type:
    """Return OpenRLHF's PPOTrainer as it was before `@ray.remote` wrapped it."""
    from openrlhf.trainer.ppo_trainer import PPOTrainer

    found: type = PPOTrainer.__ray_metadata__.modified_class
    return found


def use_own_tokenizer(base: type, job: JobFile) -> None:
    """Let the controller load the tokenizer as labels and evaluation do, in this process.

    OpenRLHF's `get_tokenizer` runs whatever code comes with a model and splits the task world's texts otherwise.
    Ray ships `base` by value, with names of its own: they are not those of the module that it came from.
    """
    constructor = inspect.unwrap(base.__init__)  # type: ignore[misc]  # Ray wraps it
    names: dict[str, object] = getattr(constructor, "__globals__", {})
    if "get_tokenizer" not in names:
        raise PlanNotInForceError("OpenRLHF's PPOTrainer no longer takes its tokenizer from get_tokenizer")
    local = Path(job.policy_path).is_dir()
    ref = PolicyRef(job.policy_path, job.policy_path, is_local=local, trust_remote_code=job.trust_remote_code)
    names["get_tokenizer"] = lambda *args, **kwargs: load_tokenizer(ref)


def require_loader(trainer: DrawsPrompts, loader: CurriculumLoader) -> None:
    """Refuse to train with any other prompt loader than the curriculum's."""
    holders: dict[str, HoldsLoader] = {"the trainer": trainer, "the sample generator": trainer.samples_generator}
    for who, holder in holders.items():
        if holder.prompts_dataloader is not loader:
            raise PlanNotInForceError(
                f"{who} of OpenRLHF draws prompts from a {type(holder.prompts_dataloader).__name__}, not from the "
                "curriculum; the planned order would be lost"
            )


def require_planned(labels: Sequence[object], step: int, job: JobFile, slots: Sequence[int] | None = None) -> None:
    """Refuse rollouts that are not exactly `group_size` of every slot of the step's batch, or of those in `slots`."""
    slots = range(job.prompts_per_step) if slots is None else slots
    places = [Place.of(label) for label in labels]
    strangers = [p for p in places if p.step != step]
    if strangers:
        raise PlanNotInForceError(
            f"step {step} would train on a rollout of prompt '{strangers[0].prompt_id}', which belongs to step "
            f"{strangers[0].step}; the planned order is lost"
        )
    counts = [sum(p.slot == slot for p in places) for slot in slots]
    if counts != [job.group_size] * job.prompts_per_step or len(places) != sum(counts):
        raise PlanNotInForceError(
            f"step {step} would train on {len(places)} rollouts, {counts} in its slots; planned are {job.group_size} "
            f"in each of {job.prompts_per_step} slots"
        )


def scalars(logs: dict[str, object]) -> dict[str, float]:
    """Return the numbers among OpenRLHF's logs, NaN included; tensors of one number count."""
    found = {}
    for name, value in logs.items():
        try:
            number = value.item() if hasattr(value, "item") else value
        except (RuntimeError, ValueError):
            continue  # a tensor of several numbers
        if isinstance(number, numbers.Real):
            found[str(name)] = float(number)
    return found
