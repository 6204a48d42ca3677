# Needs Python 3.11 or newer and make; everything else is installed into .venv from the hashed pins.
PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
UV := $(BIN)/uv --quiet
STAMP := .venv/.ready

# One process per processor. A file runs in one of them, so that its tests share a server.
PYTEST := $(BIN)/pytest -n auto --dist loadfile
# With it each server that a test starts would compile its modules first: 3 s instead of 1.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full test-postgresql test-long mutants bench bench-guards cover check lint format-check types walls format docs pins clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv from the hashed pins, with the package editable
	@:

demo: setup ## run the whole flow with a real MCP client, then wait for yours (ARGS=--once: exit)
	@$(BIN)/grantledger demo $(ARGS)

test: setup ## run the tests that each change needs, in minutes (ARGS="-k refresh")
	@$(PYTEST) -m "not full and not long" $(ARGS)

test-full: setup ## run the other tests: kills, races, outages, Chromium, the wheel (ARGS="tests/races")
	@$(BIN)/python tests/install_packages.py
	@$(PYTEST) -m "full and not long" $(ARGS)

# What runs servers, once more. `-r fE` leaves out why tests are skipped: each says so itself, with `once`.
test-postgresql: setup ## run the tests of servers again, with their ledgers in PostgreSQL (ARGS="-k refresh")
	@TEST_STORE=postgresql $(PYTEST) -m "not long" -r fE tests/e2e tests/faults tests/races tests/properties $(ARGS)

test-long: setup ## run the long profiles, some hours (ARGS="tests/properties -k HTTP")
	@$(PYTEST) -m long $(ARGS)

SAMPLE ?= 600
SEED ?= 1
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
mutants: setup ## change domain/ and application/, count the changes that tests notice (SAMPLE=600 SEED=1 JOBS=2)
	@$(BIN)/python tests/mutants.py --sample $(SAMPLE) --seed $(SEED) --jobs $(JOBS) $(ARGS)

bench: setup ## compare with other servers, write docs/performance.md (QUICK=1; ARGS="--help" for the rest)
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

bench-guards: setup ## measure the CPU time of a request behind our guards and behind FastMCP's verifiers
	@$(BIN)/python -m bench.guards $(ARGS)

cover: setup ## run the tests of `make test` with branch coverage
	@$(PYTEST) -m "not full and not long" --cov --cov-report=term --cov-fail-under=85 $(ARGS)

check: lint format-check types walls ## everything that needs no test run: lint, format, types, walls

lint: setup
	@$(BIN)/ruff check --quiet

format-check: setup
	@$(BIN)/ruff format --check --quiet

types: setup
	@$(BIN)/mypy

walls: setup
	@$(BIN)/lint-imports --no-logo

format: setup ## format the code and apply the safe fixes
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

docs: setup ## generate the pages that come from the code
	@$(BIN)/python docs/generate.py

# Pins stay as they are where they still fit; `make pins ARGS=--upgrade` takes the newest.
COMPILE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make pins" $(ARGS)
pins: $(BIN)/uv ## compile requirements/*.txt from pyproject.toml
	@$(COMPILE) --group uv --output-file requirements/uv.txt
	@$(COMPILE) pyproject.toml --extra demo --extra postgresql --group dev -c requirements/uv.txt --output-file requirements/dev.txt
	@$(COMPILE) pyproject.toml --extra server -c requirements/dev.txt --output-file requirements/server.txt
	@$(COMPILE) pyproject.toml --extra postgresql -c requirements/dev.txt --output-file requirements/postgresql.txt
	@$(COMPILE) pyproject.toml -c requirements/dev.txt --output-file requirements/guard.txt
	@$(COMPILE) pyproject.toml --extra demo -c requirements/dev.txt --output-file requirements/demo.txt
	@$(COMPILE) pyproject.toml --group mcp-use --output-file requirements/mcp_use.txt

clean: ## remove .venv, caches and what builds leave behind
	@rm -rf .venv build dist *.egg-info .coverage .coverage.* htmlcov \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Grantledger needs Python 3.11 or newer, as python3 or named: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making .venv"; \
		$(PYTHON) -m venv --clear .venv; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(STAMP): $(BIN)/uv requirements/dev.txt pyproject.toml
	@echo "Installing the pinned packages into .venv"
	@$(UV) pip sync --python $(BIN)/python --compile-bytecode --require-hashes requirements/dev.txt
	@$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(UV) pip check --python $(BIN)/python
	@touch $@
