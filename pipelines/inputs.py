"""Fingerprints of the files that a configuration names, so that a cached stage notices a change of theirs."""

from pathlib import Path

from saerl_core.config.run import EvaluationConfig, PromptsConfig
from saerl_core.fingerprint import fingerprint


def prompts_fingerprint(config: PromptsConfig) -> str:
    """Return the fingerprint of all files that a prompts section names."""
    return fingerprint(config.path, config.eval_path, *config.decontaminate_against)


def benchmarks_fingerprint(config: EvaluationConfig) -> str:
    """Return the fingerprint of the benchmarks' files and local folders; a Hub name is known by its name only."""
    local = [b.dataset for b in config.benchmarks if b.dataset is not None and Path(b.dataset).exists()]
    return fingerprint(*(b.path for b in config.benchmarks), *local)
