"""From arms and signals to folders of trials: everything that a worker needs, written before any worker starts."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from saerl_core.config.compare import CompareConfig
from saerl_core.config.run import GradingConfig, VectorsConfig
from saerl_core.disk import whole_file
from saerl_core.errors import DataError
from saerl_core.plan.build import plan_batches
from saerl_core.plan.code import strategy_code
from saerl_core.plan.inputs import PlanInputs
from saerl_core.plan.storage import save_plan
from saerl_core.plan.strategies.lookup import rests_on_labels
from saerl_core.records import PolicyRef, PromptVectors
from saerl_core.training.fingerprint import training_code
from saerl_core.trials.arms import Arm, Reading
from saerl_core.trials.folders import PLAN, TrialJob

Embed = Callable[[VectorsConfig, Reading | None], PromptVectors]


@dataclass(frozen=True)
class TrialInputs:
    """What all trials share. `label_*`: what measuring pass rates cost, charged to arms whose plan rests on it."""

    signals: PlanInputs
    held_out: pd.DataFrame
    policy: PolicyRef
    grading: GradingConfig
    label_rollouts: int = 0
    label_tokens: int = 0
    torch_threads: int = 1
    others: Mapping[Reading, PlanInputs] = field(default_factory=dict)  # for arms that read the pool in another way

    def of(self, reading: Reading | None) -> PlanInputs:
        """Return the signals of a reading; None: the run's own."""
        return self.signals if reading is None else self.others[reading]


def prepare_trials(
    inputs: TrialInputs, arms: tuple[Arm, ...], compare: CompareConfig, root: Path, embed: Embed
) -> list[Path]:
    """Plan every arm with every seed and write the folders of the trials, in the order of arms and seeds.

    A folder that is there already is left as it is. `embed` makes the vectors that an arm's strategy asks for, once for
    each kind and reading of the pool.

    Raises:
        DataError: there is no usable held-out prompt, or an arm cannot be planned; its name stands in front.
    """
    usable = inputs.held_out[inputs.held_out["usable"]]
    if usable.empty:
        raise DataError(
            f"compare.split is '{compare.split}', but there is no usable held-out prompt; give prompts.eval_path"
        )
    files = _shared(inputs.signals.prompts, root), _shared(usable, root), _shared(inputs.signals.clusters, root)
    vectors: dict[tuple[str, Reading | None], PromptVectors] = {}
    folders = []
    for arm in arms:
        wanted = arm.plan.strategy.vectors()
        known = None
        if wanted is not None:
            key = wanted.model_dump_json(), arm.reading
            known = vectors[key] = vectors[key] if key in vectors else embed(wanted, arm.reading)
        for seed in compare.seeds:
            folders.append(_prepared(inputs, arm, seed, compare, root, known, files))
    return folders


def _prepared(
    inputs: TrialInputs,
    arm: Arm,
    seed: int,
    compare: CompareConfig,
    root: Path,
    vectors: PromptVectors | None,
    files: tuple[Path, Path, Path],
) -> Path:
    try:
        plan, _ = plan_batches(inputs.of(arm.reading), arm.plan, seed, vectors)
    except DataError as error:
        raise DataError(f"arm '{arm.name}' cannot be planned: {error}") from error
    labels = rests_on_labels(arm.plan.strategy) and arm.space != "random"
    job = TrialJob(
        arm=arm.name,
        seed=seed,
        policy=inputs.policy,
        training=arm.training,
        grading=inputs.grading,
        prompts_file=files[0],
        held_out_file=files[1],
        clusters_file=files[2],
        n_steps=arm.plan.n_steps or plan.n_steps,
        prompts_per_step=plan.prompts_per_step,
        plan_hash=plan.plan_hash,
        n_samples=compare.n_samples,
        max_rollouts=compare.budget_rollouts,
        label_rollouts=inputs.label_rollouts if labels else 0,
        label_tokens=inputs.label_tokens if labels else 0,
        torch_threads=inputs.torch_threads,
    )
    code = f"{training_code(arm.training.backend)}-{strategy_code(arm.plan.strategy.name)}"
    folder = root / job.key(code)
    if not (folder / PLAN).is_dir():
        save_plan(plan, folder / PLAN)
    job.write(folder)
    return folder


def _shared(table: pd.DataFrame, root: Path) -> Path:
    """Write a table once under the hash of its content."""
    content = table.to_json(orient="split")
    path = root / "shared" / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.parquet"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            table.to_parquet(part, index=False)
    return path
