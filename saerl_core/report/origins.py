"""Where the prompts of the pool come from, and under which licence."""

import pandas as pd

from saerl_core.report import numbers
from saerl_core.report.blocks import Table

_MAX_ROWS = 20
_NOT_NAMED = "not named"


def origins(train: pd.DataFrame) -> Table:
    """Count the pool (`tables.PROMPTS`) by source and licence, the most frequent first; say how many name none."""
    named = train.assign(licence=train["licence"].fillna(_NOT_NAMED))
    counts = named.groupby(["source", "licence"]).size().reset_index(name="n")
    counts = counts.sort_values(["n", "source", "licence"], ascending=[False, True, True])
    rows = [[str(r["source"]), str(r["licence"]), numbers.count(int(r["n"]))] for r in counts.to_dict("records")]
    shown, rest = rows[:_MAX_ROWS], counts["n"].iloc[_MAX_ROWS:]
    if len(rest):
        shown.append([f"{len(rest)} others", "", numbers.count(int(rest.sum()))])
    n_unknown = int(train["licence"].isna().sum())
    caption = "Every prompt names its licence."
    if n_unknown:
        who = "No prompt names its" if n_unknown == len(train) else f"{numbers.count(n_unknown)} prompts name no"
        caption = (
            f"{who} licence: find out what the source allows before you pass the prompts on; prompts.licence says it "
            "for all that name none."
        )
    return Table("Sources and licences", ["source", "licence", "prompts"], shown, 2, caption)
