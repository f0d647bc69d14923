"""Trackers are not loaded for libraries that could use them, and are there for whoever does."""

import json
import subprocess
import sys
from pathlib import Path

from saerl_core.unused_trackers import unused_trackers

ROOT = Path(__file__).resolve().parents[1]
SAE = (
    "from saerl_core.features.sae_lens_import import quiet_sae_lens\nwith quiet_sae_lens() as s: s.training.sae_trainer"
)
TRAINED = """
from pathlib import Path
from saerl_core.training.run import train_policy
from tests.training.world import FeedbackCurriculum, tiny_job, tiny_policy, tiny_prompts
folder = Path(sys.argv[1])
job = tiny_job(tiny_policy(folder / "policy"), folder / "work", n_steps=1, save_every_steps=1)
train_policy(job, FeedbackCurriculum(list(tiny_prompts()["prompt_id"]), 4), lambda step, metrics: None)
"""
LOADED = "\nprint(sorted({'wandb', 'mlflow'} & sys.modules.keys()))"
LATER = """
from trl.extras import profiling
from trl.trainer import base_trainer
print(base_trainer.wandb.run, callable(base_trainer.wandb.init), profiling.mlflow.active_run())
import wandb, mlflow
print(wandb.__version__ == base_trainer.wandb.__version__, mlflow.log_metric is profiling.mlflow.log_metric)
"""


def said(code, *arguments):
    command = [sys.executable, "-W", "ignore", "-c", f"import sys\n{code}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_sae_lens_loads_neither():
    assert said(SAE + LOADED) == ["[]"]


def test_a_training_with_trl_loads_neither_and_who_uses_them_has_the_real_ones(tmp_path):
    assert said(TRAINED + LOADED + LATER, tmp_path)[-3:] == ["[]", "None True None", "True True"]


def test_a_module_is_put_back_and_one_that_is_loaded_or_absent_stays(monkeypatch):
    monkeypatch.setattr("saerl_core.unused_trackers._TRACKERS", ("colorsys", "json", "no_such_tracker"))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with unused_trackers():
        import colorsys as later

        assert sys.modules["json"] is json
        assert "no_such_tracker" not in sys.modules
        assert not hasattr(later, "__path__")
    assert "colorsys" not in sys.modules
    assert later.hsv_to_rgb(0, 0, 1) == (1, 1, 1)
    assert sys.modules["colorsys"] is not later


def test_a_use_inside_of_the_block_gets_the_real_one(monkeypatch):
    monkeypatch.setattr("saerl_core.unused_trackers._TRACKERS", ("colorsys",))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with unused_trackers():
        import colorsys

        assert colorsys.hsv_to_rgb(0, 0, 1) == (1, 1, 1)
        assert sys.modules["colorsys"] is not colorsys
