# From a fresh clone this needs make and two Pythons: one that iNNvestigate's pins allow (3.10 or
# 3.11), with Keras 2, and for `make test` a newer one, with the newest TensorFlow and Keras 3.
PYTHON ?= python3
NEWER_PYTHON ?= python3.13
VENV := .venv
NEWER_VENV := .venv-newer
BIN := $(VENV)/bin
# Touched when the installation has succeeded; older than a changed dependency list, it is redone.
INSTALLED := $(VENV)/.installed
NEWER_INSTALLED := $(NEWER_VENV)/.installed
PYTEST := -m pytest -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-keras-2 test-keras-3 check format clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Train 2CONV on the shipped digits and draw their gradient and Insens
	$(BIN)/insens-tf demo

test: check test-keras-2 test-keras-3 ## Run everything that CI runs

test-keras-2: $(INSTALLED) ## Run the tests on TensorFlow 2.14 with Keras 2 and iNNvestigate
	$(BIN)/python $(PYTEST)

test-keras-3: $(NEWER_INSTALLED) ## Run the tests on the newest TensorFlow with Keras 3
	$(NEWER_VENV)/bin/python $(PYTEST)

check: $(INSTALLED) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED) ## Format the code and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the virtual environments and the caches
	rm -rf $(VENV) $(NEWER_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

$(INSTALLED): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 12))' || { \
		echo "iNNvestigate needs Python 3.10 or 3.11, and $(PYTHON) is not one;" \
			"name one that is: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(NEWER_INSTALLED): setup.cfg pyproject.toml
	@$(NEWER_PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 12))' || { \
		echo "Keras 3 is tested on Python 3.12 or newer, and $(NEWER_PYTHON) is not one; name one" \
			"that is, make $(MAKECMDGOALS) NEWER_PYTHON=python3.12, or run make test-keras-2" >&2; \
		exit 1; }
	$(NEWER_PYTHON) -m venv $(NEWER_VENV)
	$(NEWER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
