# Everything a user or a developer does here, each from a bare clone: what is missing is installed first, into $(VENV).

PYTHON ?= python3
VENV ?= .venv
# Not ?=, because some systems (WSL) have a NAME in the environment that means the machine.
NAME = alice
ARGS =

BIN = "$(VENV)/bin"
# Checked here, because an older Python could not even read tools/prepare.py.
PREPARE = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "p2pchat needs Python 3.11 or newer, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 | head -n 1)"; \
	echo "Install a newer one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python;"; \
	echo "others: www.python.org), or name one that you have: make $(MAKECMDGOALS) PYTHON=python3.13"; \
	exit 1; } >&2; $(PYTHON) tools/prepare.py --venv "$(VENV)"

export NAME

.PHONY: help run test trial lint translations format bench fuzz soak clean

help: ## list these targets
	@echo "make run NAME=alice   start chatting as alice; ARGS=\"--port 7071\" passes options on"
	@awk -F ':.*## ' '/^[a-z]+:.*## / && $$1 != "run" { printf "make %-16s %s\n", $$1, $$2 }' Makefile
	@echo "Any of them takes PYTHON=python3.13 (default: python3) and VENV=directory (default: .venv)."

run: ## start chatting
	@$(PREPARE)
	@exec $(BIN)/twistd -n p2pchat --name "$$NAME" $(ARGS)

test: lint ## check everything: style, types, tests, coverage
	@echo "== pytest, measuring coverage: do all tests pass?"
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -rs -n 2 --dist worksteal
	@echo "== coverage: is all of p2pchat/protocol and p2pchat/rendezvous tested, every branch?"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include='p2pchat/protocol/*,p2pchat/rendezvous/*' --fail-under=100
	@echo "== coverage: is at least 90 % of p2pchat tested?"
	@$(BIN)/coverage report --fail-under=90
	@echo "All passed: format, lint, types, tests and coverage."

trial: ## run the tests alone, with trial, two at a time
	@$(PREPARE) --dev
	@$(BIN)/trial -j2 tests

lint: ## check style and types only
	@$(PREPARE) --dev
	@echo "== ruff format --check: is the code laid out as ruff lays it out?"
	@$(BIN)/ruff format --check
	@echo "== ruff check: does it keep the rules in pyproject.toml?"
	@$(BIN)/ruff check
	@echo "== mypy: do the types hold?"
	@$(BIN)/mypy

translations: ## collect what the code says for translation, and compile what is translated
	@$(PREPARE) --dev
	@$(BIN)/python -m tools.translate

format: ## lay out the code and repair what ruff can repair
	@$(PREPARE) --dev
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

bench: ## measure speed and memory against bare Twisted; takes about 3 minutes
	@$(PREPARE) --dev
	@$(BIN)/python -m benchmarks.run

INPUTS = 1000000
SEED = 1
fuzz: ## feed a million broken inputs to every parser; takes about 6 minutes
	@$(PREPARE) --dev
	@$(BIN)/python -m tests.fuzz --inputs "$(INPUTS)" --seed "$(SEED)"

SEEDS = 10000
FIRST = 1
soak: ## simulate a mixed-fault network from many seeds; 10000 take more than an hour
	@$(PREPARE) --dev
	@$(BIN)/python -m tools.soak --seeds "$(SEEDS)" --first "$(FIRST)"

clean: ## remove all that make has made here, the virtual environment too
	@[ ! -e "$(VENV)/p2pchat-setup.json" ] || rm -rf "$(VENV)"
	@rm -rf build p2pchat.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache _trial_temp*
	@rm -f twisted/plugins/dropin.cache
	@find p2pchat twisted tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} +
