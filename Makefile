# The Python that makes .venv; another one: make PYTHON=python3.12 test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
METADATA := settings.ini pyproject.toml setup.py
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest prepare lab docs clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: $(VENV)/installed  ## Install the package into .venv and run selfsup demo
	$(BIN)/selfsup demo

test: $(VENV)/installed-dev  ## Install what developers need into .venv and run every check
	$(BIN)/python tools/check.py

test-all: $(VENV)/installed-dev  ## Run every check, the long pages, killed runs and full disks, every family of architectures, and the slow pages at tiny sizes
	$(BIN)/python tools/check.py --slow

test-oldest: $(OLDEST)/installed  ## Run tests and pages with the oldest versions of all requirements, in .venv-oldest
	$(OLDEST)/bin/python tools/check.py --oldest

prepare: $(VENV)/installed-dev  ## Stamp the course's pages, clean and export the notebooks, and make README.md and llms.txt from them
	$(BIN)/python tools/course.py
	$(BIN)/nbdev-clean
	$(BIN)/nbdev-export
	$(BIN)/python -c 'from nbdev.quarto import refresh_quarto_yml; refresh_quarto_yml()'
	$(BIN)/python tools/readme.py
	$(BIN)/python tools/llms.py

lab: $(VENV)/installed-dev  ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab nbs

docs: $(VENV)/installed-dev  ## Build the documentation site into _docs (needs Quarto)
	@command -v quarto >/dev/null || { echo 'The site needs Quarto: https://quarto.org/docs/get-started (make test checks all but its part)'; exit 1; }
	PYTHONPATH=tools $(BIN)/nbdev-docs

clean:  ## Delete what was built, but not .venv
	rm -rf _docs _proc build dist selfsup.egg-info .pytest_cache

%/bin/python:
	@$(PYTHON) tools/python_version.py
	$(PYTHON) -m venv $*

$(VENV)/installed: $(METADATA) | $(BIN)/python
	$(BIN)/python -m pip install --editable .
	touch $@

$(VENV)/installed-dev: $(METADATA) | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $(VENV)/installed $@

$(OLDEST)/installed: $(METADATA) tools/oldest.py | $(OLDEST)/bin/python
	$(PYTHON) tools/oldest.py > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/python -m pip install --editable '.[timm,heic,onnx,processes,tensorboard]' nbdev pytest pytest-xdist --constraint $(OLDEST)/constraints.txt
	touch $@
