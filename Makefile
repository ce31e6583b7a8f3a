# From a fresh clone this needs a Python that iNNvestigate's pins allow (3.10 or 3.11) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Touched when the installation has succeeded; older than a changed dependency list, it is redone.
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check format clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Train 2CONV on the shipped digits and draw their gradient and Insens
	$(BIN)/insens-tf demo

test: check ## Run everything that CI runs
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(INSTALLED) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the virtual environment and the caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 12))' || { \
		echo "insens_tf needs Python 3.10 or 3.11, and $(PYTHON) is not one;" \
			"name one that is: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
