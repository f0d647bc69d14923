"""The page as a reader's browser gets it."""

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
from altair.utils import schemapi

from saerl_core import tables
from saerl_core.records import Boilerplate, ClustersReport, DifficultyReport, PlanReport, QualityReport
from saerl_core.report.inputs import ReportInputs
from saerl_core.report.page import _SECTIONS, render_report
from saerl_core.report.vega import scripts
from tests.report.checking import SECTIONS, Page, read
from tests.report.factory import HOSTILE, curation_run, full_run, hostile_run

MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def full() -> ReportInputs:
    return full_run()


@pytest.fixture(scope="module")
def page(full: ReportInputs) -> Page:
    return read(render_report(full))


@pytest.fixture(scope="module")
def curation() -> Page:
    return read(render_report(curation_run()))


def test_every_part_of_every_chart_keeps_to_the_schema_of_vega_lite(full: ReportInputs) -> None:
    """Rendering a page leaves this check out: it takes longer than the drawing."""
    assert schemapi.DEBUG_MODE
    assert len([build(full) for build in _SECTIONS]) == len(SECTIONS)


def test_full_page_is_well_formed_and_has_every_section_in_order(page: Page) -> None:
    assert page.errors == []
    assert tuple(page.sections) == SECTIONS


def test_contents_point_to_sections(page: Page) -> None:
    targets = {a[1:] for a in page.addresses if a.startswith("#")}
    assert set(SECTIONS) <= targets
    assert targets <= page.ids


def test_every_chart_draws_what_it_declares(page: Page) -> None:
    assert len(page.charts) >= 20
    for label, n_points in page.charts:
        assert n_points > 0, label
        assert page.marks[label] > 0, label


@pytest.mark.parametrize("make", [full_run, curation_run, hostile_run])
def test_page_loads_nothing_and_runs_only_its_own_script(make) -> None:
    html = render_report(make())
    page = read(html)
    assert all(a.startswith("#") or a == "data:," for a in page.addresses)
    assert page.scripts == [scripts().code]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert unescape(policy.group(1)).split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
    ]
    own = html.replace(page.scripts[0], "")
    assert "@import" not in own
    assert not re.search(r"url\(", own)


def test_the_same_records_give_the_same_bytes(full: ReportInputs, drawings: dict[str, str]) -> None:
    pages = []
    for _ in range(2):
        drawings.clear()
        pages.append(render_report(full))
    assert pages[0] == pages[1]


def test_every_chart_is_drawn_without_scripts_and_live_with_them(page: Page) -> None:
    assert len(page.specs) == len(page.charts) + 1  # and the theme
    for (label, _), spec in zip(page.charts, page.specs[:-1], strict=True):
        assert json.loads(spec)["description"] == label


def test_the_map_tells_the_prompt_behind_a_point(full: ReportInputs, page: Page) -> None:
    spec = next(s for s in page.specs if json.loads(s).get("description") == "clusters")
    told = {row.get("p") for rows in json.loads(spec)["datasets"].values() for row in rows}
    assert set(full.train["prompt"].head(100)) <= told


def test_headline_numbers_are_those_of_the_records(full: ReportInputs, page: Page) -> None:
    text = page.texts["headline"]
    assert "pass@1 rose from 28.1 % to 41.9 %: +13.8 points (± 1.1, paired standard error)" in text
    assert f"{int(full.costs['n_rollouts'].sum()):,}" in text
    assert f"{int(full.costs['n_generated_tokens'].sum()):,}" in text
    assert "5 min 35 s" in text
    assert full.costs["seconds"].sum() == pytest.approx(335.1)
    assert full.plan.plan_hash[:12] in text
    assert "compare with a vanilla run in MLflow" in text
    assert "Planned order was trained: 32 of 32 batches identical." in text


def test_notes_of_the_stages_are_visible_and_link_to_their_section(full: ReportInputs) -> None:
    quality = QualityReport(stage="quality", values={"is_fallback": 1.0}, notes=("The quality probe was not fitted.",))
    page = read(render_report(replace(full, quality_report=quality)))
    assert "The quality probe was not fitted." in page.texts["headline"]
    assert "7 clusters hold fewer prompts than a batch" in page.texts["headline"]


def test_a_changed_order_is_shouted(full: ReportInputs) -> None:
    assert full.training is not None
    consumed = full.training.consumed.copy()
    swapped = consumed.loc[[70, 71], "prompt_id"].to_list()
    consumed.loc[[70, 71], "prompt_id"] = swapped[::-1]
    html = render_report(replace(full, training=replace(full.training, consumed=consumed)))
    text = read(html).texts["headline"]
    assert "NOT trained as planned: 31 of 32" in text
    assert "first difference at step 2" in text
    assert 'class="callout bad"' in html


def test_missing_parts_say_why(curation: Page) -> None:
    assert tuple(curation.sections) == SECTIONS
    assert curation.errors == []
    assert "stopped at the plan: training is off" in curation.texts["headline"]
    assert "training.enabled: false" in curation.texts["training"]
    assert "evaluation.enabled: false" in curation.texts["evaluation"]
    assert "names no topic" in curation.texts["data"]
    assert "only the built-in task world" in curation.texts["probes"]
    assert "no rollouts were spent on labels" in curation.texts["difficulty"]
    assert "data's own level" in curation.texts["difficulty"]
    for _, n_points in curation.charts:
        assert n_points > 0


def test_contamination_comes_with_both_texts(curation: Page) -> None:
    text = curation.texts["data"]
    assert "2 prompts are covered by an evaluation item to at least 50 %" in text
    assert "Find the sum of all integers" in text
    assert "Find the sum of all even integers" in text
    assert "math500 test/9" in text


def test_planted_markup_is_text() -> None:
    html = render_report(hostile_run())
    page = read(html)
    assert page.errors == []
    assert page.scripts == [scripts().code]
    assert "<img" not in html.replace(scripts().code, "")
    assert "<script>alert" not in html
    assert all(not set(spec) & set("<>&") for spec in page.specs)
    assert any("\\u003cscript\\u003ealert(" in spec for spec in page.specs)
    assert "onerror=alert(1)&gt;" in html
    for section in ("headline", "data", "policy", "sae", "probes", "clusters", "plan", "evaluation", "appendix"):
        assert "<script>alert(" in page.texts[section], section
    assert len(HOSTILE) > 0


def test_nan_and_empty_records_still_make_a_page(full: ReportInputs) -> None:
    nan = float("nan")
    assert full.training is not None
    log = full.training.log.assign(entropy=nan, grad_norm=nan, kl=nan)
    bare = replace(
        full,
        issues=tables.ISSUES.empty(),
        quality_report=QualityReport(stage="quality", values={"auc": nan}),
        difficulty_report=DifficultyReport(stage="difficulty", values={"spearman": nan}),
        clusters_report=ClustersReport(stage="clusters", values={"silhouette": nan}, map_points=((nan, nan, 0),)),
        plan_report=PlanReport(stage="plan", values={"coherence": nan}),
        training=replace(full.training, log=log),
        costs=tables.COSTS.empty(),
        sae_report=full.sae_report.model_copy(update={"loss_curve": (), "values": {"l0": nan}}),
        policy_report=full.policy_report.model_copy(update={"loss_curve": (), "values": {}}),
    )
    page = read(render_report(bare))
    assert page.errors == []
    assert "nan" not in " ".join(page.texts.values()).lower().split()
    assert "the backend did not report it" in page.texts["training"]
    assert "No costs were recorded" in page.texts["costs"]
    assert "was loaded, not trained here" in page.texts["sae"]
    assert all(n > 0 for _, n in page.charts)


def test_strategy_without_clusters_or_mixing_says_so(full: ReportInputs) -> None:
    table = full.plan.table.assign(cluster_id=-1, is_mixed=False)
    page = read(render_report(replace(full, plan=replace(full.plan, table=table, strategy="vanilla"))))
    assert "strategy vanilla does not use clusters" in page.texts["plan"]
    assert "no slot was exchanged" in page.texts["plan"]
    assert "compare with a saerl run in MLflow" in page.texts["headline"]


def test_every_left_out_prompt_is_counted(full: ReportInputs, page: Page) -> None:
    for reason, n in full.plan.decisions["reason"].value_counts().items():
        assert str(reason) in page.texts["plan"]
        assert f"{n:,}" in page.texts["plan"]


def test_large_pool_renders_quickly_and_stays_light() -> None:
    inputs = full_run(n=10_000, n_steps=300)
    started = time.process_time()
    html = render_report(inputs)
    assert time.process_time() - started < 10
    assert len(html.encode()) < MAX_BYTES
    assert read(html).errors == []


def test_before_only_evaluation_shows_what_there_is(full: ReportInputs) -> None:
    assert full.scores is not None
    before = full.scores[full.scores["policy"] == "before"].reset_index(drop=True)
    page = read(render_report(replace(full, scores=before, training=None)))
    assert page.errors == []
    assert "Only the policy before training was evaluated" in page.texts["evaluation"]
    assert "pass@1" in page.texts["evaluation"]


def test_page_does_not_depend_on_row_order(full: ReportInputs) -> None:
    assert full.training is not None
    order = np.random.default_rng(3).permutation(len(full.train))
    shuffled = replace(
        full,
        train=full.train.iloc[order].reset_index(drop=True),
        difficulty=full.difficulty.iloc[order].reset_index(drop=True),
        training=replace(full.training, consumed=full.training.consumed.iloc[::-1].reset_index(drop=True)),
    )
    text, other = read(render_report(full)).texts, read(render_report(shuffled)).texts
    assert text["headline"] == other["headline"]
    assert text["training"] == other["training"]


def test_issue_examples_name_file_and_line(page: Page) -> None:
    assert "pool.jsonl:17" in page.texts["data"]
    assert "pool.jsonl:391" in page.texts["data"]


def test_table_of_scores_holds_every_slice(full: ReportInputs, page: Page) -> None:
    assert isinstance(full.scores, pd.DataFrame)
    for name in full.scores["slice"].unique():
        assert str(name) in page.texts["evaluation"]


def test_the_seed_on_top_is_the_one_that_trained(full: ReportInputs) -> None:
    trained = replace(full, plan=replace(full.plan, seed=7))
    assert "seed <b>7</b>" in render_report(trained)


def test_passages_that_were_set_aside_are_listed(full: ReportInputs) -> None:
    passages = (
        Boilerplate(text="where m and n are <b>prime</b>", n_items=10, n_prompts=1234),
        Boilerplate(text="start now", n_items=12, n_prompts=None),
    )
    html = render_report(replace(full, prompts_report=full.prompts_report.model_copy(update={"boilerplate": passages})))
    assert "where m and n are &lt;b&gt;prime&lt;/b&gt;" in html
    assert "1,234" in html
    assert "Set aside when looking for leaks" not in render_report(full)


def test_what_was_compared_for_contamination_is_said(full: ReportInputs) -> None:
    counts = {**full.prompts_report.counts, "n_eval_items": 720}
    clean = replace(
        full,
        matches=tables.MATCHES.empty(),
        prompts_report=full.prompts_report.model_copy(update={"counts": counts}),
    )
    assert "720 evaluation items" in render_report(clean)


def test_the_data_card_names_sources_and_licences(full: ReportInputs, page: Page) -> None:
    assert "No prompt names its licence" in page.texts["data"]
    licences = ["mit"] * 3 + [None] * (len(full.train) - 3)
    some = full.train.assign(licence=licences, source=[f"file {i % 25}" for i in range(len(full.train))])
    text = read(render_report(replace(full, train=some))).texts["data"]
    assert f"{len(full.train) - 3:,} prompts name no licence" in text
    assert "others" in text
    text = read(render_report(replace(full, train=full.train.assign(licence="mit")))).texts["data"]
    assert "Every prompt names its licence." in text
