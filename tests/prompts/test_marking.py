"""Duplicates, conflicts and contamination; what a shuffled file must not change."""

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saerl_core.config.run import PromptsConfig, TaskWorldConfig
from saerl_core.ids import prompt_id
from saerl_core.prompts.decontaminate import EvalItem, find_matches
from saerl_core.prompts.folding import units
from saerl_core.prompts.load import load_prompts
from saerl_core.world import splits
from tests.prompts.files import issues, load, row, write_jsonl

_ITEM = "A train leaves the station at noon and travels north at sixty miles an hour. Where is it at five?"  # 20 tokens


def test_first_copy_is_kept_and_later_ones_point_to_it(tmp_path):
    copy = row(1, prompt=f"  {row(1)['prompt'].replace(' ', '  ')} ")  # white space is normalised before comparing
    out = load(write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2), row(1), copy])).train
    kept = prompt_id(row(1)["prompt"], "2")
    assert list(out["prompt_id"]) == [kept, prompt_id(row(2)["prompt"], "4"), f"{kept}-2", f"{kept}-3"]
    assert list(out["duplicate_of"]) == [None, None, kept, kept]
    assert list(out["usable"]) == [True, True, False, False]
    assert out["prompt"].iloc[3] == copy["prompt"]  # the text itself stays as it is


def test_unicode_forms_are_one_text_but_punctuation_and_case_are_not(tmp_path):
    prompts = ["How many caf\u00e9s have k > 0 tables?", "How many cafe\u0301s have k > 0 tables?"]
    prompts += ["How many caf\u00e9s have k < 0 tables?", "How many Caf\u00e9s have k > 0 tables?"]
    rows = [row(1, prompt=p) for p in prompts]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows)).train
    assert list(out["flags"]) == ["", "duplicate", "", ""]


def test_conflict_marks_all_rows_and_reports_each(tmp_path):
    rows = [row(1), row(2), row(1, answer="3"), row(1)]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows))
    assert list(out.train["conflict"]) == [True, False, True, True]
    assert list(out.train["usable"]) == [False, True, False, False]
    assert issues(out) >= {(1, "conflict", False), (3, "conflict", False), (4, "conflict", False)}
    assert "'2' (line 1), '3' (line 3)" in out.issues["detail"].iloc[0]


def test_near_duplicates_are_left_alone(tmp_path):
    rows = [row(1), row(1, prompt=row(1)["prompt"].replace("buys", "finds"), answer="5")]
    out = load(write_jsonl(tmp_path / "pool.jsonl", rows))
    assert out.train["usable"].all()
    assert issues(out) == set()


_POOL = [
    row(1),
    row(1),
    row(1, level=3),
    row(1, prompt="  " + row(1)["prompt"]),
    row(1, answer="7"),
    row(2),
    row(2, answer=" 4 "),
    row(3, answer=6.0),
    row(3, answer="$6$"),
    row(4, prompt=_ITEM + " Please."),
    row(5, prompt="Find $\x0crac{1}{2}$ of twelve and a half."),
]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(_POOL))))
def test_ids_flags_and_texts_do_not_depend_on_the_order_of_the_file(tmp_path, order):
    benchmark = write_jsonl(tmp_path / "benchmark.jsonl", [{"prompt": _ITEM}])
    outs = []
    for rows in (_POOL, [_POOL[i] for i in order]):
        path = write_jsonl(tmp_path / "pool.jsonl", rows)
        outs.append(load(path, decontaminate_against=(str(benchmark),)))
    by_id = [out.train.sort_values("prompt_id").reset_index(drop=True) for out in outs]
    pd.testing.assert_frame_equal(*by_id)
    pd.testing.assert_frame_equal(outs[0].matches, outs[1].matches)
    assert outs[0].report.values == outs[1].report.values


def test_coverage_is_the_share_of_the_items_n_grams():
    item = EvalItem("exam", "1", "a b c d e f")
    cases = {"a b c d": 0.5, "X, a: b c; **D** e f": 1.0, "a b c": None, "b c d e f": 0.75, "f e d c b a": None}
    for prompt, coverage in cases.items():
        found = find_matches([prompt], [item], 3, 0.5).matches
        assert [m.coverage for m in found] == ([] if coverage is None else [coverage])
        assert not any(m.exact for m in found)
    assert find_matches(["A b, C d e f?"], [item], 3, 0.5).matches[0].exact


def test_short_items_are_compared_as_a_whole_with_their_signs():
    items = [EvalItem("exam", "1", "Is k > 0?"), EvalItem("exam", "2", "[asy] draw(x); [/asy]")]
    prompts = ["Is k < 0?", "Is  k > 0? ", "Say: Is k > 0?", "[asy] draw(y); [/asy]", "[asy]  draw(x); [/asy]"]
    found = find_matches(prompts, items, 13, 0.5)
    assert found.n_short == 2
    assert [(m.prompt_index, m.item.eval_id, m.coverage, m.exact, m.whole) for m in found.matches] == [
        *((1, "1", 1.0, True, True), (2, "1", 1.0, False, True), (4, "2", 1.0, True, False)),
    ]


def test_units_are_words_numbers_and_single_cjk_characters_with_their_signs():
    assert units("Let $x_1 = 3.5$, 求和n! [asy] draw(q); [/asy] End [asy] open") == (
        *("let", "x", "_1", "=3.5", "求", "和", "n!", "end"),
    )


def test_boilerplate_alone_is_no_contamination():
    boilerplate = "where m and n are relatively prime positive integers. Find m plus n, and then stop right there"
    story = " ".join(f"word{i}" for i in range(60))
    found = find_matches([f"Another story, {boilerplate}"], [EvalItem("exam", "1", f"{story} {boilerplate}")], 13, 0.5)
    assert found.matches == ()


def test_held_out_prompts_become_the_test_split_and_are_kept_off_the_pool(tmp_path):
    pool = write_jsonl(tmp_path / "pool.jsonl", [row(1), row(2, prompt=f"{_ITEM} Think first."), row(3)])
    held_out = write_jsonl(tmp_path / "exam.jsonl", [row(9, prompt=_ITEM), row(3), row(8, answer="")])
    out = load(pool, eval_path=str(held_out), decontaminate_against=(str(held_out),))
    assert len(out.test) == 2
    assert out.dev.empty
    assert list(out.train["usable"]) == [True, False, False]
    assert out.train["contamination"].tolist() == [0.0, 1.0, 1.0]
    assert out.train["flags"].iloc[2] == "contaminated"
    assert set(out.matches["exact"]) == {True, False}
    assert set(out.matches["eval_id"]) == {"line 1", "line 2"}  # receipts point into the file
    assert set(out.matches["prompt_id"]) == set(out.train["prompt_id"].iloc[1:])
    assert out.report.counts["n_rejected"] == 0
    assert out.report.counts["n_rejected_elsewhere"] == 1
    assert (3, "empty_answer", True) in issues(out)


def test_benchmark_needs_no_answers_and_may_call_its_column_problem(tmp_path):
    pool = write_jsonl(tmp_path / "pool.jsonl", [row(1, question=row(1)["prompt"]), row(2)])
    benchmark = write_jsonl(tmp_path / "exam.jsonl", [{"problem": row(2)["prompt"]}, {"problem": ""}])
    out = load(pool, decontaminate_against=(str(benchmark),))
    assert list(out.train["flags"]) == ["", "contaminated"]
    assert (2, "empty_prompt", True) in issues(out)


def test_task_world_is_compared_by_whole_texts(monkeypatch):
    config = PromptsConfig(task_world=TaskWorldConfig(n_train=60, n_dev=10, n_test=20))
    out = load_prompts(config, seed=3)
    assert (len(out.train), len(out.dev), len(out.test)) == (60, 10, 20)
    assert out.train["usable"].all()
    assert out.report.counts["n_truth_clean"] == 48
    world = splits.build_world(config.task_world, 3)
    world["test"].loc[0, "prompt"] = world["train"]["prompt"].iloc[5]  # plant a leak
    monkeypatch.setattr(splits, "build_world", lambda *_: world)
    leaked = load_prompts(config, seed=3)
    assert list(leaked.train.index[~leaked.train["usable"]]) == [5]
    assert leaked.train["flags"].iloc[5] == "contaminated"
    assert leaked.matches["benchmark"].tolist() == ["task_world/test"]


def test_planted_leaks_are_found_among_many_prompts_and_nothing_else_is():
    words = [f"w{i}" for i in range(750 * 60)]
    prompts = [" ".join(words[i * 60 : i * 60 + 60]) for i in range(750)]
    halves = [" ".join(words[i * 60 : i * 60 + 30] + [f"other{j}" for j in range(n)]) for i, n in ((15, 15), (30, 60))]
    items = [EvalItem("exam", str(i), text) for i, text in enumerate([prompts[0], *halves])]
    found = find_matches(prompts, items, 13, 0.5).matches
    # 18 of 33 n-grams of the second item; the third shares 18 of 78 and is none
    assert [(m.prompt_index, m.item.eval_id, m.coverage) for m in found] == [(0, "0", 1.0), (15, "1", 18 / 33)]


def test_known_truth_math_train_against_math500(shared_data):
    exam = str(shared_data / "math500.jsonl.gz")
    out = load(shared_data / "math_train.jsonl.gz", decontaminate_against=(exam,))
    counts = out.report.counts
    assert (counts["n_rows"], counts["n_rejected"]) == (7500, 2)
    assert counts["n_eval_items_matched"] == 15
    assert counts["n_exact_matches"] == 1
    assert counts["n_contaminated"] == 24
    assert issues(out) >= {(5342, "empty_answer", True), (5344, "empty_answer", True)}
    assert issues(out) >= {(5333, "swallowed_latex", False), (403, "answer_whitespace", False)}


def test_traps_of_the_real_files_are_found(shared_data):
    gsm = load(shared_data / "gsm8k_train.jsonl.gz", max_rows=2400)
    assert len(gsm.train) == 2400
    assert (2382, "line_separator", False) in issues(gsm)
    contest = load(shared_data / "deepscaler_sub1209.jsonl.gz")
    assert issues(contest) >= {
        (266, "empty_answer", True),
        (98, "swallowed_latex", False),
        (194, "control_character", False),
    }
    assert contest.train["known_pass_rate"].notna().all()
    hard = load(shared_data / "mathperturb_hard.jsonl.gz")
    assert hard.report.counts["n_numeric_answer"] == 138
    choice = load(shared_data / "talscq_en_train.jsonl.gz", columns={"level": "difficulty"})
    assert choice.train["level"].notna().all()
    assert choice.report.counts["n_conflict"] == 20


def test_largest_coverage_stands_in_the_table_whatever_the_order_of_the_items(tmp_path):
    pool = write_jsonl(tmp_path / "pool.jsonl", [row(1, prompt=f"{_ITEM} Think first."), row(2)])
    for items in ([_ITEM, f"{_ITEM} Not at six."], [f"{_ITEM} Not at six.", _ITEM]):
        exam = write_jsonl(tmp_path / "exam.jsonl", [{"prompt": item} for item in items])
        out = load(pool, decontaminate_against=(str(exam),))
        assert out.train["contamination"].tolist() == [1.0, 0.0]
        assert out.matches["coverage"].is_monotonic_decreasing
        assert len(out.matches) == 2
