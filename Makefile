# make run     set everything up and run the shipped experiment on the embedded engine
# make test    set everything up and run the tests
# make check   formatting, lint, types, layers
# make slow    the suites that start real engines and a real Slurm cluster, install the wheel, kill processes
# make trials  the tests that kill processes at random moments, many times over: half an hour and more
# make bench   the speed table of docs/performance.md
# make docs    the generated pages and the schema
# make lock    requirements/, from pyproject.toml; with UPGRADE=1 everything moves to its newest version
# make newest  run the tests on the newest versions that pyproject.toml admits; make oldest: on the oldest
#
# PYTHON=/path/to/python3 chooses the interpreter, VENV=FOLDER the place of the environment.

PYTHON ?=
VENV ?= .venv
bin := $(VENV)/bin
export PYTHON
environment := @sh scripts/environment.sh "$(VENV)"

.PHONY: run test check slow trials bench docs lock newest oldest clean run-environment dev-environment
.DEFAULT_GOAL := run

run: run-environment
	@"$(bin)/runner" run experiments/addition.yaml
	@test "$$(command -v runner)" -ef "$(bin)/runner" || echo "before:  . $(bin)/activate    puts runner on the PATH"

test: dev-environment
	"$(bin)/python" -m pytest -m "not slow" -n 2 --cov --cov-report=term:skip-covered

check: dev-environment
	"$(bin)/ruff" format --check
	"$(bin)/ruff" check
	"$(bin)/mypy"
	"$(bin)/lint-imports"

slow: dev-environment
	"$(bin)/python" -m pytest -m slow

trials: dev-environment
	"$(bin)/python" -m pytest -m slow --repeat 10 tests/slow/test_kill_*.py

bench: dev-environment
	"$(bin)/python" benchmarks/table.py

docs: dev-environment
	"$(bin)/python" -m scripts.make_docs

lock: dev-environment
	"$(bin)/python" -m scripts.lock $(if $(UPGRADE),--upgrade)

newest: resolution := highest
oldest: resolution := lowest-direct
newest oldest: dev-environment
	"$(bin)/uv" venv --quiet --clear --seed --python "$(bin)/python" .venv-$@
	"$(bin)/uv" pip install --quiet --python .venv-$@ --resolution $(resolution) --editable '.[embedded,dev]'
	.venv-$@/bin/python -m pytest -m "not slow" -n 2

clean:
	rm -rf "$(VENV)" .venv-newest .venv-oldest dist .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

run-environment dev-environment:
	$(environment) $(@:-environment=)
