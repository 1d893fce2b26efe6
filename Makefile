# The fixed verbs of the project. `make help` lists them; each sets up what it needs.
.DEFAULT_GOAL := help
PYTEST = $(BIN)/python -m pytest -n $(or $(JOBS),4) --no-loadscope-reorder
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.installed-dev
RAY_INSTALLED := $(VENV)/.installed-ray
FUZZ_INSTALLED := $(VENV)/.installed-fuzz
# What a market needs, and what the tests need besides.
MARKET := $(INSTALLED) contracts/node_modules/.installed
CLIENTS := tests/clients/node_modules/.installed tests/clients/.venv/.installed tests/browser/.venv/.installed
TESTS := $(DEV_INSTALLED) contracts/node_modules/.installed tests/interop/node_modules/.installed $(CLIENTS)

.PHONY: help setup demo demo-equivocation devnet check test long lint contracts mutants bench audit-table fuzz simulate attacks siege cheats lock train-model clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 22

setup: $(TESTS) ## install Python and npm packages into this folder, those for tests too

$(INSTALLED): pyproject.toml constraints.txt
	@PYTHON=$(PYTHON) .ci/preflight
	@PYTHON=$(PYTHON) .ci/install $(VENV) miner
	@touch $@

$(DEV_INSTALLED): $(INSTALLED)
	@.ci/install $(VENV) miner,dev
	@touch $@

$(RAY_INSTALLED): $(DEV_INSTALLED)
	@.ci/install $(VENV) ray
	@touch $@

$(FUZZ_INSTALLED): $(DEV_INSTALLED)
	@.ci/install $(VENV) fuzz
	@touch $@

%/node_modules/.installed: %/package.json %/package-lock.json
	@PYTHON=$(PYTHON) .ci/preflight
	@echo "Installing the npm packages of $*."
	@cd $* && npm ci --no-audit --no-fund
	@touch $@

# Clients that we did not write, and what drives a browser, with packages of their own: nothing of theirs comes into
# $(VENV).
tests/%/.venv/.installed: tests/%/requirements.txt
	@echo "Installing the Python packages of tests/$*."
	@$(PYTHON) -m venv tests/$*/.venv
	@tests/$*/.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -r $<
	@touch $@

demo: $(MARKET) ## one prompt through a whole market on this machine: processes, chain, picture
	@$(BIN)/python -m node.devnet demo

demo-equivocation: $(MARKET) ## the same market with a cheat in it, who is caught and slashed
	@$(BIN)/python -m node.devnet equivocation

devnet: $(MARKET) ## the same market, left running until Ctrl-C
	@$(BIN)/python -m node.devnet up

check: lint ## style, types, and every test that starts no process: at most 3 minutes on two idle cores (JOBS=4)
	$(PYTEST) -m "not process"

test: lint $(TESTS) ## everything that a commit must pass: at most 12 minutes on two idle cores (JOBS=4)
	$(PYTEST)

long: $(TESTS) $(RAY_INSTALLED) $(FUZZ_INSTALLED) ## whole figures, into tests/long/RESULTS.md: at most 75 minutes (ARGS="--only bench.mesh")
	$(BIN)/python -m tests.long $(ARGS)

lint: $(DEV_INSTALLED) ## style, types and the walls between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports
	$(BIN)/mypy

contracts: $(TESTS) ## Solidity tests, and the committed artefacts against their sources
	cd contracts && npm test --silent
	$(BIN)/python -m contracts.build --check

mutants: $(TESTS) ## put small faults into the contracts and see whether their tests notice (SECONDS=3600)
	nice -n 10 $(BIN)/python -m contracts.mutation --seconds $(or $(SECONDS),3600)

bench: $(TESTS) ## measured speed, as ratios of what it stands on
	@$(BIN)/python -m tests.bench

audit-table: $(TESTS) ## how well audits tell honest work from cheats, into tests/audit_table/README.md (15 minutes)
	@$(BIN)/python -m tests.audit_table $(ARGS)

fuzz: $(TESTS) $(FUZZ_INSTALLED) ## hostile bytes for every decoder and rule (SECONDS=60 for each)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

simulate: $(TESTS) ## networks of thousands on one heap of events, with faults; a report (ARGS="--seed 2 --nodes 500")
	@$(BIN)/python -m tests.simulation $(ARGS)

attacks: $(TESTS) ## eclipses, sybils, spam: what a hostile peer may try; a table of what came of it
	@$(BIN)/python -m tests.attacks $(ARGS)

siege: $(TESTS) ## a market of real nodes and a real chain under attack; a table of before and during (ARGS="--small")
	@$(BIN)/python -m tests.attacks.siege $(ARGS)

cheats: $(TESTS) ## every cheat, by the real model, and a market in which cheats lose their stake within 30 s of the dice
	CUCKOO_LONG=1 $(BIN)/python -m pytest -q -s -p no:randomly tests/cheats tests/market/test_false_work.py

lock: $(RAY_INSTALLED) $(FUZZ_INSTALLED) ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+cpu$$/\1/' \
		| grep -v -E '^(pip|setuptools|uv|cuckoo-peer)[ =]' > constraints.txt

train-model: $(INSTALLED) ## train the embedded model again (60 to 90 minutes on one core)
	$(BIN)/python -m node.inference.training

clean: ## remove what the verbs made, but not the installed packages
	rm -rf .devnet build contracts/out contracts/out-test contracts/cache contracts/cache-test demo.png
