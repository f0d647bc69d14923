"""A trainer's rollout log comes home: joined with the plan, checked against it, counted prompt by prompt."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pipelines.commands.observe import observe as command
from saerl_core import export_plan, load_prompts, make_curriculum, make_plan, observe_rollouts
from saerl_core.errors import ConfigError, DataError
from saerl_core.export.logs import LOGS
from saerl_core.export.observe import write_measured
from tests.export.conftest import CHAT, PLAIN, SIZE, STEPS, order_of

ROOT = Path(__file__).resolve().parents[2]
GROUP = 4


@pytest.fixture
def truth(plan):
    """Rollout k of use i is right where k < i % 5: what every log below says."""
    return [
        (i // SIZE, prompt_id, [float(k < i % 5) for k in range(GROUP)]) for i, prompt_id in enumerate(order_of(plan))
    ]


@pytest.fixture
def texts(prompts):
    return prompts.set_index("prompt_id")[["prompt", "answer"]]


def lines(path, rows, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + end, encoding="utf-8")


def own(folder, truth, texts):
    lines(folder / "rollouts.jsonl", [{"step": s, "prompt_id": p, "reward": r} for s, p, rs in truth for r in rs])


def verl(folder, truth, texts, before="system\nBe brief.\nuser\n", after="\nassistant\n"):
    """One file a step, counted from 1; the rows of a step are sorted by an id that means nothing."""
    for step in range(STEPS):
        rows = [
            {
                "input": f"{before}{texts.prompt[p]}{after}",
                "output": "?",
                "gts": texts.answer[p],
                "score": r,
                "step": s + 1,
            }
            for s, p, rs in truth
            if s == step
            for r in rs
        ]
        lines(folder / f"{step + 1}.jsonl", rows[::-1])


def nemo_rl(folder, truth, texts):
    for step in range(STEPS):
        rows = [(texts.prompt[p], r) for s, p, rs in truth if s == step for r in rs]
        logged = [{"content": [[f"<user>{t}</user>", "?"]], "rewards": [r], "idx": i} for i, (t, r) in enumerate(rows)]
        lines(folder / "exp_001" / f"train_data_step{step + 1}.jsonl", logged)


def tinker(folder, truth, texts):
    for step in range(STEPS):
        rows = [
            {"split": "train", "iteration": s, "total_reward": r, "steps": [{"reward": r, "logs": {"prompt_id": p}}]}
            for s, p, rs in truth
            if s == step
            for r in rs
        ]
        held_out = {"split": "eval/x", "iteration": step, "total_reward": 1.0, "steps": []}
        lines(folder / f"iteration_{step:06d}" / "train_rollout_summaries.jsonl", [*rows, held_out])


WRITERS = {"trl": own, "verl": verl, "nemo-rl": nemo_rl, "slime": own, "tinker": tinker, "jsonl": own}


def expected(truth):
    found = {}
    for step, prompt_id, rewards in truth:
        n, right, _ = found.get(prompt_id, (0, 0, 0))
        found[prompt_id] = (n + len(rewards), right + int(sum(rewards)), step)
    return found


def counts(observed):
    t = observed.table
    rows = zip(t["prompt_id"], t["n_rollouts"], t["n_correct"], t["last_step"], strict=True)
    return {prompt_id: (n, right, int(last)) for prompt_id, n, right, last in rows}


def test_every_reader_has_a_log_here():
    assert set(WRITERS) == set(LOGS)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("reads", [None, CHAT, PLAIN], ids=["nobody said", "chat", "plain"])
def test_counts_are_those_of_the_log(name, reads, exported, truth, prompts, tmp_path):
    folder = exported(name, prompt_format=reads)
    suffix = "" if reads is None else reads.prompt_suffix
    texts = prompts.set_index("prompt_id")[["prompt", "answer"]]
    WRITERS[name](tmp_path / "log", truth, texts.assign(prompt=texts["prompt"] + suffix))
    observed = observe_rollouts(tmp_path / "log", folder)
    assert counts(observed) == expected(truth)
    assert observed.order.as_planned
    assert observed.notes == ()
    assert f"trained as planned in all {STEPS} steps" in observed.text()
    table = observed.table.set_index("prompt_id")
    assert list(table.index) == list(dict.fromkeys(order_of_truth(truth)))
    assert table["prompt"].equals(texts["prompt"].reindex(table.index))  # without the policy's suffix
    assert table["answer"].equals(texts["answer"].reindex(table.index))
    assert table["pass_rate"].to_dict() == {p: right / n for p, (n, right, _) in expected(truth).items()}


def order_of_truth(truth):
    return [prompt_id for _, prompt_id, _ in truth]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_the_next_plan_starts_from_them(ending, exported, truth, texts, prompts, tmp_path):
    own(tmp_path / "log", truth, texts)
    observed = observe_rollouts(tmp_path / "log", exported("trl"))
    file = tmp_path / f"measured.{ending}"
    write_measured(observed.table, file)
    loaded = load_prompts(file).train
    assert list(loaded["prompt"]) == list(observed.table["prompt"])
    assert list(loaded["known_pass_rate"]) == list(observed.table["pass_rate"])
    rates = dict(zip(loaded["prompt_id"], loaded["known_pass_rate"], strict=True))
    rates |= dict(zip(observed.table["prompt_id"], observed.table["pass_rate"], strict=True))
    by_file = make_plan(loaded, "difficulty", prompts_per_step=SIZE, difficulty="pass_rate")
    by_table = make_plan(observed.table, "difficulty", prompts_per_step=SIZE)
    whole_pool = make_plan(prompts, "difficulty", prompts_per_step=SIZE, difficulty=observed.table)
    for plan in (by_file, by_table, whole_pool):
        planned = [rates[p] for step in range(plan.n_steps) for p in plan.batch(step)]
        assert planned == sorted(planned, reverse=True)


def test_an_online_curriculum_learns_from_them(exported, truth, texts, prompts, tmp_path):
    own(tmp_path / "log", truth, texts)
    observed = observe_rollouts(tmp_path / "log", exported("trl"))
    first = observed.outcomes[0]
    assert (first.step, first.prompt_ids) == (0, tuple(p for s, p, _ in truth if s == 0))
    assert (first.n_rollouts, first.n_correct) == ((GROUP,) * SIZE, (0, 1, 2))
    curriculum = make_curriculum(make_plan(prompts, "mopps", prompts_per_step=SIZE, n_steps=2))
    assert curriculum.learn_from(observed.outcomes) == len(truth) * GROUP
    assert len(curriculum.next_batch(0)) == SIZE


def test_verl_texts_that_several_prompts_have_are_told_apart_by_step_then_answer(tmp_path):
    rows = [{"prompt": "How much is it?", "answer": str(i)} for i in range(2)]
    rows += [{"prompt": f"How much is {i} plus 1?", "answer": str(i + 1)} for i in range(4)]
    frame = pd.DataFrame(rows).assign(prompt_id=[f"p{i}" for i in range(6)])
    plan = make_plan(frame, "vanilla", prompts_per_step=3)
    export_plan(plan, frame, "verl", tmp_path / "plan", grading="exact", group_size=GROUP)
    order = order_of(plan)
    truth = [(i // 3, p, [1.0, 0.0, 0.0, 0.0]) for i, p in enumerate(order)]
    texts = frame.set_index("prompt_id")[["prompt", "answer"]]
    verl(tmp_path / "log", truth, texts)
    assert counts(observe_rollouts(tmp_path / "log", tmp_path / "plan")) == expected(truth)
    together = order.index("p0") // 3 == order.index("p1") // 3
    verl(tmp_path / "blind", truth, texts.assign(answer="?"))
    blind = observe_rollouts(tmp_path / "blind", tmp_path / "plan")
    assert any("neither step nor answer" in note for note in blind.notes) == together


def test_nemo_rl_without_texts_goes_by_place(exported, truth, texts, tmp_path):
    nemo_rl(tmp_path / "log", truth, texts)
    for file in (tmp_path / "log").rglob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        lines(file, [{"rewards": row["rewards"], "idx": row["idx"]} for row in rows])
    assert counts(observe_rollouts(tmp_path / "log", exported("nemo-rl"))) == expected(truth)


def test_the_first_difference_is_named(exported, plan, truth, texts, tmp_path):
    step_2, step_4 = plan.batch(2), plan.batch(4)
    stranger = next(p for p in order_of(plan) if p not in step_2)
    changed = [(s, stranger if (s, p) == (2, step_2[1]) else p, r) for s, p, r in truth if (s, p) != (4, step_4[0])]
    own(tmp_path / "log", changed, texts)
    observed = observe_rollouts(tmp_path / "log", exported("trl"))
    assert not observed.order.as_planned
    assert (
        f"in step 2 the plan has prompt {step_2[1]}, the log has prompt {stranger} (1 of 6 logged steps"
        in observed.text()
    )
    assert observed.order.partly == (4,)


def test_a_shuffle_is_seen_where_texts_are_joined(exported, truth, texts, tmp_path):
    shuffled = [(s, p, r) for (s, _, _), (_, p, r) in zip(truth, truth[::-1], strict=True)]
    verl(tmp_path / "log", shuffled, texts)
    observed = observe_rollouts(tmp_path / "log", exported("verl"))
    assert observed.n_joined == observed.n_rollouts
    assert observed.order.difference.step == 0
    assert "NOT what was planned" in observed.text()


def test_missing_steps_and_a_cut_last_line_are_told(exported, truth, texts, tmp_path):
    own(tmp_path / "log", [t for t in truth if t[0] not in (1, 4, 5)], texts)
    log = tmp_path / "log" / "rollouts.jsonl"
    log.write_text(log.read_text()[:-20])
    observed = observe_rollouts(log, exported("trl"))
    assert observed.order.missing == (1, 4, 5)
    assert f"trained as planned in 3 of {STEPS} steps\nthe log has nothing of steps 1 and 4 to 5" in observed.text()
    assert observed.notes[0].startswith("1 of 36 lines end in the middle and were left out, first line 36 of")
    assert observed.table["pass_rate"].isna().any()


def test_a_resumed_training_counts_the_last_pass(exported, truth, texts, tmp_path):
    lost = [(s, p, [1.0] * GROUP) for s, p, _ in truth if s in (2, 3)]
    own(tmp_path / "log", [*[t for t in truth if t[0] < 2], *lost, *[t for t in truth if t[0] >= 2]], texts)
    observed = observe_rollouts(tmp_path / "log", exported("slime"))
    assert counts(observed) == expected(truth)
    assert (
        f"{2 * SIZE * GROUP} of {8 * SIZE * GROUP} rollouts were left out: their step was logged again"
        in observed.text()
    )
    twice = tmp_path / "twice"
    own(twice, [*truth, *truth], texts)
    assert counts(observe_rollouts(twice, exported("slime", overwrite=True))) == expected(truth)


def test_rewards_in_between_and_borders(exported, truth, texts, tmp_path):
    own(tmp_path / "log", [(s, p, [0.9 if r else 0.1 for r in rs]) for s, p, rs in truth], texts)
    folder = exported("trl")
    observed = observe_rollouts(tmp_path / "log", folder)
    assert counts(observed) == expected(truth)
    assert "neither 0 nor 1" in observed.notes[0]
    assert observe_rollouts(tmp_path / "log", folder, correct_at=0.95).table["n_correct"].sum() == 0
    own(tmp_path / "signed", [(s, p, [2 * r - 1 for r in rs]) for s, p, rs in truth], texts)
    with pytest.raises(DataError, match=r"a reward in the log is -1, outside \[0, 1\].*--correct-at"):
        observe_rollouts(tmp_path / "signed", folder)
    assert counts(observe_rollouts(tmp_path / "signed", folder, correct_at=1)) == expected(truth)


def test_rewards_that_are_no_numbers_are_left_out(exported, truth, texts, tmp_path):
    changed = [(s, p, ["right", float("nan"), *rs[2:]] if i == 0 else rs) for i, (s, p, rs) in enumerate(truth)]
    own(tmp_path / "log", changed, texts)
    observed = observe_rollouts(tmp_path / "log", exported("trl"))
    assert observed.notes[0].startswith("2 of 72 rewards are no finite numbers and were left out, the first is 'right'")
    own(tmp_path / "none", [(s, p, ["x"] * GROUP) for s, p, _ in truth], texts)
    with pytest.raises(DataError, match="none of the 72 rewards"):
        observe_rollouts(tmp_path / "none", exported("trl", overwrite=True))


@pytest.mark.parametrize("name", ["trl", "verl"])
def test_the_log_of_another_plan_is_refused(name, exported, truth, texts, tmp_path):
    other = [(s, f"x{i}", rs) for i, (s, _, rs) in enumerate(truth)]
    odd = pd.DataFrame({"prompt": [f"Name {i}." for i in range(18)], "answer": "?"}, index=[p for _, p, _ in other])
    WRITERS[name](tmp_path / "log", [*truth[:3], *other[3:]], pd.concat([texts, odd]))
    with pytest.raises(DataError, match=r"only 12 of the 72 rollouts in .* \(17 %\).*another plan"):
        observe_rollouts(tmp_path / "log", exported(name))


def test_what_is_no_log_is_refused(exported, truth, texts, tmp_path):
    folder = exported("trl")
    (tmp_path / "empty").mkdir()
    own(tmp_path / "log", truth, texts)
    cases = [
        ((tmp_path / "empty", folder), ConfigError, r"holds no rollout log of TRL \(rollouts\*\.jsonl\)"),
        ((tmp_path / "nowhere", folder), ConfigError, "there is no rollout log at"),
        ((tmp_path / "log", tmp_path / "empty"), ConfigError, r"holds no plan\.json"),
        ((tmp_path / "log", folder, "vrel"), ConfigError, r"'vrel' \(did you mean 'verl'\?\); take one of trl, verl"),
        (
            (tmp_path / "log", folder, "verl"),
            DataError,
            "have input, score and step; the first has step, prompt_id, reward",
        ),
        ((tmp_path / "log", exported("swift")), ConfigError, "no reader for rollout logs of format 'swift'"),
    ]
    for arguments, error, message in cases:
        with pytest.raises(error, match=message):
            observe_rollouts(*arguments)
    with pytest.raises(ConfigError, match="correct_at is nan"):
        observe_rollouts(tmp_path / "log", folder, correct_at=float("nan"))
    lines(tmp_path / "log" / "rollouts.jsonl", [{"step": -1, "prompt_id": "x", "reward": 1}] * 2)
    with pytest.raises(DataError, match="none of the 2 lines"):
        observe_rollouts(tmp_path / "log", folder)
    (tmp_path / "log" / "rollouts.jsonl").write_text("[1]\n\nrubbish\n")
    with pytest.raises(DataError, match="none of the 2 lines"):
        observe_rollouts(tmp_path / "log", folder)


def test_the_measured_file_goes_where_nothing_is(exported, truth, texts, tmp_path):
    own(tmp_path / "log", truth, texts)
    table = observe_rollouts(tmp_path / "log", exported("trl")).table
    (tmp_path / "there.jsonl").touch()
    for name, message in (("there.jsonl", "there already"), ("x.csv", r"ends in \.jsonl"), ("no/x.jsonl", "no folder")):
        with pytest.raises(ConfigError, match=message):
            write_measured(table, tmp_path / name)


def test_the_command(exported, truth, texts, tmp_path):
    own(tmp_path / "log", truth, texts)
    arguments = [str(tmp_path / "log"), "--plan", str(exported("trl")), "--out", str(tmp_path / "measured.jsonl")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert f"trained as planned in all {STEPS} steps" in done.output
    assert pd.read_json(tmp_path / "measured.jsonl", lines=True, dtype=False)["n_rollouts"].sum() == len(truth) * GROUP
    again = CliRunner().invoke(command, arguments)
    assert (again.exit_code, "there already" in again.output) == (1, True)


def test_the_documented_files_are_those_of_the_table():
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    for name, form in LOGS.items():
        assert re.search(rf"\| `{name}` \|[^\n]*`{re.escape(form.files)}`", page), name


def test_source_and_licence_come_home(plan, prompts, tmp_path):
    named = prompts.assign(source=["mine", *[None] * (len(prompts) - 1)], licence=["mit", *[None] * (len(prompts) - 1)])
    folder = tmp_path / "jsonl"
    export_plan(plan, named, "jsonl", folder, grading="exact", group_size=4)
    lines(
        folder / "rollouts.jsonl",
        [{"step": i // SIZE, "prompt_id": p, "reward": 1.0} for i, p in enumerate(order_of(plan))],
    )
    table = observe_rollouts(folder / "rollouts.jsonl", folder).table.set_index("prompt_id")
    first = str(prompts["prompt_id"].iloc[0])
    assert table.loc[first, ["source", "licence"]].tolist() == ["mine", "mit"]
    assert table.drop(index=first)[["source", "licence"]].isna().all(axis=None)
