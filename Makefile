# Every target works from a fresh clone with only python3 (3.11 or newer) and git: set-up happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
# Two workers fit two cores; override with `make test JOBS=8`.
JOBS ?= 2

.PHONY: help run test test-slow interop check fmt bench schemas agreement lock proto clean setup
help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)
$(STAMP): requirements/dev.txt pyproject.toml
	@if ! command -v uv >/dev/null 2>&1 && [ ! -x $(BIN)/uv ]; then \
	  echo "setup: bringing uv into $(VENV)"; $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q uv; fi
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; \
	  [ -x $(BIN)/python ] || uv venv -q --python $(PYTHON) $(VENV); \
	  echo "setup: installing the locked dependencies"; \
	  uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt && \
	  uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(STAMP) ## start gitsync on an example repository with simulated agents
	@$(BIN)/gitsync lab

test: $(STAMP) ## set up everything and run the tests
	@$(BIN)/python -m tests.support.tools
	$(PYTEST) -n $(JOBS) -m "not slow"

test-slow: $(STAMP) ## what takes minutes: crash and fuzz programmes
	$(PYTEST) -n $(JOBS) -m slow --timeout 1800

check: $(STAMP) ## lint, types, architecture, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

fmt: $(STAMP) ## format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure beside opamp-go, and write bench/RESULTS.md (25 minutes; needs Go)
	@PATH="$(CURDIR)/$(BIN):$$PATH"; uv pip install -q --python $(BIN)/python --require-hashes -r requirements/bench.txt
	$(BIN)/python -m bench

schemas: ## generate schemas/collector from the Collector's own Go code (20 minutes at first; needs Go)
	cd schemas/generator && export GOPROXY="$$(go env GOPROXY | cut -d, -f1)" GOFLAGS=-buildvcs=false && \
	  go run ./cmd/generate && go run -modfile=v0.149.mod -tags v0_149 ./cmd/generate

agreement: $(STAMP) ## where our verdicts differ from a real Collector's, and the page about it
	$(BIN)/python -m tests.agreement.page
	$(BIN)/python -m tests.agreement.report

lock: ## renew requirements/*.txt from pyproject.toml
	uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header pyproject.toml -o requirements/run.txt
	uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header pyproject.toml --group dev -o requirements/dev.txt
	uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header -c requirements/dev.txt \
	  --group pyproject.toml:build -o requirements/build.txt
	uv pip compile -q --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
	  --group pyproject.toml:bench -o requirements/bench.txt
	echo "opentelemetry-opamp-client==0.5b0" | uv pip compile -q --upgrade --universal --generate-hashes --no-header \
	  --python-version 3.11 - -o requirements/interop.txt
	cd tests/interop/agents/node && npm update --package-lock-only

proto: $(STAMP) ## generate gitsync/opamp/pb from proto/
	$(BIN)/python proto/generate.py

clean:
	rm -rf $(VENV) .cache dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
