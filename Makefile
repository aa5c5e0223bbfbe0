# Every target sets itself up: a fresh Debian machine needs python3 and make.
PYTHON ?= python3
MINUTES ?= 30
BIN := .venv/bin
PACKAGES := pipeline stages detectors sinks
CODE := $(PACKAGES) tests benchmarks examples
SINK_EXTRAS := $(addprefix --extra ,avro confluent kafka-codecs mqtt parquet webhook zstd)

.PHONY: help demo test lint format bench batchkill chaos endurance fuzz isolation soak lock services clean

help:  ## Show this list.
	@sed -n 's/^\([a-z]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: .venv/base  ## Draw three cameras, analyse them, compare with the truth: demo/.
	$(BIN)/eyrie demo --out demo

test: .venv/dev services  ## Run the whole suite against real servers, files of tests beside each other.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: .venv/dev  ## Style, types, layers, locks.
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	@! grep -nE 'https?://|--(extra-)?index-url' requirements/*.txt

format: .venv/dev  ## Put the code into shape.
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: .venv/base  ## Measure detector, tracker and pipeline on this machine.
	$(BIN)/python -m benchmarks

batchkill: .venv/dev  ## Kill eyrie batch ten times with the real model, resume, compare all bytes.
	$(BIN)/python -m benchmarks.batch_kill

chaos: .venv/dev services  ## Brokers away for ten minutes, our own process killed, brokers restarted: nothing lost.
	$(BIN)/python -m benchmarks.chaos --outage-s 600

isolation: .venv/dev services  ## One camera after the other fails: its recovery, and what the others notice. 8 minutes.
	$(BIN)/python -m benchmarks.isolation --out benchmarks/results/isolation.json

endurance: .venv/dev services  ## Cameras: 200 reconnects, 35 s without a key frame, eight of which three fail for 2 minutes.
	EYRIE_RECONNECTS=200 EYRIE_KEYLESS_S=35 $(BIN)/python -m pytest -q tests/integration/test_rtsp_reconnects.py \
	  tests/integration/test_rtsp_faults.py tests/integration/test_rtsp_pictures.py
	$(BIN)/python -m benchmarks.eight_cameras

fuzz: .venv/dev  ## Decode 10,000 damaged clips: no crash, no hang, all damage counted.
	$(BIN)/python -m tests.fuzz --json benchmarks/results/fuzz.json

soak: .venv/dev services  ## Six cameras that fail at random for MINUTES=30: memory, threads, accounts, recovery; docs/soak/.
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

services: .venv/dev  ## Install the servers that the tests talk to, where that is allowed.
	bash tests/services/install.sh

lock: | $(BIN)/uv  ## Choose versions anew.
	$(BIN)/uv pip compile --quiet --no-header --upgrade pyproject.toml --extra train --extra openvino $(SINK_EXTRAS) --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --no-header pyproject.toml -c requirements/dev.txt -o requirements/base.txt

clean:  ## Remove what make has made.
	rm -rf .venv .services .mypy_cache .ruff_cache .pytest_cache build dist demo out

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Eyrie needs Python 3.11 or newer; set PYTHON=" >&2; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq python3-venv \
	       && $(PYTHON) -m venv --clear .venv; } \
	  || { echo "Python cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check uv

.venv/base: requirements/base.txt pyproject.toml | $(BIN)/uv
	@echo "Installing 26 packages into .venv (460 MB); this takes a minute or more ..."
	$(BIN)/uv pip install --quiet --compile-bytecode -r requirements/base.txt
	$(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

.venv/dev: requirements/dev.txt pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@
