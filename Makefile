# Everything that a person does often is one target. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BENCH  := .venv-bench
STAMP  := $(VENV)/.ready
AUDIT  := $(VENV)/audit.txt
DISTS  := $(wildcard libs/*/pyproject.toml services/*/pyproject.toml local/pyproject.toml simulator/pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-seeds check audit format docs docs-released clean
.PHONY: bench-search bench-scheduler bench-path bench-heterogeneous bench-worker bench-cost bench-gateway

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## a virtual environment with everything (once)

$(STAMP): constraints.txt requirements-dev.txt $(DISTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shoal needs Python 3.11 or newer; say which with make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt hatchling editables setuptools
	$(BIN)/pip install --disable-pip-version-check -q -c constraints.txt --no-build-isolation -r requirements-dev.txt
	@touch $@

demo: setup  ## the main job, for real, on this machine: a search over images, watched live
	$(BIN)/shoal demo

test: setup  ## all tests: unit, integration (real NATS and Redis), system (real processes)
	$(BIN)/python -m pytest -n auto

test-unit: setup  ## the pure part, in seconds
	$(BIN)/python -m pytest tests/unit tests/architecture

test-seeds: setup  ## thousands of simulated clusters that go wrong in drawn ways
	SHOAL_SEEDS=2000 $(BIN)/python -m pytest -n auto tests/unit/simulator/test_cluster.py

check: setup  ## what CI runs first: format, lint, types, import rules, dangerous calls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ll -r libs services local simulator
	@$(MAKE) -s audit

audit: setup  ## known holes in what is installed, asked of PyPI; says so when it gives no answer
	@$(BIN)/pip-audit --disable-pip --no-deps --progress-spinner off -r constraints.txt >$(AUDIT) 2>&1; \
	status=$$?; \
	if grep -q "^Found" $(AUDIT); then cat $(AUDIT); exit 1; \
	elif [ $$status -ne 0 ]; then echo "not audited, since PyPI gave no answer: $$(tail -n 1 $(AUDIT))"; \
	else echo "audited: no known holes; PyPI does not know $$(grep -c "could not be audited" $(AUDIT))" \
		"of $$(grep -c == constraints.txt) packages"; fi

format: setup  ## put the code in the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## write docs/asyncapi.yaml and docs/openapi.json anew
	$(BIN)/shoal events asyncapi > docs/asyncapi.yaml
	$(BIN)/shoal-gateway openapi > docs/openapi.json

docs-released: docs  ## from now on later OpenAPI documents are compared with today's: for a release
	cp docs/openapi.json docs/openapi-released.json

bench-search: $(BENCH)/.ready  ## how fast searches find a good model, beside their peers
	$(BENCH)/bin/python -m benchmarks.search
	$(BIN)/python -m benchmarks.search.latency

$(BENCH)/.ready: $(STAMP) benchmarks/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --disable-pip-version-check -q hatchling editables setuptools -r benchmarks/requirements.txt
	$(BENCH)/bin/pip install --disable-pip-version-check -q --no-build-isolation -e libs/contract -e libs/decider -e libs/bus -e services/searcher
	@touch $@

bench-scheduler: setup  ## decisions a second and latency of the scheduler's core
	$(BIN)/python -m benchmarks.scheduler

bench-path: setup  ## from a request to its slots over real NATS, with 1,000 nodes
	$(BIN)/python -m benchmarks.path

bench-heterogeneous: setup  ## the policies on unlike GPUs, over measured job traces
	$(BIN)/python -m benchmarks.heterogeneous $(DATA)

bench-worker: $(BENCH)/.ready  ## starts, overhead, recovery and checkpoints of a worker
	$(BIN)/python -m benchmarks.worker

bench-cost: setup  ## money on preemptible machines, over measured traces
	$(BIN)/python -m benchmarks.cost $(DATA)

bench-gateway: $(BENCH)/.ready  ## metrics taken in, lists and subscribers of one gateway, beside MLflow
	$(BIN)/python -m benchmarks.gateway

clean:  ## remove the environment, caches and what runs left behind
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .shoal shoal-report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
