# Every target sets up what it needs: a private environment in .venv from the locked requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(BIN)/python3:
	@command -v $(PYTHON) >/dev/null || { echo "Antiphon needs Python 3.11 or later; '$(PYTHON)' was not found (set PYTHON=...)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Antiphon needs Python 3.11 or later; '$(PYTHON)' is older (set PYTHON=...)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.done: requirements/runtime.lock pyproject.toml bin/antiphon | $(BIN)/python3
	$(BIN)/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	$(BIN)/python3 -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/dev.done: requirements/dev.lock $(VENV)/runtime.done | $(BIN)/python3
	$(BIN)/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/bench.done: requirements/bench.lock $(VENV)/dev.done
	$(BIN)/python3 -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

setup: $(VENV)/dev.done ## Make the private environment (.venv) with everything a developer needs

demo: $(VENV)/runtime.done ## Run the main job once: plan, parallel tasks, gates, review, accept. Needs no key
	$(BIN)/antiphon demo

test: $(VENV)/dev.done ## Run every test
	$(BIN)/python3 -m pytest -n 2 --dist worksteal tests

clis: $(VENV)/dev.done ## Install the coding CLIs that tests run, into a cache outside the checkout
	$(BIN)/python3 -m tests.agents.clis

properties: $(VENV)/dev.done ## The property tests of the review with 20,000 examples each, a kill at every step (nightly; long)
	ANTIPHON_EXAMPLES=20000 $(BIN)/python3 -m pytest -n 2 --timeout 7200 tests/review tests/orchestration/test_checkpoints_property.py tests/e2e/test_decisions_killed.py tests/e2e/test_decisions_killed_over_stdio.py

simulate: $(VENV)/dev.done ## Many lives of the engine under crashes, SEEDS=FROM:TO (default 0:20000; minutes)
	$(BIN)/python3 -m tests.simulation --seeds $(or $(SEEDS),0:20000)

check: $(VENV)/dev.done ## Lint, format check, strict types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.done ## Format the sources
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schema: $(VENV)/dev.done ## Write docs/protocol.schema.json anew from server/protocol.py
	$(BIN)/python3 -I -m server.protocol_schema docs/protocol.schema.json

bench: $(VENV)/bench.done ## Measure speed and memory; writes docs/benchmarks.md
	$(BIN)/python3 -m benchmarks

pictures: $(VENV)/dev.done ## Take the pictures of the documentation anew (needs tmux); look at them before you commit
	$(BIN)/python3 -m tests.pictures

lock: $(VENV)/dev.done ## Renew the lock files from pyproject.toml
	@# The developer's set first, so that what is shipped is what was tested: one version of everything.
	$(BIN)/python3 -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.lock
	$(BIN)/uv pip compile --quiet pyproject.toml -c requirements/dev.lock --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/runtime.lock
	$(BIN)/uv pip compile --quiet pyproject.toml -c requirements/dev.lock --group dev --group bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/bench.lock

clean: ## Remove the environment and everything built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help setup demo test clis properties simulate check format schema bench pictures lock clean
