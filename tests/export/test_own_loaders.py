"""The trainers' own loaders read an exported file: two epochs in the plan's order, and a shuffle is seen.

They run in environments of their own: SAERL_VERL_PYTHON, SAERL_SWIFT_PYTHON and SAERL_TINKER_PYTHON name a Python in
which verl, ms-swift, or tinker-cookbook is installed (docs/export.md).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from saerl_core import export_plan, make_plan
from tests.export.conftest import CHAT, PLAIN, SIZE
from tests.export.test_layouts import arguments

HERE = Path(__file__).parent
EPOCHS = 2


@pytest.fixture(scope="module")
def two_epochs(prompts):
    return make_plan(prompts, "vanilla", prompts_per_step=SIZE, n_steps=EPOCHS * len(prompts) // SIZE)


@pytest.fixture
def loaded(two_epochs, prompts, tmp_path):
    """Export for a trainer, and give what its loader makes of it."""

    def load(name, variable, reads, *overrides):
        python = os.environ.get(variable)
        if not python or not Path(python).is_file():
            pytest.skip(f"{variable} names no Python that has {name}")
        folder = tmp_path / name
        export_plan(two_epochs, prompts, name, folder, prompt_format=reads, group_size=4)
        environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
        script = folder / "plan_args.sh"
        given = [word for pair in arguments(folder).items() for word in pair] if script.is_file() else []
        command = [python, str(HERE / f"{name}_order.py"), str(folder), *given, *overrides]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return load


@pytest.mark.slow
@pytest.mark.parametrize("reads", [CHAT, PLAIN], ids=["chat", "plain"])
def test_verl_reads_the_order_of_the_plan(loaded, two_epochs, prompts, reads):
    found = loaded("verl", "SAERL_VERL_PYTHON", reads)
    assert found["steps"] == two_epochs.n_steps
    assert [batch["ids"] for batch in found["batches"]] == [two_epochs.batch(i) for i in range(two_epochs.n_steps)]
    texts = prompts.set_index("prompt_id")["prompt"]
    for batch in found["batches"]:
        assert batch["texts"] == [texts[i] + reads.prompt_suffix for i in batch["ids"]]


@pytest.mark.slow
def test_a_shuffle_of_verl_is_another_order(loaded, two_epochs):
    found = loaded("verl", "SAERL_VERL_PYTHON", CHAT, "data.shuffle=True", "data.seed=1")
    assert [batch["ids"] for batch in found["batches"]] != [two_epochs.batch(i) for i in range(two_epochs.n_steps)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reads", "seen"),
    [(CHAT, "System: Be brief.\n\nUser: {}\n\nAssistant:"), (PLAIN, "{}")],
    ids=["chat", "plain"],
)
def test_tinker_cookbook_reads_the_order_of_the_plan(loaded, two_epochs, prompts, reads, seen):
    found = loaded("tinker", "SAERL_TINKER_PYTHON", reads)
    assert [batch["ids"] for batch in found["batches"]] == [two_epochs.batch(i) for i in range(two_epochs.n_steps)]
    texts = prompts.set_index("prompt_id")["prompt"]
    for batch in found["batches"]:
        assert batch["texts"] == [texts[i] + reads.prompt_suffix for i in batch["ids"]]
        assert batch["tokens"] == [seen.format(text) for text in batch["texts"]]
        assert batch["sizes"] == [4] * SIZE


@pytest.mark.slow
@pytest.mark.parametrize("reads", [CHAT, PLAIN], ids=["chat", "plain"])
def test_swift_reads_the_order_of_the_plan(loaded, two_epochs, prompts, reads):
    found = loaded("swift", "SAERL_SWIFT_PYTHON", reads)
    assert [batch["ids"] for batch in found["batches"]] == [two_epochs.batch(i) for i in range(two_epochs.n_steps)]
    assert all(batch["alike"] for batch in found["batches"])
    texts = prompts.set_index("prompt_id")["prompt"]
    for batch in found["batches"]:
        assert batch["texts"] == [texts[i] + reads.prompt_suffix for i in batch["ids"]]


@pytest.mark.slow
def test_a_shuffle_of_swift_is_another_order(loaded, two_epochs):
    found = loaded("swift", "SAERL_SWIFT_PYTHON", CHAT, "--dataset_shuffle", "true")
    assert [batch["ids"] for batch in found["batches"]] != [two_epochs.batch(i) for i in range(two_epochs.n_steps)]
