"""What can be said of the models that a configuration names before anything starts; no weights are read."""

from saerl_core.config.run import RunConfig
from saerl_core.errors import ConfigError
from saerl_core.policy.fetching import missing_model
from saerl_core.policy.gguf_files import check_readable, is_rounded, quantisation_of


def check_models(config: RunConfig) -> None:
    """Refuse models that were not fetched yet or that nothing can read, and training on rounded weights unasked.

    `ConfigError` for these; `DataError` for a GGUF file that cannot be read.
    """
    policy = config.policy.model if config.policy.source == "pretrained" else None
    for setting, model in (("policy.model", policy), ("sae.model", config.sae.model)):
        missing = None if model is None else missing_model(model)
        if missing is not None:
            raise ConfigError(f"{setting}: {missing}")
        if model is not None:
            check_readable(model)
    if policy is None or not config.training.enabled or config.policy.train_dequantised:
        return
    quantisation = quantisation_of(policy)
    if quantisation is not None and is_rounded(quantisation):
        raise ConfigError(
            f"policy.model is '{policy}', whose weights were quantised as {quantisation}, and training.enabled is "
            "true: training would start from rounded weights; set policy.train_dequantised to true to do so, or "
            "training.enabled to false"
        )
