"""A small job file and its neighbours, as the driver writes them."""

import json
from pathlib import Path

from saerl_core.config.grading import GradingConfig
from saerl_core.training.openrlhf.job_file import JobFile


def make_job(folder: Path, answers: dict[str, str] | None = None, **changes) -> JobFile:
    answers = answers or {"p0": "7", "p1": "8", "p2": "9"}
    attempt = folder / "attempt-01"
    (attempt / "mailbox").mkdir(parents=True, exist_ok=True)
    rows = [{"prompt_id": i, "answer": a} for i, a in answers.items()]
    (folder / "answers.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    settings = {
        "attempt_dir": attempt,
        "prompts_file": folder / "prompts.jsonl",
        "answers_file": folder / "answers.jsonl",
        "policy_path": str(folder / "policy"),
        "n_steps": 3,
        "prompts_per_step": 2,
        "group_size": 2,
        "grading": GradingConfig(kind="exact"),
        "n_gpus": 1,
        "mailbox_timeout_s": 0.2,
        "special_tokens": ("<eos>", "<pad>"),
    }
    return JobFile(**{**settings, **changes})
