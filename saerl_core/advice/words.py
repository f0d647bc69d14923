"""The advice in words, for a terminal."""

from collections.abc import Iterator

from saerl_core.advice.records import Advice, Labels, Price, RunSize


def in_words(advice: Advice, run: RunSize | None = None) -> str:
    """Return sentences first, the table of group sizes behind them."""
    lines = [*_pool(advice), "", *_groups(advice), "", *_broken(advice), "", *_labels(advice, run)]
    return "\n".join(lines)


def run_in_words(run: RunSize, price: Price | None = None, dead: float | None = None) -> str:
    """Say how much the run generates, and what that takes at a given speed; `dead` is its share of dead groups."""
    control = ", and its control, a plain shuffle, as many again" if run.trains_control else ""
    lines = [
        f"The run trains on {run.n_steps:,} steps x {run.prompts_per_step} prompts x {run.group_size} = "
        f"{run.n_rollouts:,} rollouts{control}."
    ]
    if run.n_label_rollouts:
        lines.append(f"Labels take up to {run.n_label_rollouts:,} rollouts more.")
    lines.append(
        f"That is at most {_big(run.n_tokens)} generated tokens, if every completion were as long as allowed "
        f"({run.max_completion_tokens:,} tokens); evaluation comes on top."
    )
    if price is not None:
        hours = run.n_tokens / price.tokens_per_second / 3600
        lines.append(
            f"At {price.tokens_per_second:,g} tokens a second and GPU that is at most {hours:,.1f} GPU-hours"
            f"{_money(hours, price)} of generation; the training steps themselves are not in it."
        )
        if dead is not None:
            lost = dead * run.n_trainings * run.n_rollouts * run.max_completion_tokens / price.tokens_per_second / 3600
            lines.append(f"Dead groups of a shuffle take {lost:,.1f} of these GPU-hours{_money(lost, price)}.")
    return "\n".join(lines)


def _pool(advice: Advice) -> Iterator[str]:
    if advice.is_exact:
        yield (
            f"{advice.n_prompts:,} usable prompts have a pass rate, {_percent(advice.mean)} on average. Nothing says "
            "with how many rollouts it was measured, so it is taken as exact; were there few, say --n-rollouts."
        )
        return
    yield (
        f"{advice.n_prompts:,} usable prompts have a pass rate, {_percent(advice.mean)} on average, from up to "
        f"{advice.most_rollouts} rollouts each; the noise of measuring is taken out below."
    )


def _groups(advice: Advice) -> Iterator[str]:
    at = advice.group_sizes.index(advice.group_size)
    shuffle = advice.selections[0]
    dead = 1 - shuffle.live[at]
    yield (
        f"With groups of {advice.group_size}, {_percent(dead)} of your rollouts will teach nothing: their group is all "
        "right or all wrong."
        + ("" if advice.is_exact else f" (Raw rates would have said {_percent(advice.naive_dead)}.)")
    )
    others = [
        f"groups of {size}: {_percent(1 - value)}"
        for size, value in zip(advice.group_sizes, shuffle.live, strict=True)
        if size != advice.group_size
    ]
    yield f"The same for {', '.join(others)}."
    for chosen in advice.selections[1:]:
        if chosen.share > 0:
            yield f"{_who(chosen.name)} ({_percent(chosen.share)} of the pool): {_percent(1 - chosen.live[at])}."
        else:
            yield f"{_who(chosen.name)}: there are none."
    yield ""
    yield "Groups that teach, of 1,000 rollouts:"
    yield "  group size" + "".join(f"{s.name:>22}" for s in advice.selections)
    for i, size in enumerate(advice.group_sizes):
        yield f"  {size:>10}" + "".join(f"{1000 / size * s.live[i]:>22.0f}" for s in advice.selections)
    yield "Small groups give more of them, each with a noisier comparison; large ones find rare successes."
    if advice.most_rollouts is not None and max(advice.group_sizes) > advice.most_rollouts:
        yield f"Lines beyond {advice.most_rollouts} are extrapolated: so few rollouts tell little about larger groups."


def _who(name: str) -> str:
    if name == "best quarter":
        return "An oracle that takes the largest p (1 - p)"
    return f"Only the prompts {name}"


def _broken(advice: Advice) -> Iterator[str]:
    b = advice.broken
    if advice.is_exact:
        yield f"Prompts that look broken or out of reach: {b.n_sure:,} (pass rate below 1 %)."
    elif b.n_sure:
        yield (
            f"Prompts that look broken or out of reach: {b.n_sure:,} (never solved, below 5 % with 95 % confidence), "
            f"of {b.n_unsolved:,} that were never solved."
        )
    else:
        yield (
            f"Prompts that were never solved: {b.n_unsolved:,}, of which about {b.n_expected:,.0f} are expected below "
            "1 %, broken or out of reach. No single one is sure: that takes 59 rollouts without a success."
        )


def _labels(advice: Advice, run: RunSize | None) -> Iterator[str]:
    yield (
        "These pass rates are there: choosing by them costs nothing more. To measure a pool like this one "
        "and train only on 0.2 to 0.8 would take:"
    )
    for label in advice.labels:
        yield f"  {label.n_rollouts:>2} rollouts a prompt: {_label(label, advice, run)}"
    yield (
        "Groups that teach are counted, not what they teach; the rates hold for the policy that they were measured "
        "with, and training moves them."
    )


def _label(label: Labels, advice: Advice, run: RunSize | None) -> str:
    if label.share * advice.n_prompts < 1:
        return f"{label.cost:,} rollouts, and no prompt is expected inside the band"
    kept = f"{label.cost:,} rollouts, keeps {_percent(label.share)} with {_percent(1 - label.live)} dead groups"
    if label.paid_after is None:
        return f"{kept}; never pays"
    steps = ""
    if run is not None:
        verdict = "pays in this run" if label.paid_after < run.n_rollouts + label.cost else "does not pay in this run"
        steps = f": {verdict}"
    return f"{kept}; has paid after {label.paid_after:,.0f} rollouts, labels included{steps}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _big(n: int) -> str:
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if n >= size:
            return f"{n / size:,.1f} {word}"
    return f"{n:,}"


def _money(hours: float, price: Price) -> str:
    return "" if price.per_hour is None else f" ({hours * price.per_hour:,.2f} in money)"
