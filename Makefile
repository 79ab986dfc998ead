SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-print-directory
.DEFAULT_GOAL := help

# The switches are set here and in governance/settings.py, so that make and cron behave alike.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export OMP_WAIT_POLICY := PASSIVE

PYTHON ?= python3
CUSTOMERS ?= 30000
ALTERNATIVES ?=
ON ?= 2005-10-01
VERSION ?= latest
ROLE ?= risk_approver
PORT ?= 5000

VENV := .venv
PY := $(VENV)/bin/python -P
LIMITLINE := $(PY) -m limitline
READY := $(VENV)/.ready
SPARK := $(VENV)/.spark

##@ Start here

.PHONY: setup
setup: $(READY) ## Create the locked environment (no root, no uv; about a minute)

.PHONY: demo
demo: $(READY) ## The main job on the real data: protect, train, validate, approve, decide, watch
	@$(PY) scripts/demo.py --customers $(CUSTOMERS) $(if $(ALTERNATIVES),--alternatives)

.PHONY: test
test: $(READY) ## The test suite; needs nothing but the locked environment
	@$(PY) -m pytest -q -n 2 --dist loadgroup -m "not system"
	@echo "Left out: tests that need a real service (Chromium, Java for Spark). They run with: make system"

##@ Monthly work (each is also a verb: .venv/bin/limitline --help)

.PHONY: protect
protect: $(READY) ## Raw rows to encrypted, pseudonymized feature tables
	@$(LIMITLINE) simulate --customers $(CUSTOMERS)
	@$(LIMITLINE) protect --purpose training
	@$(LIMITLINE) protect --purpose decision

.PHONY: train
train: $(READY) ## Train a challenger and log it to MLflow with its policy
	@$(LIMITLINE) train

.PHONY: validate
validate: $(READY) ## Measure VERSION on the sealed customers, sign the evidence, ask the gate
	@$(LIMITLINE) validate --version $(VERSION) --on $(ON)
	@$(LIMITLINE) gate --version $(VERSION) --on $(ON)

.PHONY: appetite
appetite: $(READY) ## Sign the risk appetite in the role ROLE (two different roles, before figures)
	@$(LIMITLINE) appetite --as $(ROLE) --on $(ON)

.PHONY: approve
approve: $(READY) ## Approve VERSION in the role ROLE (two different roles are needed)
	@$(LIMITLINE) approve --version $(VERSION) --as $(ROLE) --on $(ON)

.PHONY: promote
promote: $(READY) ## Make VERSION the champion, if the gate and two approvals allow it
	@$(LIMITLINE) promote --version $(VERSION) --on $(ON)

.PHONY: decide
decide: $(READY) ## Decide the book with the verified champion as of ON
	@$(LIMITLINE) decide --as-of $(ON)

.PHONY: watch
watch: $(READY) ## Judge every monitoring window that is due
	@$(LIMITLINE) watch --on $(ON)

.PHONY: report
report: $(READY) ## Say where the newest reports lie
	@$(LIMITLINE) report

##@ Look

.PHONY: serve
serve: $(READY) ## MLflow on loopback: http://127.0.0.1:PORT
	@$(LIMITLINE) serve --port $(PORT)

.PHONY: dashboard
dashboard: $(READY) ## The watched windows in Evidently on loopback: http://127.0.0.1:PORT
	@$(LIMITLINE) dashboard --port $(PORT)

.PHONY: status
status: $(READY) ## What happened, what was refused and why, from the ledger
	@$(LIMITLINE) status --on $(ON)

.PHONY: evidence
evidence: $(READY) ## Write the evidence pack that an outsider can check
	@$(LIMITLINE) evidence --on $(ON)

##@ Developers

.PHONY: check
check: $(READY) ## Everything that must be green: format, lint, types, imports, dependencies, tests
	@failed=0; \
	run() { echo "== $$*"; "$$@" || { failed=$$((failed + 1)); echo "-- failed: $$*"; }; }; \
	run $(PY) -m ruff format --check . ; \
	run $(PY) -m ruff check . ; \
	run $(PY) -m mypy ; \
	run $(VENV)/bin/lint-imports ; \
	run $(PY) -m deptry . ; \
	run $(MAKE) test ; \
	if [ $$failed -gt 0 ]; then echo "$$failed check(s) failed"; exit 1; fi; echo "all checks passed"

.PHONY: system
system: $(READY) $(SPARK) ## Tests that need a real service (Chromium, Java for Spark)
	@$(PY) -m pytest -q -m system tests/system

.PHONY: proof
proof: $(READY) ## Print the slow figures that docs/proofs.md keeps (minutes)
	@$(VENV)/bin/python benchmarks/limits_engine.py
	@$(VENV)/bin/python -m benchmarks.limits_optimizer
	@$(VENV)/bin/python -m benchmarks.fairness
	@$(VENV)/bin/python -m benchmarks.drift
	@$(VENV)/bin/python -m benchmarks.detectors
	@$(LIMITLINE) lab backtest --accounts 30000 --seeds 101,102,103
	@$(VENV)/bin/python -m benchmarks.training --more

.PHONY: format
format: $(READY) ## Format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

.PHONY: lock
lock: ## Write requirements.lock anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" --group dev pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-deps \
	  --custom-compile-command "make lock" requirements-spark.in -o requirements-spark.lock

.PHONY: clean
clean: ## Remove caches and the demonstration's state in var/ (keys included)
	rm -rf var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage

.PHONY: help
help: ## Show this help
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nA small world: CUSTOMERS=2000 make demo\n'

# The marker is written last: an installation that was interrupted is done again.
$(READY): requirements.lock pyproject.toml
	@echo "Creating the locked environment in $(VENV) (once, about a minute) ..."
	@$(PYTHON) -c 'import sys; sys.exit("Limitline needs Python 3.11 or newer.") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# The spark extra is some 450 MB and needs Java, so it is installed only where it is asked for.
$(SPARK): requirements-spark.lock $(READY)
	@echo "Installing PySpark into $(VENV) (once, a minute or two) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-spark.lock
	@touch $(SPARK)
