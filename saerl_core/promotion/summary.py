"""The job summary: one page of Markdown for a person who looks at CI."""

from collections.abc import Mapping, Sequence

from saerl_core.promotion.records import Comparison, RegisteredPolicy, Verdict

_MARKS = {True: "passed", False: "**failed**"}
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]#|!~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "})


def escaped(text: str) -> str:
    """Return text of a data set, such as the name of a topic, so that Markdown shows it and does nothing else."""
    return text.translate(_SPECIAL)


def skipped(model_name: str, known: RegisteredPolicy) -> str:
    """Return the page of a retraining that had nothing to do."""
    return (
        f"# Retraining of {escaped(model_name)}: skipped\n\n"
        f"Data, configuration and code are those of version {known.version} ({known.verdict}).\n\n"
        f"{escaped(known.reason)}\n\n"
        "`--force` trains and judges anyway.\n"
    )


def judged(
    model_name: str,
    outcome: RegisteredPolicy,
    champion: RegisteredPolicy | None,
    verdict: Verdict,
    why: Sequence[str],
    links: Mapping[str, str],
) -> str:
    """Return the page of a candidate: verdict, checks, comparison table, links.

    Args:
        model_name: Name of the registered model.
        outcome: The candidate's version with the final verdict.
        champion: What it was compared with.
        verdict: The gate's findings.
        why: What had changed since the champion, in words.
        links: Name to address, or to a name that a person finds the thing by.
    """
    lines = [f"# Retraining of {escaped(model_name)}: version {outcome.version} {outcome.verdict}", ""]
    lines += [escaped(outcome.reason), ""]
    versus = (
        f"version {champion.version}"
        if champion
        else "nothing: the first run has to reach the floor and not to fall below its own base policy"
    )
    lines += [
        f"Compared with {versus}. Trained because {', '.join(why)} changed." if why else f"Compared with {versus}."
    ]
    lines += ["", "| check | verdict | finding |", "|---|---|---|"]
    lines += [f"| {escaped(c.name)} | {_MARKS[c.passed]} | {escaped(c.told)} |" for c in verdict.checks]
    if verdict.rows:
        lines += ["", "| items | n | champion | candidate | gain (points) | interval |", "|---|--:|--:|--:|--:|---|"]
        lines += [_row(row) for row in verdict.rows]
    lines += ["", *(f"- Note: {escaped(note)}" for note in verdict.notes)]
    lines += [f"- {escaped(name)}: {_link(target)}" for name, target in links.items()]
    return "\n".join(lines) + "\n"


def _row(row: Comparison) -> str:
    gain = f"{100 * row.gain:+.1f} | {100 * row.lo:+.1f} … {100 * row.hi:+.1f}"
    return f"| {escaped(row.group)} | {row.n_prompts} | {row.champion:.1%} | {row.candidate:.1%} | {gain} |"


def _link(target: str) -> str:
    return f"<{target}>" if target.startswith(("http://", "https://")) else f"`{target.replace('`', '')}`"
