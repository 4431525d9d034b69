# Every target installs what it needs into .venv, at the versions of constraints.txt.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c "$(RECENT)" 2>/dev/null && echo $$p && break; done)
FACEPIPE_DATA ?= ../shared/data
EXTRA ?= cpu
export FACEPIPE_DATA := $(abspath $(FACEPIPE_DATA))
BIN := .venv/bin

.PHONY: demo test test-long test-gpu check clean

demo: .venv/installed
	$(BIN)/facepipe demo

test: check
	$(BIN)/pytest -m "not long and not gpu"

test-long: .venv/installed-dev
	$(BIN)/pytest -m "not gpu"

test-gpu: .venv/installed-dev
	$(BIN)/pytest -m gpu

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c "$(RECENT)" \
		|| { echo "facepipe needs Python 3.11 or later: install it, or say make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRA)]"
	@touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRA),dev]"
	@touch .venv/installed $@

clean:
	rm -rf .venv build *.egg-info
