"""The launch command as a list: what is in it, in every way to launch (OpenRLHF's own word on it: test_real_parser)."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.__main__ import main
from saerl_core.config.load import validate
from saerl_core.config.openrlhf_flags import FREE, OWNED, REFUSED
from saerl_core.errors import ConfigError
from saerl_core.training.openrlhf.algorithms import SPELLINGS
from saerl_core.training.openrlhf.command import (
    CommandJob,
    container_name,
    launch_command,
    openrlhf_flags,
    preview_command,
)

SETTINGS = {"python": "/env/bin/python", "gpus_per_node": 1}


def training(algorithm="grpo", settings=None, **changes):
    section = {"backend": "openrlhf", "algorithm": algorithm, "openrlhf": {**SETTINGS, **(settings or {})}, **changes}
    return {"training": section}


def make_job(config=None, **changes):
    base = CommandJob(
        policy_path="/models/policy",
        config=validate(config or training()).training,
        n_steps=60,
        prompts_per_step=32,
        seed=0,
        work_dir=Path("/shared/train-1"),
        resume=False,
        has_eval=False,
    )
    return replace(base, **changes)


def value(flags, name):
    assert flags.count(name) == 1
    return flags[flags.index(name) + 1]


@pytest.mark.parametrize("algorithm", SPELLINGS)
def test_every_flag_is_a_known_name_written_in_full_and_once(algorithm):
    flags = openrlhf_flags(make_job(training(algorithm, kl_coef=0.001), resume=True, has_eval=True))
    names = [flag for flag in flags if flag.startswith("--")]
    assert len(set(names)) == len(names)
    assert set(names) <= {*FREE, *OWNED, *REFUSED}


def test_extra_arguments_come_last_so_that_they_win():
    flags = openrlhf_flags(make_job(training(settings={"extra_args": ["--actor.entropy_coef", "0.01"]})))
    assert flags[-2:] == ["--actor.entropy_coef", "0.01"]


def test_one_batch_of_the_plan_is_one_optimizer_step():
    flags = openrlhf_flags(make_job())
    assert (value(flags, "--rollout.batch_size"), value(flags, "--train.batch_size")) == ("32", "128")
    assert (value(flags, "--train.num_episodes"), value(flags, "--train.max_epochs")) == ("1", "1")


@pytest.mark.parametrize(
    ("n_steps", "warmup", "rounded_up"), [(60, 5, 5), (60, 0, 0), (7, 3, 3), (3, 3, 3), (997, 100, 100)]
)
def test_the_warm_up_is_what_openrlhf_makes_of_the_ratio(n_steps, warmup, rounded_up):
    flags = openrlhf_flags(make_job(training(warmup_steps=warmup), n_steps=n_steps))
    ratio = float(value(flags, "--actor.lr_warmup_ratio"))
    assert -int(-(n_steps * ratio) // 1) == rounded_up  # math.ceil


def test_a_checkpoint_is_loaded_only_when_there_is_one():
    assert "--ckpt.load_enable" not in openrlhf_flags(make_job())
    assert "--ckpt.load_enable" in openrlhf_flags(make_job(resume=True))


def test_the_reference_costs_nothing_without_a_kl_term():
    flags = openrlhf_flags(make_job(training(kl_coef=0.0)))
    assert value(flags, "--algo.kl.init_coef") == "0.0"
    assert "--algo.kl.use_loss" not in flags


def test_held_out_prompts_are_scored_only_where_there_are_some():
    with_dev = training(eval_every_steps=5)
    assert "--eval.dataset" not in openrlhf_flags(make_job(with_dev))
    assert value(openrlhf_flags(make_job(with_dev, has_eval=True)), "--eval.steps") == "5"


def test_a_comma_in_a_path_is_refused():
    with pytest.raises(ConfigError, match=r"train-1 has a comma .* set SAERL_HOME to a folder without one"):
        openrlhf_flags(make_job(work_dir=Path("/shared,all/train-1")))


def test_a_process_is_the_launcher_with_the_job_and_the_flags():
    job = make_job()
    launcher = ["/env/bin/python", "-m", "saerl_core.training.openrlhf.launch", "/shared/train-1/job.json", "--"]
    assert launch_command(job) == [*launcher, *openrlhf_flags(job)]


def test_an_interpreter_is_found_from_wherever_the_trainer_is_started(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert launch_command(make_job(training(settings={"python": "env/bin/python"})))[0] == f"{tmp_path}/env/bin/python"


def test_a_container_has_the_folders_and_no_secret(monkeypatch):
    monkeypatch.setenv("HF_HOME", "/cache/hf")
    monkeypatch.setenv("HF_TOKEN", "secret")
    settings = {"python": None, "image": "team/trainer:1", "env": {"NCCL_DEBUG": "INFO"}, "env_from": ["HF_TOKEN"]}
    job = make_job(training(settings=settings))
    command = launch_command(job)
    image = command.index("team/trainer:1")
    assert command[:2] == ["docker", "run"]
    assert command[image + 1 : image + 4] == ["python", "-m", "saerl_core.training.openrlhf.launch"]
    volumes = [command[i + 1] for i, part in enumerate(command) if part == "--volume"]
    assert volumes == ["/shared/train-1:/shared/train-1", "/cache/hf:/cache/hf", "/models/policy:/models/policy:ro"]
    assert value(command, "--name") == container_name(job.work_dir) == "saerl-train-1"
    passed_on = {command[i + 1] for i, part in enumerate(command[:image]) if part == "--env"}
    assert {"HF_TOKEN", "NCCL_DEBUG", "PYTHONPATH", "PYTHONUNBUFFERED", "SAERL_TRAINER_OF"} <= passed_on
    assert "secret" not in " ".join(command)


def test_a_hub_model_is_not_mounted():
    config = training(settings={"python": None, "image": "i"})
    assert "org/model" not in launch_command(make_job(config, policy_path="org/model"))[:20]


def test_the_preview_names_what_only_a_run_can_know(monkeypatch, tmp_path):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path))
    command = preview_command(validate(training()))
    assert value(command, "--actor.model_name_or_path") == "<policy of prepare_policy, source task_world>"
    assert value(command, "--ckpt.path") == f"{tmp_path}/work/train-<hash>/ckpt"


def test_the_preview_of_a_hub_policy_is_its_name(monkeypatch, tmp_path):
    policy = {"policy": {"source": "pretrained", "model": "org/model"}}
    assert value(preview_command(validate(training() | policy)), "--actor.model_name_or_path") == "org/model"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org/model").mkdir(parents=True)
    command = preview_command(validate(training() | policy))
    assert value(command, "--actor.model_name_or_path") == f"{tmp_path}/org/model"


def test_the_preview_of_a_ray_job_is_its_submission():
    command = preview_command(validate(training(settings={"launch": "ray_job", "env": {"NCCL_DEBUG": "INFO"}})))
    assert command[1:4] == ["-m", "saerl_core.training.openrlhf.submit", "http://127.0.0.1:8265"]
    job = command[command.index("--") + 1 :]
    assert job[1:3] == ["-m", "saerl_core.training.openrlhf.launch"]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "training.backend is 'embedded', which starts no command"),
        ({"training": {"enabled": False}}, "training.enabled is False"),
        (training() | {"plan": {"n_steps": None}}, "set plan.n_steps"),
    ],
)
def test_without_a_command_there_is_none_to_show(config, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        preview_command(validate(config))


def test_show_command_prints_one_json_list_and_starts_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SAERL_HOME", str(tmp_path / "home"))
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps({"parameters": training(settings={"python": "/nowhere/bin/python"})}))
    main(["show-command", "-c", str(file)], standalone_mode=False)
    command = json.loads(capsys.readouterr().out)
    assert command[0] == "/nowhere/bin/python"
    assert not (tmp_path / "home").exists()
