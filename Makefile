# SPDX-License-Identifier: GPL-2.0-only
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOG := $(VENV)/pip.log
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help fuzz test test-tree docs bench bench-tree power format lint types clean

help:
	@echo "make fuzz     a 60-second campaign on the newest model kernel"
	@echo "make test     everything that CI runs: format, lint, types, tests"
	@echo "make test-tree   the tests of tree:PATH, on Debian's linux-source-6.1 and -6.12"
	@echo "make docs     the documentation as a site, in build/docs; warnings are errors"
	@echo "make bench    steps and states per CPU second, in tables; SPIN beside ours if installed"
	@echo "make bench-tree TREES='DIR ...'   what tree:PATH costs on these source trees"
	@echo "make power    mutation analysis: which law notices which mistake in the model"
	@echo "make format   let ruff format the code"
	@echo "make lint     ruff: format and rules, without changing anything"
	@echo "make types    mypy --strict on every room"
	@echo "make clean    remove $(VENV) and the caches; found traces stay"
	@echo
	@echo "The first one to run sets up $(VENV) with $(PYTHON); PYTHON=... picks another one."

fuzz: $(READY)
	$(BIN)/anonvma fuzz --for 60s -j 2
	@echo
	@echo "Where to go next:"
	@echo "  $(BIN)/anonvma fuzz v5.18     a kernel with a known bug: a counterexample within seconds"
	@echo "  $(BIN)/anonvma list kernels   what else can be put to the test"
	@echo "  $(BIN)/anonvma --help         all commands; README.md goes from a finding to its replay"

test: lint types
	$(BIN)/python -m pytest -n 2

test-tree: $(READY)
	ANONVMA_NEED_TREES=1 $(BIN)/python -m pytest -n 2 tests/subjects/tree tests/campaign/test_tree_*.py

docs: $(READY)
	$(BIN)/python -m sphinx -b html -n -W --keep-going -q -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m bench
	@echo
	$(BIN)/python -m bench.explore

bench-tree: $(READY)
	@test -n "$(TREES)" || { echo "name kernel source trees: make bench-tree TREES='DIR ...'"; exit 2; }
	$(BIN)/python -m bench.tree $(TREES)

power: $(READY)
	$(BIN)/anonvma power

format: $(READY)
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# setuptools comes first and builds without isolation, so that it is pinned like all the rest.
# A half-made environment (interrupted, or no ensurepip) has no pip: it is made anew.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "anonvma needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
		|| { rm -rf $(VENV); \
		     echo "cannot make $(VENV); on Debian: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV) (a minute the first time)"
	@{ $(PIP) install -c constraints.txt setuptools \
		&& $(PIP) install -c constraints.txt --no-build-isolation -e '.[test,power,tree,docs]'; } >$(LOG) 2>&1 \
		|| { cat $(LOG); exit 1; }
	@touch $@
