"""Screening in OpenRLHF's controller: prompts of a step are sampled round by round, and the driver says which are kept.

OpenRLHF's own filter draws a prompt of the next batch for every one that it drops while the rest of this batch is still
in flight: a curriculum that learns would be asked before it has seen the rewards. Here a round ends before the next is
asked for, and what is sampled, and how, stays OpenRLHF's.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from saerl_core.training.openrlhf.loader import CurriculumLoader, Place, Rows
from saerl_core.training.openrlhf.mailbox import Mailbox


class Rollout(Protocol):
    """What is used of OpenRLHF's Experience; it holds one rollout."""

    labels: Sequence[object]
    response_length: Any  # a tensor of one number


class Generates(Protocol):
    """What is used of OpenRLHF's SamplesGenerator."""

    args: Any
    vllm_engines: list[object]
    generate_samples: object

    def _generate_vllm(
        self, dataloader_iter: Iterator[Rows], num_prompts: int, dynamic_filtering: bool, **settings: object
    ) -> tuple[list[Rollout], int, bool]: ...


class ScreenedSamples:
    """Stands in the place of `SamplesGenerator.generate_samples`: the rollouts of one update a call."""

    def __init__(self, generator: Generates, loader: CurriculumLoader, mailbox: Mailbox, timeout_s: float) -> None:
        self._generator, self._loader, self._mailbox, self._timeout_s = generator, loader, mailbox, timeout_s
        self.chosen: list[int] = []  # slots of the newest update that are trained on

    def __call__(self, **settings: object) -> tuple[list[Rollout], float | None, int, bool]:
        """Return rollouts, no share (OpenRLHF's filter is off), prompts sampled, and whether the training has ended."""
        step = self._loader.start()
        ids = self._mailbox.wait_for_batch(step, self._timeout_s)
        if not ids:
            return [], None, 0, True
        self._loader.advance()
        groups: dict[int, list[Rollout]] = {}
        self._engines("wake_up")
        try:
            number = 0
            while ids:
                found = self._sample(self._loader.rows(step, ids, len(groups)), len(ids), settings)
                for rollout in found:
                    groups.setdefault(Place.of(rollout.labels[0]).slot, []).append(rollout)
                n_tokens = sum(int(rollout.response_length.sum()) for rollout in found)
                self._mailbox.send_sampled(step, number, n_tokens)
                number += 1
                ids, self.chosen = self._mailbox.wait_for_more(step, number, self._timeout_s)
        finally:
            self._engines("sleep")
        return [rollout for slot in self.chosen for rollout in groups.get(slot, [])], None, len(groups), False

    def _sample(self, rows: Iterator[Rows], n: int, settings: dict[str, object]) -> list[Rollout]:
        found, _, _ = self._generator._generate_vllm(  # its public method draws from the next batch
            dataloader_iter=rows, num_prompts=n, dynamic_filtering=False, **settings
        )
        return found

    def _engines(self, method: str) -> None:
        """Give the engines the GPU's memory for as long as they sample, where they share it with the trainer."""
        if self._generator.args.vllm.enable_sleep:
            from openrlhf.trainer.ray.vllm_engine import batch_vllm_engine_call

            batch_vllm_engine_call(self._generator.vllm_engines, method)
