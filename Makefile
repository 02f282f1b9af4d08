# redrec from a fresh clone: `make demo` shows it, `make test` proves it.
# Every target installs what it needs into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= complete-journey
OUT ?= demo
BENCH := $(filter-out measure,$(basename $(notdir $(wildcard tests/benchmarks/[a-z]*.py)))) features quality

export DO_NOT_TRACK := 1

# Cluster tests need podman and a Kubernetes API; CI has both, so there a skipped one is a failure (tests/conftest.py).
ifneq ($(filter true 1,$(CI) $(REDREC_CLUSTER_TESTS)),)
MARKERS :=
else
MARKERS := -m "not cluster"
endif

.PHONY: help demo test check format bench clean

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/.installed ## From events to recommendations in minutes (DATA=world for the generated world)
	$(BIN)/redrec demo --data $(DATA) --out $(OUT)

test: $(VENV)/.installed ## All tests; with REDREC_CLUSTER_TESTS=1 those on a real Kubernetes API too
	$(BIN)/python -m pytest $(MARKERS) $(ARGS)

check: $(VENV)/.installed ## Format, lint, types, import rules, compiled pipelines, rendered chart
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py tests/pipelines/test_compile.py $(wildcard tests/helm)

format: $(VENV)/.installed ## Format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed ## One benchmark: make bench NAME=<one of tests/benchmarks>
	@test -n "$(NAME)" || { echo "Say which: make bench NAME=<$(BENCH)>"; exit 2; }
	$(BIN)/python -m tests.benchmarks.$(NAME) --json $(ARGS)

clean: ## Remove the environment
	rm -rf $(VENV) build *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "redrec needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Give another one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments here. Install that part first:"; \
	  echo "  apt-get update && apt-get install -y python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@
