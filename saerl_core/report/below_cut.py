"""Which prompts fall below the cut of quality, and what the plan at hand made of them."""

from saerl_core.report import numbers
from saerl_core.report.blocks import Missing, Table
from saerl_core.report.inputs import ReportInputs


def what_became_of_them(inputs: ReportInputs) -> str:
    """Say whether the strategy of this run left out the prompts below the cut, as the end of a sentence about them."""
    strategy = inputs.config.plan.strategy
    if strategy.filters_by_quality():
        return f"strategy {strategy.name} filters by quality and left them out"
    switch = " (plan.strategy.use_quality: false)" if hasattr(strategy, "use_quality") else ""
    return f"strategy {strategy.name} does not filter by quality{switch}, so they stayed in the pool"


def n_below_cut(inputs: ReportInputs) -> int:
    """Return how many usable prompts of the pool fall below the cut."""
    low = inputs.quality.loc[~inputs.quality["keep"], "prompt_id"]
    return int((inputs.train["usable"] & inputs.train["prompt_id"].isin(low)).sum())


def worst_prompts(inputs: ReportInputs) -> Table | Missing:
    """Show the prompts of the lowest quality scores, so that a person can judge what the cut would leave out."""
    worst = inputs.quality_report.worst
    if not worst:
        return Missing("The prompts of the lowest scores: no quality probe was fitted.")
    texts = inputs.train.set_index("prompt_id")["prompt"]
    above = "above the cut" if n_below_cut(inputs) else "kept"
    below = "left out" if inputs.config.plan.strategy.filters_by_quality() else "below the cut, stayed"
    rows = [
        [
            numbers.short(str(texts.get(w.prompt_id, w.prompt_id)), 160),
            numbers.fixed(w.score, 3),
            numbers.percent(w.broken, 0),
            above if w.kept else below,
        ]
        for w in worst
    ]
    title = f"The {len(worst)} usable prompts of the lowest quality scores"
    return Table(title, ["prompt", "score", "probably broken", ""], rows, caption=_caption(inputs))


def _caption(inputs: ReportInputs) -> str:
    n, n_usable = n_below_cut(inputs), int(inputs.train["usable"].sum())
    where = "the notes at the head of the page say which cut, and on what it rests."
    if not n:
        return f"No usable prompt falls below a cut; {where}"
    share = numbers.percent(n / n_usable)
    return f"{n:,} of {n_usable:,} usable prompts ({share}) fall below the cut: {what_became_of_them(inputs)}; {where}"
