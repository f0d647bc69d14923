"""Tables with declared columns: one row a prompt (or a slot, a step, a score), checked at every border."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from saerl_core.errors import DataError

Kind = Literal["str", "int", "float", "bool"]


@dataclass(frozen=True)
class Column:
    """One column: its kind, its range (inclusive) and whether it may be missing."""

    kind: Kind
    lo: float | None = None
    hi: float | None = None
    nullable: bool = False
    is_new: bool = False  # nullable, and stored tables of earlier versions lack it: then every value is missing


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table and the key that no two rows share."""

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()

    def empty(self) -> pd.DataFrame:
        """Return a table of no rows with the declared columns and dtypes."""
        return self._empty.copy()

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return self.check(pd.DataFrame({name: [] for name in self.columns}))

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with exactly the declared columns and dtypes, or raise `DataError`.

        The row order is kept and the index is reset. Undeclared columns are refused.
        """
        frame = frame.assign(**{c: None for c, of in self.columns.items() if of.is_new and c not in frame.columns})
        missing = [c for c in self.columns if c not in frame.columns]
        extra = [str(c) for c in frame.columns if c not in self.columns]
        if missing or extra:
            raise DataError(
                f"table '{self.name}' has missing columns {missing} and undeclared columns {extra}; "
                f"it is declared with {list(self.columns)}"
            )
        typed = {name: self._typed(name, column, frame[name]) for name, column in self.columns.items()}
        out = pd.DataFrame(typed).reset_index(drop=True)
        if self.key and out.duplicated(list(self.key)).any():
            first = out.loc[out.duplicated(list(self.key)), list(self.key)].iloc[0].to_dict()
            raise DataError(f"table '{self.name}' holds key {first} more than once; each {self.key} must be unique")
        return out

    def _typed(self, name: str, column: Column, values: pd.Series) -> pd.Series:
        values = values.reset_index(drop=True)
        n_missing = int(values.isna().sum())
        if n_missing and not column.nullable:
            raise DataError(f"column '{name}' of table '{self.name}' has {n_missing} missing values; none is allowed")
        try:
            typed = _cast(values, column)
        except (TypeError, ValueError) as error:
            raise DataError(f"column '{name}' of table '{self.name}' is not of kind {column.kind}: {error}") from error
        if column.kind in ("int", "float"):
            self._check_range(name, column, typed)
        return typed

    def _check_range(self, name: str, column: Column, values: pd.Series) -> None:
        present = values.dropna().to_numpy(dtype=np.float64)
        if not np.isfinite(present).all():
            raise DataError(f"column '{name}' of table '{self.name}' holds infinite values; all must be finite")
        for bound, broken, word in (
            (column.lo, present < (column.lo if column.lo is not None else -np.inf), "below"),
            (column.hi, present > (column.hi if column.hi is not None else np.inf), "above"),
        ):
            if broken.any():
                value = float(present[broken][0])
                raise DataError(f"column '{name}' of table '{self.name}' holds {value}, which is {word} {bound}")


def _cast(values: pd.Series, column: Column) -> pd.Series:
    if column.kind == "str":
        return values.astype(object).where(values.notna(), None).astype("str" if not column.nullable else object)
    if column.kind == "bool":
        if not values.isin([True, False]).all():  # astype would read the text "False" as true
            raise TypeError("it holds values other than true and false")
        return values.astype(bool)
    if column.kind == "int":
        if values.dtype.kind == "f" and (values % 1 != 0).any():
            raise ValueError("it holds numbers that are not whole")
        return values.astype("int64")
    return values.astype("float64")


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
