# redrec from a fresh clone: `make demo` runs it on example data, `make test` tests it.
# Every target installs what it needs into .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= world
OUT ?= demo
BENCH := $(filter-out measure,$(basename $(notdir $(wildcard tests/benchmarks/[a-z]*.py)))) features quality

export DO_NOT_TRACK := 1

# Cluster tests need podman and a Kubernetes API. CI has both, so a skipped test fails there (tests/conftest.py).
ifneq ($(filter true 1,$(CI) $(REDREC_CLUSTER_TESTS)),)
MARKERS :=
else
MARKERS := -m "not cluster"
endif

# The images' names are in components/images.py.
ENGINE ?= $(firstword $(notdir $(shell command -v podman docker)))
COMMIT ?= $(shell git describe --always --exclude '*' --abbrev=12 --dirty)

.PHONY: help demo test check format bench images clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: $(VENV)/.installed ## Run everything on example data, in minutes (DATA=complete-journey: grocery purchases; OUT: folder, default demo)
	$(BIN)/redrec demo --data $(DATA) --out $(OUT)

test: $(VENV)/.installed ## Run the tests (REDREC_CLUSTER_TESTS=1: with those on a real Kubernetes API; ARGS: pytest options)
	$(BIN)/python -m pytest $(MARKERS) $(ARGS)

check: $(VENV)/.installed ## Check format, lint, types, import rules, compiled pipelines and the rendered chart
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/house tests/pipelines/test_compile.py $(wildcard tests/helm)

format: $(VENV)/.installed ## Format the code, fix what the linter can fix, and write the chart's README
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python -m tests.helm.readme

bench: $(VENV)/.installed ## Run one benchmark: make bench NAME=<file or folder of tests/benchmarks>
	@test -n "$(NAME)" || { echo "Give its name: make bench NAME=<$(BENCH)>"; exit 2; }
	$(BIN)/python -m tests.benchmarks.$(NAME) --json $(ARGS)

images: ## Build both images, with the commit in their tags (REGISTRY; ENGINE: podman or docker; BUILD: its options)
	@test -n "$(ENGINE)" || { echo "Building images needs podman or docker. Install one of them."; exit 1; }
	@names=$$($(PYTHON) -m components.images "$(REGISTRY)" "$(COMMIT)") && echo "$$names" | while read -r folder image; do \
	  $(ENGINE) build --quiet --tag "$$image" --build-arg IMAGE="$$image" --build-arg COMMIT="$(COMMIT)" $(BUILD) \
	    --file "$$folder/Dockerfile" . >/dev/null </dev/null && echo "$$image" || exit 1; \
	done

clean: ## Remove the environment and build files
	rm -rf $(VENV) build *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "redrec needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Give another one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot create virtual environments here. Install that package first:"; \
	  echo "  apt-get update && apt-get install -y python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@
