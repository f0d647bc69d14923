"""Evaluations that cannot work."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saerl_core.config.base import MEAN_BENCHMARK

if TYPE_CHECKING:
    from saerl_core.config.run import RunConfig


def evaluation_problems(config: "RunConfig") -> Iterator[str]:
    """Yield a sentence for each setting of `evaluation` that has nothing to score, or nothing to score it by."""
    evaluation, prompts = config.evaluation, config.prompts
    if not evaluation.enabled:
        return
    yield from _benchmarks(config)
    if prompts.world is None and prompts.eval_path is None and not evaluation.benchmarks:
        yield (
            f"evaluation.enabled is true, but prompts.source '{prompts.source}' has no held-out split; "
            "name a file in prompts.eval_path or evaluation.benchmarks, or set evaluation.enabled to false"
        )
    no_dev = prompts.world is None or prompts.world.n_dev == 0
    if evaluation.split == "dev" and no_dev and not evaluation.benchmarks:
        yield (
            "evaluation.split is 'dev', but there is no dev split; set evaluation.split to 'test'"
            + (f" or raise prompts.{prompts.source}.n_dev above 0" if prompts.world is not None else "")
        )
    if not evaluation.ks:
        yield "evaluation.ks is empty; name at least one k, for example [1]"
    elif max(evaluation.ks) > evaluation.n_samples and not evaluation.benchmarks:
        yield (
            f"evaluation.ks holds {max(evaluation.ks)}, but pass@k needs k samples and evaluation.n_samples is "
            f"{evaluation.n_samples}; raise evaluation.n_samples or remove that k"
        )
    most = max([b.n_samples or evaluation.n_samples for b in evaluation.benchmarks], default=evaluation.n_samples)
    if evaluation.temperature == 0 and most > 1:
        whose = " of a benchmark" if evaluation.benchmarks else ""
        yield (
            f"evaluation.n_samples{whose} is {most}, but at evaluation.temperature 0 all samples of a prompt "
            "are equal; set evaluation.n_samples to 1 and evaluation.ks to [1], or raise the temperature"
        )


def _benchmarks(config: "RunConfig") -> Iterator[str]:
    benchmarks = config.evaluation.benchmarks
    names = [b.name for b in benchmarks]
    for i, benchmark in enumerate(benchmarks):
        here, name = f"evaluation.benchmarks[{i}]", benchmark.name
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == MEAN_BENCHMARK:
            yield (
                f"{here}.name is '{name}', but it names a metric and '{MEAN_BENCHMARK}' is the mean over all; "
                "use letters, digits and . _ -"
            )
        elif name in names[:i]:
            yield f"{here}.name is '{name}', which another benchmark has too; give each its own name"
        if (benchmark.path is None) == (benchmark.dataset is None):
            both = "both" if benchmark.path is not None else "neither"
            yield (
                f"{here} '{name}' has {both} of path and dataset; name either a file in path or a Hugging Face data "
                "set in dataset"
            )
    most = max([b.n_samples or config.evaluation.n_samples for b in benchmarks], default=None)
    beyond = [k for k in config.evaluation.ks if most is not None and k > most]
    if beyond:
        yield (
            f"evaluation.ks holds {beyond[-1]}, but no benchmark has more than {most} samples a prompt; raise the "
            "n_samples of one or remove that k"
        )
