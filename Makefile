# The fixed verbs of the project. `make help` lists them; each sets up what it needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
RAY_INSTALLED := $(VENV)/.installed-ray
NPM_INSTALLED := contracts/node_modules/.installed tests/interop/node_modules/.installed

.PHONY: help setup demo demo-equivocation devnet test lint contracts solidity mutants bench fuzz simulate attacks lock train-model clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

setup: $(INSTALLED) $(NPM_INSTALLED) ## install Python and npm packages into this folder

$(INSTALLED): pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) .ci/preflight
	@echo "Installing Python packages into $(VENV); the first time takes two to five minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[miner,dev]'
	@touch $@

$(RAY_INSTALLED): $(INSTALLED)
	@echo "Installing Ray into $(VENV), for the tests of several hosts."
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[ray]'
	@touch $@

$(NPM_INSTALLED): %/node_modules/.installed: %/package.json %/package-lock.json
	@PYTHON=$(PYTHON) .ci/preflight
	@echo "Installing the npm packages of $*."
	cd $* && npm ci --silent --no-progress
	@touch $@

demo: setup ## one prompt through a whole market on this machine: processes, chain, picture
	@$(BIN)/python -m node.devnet demo

demo-equivocation: setup ## the same market with a cheat in it, who is caught and slashed
	@$(BIN)/python -m node.devnet equivocation

devnet: setup ## the same market, left running until Ctrl-C
	@$(BIN)/python -m node.devnet up

test: lint solidity $(RAY_INSTALLED) ## everything that is checked (JOBS=2)
	$(BIN)/python -m pytest -n $(or $(JOBS),2) --no-loadscope-reorder

lint: setup ## style, types and the walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports
	$(BIN)/mypy

contracts: solidity ## Solidity tests, and the committed artefacts against their sources
	$(BIN)/python -m contracts.build --check

solidity: setup
	cd contracts && npm test --silent

mutants: setup ## put small faults into the contracts and see whether their tests notice (SECONDS=3600)
	nice -n 10 $(BIN)/python -m contracts.mutation --seconds $(or $(SECONDS),3600)

bench: setup ## measured speed, as ratios of what it stands on
	@$(BIN)/python -m tests.bench

fuzz: setup ## hostile bytes for every decoder and rule (SECONDS=60 for each)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

simulate: setup ## networks of thousands on one heap of events, with faults; a report (ARGS="--seed 2 --nodes 500")
	@$(BIN)/python -m tests.simulation $(ARGS)

attacks: setup ## eclipses, sybils, spam: what a hostile peer may try; a table of what came of it
	@$(BIN)/python -m tests.attacks $(ARGS)

lock: setup ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+cpu$$/\1/' \
		| grep -v -E '^(pip|setuptools|cuckoo-peer)[ =]' > constraints.txt

train-model: setup ## train the embedded model again (60 to 90 minutes on one core)
	$(BIN)/python -m node.inference.training

clean: ## remove what the verbs made, but not the installed packages
	rm -rf .devnet build contracts/out contracts/out-test contracts/cache contracts/cache-test demo.png
