# The two commands are `make demo` and `make test`. All commands take whatever python3 is, make an
# environment of its own for each version of Python, and install into it what setup.cfg asks for.
SUPPORTED := 3.10 3.11 3.12 3.13
# What CI runs the tests with: the newest Python that iNNvestigate allows, and the newest of all.
MATRIX ?= 3.11 3.13

version_of = $(shell $(1) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
supported = $(filter $(SUPPORTED),$(call version_of,$(1)))

ifndef PYTHON
PYTHON := python3
ifeq ($(call supported,$(PYTHON)),)
PYTHON := $(firstword $(foreach version,3.13 3.12 3.11 3.10,\
	$(if $(call supported,python$(version)),python$(version))))
ifneq ($(PYTHON),)
$(info python3 is none of Python $(SUPPORTED); taking $(PYTHON).)
endif
endif
endif
VERSION := $(if $(PYTHON),$(call supported,$(PYTHON)))

# An argument of a function cannot have one.
comma := ,

VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
# Touched when the installation has succeeded; older than a changed dependency list, it is redone.
INSTALLED := $(VENV)/.installed
# More workers than this take more memory than they save time.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup

# Those of `make test`; without it all of them run, and what both kinds need is made once.
TESTS := -m 'not slow'

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all check docs format clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Train 2CONV on the shipped digits and draw their maps
	$(BIN)/insens-tf demo

test: $(INSTALLED) ## Run the tests that take minutes: all but the slow ones (TESTS= for all)
	$(PYTEST) $(TESTS)

test-slow: $(INSTALLED) ## Run the slow tests: further seeds, large networks, processes
	$(PYTEST) -m slow

check: $(INSTALLED) ## Check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@if test -x $(BIN)/mypy; then echo $(BIN)/mypy; $(BIN)/mypy; else \
		echo "Types are checked with Python 3.10 and 3.11 alone: later ones bring a NumPy whose" \
			"annotations Python 3.10 cannot read."; fi

test-all: ## Run all that CI runs: all tests with each Python of MATRIX, docs with the last
	$(foreach version,$(MATRIX),$(if $(call supported,python$(version)),,\
		$(error make test-all needs python$(version), and there is none on the PATH; \
		make test needs one Python only, and make test-all MATRIX=3.12 names others)))
	$(foreach version,$(MATRIX),\
		$(MAKE) check test TESTS= PYTHON=python$(version) &&) \
		$(MAKE) docs PYTHON=python$(lastword $(MATRIX))

docs: $(VENV)/.docs_installed ## Build the documentation into docs/_build/html, and check it
	$(BIN)/python -m sphinx -E -W --keep-going -b html docs docs/_build/html
	$(BIN)/python -m pytest docs/check_site.py

format: $(INSTALLED) ## Format the code and repair what ruff can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the virtual environments and the caches
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

# uv installs several times faster than pip, and is not needed: without it, pip does all. Where
# PYTHONDONTWRITEBYTECODE is set, what is not compiled here is compiled by every process again:
# TensorFlow in ten seconds, and the tests start dozens.
define install
	@if test -x $(BIN)/uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[$(1)]'; \
		then true; else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]'; fi
	@touch $@
endef

.venv/%/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "No uv here; pip installs."
	$(call install,dev)

.venv/%/.docs_installed: .venv/%/.installed
	$(call install,dev$(comma)docs)

# What is made of no version is made of none.
.venv//.installed:
	@echo "insens_tf needs one of Python $(SUPPORTED), and" \
		"$(if $(PYTHON),$(PYTHON) is not one,no python3 or python3.N on the PATH is one);" \
		"name one that is: make $(MAKECMDGOALS) PYTHON=/path/to/python3.13" >&2; exit 1
