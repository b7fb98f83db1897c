# `make help` lists what one can do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test test-slow lint format bench results docs clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jscc_sim needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $(INSTALLED)

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	@touch $@

run: $(INSTALLED) ## send a photograph with two policies; a table, and a figure in out/
	$(BIN)/python experiments/first_run.py

test: $(INSTALLED) ## run the test suite
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(INSTALLED) ## run the tests that take minutes, too
	$(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "slow or not slow"

lint: $(INSTALLED) ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy jscc_sim

format: $(INSTALLED) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) ## seconds of each stage, and the estimator against its NumPy twin
	$(BIN)/jscc-sim bench

results: $(INSTALLED) ## make all of results/ again: IMAGES=FOLDER, TRAIN=FOLDER, WORKERS=2
	$(if $(IMAGES),,$(error give IMAGES=FOLDER, the pictures to measure on))
	$(BIN)/python -m experiments --images $(IMAGES) $(if $(TRAIN),--train $(TRAIN)) --workers $(or $(WORKERS),2)

docs: $(VENV)/.docs ## build the documentation into build/docs, its tutorials executed; needs no network
	$(BIN)/sphinx-build -W --keep-going -q -E docs build/docs

clean: ## remove the environment and what was built
	rm -rf $(VENV) build dist *.egg-info out
