"""Tables with declared columns: one row a prompt (or a slot, a step, a score), checked at every border."""

from saerl_core.schema import Column, TableSchema

_ID = Column("str")
_UNIT = Column("float", 0.0, 1.0)

PROMPTS = TableSchema(
    "prompts",
    {
        "prompt_id": _ID,  # hash of the normalised prompt and answer; an exact copy gets the suffix -2, -3 ...
        **{name: Column("str") for name in ("prompt", "answer")},
        "source": Column("str"),  # as the row names it, else the file
        "licence": Column("str", nullable=True, is_new=True),
        "topic": Column("str", nullable=True),
        "level": Column("float", nullable=True),  # the data set's own difficulty level, higher is harder
        "known_pass_rate": Column("float", 0.0, 1.0, nullable=True),  # a pass rate that came with the data
        "quality_label": Column("float", 0.0, 1.0, nullable=True),  # a user's label, 1 is good
        "duplicate_of": Column("str", nullable=True),  # prompt_id of the first exact copy
        "conflict": Column("bool"),  # the same prompt stands with another answer
        "contamination": Column("float", 0.0, 1.0),  # largest n-gram coverage by an evaluation item
        "flags": Column("str"),  # comma-joined names of what is suspicious; empty when nothing is
        "usable": Column("bool"),  # False: the plan leaves it out, `flags` says why
        "truth": Column("str", nullable=True),  # built-in world only: clean, wrong_key, garbled, truncated, ambiguous
    },
    key=("prompt_id",),
)
BENCHMARKS = TableSchema(  # evaluation sets, one after the other in the order of the configuration
    "benchmarks", {"benchmark": Column("str"), **PROMPTS.columns}, key=("benchmark", "prompt_id")
)
ISSUES = TableSchema(  # every rejected or suspicious row of the input, one line an issue
    "prompt_issues",
    {
        "file": Column("str"),
        "line": Column("int", 0),
        "reason": Column("str"),  # a short stable code, e.g. empty_answer
        "detail": Column("str"),
        "rejected": Column("bool"),  # True: the row is not in the pool; False: it is, with a flag
    },
)
MATCHES = TableSchema(  # decontamination with receipts
    "contamination_matches",
    {
        "prompt_id": _ID,
        "benchmark": Column("str"),
        "eval_id": Column("str"),
        "coverage": _UNIT,
        "exact": Column("bool"),
        "prompt": Column("str"),
        "eval_prompt": Column("str"),
    },
)
QUALITY = TableSchema("quality", {"prompt_id": _ID, "quality_score": _UNIT, "keep": Column("bool")}, key=("prompt_id",))
CLUSTERS = TableSchema(
    "clusters",
    {"prompt_id": _ID, "cluster_id": Column("int", 0), "centroid_distance": Column("float", 0.0)},
    key=("prompt_id",),
)
PASS_RATES = TableSchema(
    "pass_rates",
    {
        "prompt_id": _ID,
        "n_rollouts": Column("int", 1),  # graded ones: unknown verdicts are counted in n_unknown only
        "n_correct": Column("int", 0),
        "n_unknown": Column("int", 0),
        "pass_rate": _UNIT,
        "mean_completion_tokens": Column("float", 0.0),
        "truncated_frac": _UNIT,
    },
    key=("prompt_id",),
)
DIFFICULTY = TableSchema(
    "difficulty",
    {
        "prompt_id": _ID,
        "difficulty": _UNIT,  # 1 - pass_rate, measured where it was measured, else predicted
        "predicted": _UNIT,  # the prediction, for measured prompts the out-of-fold one
        "calibrated": _UNIT,  # rank of `difficulty` inside the cluster, mapped to [0, 1]
        "is_labelled": Column("bool"),
    },
    key=("prompt_id",),
)
PLAN = TableSchema(
    "plan",
    {
        "step": Column("int", 0),
        "slot": Column("int", 0),
        "epoch": Column("int", 0),
        "prompt_id": _ID,
        "cluster_id": Column("int", -1),  # -1: the strategy does not use clusters
        "difficulty": _UNIT,
        "is_mixed": Column("bool"),  # came into this batch by the exchange with a neighbour
    },
    key=("step", "slot"),
)
LOW_QUALITY = "low quality"  # the reason of a prompt that a strategy leaves out for its quality
DECISIONS = TableSchema(  # for every prompt of the pool: where it went, or why it was left out
    "plan_decisions",
    {
        "prompt_id": _ID,
        "planned": Column("bool"),
        "reason": Column("str"),  # "planned", "not usable: <flags>", "low quality", "remainder", "beyond n_steps"
        "n_uses": Column("int", 0),
        "first_step": Column("int", -1),
    },
    key=("prompt_id",),
)
TRAINING_LOG = TableSchema(
    "training_log",
    {
        "step": Column("int", 0),
        "reward_mean": Column("float"),
        "zero_std_frac": _UNIT,  # of all groups sampled for the step, those that were screened included
        "screened_frac": _UNIT,  # groups sampled for the step that did not reach the loss
        "kl": Column("float", nullable=True),  # missing where kl_coef is 0: no reference policy was asked
        "entropy": Column("float", nullable=True),
        "completion_tokens_mean": Column("float", 0.0),
        "truncated_frac": _UNIT,
        "loss": Column("float"),
        "grad_norm": Column("float", nullable=True),
        "lr": Column("float", 0.0),
        "step_s": Column("float", 0.0),
        "n_rollouts_total": Column("int", 0),
        "n_tokens_total": Column("int", 0),
        "eval_pass_at_1": Column("float", 0.0, 1.0, nullable=True),  # of held-out prompts, where they were scored
        "consumed_hash": Column("str"),
    },
    key=("step",),
)
CONSUMED = TableSchema(  # what was really sampled in training, one row a group
    "consumed",
    {
        "step": Column("int", 0),  # batch of the curriculum
        "slot": Column("int", 0),
        "prompt_id": _ID,
        "n_rollouts": Column("int", 1),
        "n_correct": Column("int", 0),
        "update": Column("int", 0),  # step of the training log that it was sampled for; without screening `step`
        "is_trained": Column("bool"),  # whether it reached the loss; False: screened
    },
    key=("step", "slot"),
)
LIKELIHOOD = TableSchema(  # negative log-likelihood under the policy, nats a token
    "likelihood",
    {
        "prompt_id": _ID,
        **{f"{of}_nll_{how}": Column("float", 0.0) for of in ("prompt", "answer") for how in ("mean", "max")},
    },
    key=("prompt_id",),
)
PREDICTIONS = TableSchema(  # what an online curriculum expected of a prompt when it chose it
    "predictions",
    {
        "step": Column("int", 0),
        "prompt_id": _ID,
        "predicted": _UNIT,
        "sd": Column("float", 0.0, nullable=True),  # of the predicted rate, where the strategy says it
        "n_seen": Column("int", 0),  # rollouts of the prompt before
        "why": Column("str"),  # it was taken, where the strategy says it
    },
    key=("step", "prompt_id"),
)
HANDED_OUT = TableSchema(  # every batch as the curriculum gave it; what an online one expected of each prompt
    "handed_out",
    {
        **{"step": Column("int", 0), "slot": Column("int", 0), "prompt_id": _ID},
        "predicted": Column("float", 0.0, 1.0, nullable=True),
        **{name: Column("float", 0.0, nullable=True) for name in ("sd", "n_seen")},
        "why": Column("str", nullable=True),
    },
    key=("step", "slot"),
)
SCORES = TableSchema(
    "scores",
    {
        "policy": Column("str"),  # before, after, control
        "benchmark": Column("str"),
        "slice": Column("str"),  # "all", "topic=mod", "level=3"
        "metric": Column("str"),  # "pass@1", "pass@8"; of benchmarks "avg@k" too, which is pass@1 from k samples
        "k": Column("int", 1),
        "value": _UNIT,
        "stderr": Column("float", 0.0, nullable=True),  # over prompts; a slice of one prompt has none
        "n_prompts": Column("int", 1),
    },
    key=("policy", "benchmark", "slice", "metric"),
)
ITEM_SCORES = TableSchema(  # what `SCORES` are means of: one row a policy and prompt, for paired comparisons
    "item_scores",
    {
        "policy": Column("str"),  # before, after, control
        "benchmark": Column("str"),
        "prompt_id": _ID,
        "topic": Column("str", nullable=True),
        "level": Column("float", nullable=True),
        "n_samples": Column("int", 1),
        "n_correct": Column("int", 0),
    },
    key=("policy", "benchmark", "prompt_id"),
)
COSTS = TableSchema(  # the ledger, one row a stage
    "costs",
    {
        "stage": Column("str"),
        "seconds": Column("float", 0.0),
        **{name: Column("int", 0) for name in ("n_rollouts", "n_generated_tokens", "n_prefill_tokens")},
    },
    key=("stage",),
)
