"""A trial's folder: the job, the learning curve as it grows, and at the end the trial as a whole."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from saerl_core.compare.trials import Point, Trial
from saerl_core.config.run import GradingConfig, TrainingConfig
from saerl_core.disk import write_text
from saerl_core.records import PolicyRef

_JOB, _CURVE, _TRIAL, _ERROR = "job.json", "curve.jsonl", "trial.json", "error.txt"
_ITEMS, _TRAINED_ON = "items.parquet", "trained_on.parquet"
PLAN, WORK = "plan", "work"


@dataclass(frozen=True)
class TrialJob:
    """What one trial needs beside its plan: all of it stands in the trial's folder."""

    arm: str
    seed: int
    policy: PolicyRef
    training: TrainingConfig
    grading: GradingConfig
    prompts_file: Path
    held_out_file: Path
    clusters_file: Path
    n_steps: int
    prompts_per_step: int
    plan_hash: str
    n_samples: int
    max_rollouts: int | None = None
    label_rollouts: int = 0
    label_tokens: int = 0
    torch_threads: int = 1

    def key(self, code: str) -> str:
        """Return the name of the trial's folder: everything that its outcome depends on, code included."""
        parts = [self.plan_hash, self.policy.policy_id, self.training.model_dump_json(), self.grading.model_dump_json()]
        parts += [str(self.seed), str(self.n_samples), str(self.label_rollouts), self.held_out_file.name, code]
        digest = hashlib.sha256(json.dumps([*parts, str(self.policy.prompt_format)]).encode()).hexdigest()[:12]
        return f"{self.arm}-{self.seed}-{digest}"

    def write(self, folder: Path) -> None:
        """Write the job into its folder."""
        folder.mkdir(parents=True, exist_ok=True)
        card = {
            **{name: value for name, value in self.__dict__.items() if isinstance(value, (str, int))},
            "policy": asdict(self.policy),
            "training": self.training.model_dump(mode="json"),
            "grading": self.grading.model_dump(mode="json"),
            "prompts_file": str(self.prompts_file),
            "held_out_file": str(self.held_out_file),
            "clusters_file": str(self.clusters_file),
        }
        write_text(folder / _JOB, json.dumps(card, indent=1, default=str))


def read_job(folder: Path) -> TrialJob:
    """Return the job of a trial's folder."""
    from saerl_core.records import PromptFormat

    card = json.loads((folder / _JOB).read_text(encoding="utf-8"))
    policy = card.pop("policy")
    policy["prompt_format"] = PromptFormat(**policy["prompt_format"])
    return TrialJob(
        **{
            **card,
            "policy": PolicyRef(**policy),
            "training": TrainingConfig.model_validate(card["training"]),
            "grading": GradingConfig.model_validate(card["grading"]),
            "prompts_file": Path(card["prompts_file"]),
            "held_out_file": Path(card["held_out_file"]),
            "clusters_file": Path(card["clusters_file"]),
        }
    )


def append_accuracy(folder: Path, step: int, accuracy: float) -> None:
    """Add one evaluation to the growing curve; a resumed trial may add a step again, and the last one counts."""
    with (folder / _CURVE).open("a", encoding="utf-8") as file:
        file.write(json.dumps([step, accuracy]) + "\n")


def accuracies(folder: Path) -> dict[int, float]:
    """Return the accuracy by step of a growing curve; a line that was cut off by a kill is left out."""
    found: dict[int, float] = {}
    path = folder / _CURVE
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            step, accuracy = json.loads(line)
        except ValueError:
            continue
        found[int(step)] = float(accuracy)
    return found


def write_trial(folder: Path, trial: Trial) -> None:
    """Write a finished trial; its presence says that it is finished."""
    trial.items.to_parquet(folder / _ITEMS, index=False)
    trial.trained_on.to_parquet(folder / _TRAINED_ON, index=False)
    card = {
        "arm": trial.arm,
        "seed": trial.seed,
        "curve": [asdict(point) for point in trial.curve],
        "label_rollouts": trial.label_rollouts,
        "zero_std_frac": list(trial.zero_std_frac),
    }
    write_text(folder / _TRIAL, json.dumps(card, indent=1))
    (folder / _ERROR).unlink(missing_ok=True)


def write_error(folder: Path, reason: str, details: str) -> None:
    """Keep why a trial failed: a sentence, then the traceback."""
    write_text(folder / _ERROR, f"{reason}\n\n{details}")


def read_error(folder: Path) -> str:
    """Return the sentence that `write_error` kept, or that there is none."""
    path = folder / _ERROR
    return path.read_text(encoding="utf-8").partition("\n")[0] if path.is_file() else "it ended without a result"


def read_trial(folder: Path) -> Trial | None:
    """Return the finished trial of a folder, None where it is not finished."""
    if not (folder / _TRIAL).is_file():
        return None
    card = json.loads((folder / _TRIAL).read_text(encoding="utf-8"))
    curve = tuple(Point(**point) for point in card["curve"])
    items, trained_on = pd.read_parquet(folder / _ITEMS), pd.read_parquet(folder / _TRAINED_ON)
    dead = tuple(card["zero_std_frac"])
    return Trial(card["arm"], card["seed"], curve, items, card["label_rollouts"], dead, trained_on)
