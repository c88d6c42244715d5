# `make demo` and `make test` do everything on a fresh machine with Python 3.11 or newer and make.
# Another place for the virtual environment: make VENV=/some/folder test

PYTHON ?= python3
VENV ?= .venv
PYTEST_FLAGS ?=
BIN = $(VENV)/bin
# The lock names exact versions; without it pip could bring another torch, gigabytes larger.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: help demo test test-slow lint docs format lock clean

help:
	@echo "make demo       corrupt a photograph, clean it, show the gain"
	@echo "make test       the quick tests (make test-slow: the slow ones)"
	@echo "make lint       ruff, mypy, layers (make format: rewrite in the house style)"
	@echo "make docs       the documentation as a site in site/"
	@echo "make lock       renew requirements.lock (needs uv)"
	@echo "make clean      remove the virtual environment and what the tools cached"

# One stamp for each set of packages, so that a second run installs nothing.
$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml requirements.lock
	$(INSTALL) -e ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml requirements.lock
	$(INSTALL) -e ".[dev]"
	@touch $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml requirements.lock
	$(INSTALL) -e ".[docs]"
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/python scripts/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow $(PYTEST_FLAGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The variable stops an advertisement of the theme's; pages and links are checked all the same.
docs: $(VENV)/.docs
	# Not --quiet: with it warnings are not counted, and --strict never fails.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	echo "torch==2.13.0" | uv pip compile --universal --no-header --no-annotate -c - --all-extras --upgrade pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) demo site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
