# Everything is installed into .venv from the lock file; nothing else on the machine is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests wait now and then, for a browser or a process that was killed: half as many more than processors.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) * 3 // 2)')

.PHONY: install sandbox play test crash bench permissions check format lock clean

install: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Herald needs Python 3.11 or newer: make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

sandbox: install  ## try everything in the browser, with a simulated Discord and Whop
	$(BIN)/herald sandbox

play: install  ## the same story, played by itself in the terminal
	$(BIN)/herald sandbox --play

test: install
	$(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal

crash: install  ## kill real workers everywhere, for about an hour: make crash CRASH="--kills 1000 --seed 5"
	$(BIN)/python -m tests.crash $(CRASH)

bench: install  ## measure speed, latency, rate and idle cost; some minutes, or make bench ARGS=--quick
	$(BIN)/python -m benchmarks.delivery $(ARGS)

seeded: install  ## sow bugs on purpose: each has to turn tests red
	$(BIN)/python -m tests.seeded

permissions: install  ## print who may do what, and when, into docs/permissions.md
	$(BIN)/python -m tests.permissions

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install  ## resolve the newest versions anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade --extra postgresql pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --constraint requirements.lock --extra dev pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
