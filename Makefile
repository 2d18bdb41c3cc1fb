# The two commands are `make run` and `make test`. The others are for people who work on the house.
SHELL := /bin/sh
PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --require-hashes
# The console script `gmud`, from this folder.
ITSELF := $(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation --editable .
CHECKS := lint format types floors templates house

.PHONY: run test test-fast test-long fault-report test-real bench-traffic bench-delivery check $(CHECKS) messages states clean

run: .venv/run.stamp
	@GMUD_DEMO="$${GMUD_DEMO-1}" exec $(BIN)/python -m gmud.run --port $(PORT)

test: .venv/dev.stamp
	@exec $(BIN)/python -m tests

test-fast: .venv/dev.stamp
	@exec $(BIN)/pytest -q -n 2 -m "not long and not slow and not postgres" --hypothesis-profile=quick tests/unit tests/story

test-long: .venv/dev.stamp
	@exec $(BIN)/python -m tests --long

# Every schedule of dying workers, written into docs/reliability.md.
fault-report: .venv/dev.stamp
	@GMUD_FAULT_REPORT=1 exec $(BIN)/pytest -q -m long tests/fault/operations/test_every_death_of_a_deployment.py

# The contract of the traffic adapters against a live API server with the CRDs: make test-real KUBECONFIG=... [CONTEXT=...]
test-real: .venv/dev.stamp
	@KUBECONFIG="$(KUBECONFIG)" CONTEXT="$(CONTEXT)" exec $(BIN)/python -m tests.real

# Ratios in one run; nothing fails by time. docs/operate.md says how to read them.
bench-traffic: .venv/dev.stamp
	@exec $(BIN)/python -m tests.bench.traffic

bench-delivery: .venv/dev.stamp
	@exec $(BIN)/python -m tests.bench.delivery

# Everything that needs no server, two at a time; the output of each comes in one piece.
check: .venv/dev.stamp
	@began=$$(date +%s); $(MAKE) --no-print-directory -k -j2 --output-sync=target $(CHECKS) \
	  && echo "make check: clean in $$(($$(date +%s) - began)) s"

lint: .venv/dev.stamp
	@$(BIN)/ruff check --quiet .
format: .venv/dev.stamp
	@$(BIN)/ruff format --check --quiet . || { echo "Say: $(BIN)/ruff format ."; exit 1; }
types: .venv/dev.stamp
	@$(BIN)/mypy --no-error-summary
floors: .venv/dev.stamp
	@found=$$($(BIN)/lint-imports --no-logo) || { echo "$$found"; exit 1; }
templates: .venv/dev.stamp
	@$(BIN)/djlint templates --check --lint --quiet || { echo "Say: $(BIN)/djlint templates --reformat, or see: $(BIN)/djlint templates --check --lint"; exit 1; }
house: .venv/dev.stamp
	@$(BIN)/pytest -q -n 2 -m "not long" --hypothesis-profile=quick tests/unit tests/house

# Collect the sentences of code and templates into the catalogues and compile them.
messages: .venv/dev.stamp
	@$(BIN)/python -m tests.house.catalogue

# Draw the life of a change into docs/states.md.
states: .venv/run.stamp
	@$(BIN)/python manage.py states

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# --- the virtual environment: made once, renewed when a lock changes ---------------------------------------------

.venv/run.stamp: requirements.lock | $(BIN)/python
	@echo "Installing what requirements.lock names ..."
	@$(INSTALL) -r requirements.lock
	@$(ITSELF)
	@touch $@

.venv/dev.stamp: requirements-dev.lock | $(BIN)/python
	@echo "Installing what requirements-dev.lock names ..."
	@$(INSTALL) -r requirements-dev.lock
	@$(ITSELF)
	@touch $@ .venv/run.stamp

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed; install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, and $(PYTHON) is older; name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
