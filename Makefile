# Every target does all of its own set-up: from a bare clone, `make demo` is enough.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python3.14 python,\
  $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))
WORKERS ?= 2
ARGS ?=

VENV := .venv
RUN := $(VENV)/bin/python
# A stamp's name holds a hash of all that decides what is installed, and where: it is installed again when one changes.
HASH := $(shell (pwd; cat pyproject.toml constraints.txt) | cksum | cut -d' ' -f1)
DEMO := $(VENV)/.ready-demo-$(HASH)
DOCS := $(VENV)/.ready-docs-$(HASH)
TEST := $(VENV)/.ready-test-$(HASH)
ALL := $(VENV)/.ready-all-$(HASH)
BENCH := $(VENV)/.ready-bench-$(HASH)
RIVAL := .cache/tabularargn
RIVAL_PINS := benchmarks/results/tabularargn.txt
PIP := $(RUN) -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PYTEST := $(RUN) -m pytest -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format docs bench results clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(DEMO) ## learn names from a table, then write new ones (about two minutes)
	$(VENV)/bin/unspool demo names

test: $(TEST) ## run the tests; ARGS="tests/test_x.py -k word" chooses some
	$(PYTEST) $(ARGS)

test-all: $(ALL) ## run the tests, the slow ones and those of clusters and object stores too
	$(PYTEST) -m "" $(ARGS)

check: $(TEST) ## style, types, layers, documentation
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) -m pytest -q tests/test_layers.py tests/test_docs.py tests/test_how_it_works.py -k 'not runs'

format: $(TEST) ## let ruff mend what it can, and the line numbers in docs/how-it-works.md
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format
	$(RUN) tests/test_how_it_works.py --fix

docs: $(DOCS) build/demo/names.unspool ## build the site of the documents; open build/site/index.html
	@rm -rf build/site
	$(RUN) -m sphinx -c docs -d .cache/doctrees -E -W --keep-going -q . build/site

build/demo/names.unspool: | $(DOCS)
	$(VENV)/bin/unspool demo names -o build/demo

bench: $(BENCH) ## assert parity, then time; ARGS="train --quick" chooses, ARGS=--write makes docs/benchmarks.md
	$(RUN) -m benchmarks $(ARGS)

results: $(BENCH) $(RIVAL)/.ready ## fit and judge on real data; ARGS="storms --quick" chooses, ARGS=--write makes docs/results.md
	$(RUN) -m benchmarks.results $(ARGS)

clean: ## remove the environment and all caches
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis build out

$(RUN):
	@test -n "$(PYTHON)" || { echo "Unspool needs Python 3.11 or newer; name it with: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) can't make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

define install
	@echo "installing unspool[$(EXTRAS)] into $(VENV): the first time takes a minute or two"
	@rm -f $(VENV)/.ready-*
	@$(PIP) hatchling editables setuptools
	@$(PIP) --no-build-isolation --editable '.[$(EXTRAS)]'
endef

$(DEMO): EXTRAS := plot,examples
$(DOCS): EXTRAS := docs,plot,examples
$(TEST): EXTRAS := test,check,docs
$(ALL): EXTRAS := test,check,docs,cluster
$(BENCH): EXTRAS := bench,check,docs

$(DEMO) $(DOCS): | $(RUN)
	$(install)
	@touch $@

$(TEST): | $(RUN)
	$(install)
	@touch $@ $(DEMO) $(DOCS)

$(ALL): | $(RUN)
	$(install)
	@touch $@ $(TEST) $(DEMO) $(DOCS)

# The pins of aeon contradict ours; only its data are read.
$(BENCH): | $(RUN)
	$(install)
	@$(PIP) --no-deps aeon==1.6.0
	@touch $@ $(TEST) $(DEMO) $(DOCS)

# The pins of mostlyai-engine contradict ours: it has an environment of its own.
$(RIVAL)/.ready: $(RIVAL_PINS) | $(RUN)
	@echo "installing TabularARGN into $(RIVAL): several gigabytes, the first time takes minutes"
	@$(RUN) -m venv --clear $(RIVAL)
	@$(RIVAL)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $(RIVAL_PINS)
	@touch $@
