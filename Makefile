# Every target makes .venv on first use; nothing needs to be activated or exported.
# `make help` lists the targets.

PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONDONTWRITEBYTECODE # without bytecode, importing torch takes seconds longer, every time

.DEFAULT_GOAL := help
.PHONY: help setup run repro verify plots demo study test verify-faults lint bench bench-quick lock licences audit

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

setup: .venv/installed ## make .venv and install the locked packages

run: .venv/installed ## reproduce the pipeline; without a network, on the built-in sample
	@$(PYTHON) run.py

# dvc reads params.yaml before any code of ours; our reader refuses what would keep it busy for good
repro: .venv/installed ## reproduce the pipeline exactly as params.yaml says (FORCE=1: every stage)
	@$(PYTHON) -c 'from pathlib import Path; from stages.lib import errors, parameters; \
		errors.exit_with(lambda: parameters.read(Path("params.yaml")))'
	@$(PYTHON) -m dvc repro $(if $(FORCE),--force)

verify: .venv/installed ## hash all that DVC keeps, here and on the remote (REMOVE=1: delete what is wrong)
	@$(PYTHON) verify.py $(if $(REMOVE),--remove)

test: .venv/installed ## run every test
	@$(PYTHON) -m pytest

verify-faults: .venv/installed ## make every fault of tests/faults as often as the README says (SEED=1: others)
	@$(PYTHON) -m pytest tests/faults --thorough $(if $(SEED),--fault-seed $(SEED))

lint: .venv/installed ## check style (ruff) and types (pyright, strict on stages/)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m basedpyright

plots: .venv/installed ## draw all plots into dvc_plots/index.html, which needs no network
	@$(PYTHON) -m page.write

demo: .venv/installed ## draw a digit in the browser and watch the network read it (needs npm)
	@$(PYTHON) -m demo.build
	@$(PYTHON) -m demo.serve

bench: repro ## measure speed and memory side by side into benchmarks/results.md
	@$(PYTHON) -m benchmarks.bench

bench-quick: .venv/installed ## the same on few images, printed only
	@$(PYTHON) -m benchmarks.bench --quick

study: .venv/installed ## train many seeds of each recipe on Ray (RAY_ADDRESS: on a cluster) and report
	@$(PYTHON) -m dvc repro study/dvc.yaml
	@$(PYTHON) -m study.report

lock: .venv/installed ## resolve pyproject.toml into requirements.txt again
	@$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --all-extras --group dev --group study pyproject.toml -o requirements.txt

licences: .venv/installed ## list the licence of every package that the pipeline needs
	@$(PYTHON) licences.py

# GHSA-w8v5-vhqr-4h9v has no fix; SECURITY.md says what it means here
audit: .venv/installed ## look up known vulnerabilities of the locked packages (needs a network)
	@$(PYTHON) -m pip_audit --strict --require-hashes --disable-pip -r requirements.txt \
		--ignore-vuln GHSA-w8v5-vhqr-4h9v

# uv comes from PyPI with the hash in the lock, then installs the rest of the lock the same way.
# Wheels only: building a package fetches what it is built with and runs it. The two that have no
# wheel are built with the setuptools of the lock, whose hash is checked like all others.
.venv/installed: requirements.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: python3 is $$(python3 --version 2>&1); this project needs Python 3.11 or newer" >&2; exit 1; }
	@echo "installing requirements.txt into .venv; the first time takes a minute or two" >&2
	@rm -f $@; python3 -m venv --clear .venv || \
		{ echo "error: python3 cannot make .venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@sed -n '/^uv==/,/# via/p' requirements.txt > .venv/uv.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--only-binary :all: -r .venv/uv.txt
	@$(PYTHON) -m uv pip sync --quiet --python $(PYTHON) --require-hashes \
		--only-binary :all: --no-binary antlr4-python3-runtime --no-binary wsgidav \
		--build-constraints requirements.txt requirements.txt
	@$(PYTHON) -c 'from page.write import vega; vega()' # .venv/vega.js
	@touch $@
