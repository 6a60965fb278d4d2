# Every target makes .venv on first use; nothing needs to be activated or exported.
# `make help` lists the targets.

PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv
unexport PYTHONDONTWRITEBYTECODE # without bytecode, importing torch takes seconds longer, every time

.DEFAULT_GOAL := help
.PHONY: help setup run quick repro verify plots demo study test test-all test-faults lint bench bench-quick lock audit

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/development ## make .venv with all locked packages, those for development too

run: .venv/installed ## reproduce the pipeline; without a network, on the built-in sample
	@$(PYTHON) -m tools.run

quick: .venv/installed ## run the whole graph on the sample for two epochs, in a copy; changes no file here
	@$(PYTHON) -m tools.quick

repro: .venv/installed ## reproduce the pipeline exactly as params.yaml says (FORCE=1: every stage)
	@$(PYTHON) -m tools.repro $(if $(filter-out 0 no false,$(FORCE)),--force)
	@test -z "$$(git status --porcelain -- dvc.lock metrics plots models)" || echo "to commit the results," \
		"not only dvc.lock: git add params.yaml dvc.lock metrics plots models && git commit"

verify: .venv/installed ## hash what DVC keeps here and on the remote, and packages (REMOVE=1: delete what is damaged)
	@$(PYTHON) -m tools.verify --installed $(if $(filter-out 0 no false,$(REMOVE)),--remove)

plots: .venv/installed ## draw all results on one page, dvc_plots/index.html
	@$(PYTHON) -m tools.report

demo: demo/site/index.html ## draw a digit, or show a picture, in the browser and watch the network read it
	@$(PYTHON) -m demo.serve

# dvc.lock, too: DVC can check out an older model, with its older date
demo/site/index.html: .venv/installed $(wildcard demo/*.* dvc.lock models/model.safetensors data/prepared/test.safetensors)
	@echo "putting the page together in demo/site" >&2
	@$(PYTHON) -m demo.build
	@touch $@

study: .venv/development ## train many seeds of each recipe on Ray (RAY_ADDRESS: on a cluster) and report
	@$(PYTHON) -m tools.repro download
	@$(PYTHON) -m study.screen
	@$(PYTHON) -m study.search
	@$(PYTHON) -m study.run
	@$(PYTHON) -m study.report

test: .venv/development ## run the unit and pipeline tests, which take minutes
	@$(PYTHON) -m pytest -m "not slow"

test-all: test ## run every test: faults, study and browser too
	@$(PYTHON) -m pytest -m slow

test-faults: .venv/development ## cause each fault as often as docs/guarantees.md says (SEED=1: others)
	@$(PYTHON) -m pytest tests/faults --thorough $(if $(SEED),--fault-seed $(SEED))

lint: .venv/development ## check style (ruff) and types (pyright, strict)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m basedpyright

bench: .venv/development repro ## measure speed and memory side by side into tools/benchmarks/results.md
	@$(PYTHON) -m tools.benchmarks.bench

bench-quick: .venv/development ## the same on few images, printed only
	@$(PYTHON) -m tools.benchmarks.bench --quick

lock: .venv/installed ## resolve pyproject.toml into requirements.txt again
	@$(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --all-extras pyproject.toml -o requirements.txt

# GHSA-w8v5-vhqr-4h9v has no fix; SECURITY.md says what it means here
audit: .venv/development ## look up known vulnerabilities of the locked packages (needs a network)
	@$(PYTHON) -m pip_audit --require-hashes --disable-pip -r requirements.txt \
		--ignore-vuln GHSA-w8v5-vhqr-4h9v

# uv comes from PyPI with the hash in the lock, then installs the rest of the lock the same way. It
# copies: a link into its cache would bring an edited or rotten file back after `rm -rf .venv`, and
# into every other environment of the machine.
# Wheels only, because building a package fetches and runs its build tools. The two packages without
# a wheel are built with the setuptools of the lock, whose hash is checked like all others.
INSTALL = $(PYTHON) -m uv pip install --quiet --python $(PYTHON) --link-mode copy --require-hashes \
	--only-binary :all: --no-binary antlr4-python3-runtime --no-binary wsgidav \
	--constraint requirements.txt --build-constraint requirements.txt

# Both files hold the digest of the lock that was installed: times say little, after a checkout or
# a copy.
LOCK := $(shell git hash-object requirements.txt)
stale = $(if $(filter $(LOCK),$(shell cat $(1) 2>&1)),,FORCE)
.PHONY: FORCE

.venv/installed: $(call stale,.venv/installed)
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: python3 is $$(python3 --version 2>&1); this project needs Python 3.11 or newer" >&2; exit 1; }
	@echo "installing packages of requirements.txt into .venv; the first time takes a minute or two" >&2
	@rm -f $@; python3 -m venv --clear .venv || \
		{ echo "error: python3 cannot make .venv; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@sed -n '/^uv==/,/# via/p' requirements.txt > .venv/uv.txt
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--only-binary :all: -r .venv/uv.txt
	@$(INSTALL) --extra pipeline --extra s3 --extra ssh --extra webdav -r pyproject.toml
	@echo $(LOCK) > $@

# the rest of the lock: what only tests, checks, benchmarks and studies import
.venv/development: .venv/installed $(call stale,.venv/development)
	@echo "installing the rest of requirements.txt into .venv" >&2
	@$(INSTALL) -r requirements.txt
	@echo $(LOCK) > $@
