# The commands that people and CI use; every target makes what it needs first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export ZENML_ANALYTICS_OPT_IN := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install setup demo test check format ui clean

help:            ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null 2>&1 || true  # without .pyc every command takes twice as long
	touch $(STAMP)

install: $(STAMP) ## create .venv from the committed constraints

setup: $(STAMP)  ## register and activate the local ZenML stack with MLflow on SQLite
	$(BIN)/python -m pipelines setup

demo: setup      ## run the whole pipeline on this machine and say where the report is
	PATH="$(CURDIR)/$(BIN):$$PATH" zenml pipeline run saerl
	$(BIN)/python -m pipelines where

test: $(STAMP)   ## the whole test suite
	$(BIN)/python -m pytest

check: $(STAMP)  ## formatting, lint, types, architecture: the one definition of clean
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ui: $(STAMP)     ## MLflow UI on 127.0.0.1:5000
	$(BIN)/python -m pipelines ui

clean:           ## remove what runs wrote (not .venv)
	rm -rf .saerl
