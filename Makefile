# make run    set everything up and run the shipped experiment on the embedded engine
# make test   set everything up and run the tests
# make check  formatting, lint, types, layers
# make slow   the suites that start real engines and a real Slurm cluster, install the wheel, kill processes
# make bench  the speed table of docs/performance.md
# make docs   the generated pages and the schema

PYTHON ?= python3
VENV ?= .venv
bin := $(VENV)/bin

.PHONY: run test check slow bench docs clean
.DEFAULT_GOAL := run

run: $(VENV)/.run
	@$(bin)/runner run experiments/addition.yaml
	@test "$$(command -v runner)" -ef $(bin)/runner || echo "before:  . $(bin)/activate    puts runner on the PATH"

test: $(VENV)/.dev
	$(bin)/python -m pytest -m "not slow" -n 2 --cov --cov-report=term:skip-covered

check: $(VENV)/.dev
	$(bin)/ruff format --check
	$(bin)/ruff check
	$(bin)/mypy
	$(bin)/lint-imports

slow: $(VENV)/.dev
	$(bin)/python -m pytest -m slow

bench: $(VENV)/.dev
	$(bin)/python benchmarks/table.py

docs: $(VENV)/.dev
	$(bin)/python -m scripts.make_docs

clean:
	rm -rf $(VENV) dist .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(bin)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,dev]'
	@touch $@ $(VENV)/.run
