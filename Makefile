# `make help` lists the targets. Every recipe runs the pinned tools of .venv, which the `venv`
# target keeps up to date; nothing but make, git and a package mirror has to be there before.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

# Where things of this project that are worth keeping between runs live, keyed by content hash.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/xcom-rollout

export PYTHONPATH := $(CURDIR)/tests/support
# A failing end-to-end test leaves its events, logs and resources in a folder below this one.
export XCOM_ROLLOUT_BUNDLES ?= $(CURDIR)/build/bundles
# Which provider makes the cluster: kind, node or existing. Empty: the harness chooses and says so.
export CLUSTER ?=

, := ,
# Two processes, for most tests keep one core busy. The conftest says which tests stay together.
side-by-side = -n 2
pytest = $(PY) -m pytest $(1) --junitxml=build/reports/$(2).xml --durations=5 $(ARGS)

##@ Start here
.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z0-9-]*:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	printf '\nVariables: CLUSTER=kind|node|existing, ARGS="..." (added to pytest), PYTHON=python3.x\n'

.PHONY: demo
demo: venv ## A real cluster, Airflow, a flip and a kill-switch, with live progress
	@$(PY) -m demo up

.PHONY: demo-down
demo-down: venv ## Remove everything that `make demo` made
	@$(PY) -m demo down

.PHONY: test
test: venv ## All checks and tests; a closing table says what ran and for how long
	@$(PY) -m harness.stages lint unit apiserver-test dags-test probe-test e2e

##@ Checks and tests
.PHONY: lint
lint: venv ## ruff, mypy --strict, import contracts, the probe's Python version, CRD drift
	@failed=
	step() { printf '==> %s\n' "$$*"; "$$@" || failed="$$failed  $$*"$$'\n'; }
	step $(PY) -m ruff check .
	step $(PY) -m ruff format --check .
	step $(PY) -m mypy
	step $(VENV)/bin/lint-imports --no-logo
	step $(VENV)/bin/vermin --target=3.8- --violations --no-tips --quiet operator/xcom_probe operator/xcom_static operator/xcom_dags
	step $(PY) -m xcom_rollout.api.crd --check
	if [ -n "$$failed" ]; then printf 'lint failed:\n%s' "$$failed"; exit 1; fi

.PHONY: format
format: venv ## Format the code and apply ruff's safe fixes
	@$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

.PHONY: unit
unit: venv ## Unit and property tests (seconds; Python only)
	@$(call pytest,tests/unit $(side-by-side),unit)

.PHONY: coverage
coverage: venv ## Which lines and branches tests run (SUITES="tests/unit"; by default also tests/apiserver)
	@mkdir -p build/coverage
	$(PY) -m coverage erase
	failed=0
	$(PY) -m coverage run -m pytest $(or $(SUITES),tests/unit tests/apiserver) -m 'not long' -q --timeout=1200 $(ARGS) || failed=$$?
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage html --quiet
	$(PY) -m coverage report
	echo "line by line: build/coverage/html/index.html"
	exit $$failed

.PHONY: test-long
test-long: venv ## 100,000 simulated kills (WORLDS=...), and one with every kind of run on a cluster
	@export XCOM_ROLLOUT_WORLDS=$(or $(WORLDS),100000)
	$(call pytest,tests/unit/decide/test_kill_worlds.py tests/unit/decide/test_kill_worlds_in_workers.py tests/unit/decide/test_kill_worlds_in_both.py --timeout=0 -s,long)
	$(call pytest,tests/apiserver -m long --timeout=1800,long-apiserver)
	$(call pytest,tests/probe -m long --timeout=1800,long-probe)
	$(call pytest,tests/e2e -m long --timeout=3600 -s,long-e2e)

.PHONY: apiserver-test
apiserver-test: venv ## Tests against a real etcd and kube-apiserver
	@$(call pytest,tests/apiserver -m 'not long' --timeout=600,apiserver)

.PHONY: dags-test
dags-test: venv ## What DAG authors import, beside a real S3 server
	@$(call pytest,tests/dags --timeout=300,dags)

.PHONY: probe-test
probe-test: venv ## The probe beside real Airflows (2.9, 2.11, 3.3), databases and an S3 server
	@$(call pytest,tests/probe -m 'not long and not stores' --timeout=1200 $(side-by-side) --airflow=2.9$(,)2.11$(,)3.3,probe)

.PHONY: test-matrix
test-matrix: venv ## All six versions of Airflow (2.9 to 3.3), and stores other than MinIO
	@$(call pytest,tests/probe --timeout=1200 $(side-by-side) --airflow=all -m 'every_airflow or stores',matrix)

.PHONY: e2e
e2e: venv ## Tests on a real cluster with Airflow, Postgres and S3 (CLUSTER=...)
	@$(call pytest,tests/e2e -m 'not long' --timeout=1800,e2e)

.PHONY: bench
bench: venv ## Measure what docs/benchmarks.md states
	@$(PY) -m bench $(ARGS)

##@ Build
.PHONY: crd
crd: venv ## Write crds/ from the pydantic models
	@$(PY) -m xcom_rollout.api.crd

.PHONY: probe
probe: venv ## Build build/xcom_probe.pyz twice and check that both are the same bytes
	@mkdir -p build
	$(PY) -m xcom_probe.build build/xcom_probe.pyz
	$(PY) -m xcom_probe.build build/xcom_probe.again.pyz
	cmp build/xcom_probe.pyz build/xcom_probe.again.pyz
	rm build/xcom_probe.again.pyz
	sha256sum build/xcom_probe.pyz

.PHONY: dist
dist: venv ## What a release consists of: distribution, chart, probe, CRD and their checksums, in dist/
	@rm -rf dist
	export SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" VIRTUAL_ENV="$(CURDIR)/$(VENV)"
	$(PY) -m uv build --quiet --no-build-isolation --out-dir dist
	rm -f dist/.gitignore
	"$$($(PY) -m harness.tools helm)" package --destination dist charts/xcom-rollout
	$(PY) -m xcom_probe.build dist/xcom_probe.pyz
	cp crds/*.yaml dist/
	cd dist && sha256sum -- * >SHA256SUMS && cat SHA256SUMS

##@ Cluster
.PHONY: cluster
cluster: venv ## Start the test cluster, or use the one that runs (CLUSTER=...)
	@$(PY) -m harness.cluster up

.PHONY: cluster-down
cluster-down: venv ## Stop the test cluster and remove all that it made on this machine
	@$(PY) -m harness.cluster down

##@ Housekeeping
# The stamp names the pinned packages, this project's metadata and this folder: equal means that
# there is nothing to do, and no network is needed. `uv pip sync` also removes what is not pinned,
# so that a dependency which was never written down fails here and not on the next machine.
.PHONY: venv
venv: ## Make .venv with exactly the pinned packages, or bring it up to date
	@mkdir -p build
	exec 9>build/venv.lock
	if command -v flock >/dev/null; then flock 9; fi
	wanted="$$(cat requirements/runtime.txt requirements/dev.txt pyproject.toml | sha256sum | cut -c1-64)"
	here="$(CURDIR)"
	found=; home=
	if [ -e $(VENV)/stamp ]; then { read -r found; read -r home; } <$(VENV)/stamp || true; fi
	usable() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
	if [ "$$found" = "$$wanted" ] && [ "$$home" = "$$here" ] && usable $(PY); then exit 0; fi
	install_packages() {
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	    echo "venv: $$1 is missing. Install it (on Debian: apt-get install $$2), then run make again." >&2
	    exit 1
	  fi
	  echo "venv: $$1 is missing; installing the Debian package(s) $$2"
	  { apt-get update -qq &&
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$2
	  } >build/apt.log 2>&1 || { cat build/apt.log >&2; exit 1; }
	}
	if { [ -n "$$home" ] && [ "$$home" != "$$here" ]; } || ! usable $(PY); then
	  python="$(PYTHON)"
	  if [ -z "$$python" ]; then
	    command -v python3 >/dev/null || install_packages "python3" "python3 python3-venv"
	    for candidate in python3 python3.13 python3.12 python3.11; do
	      if usable "$$candidate"; then python="$$candidate"; break; fi
	    done
	  fi
	  if [ -z "$$python" ] || ! usable "$$python"; then
	    echo "venv: Python 3.11 or newer is needed; '$${python:-python3}' is" \
	      "$$("$${python:-python3}" --version 2>&1 || echo 'not there')." \
	      "Install one and name it: make PYTHON=/path/to/python3.11 ..." >&2
	    exit 1
	  fi
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null ||
	    install_packages "the venv module of $$python" python3-venv
	  echo "venv: making $(VENV) with $$("$$python" --version)"
	  "$$python" -m venv --clear $(VENV)
	fi
	if ! $(PY) -m uv --version >/dev/null 2>&1; then
	  echo "venv: installing uv"
	  awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' requirements/dev.txt >build/uv.txt
	  $(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r build/uv.txt
	fi
	echo "venv: installing the packages of requirements/dev.txt"
	export VIRTUAL_ENV="$$here/$(VENV)"
	$(PY) -m uv pip sync --quiet requirements/dev.txt
	$(PY) -m uv pip install --quiet --no-deps --no-build-isolation --editable .
	printf '%s\n%s\n' "$$wanted" "$$here" >$(VENV)/stamp
	echo "venv: ready"

.PHONY: requirements
requirements: venv ## Pin again: requirements/*.in to *.txt (ARGS=--upgrade for newer versions)
	@export VIRTUAL_ENV="$(CURDIR)/$(VENV)"
	for name in runtime dev; do
	  $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url $(ARGS) \
	    requirements/$$name.in --output-file requirements/$$name.txt
	  echo "requirements/$$name.txt: $$(grep -c == requirements/$$name.txt) packages"
	done

.PHONY: hooks
hooks: venv ## Install the git pre-commit hook (it runs tools of .venv, downloads nothing)
	@$(PY) -m pre_commit install

.PHONY: clean
clean: demo-down cluster-down ## Remove the demo, the cluster, build/ and .venv (the cache stays)
	@rm -rf build dist $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	echo "clean: done. Binaries and images stay in $(CACHE); make clean-cache removes them."

.PHONY: clean-cache
clean-cache: ## Remove the cached binaries and images (minutes to build again)
	@rm -rf "$(CACHE)"
	echo "clean-cache: removed $(CACHE)"
