"""Shards that cannot work."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saerl_core.config.run import RunConfig


def shard_problems(config: "RunConfig") -> Iterator[str]:
    """Yield a sentence for each stage with more shards than prompts, where the number of prompts is known."""
    shards, n_labelled, world = config.shards, config.pass_rates.n_labelled, config.prompts.world
    if shards.pass_rates > n_labelled and config.may_measure:
        yield (
            f"shards.pass_rates is {shards.pass_rates}, but pass_rates.n_labelled is {n_labelled}; set the first to at "
            f"most {n_labelled}"
        )
    if world is None:
        return
    for name, n in (("features", shards.features), ("likelihoods", shards.likelihoods)):
        if n > world.n_train:
            yield (
                f"shards.{name} is {n}, but prompts.{config.prompts.source}.n_train is {world.n_train}; set the first "
                f"to at most {world.n_train}"
            )
