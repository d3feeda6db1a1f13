# Every target makes .venv first and redoes it only when pyproject.toml or constraints.txt change.

BIN := .venv/bin
# Several processes, and one that runs dry takes tests from the others.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
.DEFAULT_GOAL := help
# make test PYTHON=3.12 is CONNTRA_PYTHON=python3.12 make test: without Lava, which `make lava PYTHON=3.12` then gets.
ifdef PYTHON
export CONNTRA_PYTHON := python$(PYTHON)
endif
.PHONY: help demo test lava check docs spelling results bench format clean base dev

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: base ## digits: train, compile, run on Lava, cross-check, report
	$(BIN)/conntra demo
	@echo "conntra is $(BIN)/conntra; '. $(BIN)/activate' puts it on the PATH of this shell"

test: dev ## the tests; make test ARGS="-k lava -x" for some of them, PYTHON=3.12 on another Python
	$(PYTEST) $(ARGS)

lava: base ## with PYTHON=3.12 and the like: a Python 3.10 of its own for Lava
	$(BIN)/conntra doctor --quick --fix lava

check: dev ## everything that CI asks for: lint, format, types, import layers, the docs and their code, tests
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/check_docs.py
	$(MAKE) docs spelling
	$(PYTEST)

docs: dev build/docs-packages/.ready ## the documentation site with its notebooks, in build/docs; a warning is an error
	PYTHONPATH=$(CURDIR)/build/docs-packages $(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs -d build/docs-state
	@echo "docs: build/docs/index.html"

spelling: build/docs-packages/.ready ## spelling of the docs and of the packages
	PYTHONPATH=$(CURDIR)/build/docs-packages $(BIN)/python -m codespell_lib -L caf,coo,inport,notin,vulnerabilit --skip '*.json,*.svg,*.png,_generated' \
		README.md CHANGELOG.md SECURITY.md CODE_OF_CONDUCT.md docs hardware conntra_neuro scripts examples

results: dev ## measure the figures of README and docs; MNIST=mnist.npz for all, PARTS="demo fuzz" for some
	$(BIN)/python scripts/measure_results.py $(PARTS) $(if $(MNIST),--mnist $(MNIST))
	$(BIN)/python scripts/results_pages.py --write

bench: dev ## every script of tests/benchmarks
	@for script in tests/benchmarks/[a-z]*.py; do \
		[ -e "$$script" ] || { echo "tests/benchmarks has no scripts"; exit 1; }; \
		echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

format: dev ## put the code in order: ruff's fixes and its format
	$(BIN)/python -m ruff check --fix-only .
	$(BIN)/python -m ruff format .

clean: ## remove caches and build products (rm -rf .venv for the environment)
	rm -rf build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name .venv -prune -o -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +

base:
	@scripts/setup_venv base

dev:
	@scripts/setup_venv dev

build/docs-packages/.ready: docs/requirements.txt | base
	rm -rf build/docs-packages
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --target build/docs-packages -r docs/requirements.txt
	touch $@
