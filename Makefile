# Every target is one line of work and is what CI runs. `make demo` and `make test` set up all they need.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
NATIVE_SOURCES := $(shell find native proto -name '*.rs' -o -name 'Cargo.toml' -o -name '*.binpb') Cargo.toml Cargo.lock
RUST_PACKAGES := --workspace --exclude fairlead-pyext
PY_SOURCES := sidecar tests bench examples

# Cargo and the tests' own makes have nothing to do with the jobs of this one.
unexport MAKEFLAGS MFLAGS

.PHONY: help setup demo test test-rust test-python test-wheel test-compat test-clients test-telemetry test-cluster wheel lint format proto bench bench-peers clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.native ## Build everything into .venv

.venv/.dependencies: requirements.lock pyproject.toml scripts/preflight.sh
	@PYTHON=$(PYTHON) sh scripts/preflight.sh
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@touch $@

.venv/.native: .venv/.dependencies $(NATIVE_SOURCES)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release --locked --quiet
	@touch $@

demo: setup ## Run the scenarios against the real daemon
	$(BIN)/python examples/quickstart/demo.py
	$(BIN)/python examples/loan/demo.py
	$(BIN)/python examples/refund/demo.py

test: test-rust test-python test-wheel test-compat test-clients ## Run all tests

test-rust:
	@PYTHON=$(PYTHON) sh scripts/preflight.sh
	cargo test --locked --quiet $(RUST_PACKAGES)

test-python: setup
	$(BIN)/python -m pytest

wheel: .venv/.dependencies ## Build a wheel for any Python from 3.11 on into dist/
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin build --release --locked --quiet --out dist

test-wheel: wheel
	$(BIN)/python tests/wheel.py dist

.venv-compat/.dependencies: tests/compat/requirements.lock tests/compat/node/package-lock.json
	@sh scripts/preflight.sh node
	@test -x .venv-compat/bin/python || $(PYTHON) -m venv .venv-compat
	.venv-compat/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/compat/requirements.lock
	npm ci --prefix tests/compat/node --silent --no-audit --no-fund
	@touch $@

test-compat: setup .venv-compat/.dependencies ## Run official SDKs and agent frameworks against the daemon
	.venv-compat/bin/python -m pytest -c tests/compat/pytest.ini --rootdir . tests/compat

test-clients: setup ## Build the example clients of every language and compare what they see
	$(BIN)/python -m pytest -c tests/clients/pytest.ini --rootdir . tests/clients

.venv-telemetry/.dependencies: tests/telemetry/requirements.lock
	@sh scripts/preflight.sh prometheus
	@test -x .venv-telemetry/bin/python || $(PYTHON) -m venv .venv-telemetry
	.venv-telemetry/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/telemetry/requirements.lock
	@touch $@

test-telemetry: setup .venv-telemetry/.dependencies ## Show traces in a real Phoenix and alerts of a real Prometheus; minutes, not a part of test
	$(BIN)/python -m pytest -c tests/telemetry/pytest.ini --rootdir . tests/telemetry

test-cluster: setup ## Try deploy/ on a real API server: kube-apiserver, etcd, kubectl and helm on the PATH or in KUBEBUILDER_ASSETS
	$(BIN)/python -m pytest -c tests/cluster/pytest.ini --rootdir . tests/cluster

lint: setup ## Formatting, lints, types, generated code
	$(BIN)/ruff format --check $(PY_SOURCES)
	$(BIN)/ruff check $(PY_SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest fairlead._native
	cargo fmt --all --check
	cargo clippy --locked --quiet --workspace --all-targets -- --deny warnings
	sh scripts/proto.sh --check

format: setup ## Format all code
	$(BIN)/ruff check --fix --quiet $(PY_SOURCES) && $(BIN)/ruff format --quiet $(PY_SOURCES) && cargo fmt --all

proto: .venv/.dependencies ## Generate code from proto/
	sh scripts/proto.sh

bench: setup ## Measure, print a table and write bench/results.json
	$(BIN)/python -m bench.run

PEERS := litellm switchyard tensorzero langgraph dbos restate
.venv-peers/.dependencies: $(PEERS:%=bench/peers/%.lock) bench/peers/node/package-lock.json
	@sh scripts/preflight.sh node
	for peer in $(PEERS); do $(PYTHON) -m venv .venv-peers/$$peer && .venv-peers/$$peer/bin/pip install --quiet --disable-pip-version-check --requirement bench/peers/$$peer.lock || exit 1; done
	npm ci --prefix bench/peers/node --silent --no-audit --no-fund --ignore-scripts
	@touch $@

bench-peers: setup .venv-peers/.dependencies ## Measure beside other gateways and durable runtimes, write bench/results-peers*.json
	$(BIN)/python -m bench.peers.run
	$(BIN)/python -m bench.peers.durable.run

clean: ## Remove everything that was built
	rm -rf .venv .venv-compat .venv-telemetry tests/compat/node/node_modules target dist sidecar/fairlead/_native*.so
	git clean --quiet --force -X -d examples/clients
