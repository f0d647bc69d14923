"""Everything that decides or computes in saerl; knows neither ZenML nor MLflow.

Where a line of code lives – a room is named after a stage that the data pass through:

| room         | takes                                   | gives                                                     |
|--------------|-----------------------------------------|-----------------------------------------------------------|
| `world`      | a seed                                  | the built-in worlds: problems, corruptions, tokenizer     |
| `prompts`    | files, Hub names, the task world        | `PromptSet`: validated tables, duplicates, contamination  |
| `policy`     | prompts or the task world               | `PolicyRef`: a causal LM in Hugging Face format           |
| `rollouts`   | prompts, a policy                       | completions, graded by the one `grade()`; pass rates      |
| `features`   | prompts, a model, an SAE                | `SaeFeatures`: one sparse row a prompt                    |
| `signals`    | features, labels                        | quality, clusters, difficulty: one table each             |
| `plan`       | signals                                 | `BatchPlan` and the `Curriculum` that hands it out        |
| `training`   | a curriculum, prompts, a base policy    | `TrainResult`: checkpoint, log, what was really consumed  |
| `export`     | a plan, its prompts                     | data and settings for a trainer that keeps a given order  |
| `online`     | a plan, a trainer that asks for prompts | the curriculum's batches in TRL, slime and Trinity-RFT    |
| `advice`     | pass rates, the size of a run           | dead groups, what labels cost, what a run generates       |
| `evaluation` | policies, held-out prompts              | scores with standard errors                               |
| `compare`    | trials of several arms and seeds         | gains with intervals, savings, the answer in words        |
| `promotion`  | outcomes of candidate and champion      | the gate's verdict in words; whether to retrain at all    |
| `report`     | all records                             | the page that a person reads                              |

Rooms meet only through the modules beside this file: `records`, `plans`, `tables`, `schema`, `config` (a package),
`algorithms`, `stages`, `shards`, `protocols`, `errors`, `seeds`, `stats`, `flags`, `latex`, `invisible`,
`progress`. torch is imported in
`features`, `rollouts.sampler`, `policy` and the trainer backends, nowhere else; trl only in `training.embedded`.
import-linter holds these borders in `make check`.

Users import from here what `__all__` names (glue in `face`): prompts, plans, exports, curricula, verdicts,
comparisons.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saerl_core.compare.statistics import compare_trials as compare_trials
    from saerl_core.compare.statistics import sentence as sentence
    from saerl_core.compare.trials import Point as Point
    from saerl_core.compare.trials import Trial as Trial
    from saerl_core.face import export_plan as export_plan
    from saerl_core.face import grade as grade
    from saerl_core.face import load_prompts as load_prompts
    from saerl_core.face import make_plan as make_plan
    from saerl_core.face import observe_rollouts as observe_rollouts
    from saerl_core.plan.curriculum import make_curriculum as make_curriculum
    from saerl_core.plan.storage import load_plan as load_plan
    from saerl_core.plan.storage import save_plan as save_plan
    from saerl_core.plan.strategies.lookup import register as register_strategy
    from saerl_core.protocols import BatchOutcome as BatchOutcome

# what a user imports, and where it is: nothing is loaded before it is asked for
_FACE = {
    "BatchOutcome": "protocols:BatchOutcome",
    "Point": "compare.trials:Point",
    "Trial": "compare.trials:Trial",
    "compare_trials": "compare.statistics:compare_trials",
    "export_plan": "face:export_plan",
    "grade": "face:grade",
    "load_plan": "plan.storage:load_plan",
    "load_prompts": "face:load_prompts",
    "make_curriculum": "plan.curriculum:make_curriculum",
    "make_plan": "face:make_plan",
    "observe_rollouts": "face:observe_rollouts",
    "register_strategy": "plan.strategies.lookup:register",
    "save_plan": "plan.storage:save_plan",
    "sentence": "compare.statistics:sentence",
}
__all__ = [
    "BatchOutcome",
    "Point",
    "Trial",
    "compare_trials",
    "export_plan",
    "grade",
    "load_plan",
    "load_prompts",
    "make_curriculum",
    "make_plan",
    "observe_rollouts",
    "register_strategy",
    "save_plan",
    "sentence",
]


def __getattr__(name: str) -> object:
    """Load what was asked for."""
    if name not in _FACE:
        raise AttributeError(f"module 'saerl_core' has no attribute '{name}'; it has {', '.join(_FACE)}")
    module, _, attribute = _FACE[name].partition(":")
    found: object = getattr(import_module(f"saerl_core.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List what is there for a user."""
    return sorted([*globals(), *_FACE])
