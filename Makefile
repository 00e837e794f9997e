# Everything that a person does often is one target. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
DISTS  := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml local/pyproject.toml simulator/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit check format docs clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## a virtual environment with everything (once)

$(STAMP): constraints.txt requirements-dev.txt $(DISTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shoal needs Python 3.11 or newer; say which with make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt hatchling editables
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt --no-build-isolation -r requirements-dev.txt
	@touch $@

demo: setup  ## the main job, for real, on this machine: a search over images, watched live
	$(BIN)/shoal demo

test: setup  ## all tests: unit, integration (real NATS and Redis), system (real processes)
	$(BIN)/python -m pytest

test-unit: setup  ## the pure part, in seconds
	$(BIN)/python -m pytest tests/unit tests/architecture

check: setup  ## what CI runs first: format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code in the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## write docs/asyncapi.yaml anew from the contract
	$(BIN)/shoal events asyncapi > docs/asyncapi.yaml

clean:  ## remove the environment, caches and what runs left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .shoal shoal-report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
