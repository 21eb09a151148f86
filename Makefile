# make run | test | test-all | faults | check | bench | demo-model | gallery      Everything needed is set up on the way, in .venv.
PYTHON ?= python3
PORT ?= 8501
ADDRESS ?= localhost
VENV := .venv
BIN := $(VENV)/bin
# Threads that wait for work spin a little, then sleep: on a shared machine endless spinning costs several times the work itself.
export GOMP_SPINCOUNT ?= 10000
export PYTHONUNBUFFERED ?= 1
# Bytecode is kept: some hundred processes that tests start would compile the same modules anew each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup test test-all faults check check-lines check-types check-structure bench bench-ui demo-model gallery chromium clean

run: setup
	$(BIN)/python -m app.server --port $(PORT) --address $(ADDRESS)

setup: $(VENV)/runtime
# Four processes, each with whole files of tests: some wait for workers and browsers, and a module's set-up is done once.
# The files keep the order of tests/conftest.py, the longest first; by default those of few tests, the browser's, would come last.
# `make test` leaves out what is marked long, `make test-all` nothing; `make faults` runs what breaks things on purpose.
PYTEST = $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder
test: $(VENV)/development chromium
	$(PYTEST) -m "not long" $(ARGS)

test-all: $(VENV)/development chromium
	$(PYTEST) $(ARGS)

faults: $(VENV)/development chromium
	$(PYTEST) -m faults $(ARGS)

# The three at once: the types take as long as the other two together.
check: $(VENV)/development
	@$(MAKE) --no-print-directory --output-sync --jobs 3 check-lines check-types check-structure

check-lines:
	$(BIN)/ruff check .

check-types:
	$(BIN)/pyright

check-structure:
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: setup
	$(BIN)/python -m bench.layers
	$(BIN)/python -m bench.floor
	$(BIN)/python -m bench.models

bench-ui: $(VENV)/development chromium
	$(BIN)/python -m bench.ui
	$(BIN)/python -m bench.what_ifs
	$(BIN)/python -m bench.learn

demo-model: setup
	$(BIN)/python -m core.demo.train $(or $(ARGS),--steps 2595 --seed 0 --threads 2)

gallery: setup
	$(BIN)/python -m app.gallery $(ARGS)

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/runtime: requirements.txt | $(VENV)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/development: requirements.txt requirements-dev.txt | $(VENV)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-dev.txt
	touch $(VENV)/runtime $@

# The browser tests drive Debian's chromium. Where it cannot be installed they are skipped and say so.
chromium:
	@command -v chromium >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-liberation; \
	  elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then sudo apt-get update -q && sudo apt-get install -y -q --no-install-recommends chromium fonts-liberation; \
	  else echo "chromium is not here and cannot be installed: the browser tests will be skipped"; fi; }

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
