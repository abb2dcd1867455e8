# Every task of this repository; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
# The installer's version is the one pinned for developers, so that it stands in one place.
UV_PIN = $(shell sed -n 's/^\(uv==[0-9.]*\).*/\1/p' requirements/dev.txt)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Arguments are passed on with ARGS, for instance: make demo ARGS=--once"

.PHONY: demo
demo: $(RUNTIME) ## Start everything on this machine and provision a team (ARGS=--once ends by itself)
	@$(BIN)/orchestrator demo $(ARGS)

.PHONY: install
install: $(DEV) ## Make .venv with everything for development

.PHONY: test
test: $(DEV) ## Run the tests
	$(BIN)/python -m pytest -n 2 $(ARGS)

.PHONY: check
check: $(DEV) ## Format, lint, types, layers, dependencies: look, change nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

.PHONY: format
format: $(DEV) ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(DEV) ## Measure the figures of the contract
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.drift $(ARGS)

.PHONY: test-cluster
test-cluster: $(DEV) ## Run the integration tests on a real cluster (ORCHESTRATOR_TEST_KUBECONFIG or KUBEBUILDER_ASSETS)
	@if [[ -z "$${ORCHESTRATOR_TEST_KUBECONFIG:-}" && -z "$${KUBEBUILDER_ASSETS:-}" ]]; then \
	  echo "Set ORCHESTRATOR_TEST_KUBECONFIG to a kubeconfig, or KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver." >&2; \
	  exit 2; \
	fi
	$(BIN)/python -m pytest tests/integration/orchestrator $(ARGS)

.PHONY: lock
lock: $(DEV) ## Pin the newest dependencies that requirements/*.in allow
	$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url requirements/runtime.in -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --upgrade --no-emit-index-url requirements/dev.in -o requirements/dev.txt

.PHONY: clean
clean: ## Remove the environment and every cache; data in .orchestrator stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src -name '*.egg-info' -prune -exec rm -rf {} +

# A name on the path may be a shim without a Python behind it: each candidate must run and be new enough.
$(BIN)/uv: requirements/dev.txt
	@if [[ ! -x $(BIN)/python ]]; then \
	  for name in python3.13 python3.12 python3.11 python3; do \
	    if "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      found="$$name"; break; \
	    fi; \
	  done; \
	  if [[ -z "$${found:-}" ]]; then \
	    echo "Python 3.11 or newer with the venv module is needed; on Debian: apt install python3-venv" >&2; exit 1; \
	  fi; \
	  "$$found" -m venv $(VENV); \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(UV_PIN)'
	@touch $@

# `install`, not `sync`: a demo must not take the development tools out of an environment that has them.
$(RUNTIME): requirements/runtime.txt requirements/runtime.in pyproject.toml | $(BIN)/uv
	@echo "Installing the runtime dependencies into $(VENV)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(DEV): requirements/runtime.txt requirements/dev.txt requirements/runtime.in pyproject.toml | $(BIN)/uv
	@echo "Installing all dependencies into $(VENV)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements/runtime.txt requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $(RUNTIME) $@
