# Requires Python 3.11 to 3.14, make and the package registry; `make run` needs nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# PYTHON=... selects a Python and recreates the environments; otherwise the first supported one of these is used.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 .venv/bin/python
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
# Python keeps what it compiled, whatever the environment says: tests start hundreds of processes, and pytest rewrites
# the assertions of every test file in each of its own.
unexport PYTHONDONTWRITEBYTECODE
# Run tests in several processes, all tests of a file in the same one.
PYTEST := $(BIN)/python -m pytest -q --numprocesses auto --dist loadgroup
# See tool.coverage.run in pyproject.toml.
COVERAGE_ENVIRONMENT = $(shell $(BIN)/python -c 'import sys; sys.version_info < (3, 12) or print("COVERAGE_GREENLETS=thread")')

# The stamps are phony too: whether the environments are up to date is checked every time, in a tenth of a second.
.PHONY: $(VENV)/run.stamp $(VENV)/dev.stamp $(PEERS)/peers.stamp
.PHONY: help run demo stack smoke rolling-restart test test-slow test-all bench bench-quick eval eval-answers rates chaos backup restore lint format dist lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## Set up and start the platform on this machine; Ctrl-C stops it (MODEL=quality, MH_PORT, MH_DATASET)
	@exec $(BIN)/python -m mh_devtools.embedded --model "$(MODEL)"

demo: $(VENV)/run.stamp ## Like run, but exit after answering the sample question (MODEL=quality)
	@exec $(BIN)/python -m mh_devtools.embedded --demo --model "$(MODEL)"

stack: $(VENV)/dev.stamp ## Start the platform as deployed, but without Docker; Ctrl-C stops it (GATEWAY_PORT, MILVUS_URI)
	@$(BIN)/python -m mh_devtools.servers
	@exec $(BIN)/python -m mh_devtools.stack

smoke: $(VENV)/dev.stamp ## Run the examples in README.md and docs/integrations.md against the running stack
	@$(BIN)/python -m mh_devtools.stack.smoke

rolling-restart: $(VENV)/dev.stamp ## Restart every replica of the running stack, one at a time, without losing a request
	@$(BIN)/python -m mh_devtools.stack restart

test: $(VENV)/dev.stamp ## Run all but the slow tests, against a real MariaDB or MySQL and a real Redis (ARGS, COVERAGE=1)
	@$(BIN)/python -m mh_devtools.servers
	@$(if $(COVERAGE),$(COVERAGE_ENVIRONMENT)) $(PYTEST) -m "not slow" \
		$(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered) $(ARGS)

test-slow: $(VENV)/dev.stamp ## Run the slow tests: full stacks, installation, images, MySQL 9, a Milvus server (ARGS)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.servers.mysql9
	@$(BIN)/python -m mh_devtools.servers.milvus_server
	@$(BIN)/python -m mh_devtools.set_up.quality_model
	@$(PYTEST) -m slow $(ARGS)

test-all: ## Run every test
	@$(MAKE) test
	@$(MAKE) test-slow

lint: $(VENV)/dev.stamp ## Run ruff, mypy, import-linter, hadolint, zizmor, and check the lock and the migrations
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@find libs services -name conftest.py | xargs -n 1 $(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint services/*/Dockerfile
	@$(BIN)/zizmor --offline --quiet .github
	@$(BIN)/python -m mh_devtools.set_up.lock --check
	@$(BIN)/python -m mh_devtools.database.check_migrations

format: $(VENV)/dev.stamp ## Format the code and apply ruff's automatic fixes
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

dist: $(VENV)/dev.stamp ## Build the wheels and sdists of mh-common and mh-client in dist/
	@rm -rf dist
	@for library in mh-common mh-client; do $(BIN)/python -m build --no-isolation --outdir dist libs/$$library || exit 1; done
	@$(BIN)/twine check --strict dist/*

lock: $(VENV)/dev.stamp ## Lock the dependencies and write the hash-pinned exports in requirements/
	@$(BIN)/python -m mh_devtools.set_up.lock

bench: $(VENV)/dev.stamp $(PEERS)/peers.stamp ## Run all benchmarks and rewrite docs/benchmarks.md (20 minutes; MH_BENCH_DATASET)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench $(BENCH_ARGS)

bench-quick: $(VENV)/dev.stamp $(PEERS)/peers.stamp ## Run smaller benchmarks, with results in var/bench (4 minutes)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench --quick $(BENCH_ARGS)

eval: $(VENV)/dev.stamp ## Evaluate search and compare with the baseline (MODEL=quality, EVAL_QUERIES, EVAL_ARGS; MH_URL: a running platform)
	@EVAL_QUERIES="$(EVAL_QUERIES)" MODEL="$(MODEL)" $(BIN)/python -m mh_devtools.search.evaluate $(EVAL_ARGS)

eval-answers: $(VENV)/dev.stamp ## Evaluate answers, by the language model of OPENAI_* or by quotes (EVAL_QUESTIONS, EVAL_ARGS; MH_URL)
	@EVAL_QUESTIONS="$(EVAL_QUESTIONS)" $(BIN)/python -m mh_devtools.answers.evaluate $(EVAL_ARGS)

rates: $(VENV)/dev.stamp ## Measure the rates that docs/scaling.md is based on, and recompute it (5 minutes)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.bench.rates
	@$(BIN)/python -m mh_devtools.bench.sizing --write

chaos: $(VENV)/dev.stamp ## Inject faults into the platform under load and verify the outcome (RUNS, SEED, SCALE)
	@$(BIN)/python -m mh_devtools.servers
	@$(BIN)/python -m mh_devtools.chaos $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE))

backup: $(VENV)/run.stamp ## Back up the database at DATABASE_URL to FILE, while it is in use
	@test -n "$(FILE)" || { echo "Name the file to write: make backup FILE=conversations.backup.gz"; exit 1; }
	@$(BIN)/python -m mh_devtools.database.backup backup "$(FILE)"

restore: $(VENV)/run.stamp ## Restore FILE into the empty database at DATABASE_URL; the index is rebuilt from it
	@test -n "$(FILE)" || { echo "Name the file to restore: make restore FILE=conversations.backup.gz"; exit 1; }
	@$(BIN)/python -m mh_devtools.database.backup restore "$(FILE)"

clean: ## Remove the virtual environments and caches; data in var/ is kept
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*

# Prints one line per step, and nothing if everything is as pinned in requirements/. A stamp is written on success.
$(VENV)/run.stamp $(VENV)/dev.stamp $(PEERS)/peers.stamp:
	@for python in $(or $(PYTHON),$(PYTHONS)); do \
		if "$$python" -c '$(IS_SUPPORTED)' 2>/dev/null; then \
			PYTHONPATH=scripts/src exec "$$python" -m mh_devtools.set_up $(basename $(@F)) $(if $(PYTHON),--this-python); \
		fi; \
	done; \
	echo "Python 3.11, 3.12, 3.13 or 3.14 is required, but $(if $(PYTHON),$(PYTHON) is not a working one,none of $(PYTHONS) is a working one)."; \
	echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13),"; \
	echo "or give its path: make PYTHON=/path/to/python3.13"; exit 1
