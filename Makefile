# Two commands matter: `make demo` and `make test`. Both work in a fresh clone with Python 3.11 or
# newer, install into .venv only, and are quick when nothing has changed.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
OUT ?= micromimic-demo
# One more than the cores that CI has: tests of pages, streams and processes wait a good part.
TEST_JOBS ?= 3

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint types pytest docs pages clean

help:
	@echo "make demo   install the runtime into .venv, plant micro-expressions in a face, find them"
	@echo "make test   install everything tests need into .venv, run lint, types and all tests"
	@echo "make test COVERAGE=1   the same; then the share of lines that tests reach, and files below 80 %"
	@echo "make lint   ruff and who imports whom;  make types   mypy only;  make pytest   tests only"
	@echo "make docs   build the documentation site into build/site, links checked"
	@echo "make pages  check the pages' JavaScript (needs npm)"
	@echo "make clean  remove .venv and caches"
	@echo "PYTHON=python3.12 make demo   uses another Python (3.11 or newer)"

demo: $(VENV)/.runtime
	@echo "== demo: plants micro-expressions in a public-domain face and finds them"
	@$(VENV)/bin/micromimic demo --out $(OUT)

test: lint types pytest
	@echo "== all passed: lint, types, tests"

lint: $(VENV)/.tests
	@echo "== lint: ruff check, ruff format --check, who imports whom"
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/lint-imports --no-cache >/dev/null || $(VENV)/bin/lint-imports --no-cache

types: $(VENV)/.tests
	@echo "== types: mypy --strict"
	@$(VENV)/bin/mypy

pytest: $(VENV)/.tests
	@echo "== tests: pytest with doctests"
	@PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -rs --durations=10 \
	  -n $(TEST_JOBS) --dist loadfile --no-loadscope-reorder \
	  $(if $(COVERAGE),--cov=micromimic --cov-report=)
	@$(if $(COVERAGE),$(VENV)/bin/coverage report --sort=cover | \
	  awk 'NR == 1 || /^TOTAL/ || $$NF + 0 < 80',:)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "expected Python 3.11 or newer as '$(PYTHON)', got $$($(PYTHON) --version 2>&1 | head -n 1); \
	install one and run: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "== creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "expected a Python with venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.runtime: pyproject.toml $(VENV)/.python
	@echo "== installing the runtime into $(VENV) (about 1 GB, no torch)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.tests: pyproject.toml $(VENV)/.python
	@echo "== installing what tests need into $(VENV) (torch included: several GB, minutes)"
	@$(PIP) --editable '.[train,cluster,faces3d,web,postgres,parquet,docs,dev]'
	@touch $@ $(VENV)/.runtime

docs: $(VENV)/.tests
	@echo "== docs: the site, into build/site"
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet --strict

# Checks of the pages' JavaScript, for who develops: the pages themselves need no build.
pages: node_modules/.installed
	@echo "== pages: types and lint of the JavaScript"
	@npm run --silent check

node_modules/.installed: package.json
	@npm ci --silent --no-audit --no-fund
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache build dist node_modules
	find src tests tools benchmarks -name __pycache__ -type d -exec rm -rf {} +
