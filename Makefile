# Every target installs what it needs into .venv, at the versions of constraints.txt.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c "$(RECENT)" 2>/dev/null && echo $$p && break; done)
FACEPIPE_DATA ?= ../shared/data
EXTRA ?= cpu
export FACEPIPE_DATA := $(abspath $(FACEPIPE_DATA))
BIN := .venv/bin

.PHONY: demo test test-long test-gpu bench check clean

demo: .venv/installed
	$(BIN)/facepipe demo

# Two tests at once, a file's in order: much of a test waits for processes to start. One thread each: with more threads
# than cores, OpenMP's wait for one another busily.
test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not long and not gpu" --numprocesses 2 --dist loadfile

test-long: .venv/installed-dev
	$(BIN)/pytest -m "not gpu"

test-gpu: .venv/installed-dev
	$(BIN)/pytest -m gpu

# Speed beside peers, in an environment of its own: what ours holds, at the same versions, plus the peers without theirs.
# OpenCV 5 keeps its cascades in the contrib build, and the file of Haar features in the wheels of version 4 alone.
PEERS := facenet-pytorch==2.6.0 face_recognition_models==0.3.0 tqdm==4.70.1 \
	opencv-contrib-python-headless==5.0.0.93
HAAR := opencv-python-headless==4.12.0.88
BENCH := .venv-bench/bin/python -m facepipe.cli.main bench

bench: .venv-bench/installed
	$(BIN)/facepipe models pull mtcnn facenet-casia-webface
	$(BENCH) embed
	$(BENCH) detect
	$(BENCH) decode
	$(BENCH) extract
	$(BENCH) extract --megapixels 24 --rounds 3

.venv-bench/installed: .venv/installed-dev
	$(BIN)/python -m venv --clear .venv-bench
	.venv-bench/bin/python -c "import sysconfig, sys; path = sysconfig.get_path('purelib') + '/facepipe.pth'; \
		open(path, 'w').write('import site; site.addsitedir(%r)' % sys.argv[1])" \
		"$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")"
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --no-deps $(PEERS)
	.venv-bench/bin/pip download --quiet --disable-pip-version-check --no-deps --dest .venv-bench/haar $(HAAR)
	$(BIN)/python -m zipfile -e .venv-bench/haar/*.whl .venv-bench/haar
	@touch $@

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
	rm -rf .venv .venv-bench build *.egg-info
