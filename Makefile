# Everything a newcomer types. One build folder outside the clone keeps the dependencies
# built: they are nearly all of the work. What is run lies in the clone's own `target`, so
# that two clones do not take each other's binaries. Always the whole workspace at once:
# Cargo would choose other features for a part of it, and build DataFusion a second time.

export HITHERTO_CACHE ?= $(HOME)/.cache/hitherto
export CARGO_BUILD_BUILD_DIR ?= $(HITHERTO_CACHE)/target
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# Compiled once, beside Cargo: its own build would compile it for every profile again.
# Asked for by each command, and not once: the compiler may come by `setup`.
export ROCKSDB_LIB_DIR = $(shell scripts/rocksdb.sh --where)
export ROCKSDB_STATIC := 1
export RUSTC_WORKSPACE_WRAPPER := $(CURDIR)/scripts/rustc.sh
VENV ?= .venv
HITHERTO := $(CARGO_TARGET_DIR)/debug/hitherto
PYTHON := $(VENV)/bin/python
PACKAGE := crates/hitherto-python
CARGO_FLAGS := --workspace --locked

.PHONY: help demo test setup build python format lint test-rust test-long test-python test-bare \
    test-neighbours test-stores test-serving test-pipelines test-deploy test-deploy-long test-docs docs \
    reference notebooks wheel release clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: build python  ## the tour on real intensive-care data, about a minute once built
	@$(HITHERTO) demo --python $(PYTHON)

test: lint test-rust test-python  ## everything that CI checks

setup:  ## install what is missing, or say what to install
	@scripts/setup.sh $(VENV)
	@scripts/trim.sh
	@scripts/rocksdb.sh >/dev/null

build: setup  ## the binary and the Python module
	cargo build $(CARGO_FLAGS)

python: build  ## put the built module where Python finds it
	@install -m 755 $(CARGO_TARGET_DIR)/debug/libhitherto_python.so \
	    $(PACKAGE)/python/hitherto/_native.abi3.so

format: setup  ## check formatting
	cargo fmt --all --check

lint: format  ## clippy with the workspace's lints
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/scripts/clippy.sh CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/lint \
	    cargo build $(CARGO_FLAGS) --all-targets

test-rust: setup  ## unit, property and integration tests
	cargo test $(CARGO_FLAGS)

test-long: python  ## more of it: 5,000 kills and power cuts, 20,000 flips, 300 files, an hour of each fuzzer
	HITHERTO_FUZZ_SECONDS=3600 HITHERTO_CRASHES=5000 HITHERTO_CUTS=5000 HITHERTO_FLIPS=20000 \
	    HITHERTO_AUDIT_KILLS=500 \
	    cargo test $(CARGO_FLAGS)
	HITHERTO_BIN=$(HITHERTO) HITHERTO_FILES=300 $(PYTHON) -m pytest -q $(PACKAGE)/tests/test_files.py

test-python: python  ## the client, against DuckDB and a running server
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) -m pytest -q $(PACKAGE)/tests
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) -m pytest -q tests/docs/test_pages.py

test-bare:  ## both commands on a machine on which nothing is installed; root, two hours
	scripts/bare-machine.sh

test-neighbours: python  ## the client beside Feast, MLflow, scikit-learn, mypy and pyright
	$(PYTHON) -m pip install --quiet --requirement $(PACKAGE)/requirements-neighbours.txt
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) -m pytest -q $(PACKAGE)/tests/neighbours

test-stores: python  ## sources and shared state in S3 (SeaweedFS) and Azure (Azurite)
	HITHERTO_BENCHES=$(CARGO_TARGET_DIR)/debug/hitherto-benches tests/stores/test.sh $(PYTHON)

test-serving: python  ## features inside KServe, MLServer, BentoML, MLflow and others, each its own
	HITHERTO_BIN=$(HITHERTO) integrations/test.sh serving

test-pipelines: python  ## dbt, schedulers, lineage and contracts, each beside its own process
	HITHERTO_BIN=$(HITHERTO) integrations/test.sh pipelines

test-deploy: build  ## image, chart, pods, alerts, Terraform, Pulumi, CDK, each by its own tool
	@deploy/tests/setup.sh
	HITHERTO_BIN=$(HITHERTO) $(HITHERTO_CACHE)/deploy/python/bin/python -m pytest -q deploy/tests

test-deploy-long: build  ## 100 rolling restarts, and a burst of failures in real time
	@deploy/tests/setup.sh
	HITHERTO_ROLLOUTS=50 HITHERTO_BIN=$(HITHERTO) $(HITHERTO_CACHE)/deploy/python/bin/python \
	    -m pytest -q deploy/tests/test_pod.py -k rolling
	HITHERTO_COMPRESSED=1 HITHERTO_BIN=$(HITHERTO) $(HITHERTO_CACHE)/deploy/python/bin/python \
	    -m pytest -q deploy/tests/test_observability.py -k burst

test-docs: python  ## every block of the documents run, and the site built by three tools
	HITHERTO_BIN=$(HITHERTO) PYTHONPATH=$(CURDIR)/$(PACKAGE)/python \
	    "$$(tests/docs/setup.sh)" -m pytest -q -p no:cacheprovider tests/docs

docs:  ## the documents as a site, in target/site, each page also as Markdown
	@NO_MKDOCS_2_WARNING=1 "$$(tests/docs/setup.sh)" -m mkdocs build --quiet --strict
	@cd docs && find . -name '*.md' -exec cp --parents {} ../target/site \;

reference: build  ## write docs/reference anew, out of the product
	HITHERTO_BIN=$(HITHERTO) $(PYTHON) scripts/reference

notebooks: python  ## run the notebooks of docs, and store what they show
	$(PYTHON) -m pip install --quiet nbclient ipykernel
	$(PYTHON) scripts/notebooks.py

wheel:  ## the wheel for any Linux of the last ten years, in target/wheels
	@scripts/setup.sh $(VENV)
	@scripts/wheel.sh target/wheels

release:  ## from a tag, in target/release-artifacts: wheel, .deb, SBOM, checksums, all tried
	@scripts/setup.sh $(VENV)
	@scripts/release.sh

clean:  ## remove what was built in the clone; the shared target directory stays
	rm -rf target $(VENV) fixtures/icu/.hitherto $(PACKAGE)/python/hitherto/_native.abi3.so
