# AlignCap. `make help` lists what there is; `make demo` is the place to start.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
# The environment is made again only when what it is made of changes.
STAMP := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml plugins/*/pyproject.toml | cksum | cut -d' ' -f1)
RUN := @$(PY) tools/run_pipeline.py
MKDOCS := NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs
CONFIG ?= experiments/smoke.yaml
PEOPLE := results/people
PORT ?= 5000
CLIPS ?= ../shared/data/emodb/audio
LANGUAGE ?= de
WORKERS ?= 2
# The requirements of the named extras of pyproject.toml, without what else the package needs.
EXTRAS := $(PY) -c 'import sys, tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; print(*(one for name in sys.argv[1:] for one in extras[name]))'

# What tools/run_pipeline.py names as the command that continues a run.
export RUN_AGAIN = $(strip make $(MAKECMDGOALS) $(MAKEOVERRIDES))
export MLFLOW_DISABLE_TELEMETRY := true
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup demo captioner emosec tables pretrained smoke run report test faults cluster cluster-plugins bench docs docs-serve lint format config lock mlflow mlflow-sync clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with the versions of requirements.lock (Python 3.11); instant once it is there

$(STAMP):
	@echo "setup: installing the versions of requirements.lock into $(VENV)"
	@python=; for name in $${PYTHON:-python3.11 python3 python}; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "setup: no Python 3.11 found; install it or set PYTHON=/path/to/python3.11" >&2; exit 1; fi; \
	[ -x $(PY) ] || "$$python" -m venv $(VENV)
	@$(PIP) install -qq "$$(grep '^torch==' requirements.lock)"
	@$(PIP) install -qq --no-deps -r requirements.lock
	@$(PIP) install -qq --no-deps --no-build-isolation --editable . --editable plugins/aligncap-zh
	@rm -f $(VENV)/.installed-*
	@touch $@

demo: setup ## train and compare everything on the embedded synthetic corpora (config.yaml)
	$(RUN)

captioner: setup ## train one captioner, the kd of config.yaml, and compare nothing: the short way to a caption
	$(RUN) results/default/checkpoints/kd/system.json

emosec: setup ## train on RAVDESS and nEMO, test on EMOSEC (data in ../shared/data)
	$(RUN) --configfile experiments/emosec.yaml

tables: setup ## after emosec: tables 2 to 4, and two more seeds of every system that a claim is about
	$(RUN) --configfile experiments/emosec.yaml experiments/tables.yaml experiments/seeds.yaml

pretrained: setup ## train the captioner of pretrained/ on people (data in ../shared/data), and write it anew
	$(RUN) $(PEOPLE)/checkpoints/aligncap/system.json --configfile experiments/people.yaml
	@$(PY) tools/pretrained.py $(PEOPLE)/checkpoints/aligncap pretrained

smoke: setup ## the whole pipeline on random tiny models, in minutes; its numbers mean nothing
	$(RUN) --configfile experiments/smoke.yaml

run: setup ## any experiment: make run CONFIG="a.yaml b.yaml", each merged over the one before
	$(RUN) --configfile $(CONFIG)

report: setup ## bring only the report of CONFIG up to date, with what it stands on; AUDIO=off: without recordings
	$(RUN) --configfile $(CONFIG) --until report $(if $(filter off,$(AUDIO)),--no-audio)

test: setup ## unit, fault and workflow tests, WORKERS=2 at a time; says what was skipped and why
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -rfEs -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/cluster

faults: setup ## the long fault tests: 1,000 mixed files, kills in every rule and 200 at random; hours
	ALIGNCAP_FAULTS=long OMP_NUM_THREADS=1 $(PY) -m pytest -q -rfEs tests/faults tests/unit/serving/test_mixed_folder.py tests/workflow/test_kill.py tests/workflow/test_same_bytes.py --timeout 36000

cluster: cluster-plugins ## profiles/slurm on a SLURM that is installed by apt-get and started here, as root; profiles/kubernetes dry
	@command -v slurmctld >/dev/null && command -v munged >/dev/null || { \
	  [ "$$(id -u)" = 0 ] || { echo "cluster: needs slurm-wlm and munge of Debian or Ubuntu; run it as root" >&2; exit 1; }; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends slurm-wlm munge >/dev/null; }
	@$(PIP) install -qq -c requirements.lock --upgrade --target build/kubernetes $$($(EXTRAS) kubernetes cluster-test)
	@trap 'tests/cluster/slurm.sh stop' EXIT; tests/cluster/slurm.sh start; \
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -rfEs tests/cluster

cluster-plugins: setup ## install Snakemake's plugin for Slurm into .venv, which profiles/slurm needs
	@$(PIP) install -qq -c requirements.lock $$($(EXTRAS) cluster)

bench: setup ## speed against what one would use instead; after make demo; CLIPS=folder LANGUAGE=its AGAINST="--against …"
	@$(PIP) install -qq -r benchmarks/requirements.txt
	$(PY) benchmarks/run_all.py benchmarks/results.md --clips $(CLIPS) --language $(LANGUAGE) $(AGAINST)

docs: setup ## build the documentation into site/; a broken link is an error
	$(MKDOCS) build --strict

docs-serve: setup ## the documentation on http://127.0.0.1:8002, built again at every change
	$(MKDOCS) serve --dev-addr 127.0.0.1:8002

lint: setup ## ruff, snakefmt, mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/snakefmt --check Snakefile rules
	$(VENV)/bin/mypy

format: setup ## let ruff and snakefmt rewrite the sources
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/snakefmt Snakefile rules

config: setup ## write config.yaml and its JSON schema from aligncap/config, where the defaults are
	$(PY) -m aligncap.config.writing

lock: setup ## write requirements.lock and envs/*.yaml from what .venv holds
	$(PY) tools/lock.py

mlflow: setup ## compare runs in MLflow on http://127.0.0.1:5000 (PORT=...)
	@mkdir -p mlruns/artifacts
	$(VENV)/bin/mlflow server --host 127.0.0.1 --port $(PORT) --workers 1 \
	  --backend-store-uri sqlite:///mlruns/mlflow.db --artifacts-destination mlruns/artifacts

mlflow-sync: setup ## import what MLflow missed while its store was down
	$(PY) -m aligncap.tracking.syncing

clean: ## remove results, logs, resume states and site; models, MLflow, .venv and a judge's paid answers stay
	rm -rf results logs site
	@! [ -d work ] || find work -mindepth 1 -maxdepth 1 ! -name judge_openai ! -name tracking -exec rm -rf {} +
	@! [ -d .snakemake ] || find .snakemake -mindepth 1 -maxdepth 1 ! -name conda -exec rm -rf {} +
