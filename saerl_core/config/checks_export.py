"""What a run can write for other trainers: the formats by their table, and whether there will be an order."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from saerl_core.errors import ConfigError
from saerl_core.plan.strategies.lookup import find as find_strategy

if TYPE_CHECKING:
    from saerl_core.config.run import RunConfig


def export_problems(config: "RunConfig") -> Iterator[str]:
    """Yield one sentence for each entry of `export` that cannot be written, and for a plan without an order."""
    if not config.export:
        return
    from saerl_core.export.formats import find  # the formats know records, and records the configuration

    for i, name in enumerate(config.export):
        try:
            find(name)
        except ConfigError as error:
            yield f"export[{i}]: {error}"
        if name in config.export[:i]:
            yield f"export[{i}] is '{name}', which stands in the list before; name every format once"
    strategy = config.plan.strategy.name
    if find_strategy(strategy).is_online and not config.training.enabled:
        yield (
            f"export is {list(config.export)}, but plan.strategy '{strategy}' makes its order in training, and "
            "training.enabled is false; set training.enabled to true, name a static strategy, or leave export empty"
        )
