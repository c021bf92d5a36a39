# Works on a machine that has make and Python 3.11 or newer; everything else is installed into .venv.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
# Where `make test-browser` puts its screenshots.
SCREENSHOTS ?= docs/images/web

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser test-lowest lint docs commands clean

help: ## Say what the targets are.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: .venv/.installed-test ## Show the package at work, in the folder demo.
	$(BIN)/python benchmarks/demo.py --out demo

test: .venv/.installed-test ## Run every test but the slow ones.
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu and not browser"

test-slow: .venv/.installed-test ## Run the slow tests.
	$(BIN)/python -m pytest -m "slow and not gpu and not browser"

test-browser: .venv/.installed-browser ## Click through the web page in Chromium, and take its screenshots.
	SCORESDE_SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest -m browser -s

test-lowest: .venv/.installed-test ## Run every test with the lowest versions that pyproject.toml allows, in .venv-lowest.
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu and not browser"

lint: .venv/.installed-dev ## Check style and types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/.installed-docs ## Build the documentation into docs/_build; a warning is an error.
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "open docs/_build/html/index.html"

commands: .venv/.installed-test ## Write down what --help says of each command, after a change of an option.
	$(BIN)/python benchmarks/commands.py

clean: ## Remove what the other targets made, but not .venv.
	rm -rf build dist demo docs/_build docs/api/modules .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find scoresde tests benchmarks examples -name __pycache__ -prune -exec rm -rf {} +

# The stamp is newer than pyproject.toml as long as what that asks for is installed.
.venv/.installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing scoresde[$*] into .venv; the first time, this takes some minutes."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "scoresde needs Python 3.11 or newer, and there is none here; install it, or run make PYTHON=path/to/python."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "scoresde needs Python 3.11 or newer, and $(PYTHON) is older or cannot be run."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }
