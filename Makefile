# The verbs of this project. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
READY := .venv/ready
SCALE ?= quick
OVERLAY = $(if $(filter-out quick,$(SCALE)),--configfile scales/$(SCALE).yaml)
SOURCES := src scripts bench tests envs

.PHONY: help install quick paper real tumours medxgan ganchors smiles smoke commands record bench alibi test check format lock clean

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1|/' | column -t -s '|'

install: $(READY)  ## the environment, in .venv

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e ".[dev]"
	$(BIN)/pip install --quiet --no-deps anchor-exp==0.0.2.0  # what anchors are compared with; its own needs are not needed
	@touch $@

quick:  ## set up, then the quick scale: trainings, maps, tables, figures and pages in results/quick
paper:  ## set up, then the papers' own size, for a GPU; it goes on where it was stopped
real:  ## set up, then real images: EVIDENCE_RAW_COHORT=/path/to/brain_tumor_mri make real
tumours:  ## set up, then CyCE and SyCE on real brain tumours: EVIDENCE_RAW_TUMOURS=/path/to/patients make tumours
medxgan:  ## set up, then medXGAN on real brain slices: EVIDENCE_RAW_BRAIN_MRI=/path/to/brain_tumor_mri make medxgan
ganchors:  ## set up, then anchors on real digits; MNIST is downloaded where EVIDENCE_RAW_MNIST names no folder
smiles:  ## set up, then anchors on real faces: EVIDENCE_RAW_CELEBA=/path/to/SMILEs make smiles
smoke:  ## set up, then every step on next to nothing
quick paper real tumours medxgan ganchors smiles smoke: $(READY)
	snakemake $(if $(filter-out quick,$@),--configfile scales/$@.yaml) --quiet rules
	@echo; echo "read: results/$@/report.html"

commands: $(READY)  ## a scale as a plain list of commands, for a machine without Snakemake: make -s commands SCALE=paper > paper.sh
	@said=$$(snakemake $(OVERLAY) --dry-run --forceall --printshellcmds 2>&1) || { echo "$$said" >&2; exit 1; }; \
	echo "set -e; export PYTHONPATH=src"; \
	echo "$$said" | sed -nE 's/^Shell command: (python .*) &> (.*)$$/mkdir -p $$(dirname \2); \1 \&> \2/p'

record: $(READY)  ## keep what was measured: make record SCALE=quick writes docs/measured/ from results/quick
	for page in results/$(SCALE)/papers/*; do python scripts/record.py $$page || exit 1; done

bench: $(READY)  ## what an update and a map cost here, into docs/measured/bench-<machine>.md; ARGS="--only steps2d" is part of it
	python bench/run.py $(ARGS)

alibi: .alibi/ready  ## the environment of a peer that bench compares with where it is there; 1.8 GB

.alibi/ready: envs/alibi.txt
	test -x .alibi/bin/python || $(PYTHON) -m venv .alibi
	.alibi/bin/pip install --quiet -r envs/alibi.txt
	@touch $@

test: $(READY)  ## set up, then all tests: a worker a core, and one for those of the workflow, which start as many jobs
	OMP_NUM_THREADS=1 pytest --numprocesses auto --ignore tests/workflow
	OMP_NUM_THREADS=1 pytest tests/workflow

check: $(READY)  ## set up, then format and lint, without changing anything
	ruff format --check $(SOURCES)
	ruff check $(SOURCES)
	snakefmt --check Snakefile rules
	snakemake --lint

format: $(READY)  ## set up, then format everything
	ruff format $(SOURCES)
	ruff check --fix $(SOURCES)
	snakefmt Snakefile rules

lock:  ## resolve the dependencies anew: constraints.txt and envs/
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip install --quiet -e ".[dev]"
	echo "# Every package but torch, which pyproject.toml pins. Written by: make lock" > constraints.txt
	.venv/lock/bin/pip freeze --exclude-editable | grep -vi '^torch==' | sed 's/+.*//' | sort -f >> constraints.txt
	rm -rf .venv/lock
	$(PYTHON) envs/generate.py

clean:  ## remove what the quick and smoke scales made
	rm -rf results/quick results/smoke logs/quick logs/smoke
