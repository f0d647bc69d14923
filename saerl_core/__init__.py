"""Everything that decides or computes in saerl; knows neither ZenML nor MLflow.

Where a line of code lives – a room is named after a stage of the data's way:

| room         | takes                                   | gives                                                     |
|--------------|-----------------------------------------|-----------------------------------------------------------|
| `world`      | a seed                                  | the built-in task world: problems, corruptions, tokenizer |
| `prompts`    | files, Hub names, the task world        | `PromptSet`: validated tables, duplicates, contamination  |
| `policy`     | prompts or the task world               | `PolicyRef`: a causal LM in Hugging Face format           |
| `rollouts`   | prompts, a policy                       | completions, graded by the one `grade()`; pass rates      |
| `features`   | prompts, a model, an SAE                | `SaeFeatures`: one sparse row a prompt                    |
| `signals`    | features, labels                        | quality, clusters, difficulty: one table each             |
| `plan`       | signals                                 | `BatchPlan` and the `Curriculum` that hands it out        |
| `training`   | a curriculum, prompts, a base policy    | `TrainResult`: checkpoint, log, what was really consumed  |
| `evaluation` | policies, held-out prompts              | scores with standard errors                               |
| `compare`    | trials of several arms and seeds         | gains with intervals, savings, the answer in words        |
| `promotion`  | outcomes of candidate and champion      | the gate's verdict in words; whether to retrain at all    |
| `report`     | all records                             | the page that a person reads                              |

Rooms meet only through the modules beside this file: `records`, `plans`, `tables`, `config`, `algorithms`, `stages`,
`protocols`, `errors`, `seeds`, `progress`. torch is imported in `features`, `rollouts.sampler`, `policy` and the
trainer backends, nowhere else; trl only in `training.embedded`. import-linter holds these borders in `make check`.
"""
