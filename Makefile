# Everything here needs Python 3.11 to 3.14, make and the package registry; `make run` needs nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# PYTHON=... names a Python, and remakes what another one made; else the first of these that is supported is taken.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 .venv/bin/python
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
# Several processes at once, and in each of them all tests of a file.
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto --dist loadgroup

# The stamps too: what they stand for is compared each time, and takes a tenth of a second.
.PHONY: $(VENV)/run.stamp $(VENV)/dev.stamp $(PEERS)/peers.stamp
.PHONY: help run demo stack smoke rolling-restart test test-slow test-all bench bench-quick eval rates chaos backup restore lint format dist lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## Set up and start the platform on this machine; Ctrl-C stops it (MH_PORT, MH_DATASET)
	@exec $(BIN)/python -m mh_devtools.embedded

demo: $(VENV)/run.stamp ## The same, but exit after the sample question is answered
	@exec $(BIN)/python -m mh_devtools.embedded --demo

stack: $(VENV)/dev.stamp ## Start the platform as it is deployed, without Docker; Ctrl-C stops it (GATEWAY_PORT, MILVUS_URI)
	@$(BIN)/python -m mh_devtools.servers
	@exec $(BIN)/python -m mh_devtools.stack

smoke: $(VENV)/dev.stamp ## Run the examples of the README and docs/integrations.md through the gateway of the running stack
	@$(BIN)/python -m mh_devtools.stack.smoke

rolling-restart: $(VENV)/dev.stamp ## Restart every replica of the running stack, one at a time, without losing a request
	@$(BIN)/python -m mh_devtools.stack restart

test: $(VENV)/dev.stamp ## Run the tests but for the slow ones, against a real MariaDB or MySQL and a real Redis (ARGS, COVERAGE=1)
	@$(BIN)/python -m mh_devtools.servers
	@$(PYTEST) -m "not slow" $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered) $(ARGS)

test-slow: $(VENV)/dev.stamp ## Run the slow tests: whole stacks, installations, images, MySQL 9, a Milvus server (ARGS)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.servers.mysql9
	@$(BIN)/python -m mh_devtools.servers.milvus_server
	@$(PYTEST) -m slow $(ARGS)

test-all: ## Run every test
	@$(MAKE) test
	@$(MAKE) test-slow

lint: $(VENV)/dev.stamp ## ruff, mypy, import rules, images, workflows, lock and exports up to date, alembic check
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@find libs services -name conftest.py | xargs -n 1 $(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint services/*/Dockerfile
	@$(BIN)/zizmor --offline --quiet .github
	@$(BIN)/python -m mh_devtools.set_up.lock --check
	@$(BIN)/python -m mh_devtools.database.check_migrations

format: $(VENV)/dev.stamp ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

dist: $(VENV)/dev.stamp ## Build mh-common and mh-client for a package index, in dist/
	@rm -rf dist
	@for library in mh-common mh-client; do $(BIN)/python -m build --no-isolation --outdir dist libs/$$library || exit 1; done
	@$(BIN)/twine check --strict dist/*

lock: $(VENV)/dev.stamp ## Lock the dependencies and write the hash-pinned exports in requirements/
	@$(BIN)/python -m mh_devtools.set_up.lock

bench: $(VENV)/dev.stamp $(PEERS)/peers.stamp ## Measure everything in docs/benchmarks.md and write it anew (20 minutes; MH_BENCH_DATASET)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench $(BENCH_ARGS)

bench-quick: $(VENV)/dev.stamp $(PEERS)/peers.stamp ## The same with less of everything, into var/bench (4 minutes)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench --quick $(BENCH_ARGS)

eval: $(VENV)/dev.stamp ## Measure what search finds and compare with the baseline (EVAL_QUERIES, EVAL_ARGS; MH_URL: a running platform)
	@EVAL_QUERIES="$(EVAL_QUERIES)" $(BIN)/python -m mh_devtools.search.evaluate $(EVAL_ARGS)

rates: $(VENV)/dev.stamp ## Measure what docs/scaling.md computes with, and compute it anew (five minutes)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench.rates
	@$(BIN)/python -m mh_devtools.bench.sizing --write

chaos: $(VENV)/dev.stamp ## Kill and stop the platform's parts under load and judge what comes of it (RUNS, SEED, SCALE)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE))

backup: $(VENV)/run.stamp ## Save the database of DATABASE_URL to FILE, while it is in use
	@test -n "$(FILE)" || { echo "Say where to: make backup FILE=conversations.backup.gz"; exit 1; }
	@$(BIN)/python -m mh_devtools.database.backup backup "$(FILE)"

restore: $(VENV)/run.stamp ## Fill the empty database of DATABASE_URL with FILE; the index is built again from it
	@test -n "$(FILE)" || { echo "Say what from: make restore FILE=conversations.backup.gz"; exit 1; }
	@$(BIN)/python -m mh_devtools.database.backup restore "$(FILE)"

clean: ## Remove the virtual environment and caches; data in var/ stays
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*

# One line a step, none when everything is as pinned in requirements/. Stamps are written when all of it is there.
$(VENV)/run.stamp $(VENV)/dev.stamp $(PEERS)/peers.stamp:
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
		if "$$python" -c '$(IS_SUPPORTED)' 2>/dev/null; then \
			PYTHONPATH=scripts/src exec "$$python" -m mh_devtools.set_up $(basename $(@F)) $(if $(PYTHON),--this-python); \
		fi; \
	done; \
	echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and $(if $(PYTHON),$(PYTHON) is not,none of $(PYTHONS) is) one that runs here."; \
	echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13),"; \
	echo "or name it: make PYTHON=/path/to/python3.13"; exit 1
