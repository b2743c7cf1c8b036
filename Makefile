# Everything is installed into .venv from the lock files, as it is needed; nothing else on the machine is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check
STAMP  := $(VENV)/.installed
LOCK   := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links pyproject.toml
# Tests wait now and then, for a browser or a process that was killed: half as many more than processors.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) * 3 // 2)')

.PHONY: install sandbox play test properties crash bench seeded mutants permissions check format lock clean

install: $(STAMP)  ## what running needs, and nothing for developers

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Herald needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

# What the sandbox needs beside that, and what developers do.
$(STAMP)-%: requirements-%.lock $(STAMP)
	$(PIP) --require-hashes --requirement $<
	touch $@

sandbox: $(STAMP)-sandbox  ## try everything in the browser, with a simulated Discord and Whop
	$(BIN)/herald sandbox

play: $(STAMP)-sandbox  ## the same story, played by itself in the terminal
	$(BIN)/herald sandbox --play

test: $(STAMP)-dev
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal

properties: $(STAMP)-dev  ## try every property on many new examples, for half an hour
	HYPOTHESIS_PROFILE=long $(BIN)/pytest -m hypothesis --timeout=3600 -o faulthandler_timeout=7200 --numprocesses=$(WORKERS) --dist=worksteal
	HERALD_SCHEDULES=10000 $(BIN)/pytest tests/test_schedule_trial.py --numprocesses=$(WORKERS)

crash: $(STAMP)-dev  ## kill real workers everywhere, for more than an hour: make crash CRASH="--kills 1000 --seed 5"
	$(BIN)/python -m tests.crash $(CRASH)

bench: $(STAMP)-dev  ## measure speed, latency, rate, idle cost and more; some minutes, or make bench ARGS=--quick
	$(BIN)/python -m benchmarks.delivery $(ARGS)

seeded: $(STAMP)-dev  ## sow bugs on purpose: each has to turn tests red
	$(BIN)/python -m tests.seeded

mutants: $(STAMP)-dev  ## make small mistakes in a copy and see which the tests miss, for hours: make mutants MUTANTS=bot/sending/start.py
	$(BIN)/python -m tests.mutants $(MUTANTS)

permissions: $(STAMP)-dev  ## print who may do what, and when, into docs/permissions.md
	$(BIN)/python -m tests.permissions

check: $(STAMP)-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/basedpyright

format: $(STAMP)-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# With UPGRADE= what is locked stays at its version.
lock: UPGRADE ?= --upgrade
lock: $(STAMP)-dev  ## resolve the newest versions anew: each file goes by the one before
	$(LOCK) $(UPGRADE) --extra build --extra postgresql --output-file requirements.lock
	$(LOCK) $(UPGRADE) --constraint requirements.lock --extra build --extra postgresql --extra sandbox --output-file requirements-sandbox.lock
	$(LOCK) $(UPGRADE) --constraint requirements-sandbox.lock --extra dev --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
