# `make benchmark` and `make test` do all the set-up they need, on a machine with Python 3.11 or newer and make.

PYTHON    ?= python3
VENV      := $(CURDIR)/.venv
BIN       := $(VENV)/bin
LINK      := .ansible/collections/ansible_collections/rightsize/whisper
INVENTORY ?= inventory/quickstart.yml
ARGS      ?=
PYTEST_ARGS ?=
INTEGRATION ?= tests/integration

# Tools of the virtual environment come first, so that a playbook's modules find the same Python.
export PATH := $(BIN):$(PATH)
# What is made side by side is shown when it ends, and not line by line among each other, where make can do that (4.0 and newer).
IN_ONE_PIECE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# The settings of this checkout hold wherever make is called from; a user's own ANSIBLE_CONFIG wins.
export ANSIBLE_CONFIG ?= $(CURDIR)/ansible.cfg

.DEFAULT_GOAL := help
.PHONY: help setup benchmark test checks engine image lint types docs sanity unit integration clean

help:  ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(VENV)/.made: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python %d.%d is too old: name a newer one, PYTHON=python3.11" % sys.version_info[:2])'
	@echo "Installing the controller's Python packages into .venv"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(VENV)/.made-for-tests: tests/requirements.txt $(VENV)/.made
	@echo "Installing the tests' Python packages into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	@touch $@

$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

setup: $(VENV)/.made $(LINK)  ## the virtual environment and the link through which the checkout is a collection

benchmark: setup  ## measure, compare, size, report (INVENTORY=…, ARGS='-e …')
	@ansible-playbook playbooks/benchmark.yml -i $(INVENTORY) $(ARGS)

test: checks integration  ## every test that this machine can run

# Each waits for something now and then: a network, a disk, or one thread of its own.
checks: $(VENV)/.made-for-tests $(LINK)  ## lint types docs sanity unit image, side by side
	@echo "Side by side, each shown when it ends: lint types docs sanity unit image"
	@$(MAKE) --no-print-directory --jobs 3 --keep-going $(IN_ONE_PIECE) image sanity lint types docs unit

engine: setup
	@ansible-playbook playbooks/engine.yml -i $(INVENTORY)

image: setup  ## the engine, and the image with bench_runner
	@ansible-playbook playbooks/image.yml -i $(INVENTORY) $(ARGS)

lint: $(VENV)/.made-for-tests $(LINK)  ## ruff, ansible-lint, changelog
	ruff check
	ruff format --check
	ansible-lint --offline
	antsibull-changelog lint

types: $(VENV)/.made-for-tests $(LINK)  ## mypy, strict
	mypy bench_runner
	MYPYPATH=.ansible/collections mypy -p ansible_collections.rightsize.whisper.plugins.plugin_utils

docs: $(VENV)/.made-for-tests $(LINK)  ## ansible-doc of every plugin and role
	python tests/docs.py

sanity: $(VENV)/.made-for-tests  ## ansible-test sanity
	tests/sanity.sh

unit: $(VENV)/.made-for-tests $(LINK)  ## pytest, without an engine
	pytest tests/unit --numprocesses auto $(PYTEST_ARGS)

# A test of real engines and clusters may meet a busy machine: it is tried up to three times, and pytest says why.
# Which of them may run at once, tests/conftest.py says.
integration: $(VENV)/.made-for-tests engine  ## pytest with the real engine, image, weights; and the cluster in KUBECONFIG
	pytest $(INTEGRATION) --numprocesses 3 --dist loadgroup --timeout 900 --reruns 2 --rerun-show-tracebacks --durations 15 $(PYTEST_ARGS)

clean:  ## remove what make created, but no results
	rm -rf .venv .ansible
