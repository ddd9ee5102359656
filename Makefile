# retrigger: `make help` lists what there is.  Every target installs what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
export OMP_NUM_THREADS ?= 1
export PYTHONDONTWRITEBYTECODE ?=
READY := $(VENV)/.ready
DEBIAN_DEMO := g++
DEBIAN_TEST := g++ prometheus prometheus-alertmanager chromium xrootd-server postgresql docker-registry
SERVE ?= 0
KILLS ?= 200
SEED ?= 9000
PEERS ?= frouros nannyml alibi-detect evidently
PEER_PYTHON ?= $(PYTHON)

.PHONY: help setup demo test lint proof-faults budget-search sweep prove-models laws mutants bench bench-drift bench-peers bench-month bench-attribution bench-continual bench-board kills masked board-walk edits damaged week alerts-week bench-scrape preview pools pictures dashboards lock debian-demo debian-test clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## the virtual environment in .venv, pinned and hashed

$(READY): requirements.lock constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "retrigger: needs Python 3.11 or newer, found $$($(PYTHON) --version); name one with make PYTHON=/path/to/python3.11"; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV)
	@echo "retrigger: installing into $(VENV) (a few minutes the first time)"
	@$(PY) -m pip install -qq --disable-pip-version-check -r constraints.txt
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

debian-demo:
	@.ci/debian $(DEBIAN_DEMO)

debian-test:
	@.ci/debian $(DEBIAN_TEST)

demo: debian-demo setup ## several fills through the whole daemon, in ./demo (SERVE=1 leaves the page up)
	@$(PY) -m daemon.demo --folder demo $(if $(filter 1,$(SERVE)),--serve,)

test: debian-test setup lint ## lint, then every test but the campaigns
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: setup ## ruff, mypy strict, import contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: setup ## speed ratios, each measured in one run
	@for script in fill simulate training_speed; do $(PY) -m benchmarks.$$script; done

proof-faults: debian-demo setup ## 1 000 single-bit faults in weights, threshold and RTL of a fresh bundle; the proof must see each (half an hour)
	@$(PY) -m benchmarks.retrain_stages 60000 build/proof-faults --once --no-synthesis
	@$(PY) -m benchmarks.proof_faults build/proof-faults/first/bundles/*/ --faults 1000

budget-search: debian-demo setup ## 100 retrains over random recipes and budgets; none that exceeds its budget may pass (an hour)
	@$(PY) -m benchmarks.budget_search

sweep: debian-demo setup ## 50 small recipes on Dask while workers are killed: all must end, in the same bits (an hour)
	@$(PY) -m benchmarks.sweep

kills: debian-demo setup ## kill -9 at random moments of the demo; the ledger must equal an undisturbed run's
	@$(PY) benchmarks/kills.py --kills $(KILLS)

edits: setup ## 10 000 edits of an exported record; public keys and a head kept elsewhere must find each (three minutes)
	@$(PY) -m benchmarks.record_edits --edits 10000 --seed 1

masked: debian-demo setup ## a dead sector while training: no candidate; masked and declared: one that passes (three minutes)
	@$(PY) -m pytest -m slow tests/e2e/test_masked_sector.py

board-walk: debian-demo setup ## a candidate through shadow and probation to live in one daemon, and the next one back when its board errs (ten minutes)
	@$(PY) -m pytest -m slow tests/e2e/test_board_in_the_loop.py

damaged: setup ## 2 000 damaged variants of real files: each accepted, waiting or quarantined
	@$(PY) benchmarks/damaged_files.py

week: setup ## a simulated week of full-length fills for each scenario: alarms, delays, verdicts
	@$(PY) benchmarks/drift_week.py

bench-drift: setup ## delay of every failure mode, 100 000 healthy lumisections, every peer at one rate (an hour and a half on two free cores)
	@$(PY) -m benchmarks.drift_faults --first-seed $(SEED) --replicates 7 --null-streams 10
	@$(PY) -m benchmarks.drift_peers --first-seed $(SEED)
	@$(PY) -m benchmarks.detector_cost --first-seed $(SEED)
	@$(PY) -m benchmarks.drift_page

bench-peers: setup ## evidently, nannyml, alibi-detect and frouros on the same streams, each in an environment of its own (an hour)
	@$(PY) -m benchmarks.peer_streams --first-seed $(SEED)
	@PEER_PYTHON="$(PEER_PYTHON)" benchmarks/peers/each $(PEERS)
	@$(PY) -m benchmarks.drift_page

bench-month: setup ## the physics simulator's scenarios at 1 000 events over a month (two hours on two free cores; goes on where it was stopped)
	@$(PY) -m benchmarks.drift_month
	@$(PY) -m benchmarks.drift_page

bench-attribution: setup ## right object and kind of cause for every fault, also with its own modes left out (half an hour)
	@$(PY) -m benchmarks.attribution --out docs/benchmarks/attribution.md

bench-continual: setup ## every way of learning on degrading detectors, five seeds (20 CPU minutes; goes on where it was stopped)
	@$(PY) -m benchmarks.continual
	@$(PY) -m benchmarks.continual_page

bench-board: setup ## how often the guards of shadow and probation send healthy bits back, and how soon sick ones (a minute)
	@$(PY) -m benchmarks.board_watch

prove-models: setup ## a million vectors through every engine for each shipped model (an hour on a free core; goes on where it was stopped)
	@$(PY) -m benchmarks.prove_models

laws: setup ## a million random steps of the lifecycle with kills, and every order of events of the small model (an hour on a free core)
	@$(PY) -m pytest -q -s -p no:randomly -m slow tests/unit/daemon/test_lifecycle_campaign.py tests/unit/daemon/test_lifecycle_small_model.py

mutants: setup ## the decision function broken at every place, one at a time; the tests must notice each (half an hour on a free core)
	@$(PY) -m benchmarks.mutants

pools: ## regenerate the particle pools with Pythia (for whoever wants to)
	@$(PYTHON) -m venv .venv-pythia
	@.venv-pythia/bin/python -m pip install -qq --disable-pip-version-check --only-binary :all: pythia8mc==8.317.2 numpy awkward pyarrow
	@.venv-pythia/bin/python drift/simulate/make_pools.py

dashboards: setup ## regenerate the committed Grafana JSON
	@$(PY) -m dashboards.build

preview: debian-test setup ## every dashboard drawn by Grafana's own components from a real Prometheus, into docs/pictures (npm; about five minutes)
	@mkdir -p build/preview && cp -r dashboards/preview_app/. build/preview/
	@cd build/preview && npm install --legacy-peer-deps --no-audit --no-fund --loglevel=error && npx vite build --logLevel error
	@$(PY) -m benchmarks.dashboard_pictures

alerts-week: debian-test setup ## a simulated week against a real Prometheus and Alertmanager: causes against alerts (an hour and a half, mostly waiting)
	@$(PY) -m benchmarks.alerts_week

bench-scrape: setup ## how long a scrape of everything takes, and what it does to the loop
	@$(PY) -m benchmarks.scrape
	@$(PY) -m benchmarks.daemon_gap

pictures: debian-test setup ## screenshots of the page, into docs/pictures
	@$(PY) docs/pictures.py

lock: setup ## pin every dependency again, with hashes and without host names (about seven minutes)
	@.ci/lock $(VENV)

clean: ## forget the demo and the caches, keep the environment
	@rm -rf demo build .mypy_cache .ruff_cache .pytest_cache .hypothesis
