"""Every folder holds the plan's order in the layout that the trainer documents, and the settings that keep it."""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest
import yaml

from saerl_core import observe_rollouts
from saerl_core.export.formats import FORMATS
from tests.export.conftest import CHAT, PLAIN, SIZE, STEPS, json_lines, order_of


def rows_of(folder, name):
    path = folder / FORMATS[name].data
    return pd.read_parquet(path).to_dict("records") if path.suffix == ".parquet" else json_lines(path)


def id_of(row):
    for inner in (row, row.get("metadata", {}), row.get("extra_info", {})):
        if "prompt_id" in inner:
            return inner["prompt_id"]
    raise AssertionError(row)


def arguments(folder):
    """What bash makes of the array."""
    script = f"source {shlex.quote(str(folder / 'plan_args.sh'))}; printf '%s\\n' \"${{PLAN_ARGS[@]}}\""
    words = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    found, key = {}, ""
    for word in words:
        if word.startswith("--"):
            key = word
            found[key] = ""
        else:
            found[key] = word
    return found


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("reads", [None, CHAT, PLAIN], ids=["nobody said", "chat", "plain"])
def test_rows_are_uses_in_slot_order(name, reads, exported, plan, prompts):
    folder = exported(name, prompt_format=reads)
    rows = rows_of(folder, name)
    assert [id_of(row) for row in rows] == order_of(plan)
    card = json.loads((folder / "plan.json").read_text())
    assert card["plan_hash"] == plan.plan_hash
    assert (card["prompts_per_step"], card["n_steps"], card["group_size"]) == (SIZE, STEPS, 4)
    table = plan.table.sort_values(["step", "slot"])
    wanted = zip(range(len(table)), table["step"], table["slot"], table["prompt_id"], strict=True)
    assert [tuple(row.values()) for row in card["rows"]] == [tuple(row) for row in wanted]
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {*card["files"], "plan.json"}
    texts = json.dumps(rows, default=str) if name != "verl" else str(rows)
    answers = prompts.set_index("prompt_id")["answer"]
    for row, prompt_id in zip(rows, order_of(plan), strict=True):
        held = [row.get(k) for k in ("answer", "label", "output", "solution")]
        held.append(row.get("reward_model", {}).get("ground_truth"))
        assert answers[prompt_id] in held
    if reads is not None:
        assert texts.count(reads.prompt_suffix) >= len(rows)


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_is_ten_lines_with_the_trainer_and_its_order(name, exported, plan):
    page = (exported(name) / "README.md").read_text()
    body = re.sub(r"\A---\n.*?\n---\n", "", page, flags=re.DOTALL).split("\n## ")[0]  # of a card: what is around it
    assert len(body.splitlines()) == 10
    assert FORMATS[name].title in page
    assert plan.plan_hash[:16] in page
    named = set(re.findall(r"`([\w/]+\.(?:py|sh|yaml|jsonl|parquet))`", page))
    files = set(json.loads((exported(name, overwrite=True) / "plan.json").read_text())["files"])
    assert FORMATS[name].data in named & files


def test_trl_and_jsonl_hold_text_or_messages(exported):
    plain = json_lines(exported("trl", prompt_format=PLAIN) / "prompts.jsonl")[0]
    assert isinstance(plain["prompt"], str)
    assert set(plain) == {"row", "step", "slot", "prompt_id", "prompt", "answer"}
    chat = json_lines(exported("jsonl", prompt_format=CHAT) / "prompts.jsonl")[0]["prompt"]
    assert [m["role"] for m in chat] == ["system", "user"]
    assert chat[0]["content"] == "Be brief."
    assert chat[1]["content"].endswith(" Think.")


def test_verl(exported):
    folder = exported("verl", prompt_format=CHAT)
    first = pd.read_parquet(folder / "train.parquet").iloc[0]
    assert [m["role"] for m in first["prompt"]] == ["system", "user"]
    assert set(first["reward_model"]) == {"style", "ground_truth"}
    assert first["extra_info"]["index"] == 0
    settings = yaml.safe_load((folder / "saerl_plan.yaml").read_text())
    assert settings["defaults"] == ["ppo_trainer", "_self_"]
    assert settings["data"] == {
        "train_files": "train.parquet",
        "prompt_key": "prompt",
        "shuffle": False,
        "train_batch_size": SIZE,
        "gen_batch_size": None,
        "train_max_samples": -1,
        "filter_overlong_prompts": False,
    }
    assert settings["algorithm"]["filter_groups"]["enable"] is False
    assert settings["trainer"]["v1"]["trainer_mode"] == "sync"
    assert settings["trainer"]["total_training_steps"] == STEPS
    assert settings["actor_rollout_ref"] == {"rollout": {"n": 4}}


def test_a_policy_without_a_template_is_read_without_one_by_trainers_that_always_use_one(exported):
    verl = yaml.safe_load((exported("verl", prompt_format=PLAIN) / "saerl_plan.yaml").read_text())
    import jinja2

    template = jinja2.Template(verl["actor_rollout_ref"]["model"]["custom_chat_template"])
    assert template.render(messages=[{"role": "user", "content": "ab ="}]) == "ab ="
    nemo = yaml.safe_load((exported("nemo-rl", prompt_format=PLAIN) / "plan.yaml").read_text())
    assert nemo["policy"]["tokenizer"]["chat_template"] is None
    assert arguments(exported("swift", prompt_format=PLAIN))["--use_chat_template"] == "false"


def test_slime(exported):
    folder = exported("slime", prompt_format=CHAT)
    first = json_lines(folder / "prompts.jsonl")[0]
    assert set(first) == {"prompt", "label", "metadata"}
    found = arguments(folder)
    assert found["--prompt-data"] == str(folder / "prompts.jsonl")
    assert (found["--rollout-batch-size"], found["--num-rollout"]) == (str(SIZE), str(STEPS))
    assert found["--n-samples-per-prompt"] == "4"
    assert "--apply-chat-template" in found
    assert not {"--rollout-shuffle", "--dynamic-sampling-filter-path", "--rollout-max-prompt-len"} & set(found)
    assert "--apply-chat-template" not in arguments(exported("slime", prompt_format=PLAIN, overwrite=True))


def test_slime_rewards_are_written_with_their_prompts(exported, monkeypatch):
    folder = exported("slime")
    monkeypatch.delenv("PLAN_ROLLOUTS", raising=False)
    log = _loaded(folder / "plan_log.py")
    groups = [
        [SimpleNamespace(metadata=row["metadata"], reward=1.0)] * 4 for row in json_lines(folder / "prompts.jsonl")
    ]
    assert log.log_rollouts(0, None, groups[:SIZE], {}, 0.1) is False
    log.log_rollouts(1, None, [s for group in groups[SIZE : 2 * SIZE] for s in group], {}, 0.1)
    lines = json_lines(folder / "rollouts.jsonl")
    assert [line["row"] // SIZE for line in lines] == [line["step"] for line in lines] == [0] * 12 + [1] * 12
    observed = observe_rollouts(folder, folder)
    assert (observed.n_joined, observed.order.as_planned, observed.order.missing) == (24, True, (2, 3, 4, 5))


def test_nemo_rl(exported):
    folder = exported("nemo-rl", prompt_format=CHAT)
    assert set(json_lines(folder / "train.jsonl")[0]) == {"input", "output", "prompt_id", "row"}
    settings = yaml.safe_load((folder / "plan.yaml").read_text())
    assert settings["grpo"] == {
        "num_prompts_per_step": SIZE,
        "max_num_steps": STEPS,
        "max_num_epochs": 1,
        "use_dynamic_sampling": False,
        "num_generations_per_prompt": 4,
    }
    assert settings["data"]["shuffle"] is False
    assert settings["data"]["use_multiple_dataloader"] is False
    assert settings["data"]["train"]["split_validation_size"] == 0
    assert (folder / settings["data"]["train"]["system_prompt_file"]).read_text() == "Be brief."


def test_swift(exported):
    folder = exported("swift", prompt_format=CHAT)
    first = json_lines(folder / "prompts.jsonl")[0]
    assert [m["role"] for m in first["messages"]] == ["system", "user"]
    found = arguments(folder)
    assert found["--dataset_shuffle"] == "false"
    assert found["--dynamic_sample"] == "false"
    assert found["--generation_batch_size"] == str(4 * SIZE)
    assert found["--max_steps"] == str(STEPS)
    assert "--use_chat_template" not in found


def test_trinity(exported):
    folder = exported("trinity", prompt_format=CHAT)
    settings = yaml.safe_load((folder / "plan.yaml").read_text())
    taskset = settings["buffer"]["explorer_input"]["taskset"]
    assert taskset["task_selector"] == {"selector_type": "sequential"}
    assert (folder / taskset["path"] / f"{taskset['split']}.jsonl").is_file()
    assert taskset["format"] == {"prompt_key": "prompt", "response_key": "answer", "system_prompt": "Be brief."}
    assert settings["buffer"]["batch_size"] == SIZE
    assert settings["buffer"]["train_batch_size"] == 4 * SIZE


def test_tinker_gives_out_one_step_a_batch(exported, plan, monkeypatch):
    """With stand-ins of the base classes: what is ours of the module runs."""
    folder = exported("tinker", prompt_format=CHAT)
    _stand_in(monkeypatch, "chz", chz=lambda cls: cls)
    _stand_in(monkeypatch, "tinker")
    _stand_in(monkeypatch, "tinker_cookbook", renderers=SimpleNamespace())
    _stand_in(monkeypatch, "tinker_cookbook.rl")
    _stand_in(monkeypatch, "tinker_cookbook.tokenizer_utils", get_tokenizer=None)
    _stand_in(monkeypatch, "tinker_cookbook.rl.types", RLDataset=object, RLDatasetBuilder=object)
    _stand_in(monkeypatch, "tinker_cookbook.rl.problem_env", ProblemEnv=_Env, ProblemGroupBuilder=SimpleNamespace)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(sys.modules, "reward", _loaded(folder / "reward.py"))
    dataset = _loaded(folder / "plan_dataset.py").PlanDataset("renderer", 4)
    assert len(dataset) == STEPS
    for step in range(STEPS):
        batch = dataset.get_batch(step)
        assert [builder.env_thunk().row["prompt_id"] for builder in batch] == plan.batch(step)
        assert {builder.num_envs for builder in batch} == {4}
    env = dataset.get_batch(0)[0].env_thunk()
    assert env.convo_prefix == [{"role": "system", "content": "Be brief."}]
    assert env.get_question().endswith(" Think.")
    assert [env.check_answer(text) for text in (env.get_reference_answer(), "c")] == [1.0, 0.0]


@pytest.mark.parametrize("name", FORMATS)
def test_scripts_are_python(name, exported):
    for path in exported(name).glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text()))


class _Env:
    def __init__(self, renderer, convo_prefix, format_coef):
        self.renderer, self.convo_prefix, self.format_coef = renderer, convo_prefix, format_coef


def _stand_in(monkeypatch, name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def _loaded(path):
    spec = importlib.util.spec_from_file_location(f"exported_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
