# Each target does its own set-up: a .venv with the exact, hashed versions of requirements.lock and this package.
PYTHON  ?= python3
PROFILE ?= sandbox
# Stages at a time, e.g. JOBS=8; `benchmark repro --help` names the default.
JOBS    ?=
VENV    := .venv
COVERAGE := build/coverage.json
STAMP   := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# A run is some two hundred short processes, of which each would else compile this package again.
unexport PYTHONDONTWRITEBYTECODE
# make repro PROFILE=mini STUDY=transfer DATA=/folder/with/ESC-50-master
ifdef DATA
export BENCHMARK_DATA := $(abspath $(DATA))
endif

.PHONY: setup repro test test-pipeline test-fast lint format perf lock clean

setup: $(STAMP)

# uv takes a fifth of pip's time (docs/performance.md). Where it fails, pip tries: it may know of a mirror that uv is not told of.
# Nothing is compiled beforehand (a minute): what is used, Python compiles as it is first loaded, and keeps.
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile
UV := $(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python
install = $(UV) $(1) || $(PIP) $(1)

$(STAMP): requirements-uv.lock requirements.lock requirements-hear.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...") if not (3, 11) <= sys.version_info[:2] < (3, 14) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements-uv.lock
	$(call install,--require-hashes -r requirements.lock)
	$(call install,--require-hashes --no-deps -r requirements-hear.lock)
	$(call install,--no-deps --no-build-isolation -e .)
	touch $(STAMP)

repro: $(STAMP)
	benchmark repro --profile $(PROFILE) $(addprefix --study ,$(STUDY)) $(addprefix --jobs ,$(JOBS))

test: $(STAMP)
	mkdir -p build
	python -m slipcover --json --out $(COVERAGE) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/pipeline
	python -m slipcover --fail-under 90 --merge $(COVERAGE) --out $(COVERAGE)

# Small projects taken through DVC: edited, killed, resumed, compared.
test-pipeline: $(STAMP)
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/pipeline

test-fast: $(STAMP)
	python -m pytest -m "not slow"

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy

format: $(STAMP)
	ruff check --fix .
	ruff format .

perf: $(STAMP)
	for file in perf/[a-z]*.py; do [ $$file = perf/measure.py ] || python -m perf.$$(basename $$file .py) || exit 1; done

# Exact versions with hashes and no registry addresses.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras

lock: $(STAMP)
	$(LOCK) --extra dev pyproject.toml requirements.in -o requirements.lock
	echo uv | $(LOCK) - -o requirements-uv.lock

clean:
	rm -rf build results/sandbox results/mini results/mini_long results/mini_gpu results/paper .cache data/prepared data/standin
