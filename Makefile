# Each verb makes what it needs, the virtual environment first. Nothing is installed outside of .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo demo-operate test test-all test-faults test-lowest clients check bench lock upgrade sbom format clean test-wheel docs

help:  ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Every file is checked against the lock. torch comes apart, because pip would pass over a CPU build that
# PIP_FIND_LINKS offers: the last line adds what a CUDA build needs, where the package index gives that one.
PARTS := .venv/parts
$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	rm -rf $(PARTS) && mkdir $(PARTS)
	awk '/^torch==/ {torch = 1} {print > ("$(PARTS)/" (torch ? "torch" : "others") ".txt")} !/\\$$/ {torch = 0}' requirements.txt
	$(BIN)/pip install --quiet --require-hashes --no-deps -r $(PARTS)/others.txt
	$(BIN)/pip download --quiet --no-deps --dest $(PARTS) "$$(grep -oE '^torch==[0-9.]+' requirements.txt)"
	$(BIN)/pip install --quiet --require-hashes --no-deps --no-index --find-links $(PARTS) -r $(PARTS)/torch.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/pip install --quiet "$$(grep -oE '^torch==[0-9.]+' requirements.txt)"
	rm -rf $(PARTS)
	@touch $(READY)

demo: $(READY)  ## the main job: generated tweets to a served classifier
	$(BIN)/python scripts/demo.py

demo-operate: $(READY)  ## a served model watched: changed traffic, an alarm, labels, a decision
	$(BIN)/python scripts/demo_operate.py

test: $(READY)  ## the tests
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: $(READY)  ## the slow ones and those on real data too (LINNET_DATA, LINNET_ENCODER)
	$(BIN)/pytest -m ''

# A part of the full durations, for a rehearsal: make test-faults LINNET_FAULT_SCALE=0.1
test-faults: $(READY)  ## the long faults, 50 minutes: kills, swaps, PostgreSQL, disks, memory, a soak
	LINNET_FAULT_RESULTS=$${LINNET_FAULT_RESULTS:-benchmarks/results/faults.json} \
	  LINNET_FAULT_SCALE=$(or $(LINNET_FAULT_SCALE),1) $(BIN)/pytest -m slow tests/serve/faults

# The service with the lowest versions that pyproject.toml allows. Its bundles are made with the locked ones.
# Old versions warn of newer ones of what they need, so deprecations do not count here.
LOWEST := .venv-lowest
LOWEST_TESTS := tests/serve tests/client tests/monitor tests/score tests/test_bundle.py \
  tests/test_config.py tests/test_files.py tests/test_public_api.py tests/test_text.py
# These need tools for development or the training extra.
NOT_WITH_LOWEST := tests/serve/routes/test_openapi.py tests/serve/routes/test_page.py \
  tests/serve/routes/test_published_descriptions.py tests/serve/faults/test_hostile.py \
  tests/serve/faults/test_long_faults.py \
  tests/score/test_score.py tests/score/test_kill.py

test-lowest: $(READY)  ## the service's tests with the lowest versions declared
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python \
	  --resolution lowest-direct -e '.[client,parquet,postgres,sign,tracing]'
	sed -nE 's/^((hypothesis|jsonschema|pytest|pytest-timeout)==[^ ;]+).*/\1/p' requirements.txt > $(LOWEST)/tools.txt
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python 'httpx>=0.27' -r $(LOWEST)/tools.txt
	LINNET_FIXTURES=$(CURDIR)/$(LOWEST)/fixtures $(BIN)/pytest tests/test_conftest.py
	LINNET_FIXTURES=$(CURDIR)/$(LOWEST)/fixtures $(LOWEST)/bin/python -m pytest $(LOWEST_TESTS) \
	  -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning \
	  $(addprefix --ignore ,$(NOT_WITH_LOWEST))

# The package as a user installs it, tested from a folder without the source tree.
WHEEL := .venv-wheel
WHEEL_PYTHON ?= $(PYTHON)
WHEEL_TESTS := test_public_api.py test_text.py cli/test_main.py client \
  serve/test_app.py serve/test_server.py serve/test_client.py

test-wheel: $(READY)  ## build the wheel, install it in a clean environment and test that
	rm -rf $(WHEEL) && mkdir $(WHEEL)
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir $(WHEEL) .
	$(WHEEL_PYTHON) -m venv $(WHEEL)/venv
	sed -nE 's/^([a-zA-Z0-9_.-]+==[^ ;]+).*/\1/p' requirements.txt > $(WHEEL)/pins.txt
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --quiet --python $(WHEEL)/venv/bin/python \
	  --constraint $(WHEEL)/pins.txt "$$(echo $(WHEEL)/linnet_text-*.whl)[client,parquet,postgres,sign,tracing]" \
	  httpx hypothesis jsonschema pytest pytest-timeout
	cp -r tests pyproject.toml $(WHEEL)
	LINNET_FIXTURES=$(CURDIR)/$(WHEEL)/fixtures $(BIN)/pytest --quiet tests/test_conftest.py
	cd $(WHEEL) && venv/bin/python -c "import linnet, sys; assert linnet.__file__.startswith(sys.prefix)"
	cd $(WHEEL) && LINNET_FIXTURES=$$PWD/fixtures venv/bin/python -m pytest --quiet $(addprefix tests/,$(WHEEL_TESTS))

# One environment each, as they ask for other versions of the same packages.
clients:  ## install the standard clients that slow tests ask the service with
	for client in 'tritonclient tritonclient[http]' 'kserve kserve' 'mlserver mlserver' \
	  'sagemaker sagemaker<3'; do \
	  set -- $$client; \
	  $(PYTHON) -m venv ".clients/$$1" && ".clients/$$1/bin/pip" install --quiet "$$2" || exit 1; \
	done

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

lock: $(READY)  ## compile the locked requirements; keeps the versions
	$(BIN)/python scripts/lock.py

upgrade: $(READY)  ## compile them with the newest versions
	$(BIN)/python scripts/lock.py --upgrade

docs: $(READY)  ## build the site from docs/ into dist/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir dist/site

sbom: $(READY)  ## list what the image holds with versions and licences, as CycloneDX, in dist/
	rm -rf dist/image && mkdir -p dist
	$(PYTHON) -m venv dist/image
	dist/image/bin/pip install --quiet --require-hashes --no-deps -r deploy/requirements/runtime.txt
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	dist/image/bin/pip install --quiet --no-deps --force-reinstall dist/linnet_text-*.whl
	dist/image/bin/pip check
	dist/image/bin/pip uninstall --quiet --yes pip setuptools
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --spec-version 1.6 --output-file dist/linnet-text.cdx.json dist/image
	rm -rf dist/image

clean:  ## remove what the verbs made; your own runs stay
	rm -rf .venv .venv-lowest .venv-wheel .clients runs/demo runs/operate runs/operate-champion runs/operate-candidate .pytest_cache .mypy_cache .ruff_cache .hypothesis
