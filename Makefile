# Each verb makes what it needs, the virtual environment first. Nothing is installed outside of .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-all check bench lock format clean

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -r requirements.txt
	@touch $(READY)

demo: $(READY)  ## the main job: generated tweets to a served classifier
	$(BIN)/python scripts/demo.py

test: $(READY)  ## the tests
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: $(READY)  ## the slow ones and those on real data too (LINNET_DATA, LINNET_ENCODER)
	$(BIN)/pytest -m ''

check: $(READY)  ## lint and type-check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)  ## the benchmarks: make bench DATA=FILE MODEL=ENCODER
	@test -n "$(DATA)" -a -n "$(MODEL)" || { echo "Usage: make bench DATA=FILE MODEL=ENCODER"; exit 2; }
	@command -v wrk >/dev/null || { echo "The service's benchmark needs wrk: apt-get install wrk"; exit 2; }
	$(BIN)/pip install --quiet -r requirements-bench.txt
	$(BIN)/python benchmarks/accuracy.py --data "$(DATA)" --model "$(MODEL)"
	$(BIN)/python benchmarks/prepare.py --data "$(DATA)"
	$(BIN)/python benchmarks/train.py --data "$(DATA)" --model "$(MODEL)"
	$(BIN)/python benchmarks/engine.py --run runs/accuracy
	$(BIN)/python benchmarks/serve.py --run runs/accuracy

format: $(READY)  ## format and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The CPU build of torch that PIP_FIND_LINKS may offer must not leak into the pins as a local version.
lock: $(READY)  ## compile requirements.txt anew
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --extra dev \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-package linnet-text \
	  --constraint constraints.txt --output-file requirements.txt pyproject.toml
	sed -i -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' requirements.txt
	echo '-e .' >> requirements.txt

clean:  ## remove what the verbs made; your own runs stay
	rm -rf .venv runs/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
