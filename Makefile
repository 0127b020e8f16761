# Everything a newcomer types. One target directory outside the clone keeps the
# dependencies built: they are nearly all of the work. Always the whole
# workspace at once: Cargo would choose other features for a part of it, and
# build DataFusion a second time.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/hitherto/target
VENV ?= .venv
HITHERTO := $(CARGO_TARGET_DIR)/debug/hitherto
PYTHON := $(VENV)/bin/python
PACKAGE := crates/hitherto-python
CARGO_FLAGS := --workspace --locked

.PHONY: help demo test setup build python format lint test-rust test-python test-neighbours \
    wheel clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: build python  ## the tour on real intensive-care data, about a minute once built
	@$(HITHERTO) demo --python $(PYTHON)

test: lint test-rust test-python  ## everything that CI checks

setup:  ## install what is missing, or say what to install
	@scripts/setup.sh $(VENV)

build: setup  ## the binary and the Python module
	cargo build $(CARGO_FLAGS)

python: build  ## put the built module where Python finds it
	@install -m 755 $(CARGO_TARGET_DIR)/debug/libhitherto_python.so \
	    $(PACKAGE)/python/hitherto/_native.abi3.so

format: setup  ## check formatting
	cargo fmt --all --check

# Clippy as the compiler of our crates only: `cargo clippy` would check all
# dependencies a second time.
lint: format  ## clippy with the workspace's lints
	RUSTC_WORKSPACE_WRAPPER=clippy-driver cargo build $(CARGO_FLAGS) --all-targets

test-rust: setup  ## unit, property and integration tests
	HITHERTO_FUZZ_SECONDS=60 HITHERTO_CRASHES=200 cargo test $(CARGO_FLAGS)

test-python: python  ## the client, against DuckDB and a running server
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) -m pytest -q $(PACKAGE)/tests

test-neighbours: python  ## the client beside Feast, MLflow, scikit-learn, mypy and pyright
	$(PYTHON) -m pip install --quiet --requirement $(PACKAGE)/requirements-neighbours.txt
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) -m pytest -q $(PACKAGE)/tests/neighbours

wheel: setup  ## an optimized wheel in target/wheels
	$(VENV)/bin/pip install --quiet maturin
	CARGO=$(CURDIR)/scripts/cargo-workspace.sh \
	    $(VENV)/bin/maturin build --release --manifest-path $(PACKAGE)/Cargo.toml --out target/wheels

clean:  ## remove what was built in the clone; the shared target directory stays
	rm -rf target $(VENV) fixtures/icu/.hitherto $(PACKAGE)/python/hitherto/_native.abi3.so
