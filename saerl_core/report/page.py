"""The page: every section in the reader's order, rendered into one HTML file that loads nothing."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from altair.utils.schemapi import debug_mode
from jinja2 import Environment, StrictUndefined, Template

from saerl_core.report.blocks import Section
from saerl_core.report.inputs import ReportInputs, RunFacts, SaeFacts, TrainingFacts
from saerl_core.report.section_data import data_card, policy, sae
from saerl_core.report.section_difficulty import difficulty
from saerl_core.report.section_plan import plan
from saerl_core.report.section_run import appendix, headline, ledger
from saerl_core.report.section_signals import clusters, probes
from saerl_core.report.section_training import evaluation, training
from saerl_core.report.summary import summary_text
from saerl_core.report.vega import legend, scripts, style

__all__ = ["ReportInputs", "RunFacts", "SaeFacts", "TrainingFacts", "render_report", "summary_text"]

_SECTIONS = (
    headline,
    data_card,
    policy,
    sae,
    probes,
    clusters,
    difficulty,
    plan,
    training,
    evaluation,
    ledger,
    appendix,
)


def render_report(inputs: ReportInputs) -> str:
    """Render the report of one run as a self-contained HTML page that loads nothing and reads well without scripts."""
    plan_of = inputs.plan
    meta = [
        ("strategy", plan_of.strategy, ""),
        ("seed", str(plan_of.seed), ""),
        ("plan", plan_of.plan_hash[:12], plan_of.plan_hash),
    ]
    with debug_mode(False):  # each part of a chart would be held against the whole schema of Vega-Lite
        sections = [build(inputs) for build in _SECTIONS]
    return render_sections(inputs.facts, sections, meta)


def render_sections(facts: RunFacts, sections: Sequence[Section], meta: Sequence[tuple[str, str, str]]) -> str:
    """Render sections as a page of their own; `meta`: name, value and the whole value of each fact in its head."""
    return _template().render(sections=sections, facts=facts, meta=meta, legend=legend, scripts=scripts())


@lru_cache(maxsize=1)
def _template() -> Template:
    """Compile the template with autoescape on: prompts, topics, file names and config values are data, never markup."""
    folder = files("saerl_core.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals["style"] = style()
    return environment.from_string(folder.joinpath("page.html.j2").read_text(encoding="utf-8"))
