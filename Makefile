# What a person types. `make` alone lists it. The servers of tests, demonstration and benchmarks are real and private to the run;
# PASSEREAU_DATABASE_URL and PASSEREAU_AMQP_URL point at others instead.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Two cores: one thing at a time, and cargo decides how many of its own.
.NOTPARALLEL:

export CARGO_TERM_COLOR ?= auto
# cargo-deny and cargo-fuzz are installed there by `setup`.
export PATH := $(CURDIR)/target/tools/bin:$(HOME)/.cargo/bin:$(PATH)

TARGET := $(or $(CARGO_TARGET_DIR),target)
# Always the whole workspace: a build of one crate resolves other features and would compile the dependencies a second time.
DEBUG := $(TARGET)/debug
RELEASE := $(TARGET)/release
# Validators of the contracts, from npm, by the lock file in scripts/contracts.
CONTRACTS_TOOLS := target/tools/contracts
BENCH_RECORDS := 1000000
BENCH_ARCHIVE := $(TARGET)/bench/generated-$(BENCH_RECORDS).zip

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is missing on Debian or Ubuntu; does nothing twice
	@scripts/setup.sh

.PHONY: build
build: ## Build every binary (debug)
	cargo build --locked --workspace --bins

.PHONY: fmt
fmt: ## Format the sources
	cargo fmt --all

.PHONY: check
check: check-format check-lints check-docs check-contracts check-dependencies check-deploy ## Format, lints, documentation, contracts, dependencies, deployment; warnings are errors

.PHONY: check-format
check-format:
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

.PHONY: check-lints
check-lints:
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --workspace --test crash --test observability -- -D warnings
	CARGO_TARGET_DIR=$(TARGET)/fuzz/lints cargo clippy --locked --manifest-path fuzz/Cargo.toml --all-targets -- -D warnings

.PHONY: check-docs
check-docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

# That the document is the one of the types is a test of its own (`make test`); here programs of others read it.
.PHONY: check-contracts
check-contracts: $(CONTRACTS_TOOLS)/node_modules/.package-lock.json ## The AsyncAPI document and every example, by the validators of others
	node scripts/contracts/validate.cjs $(CONTRACTS_TOOLS) docs/contracts/asyncapi.json shared/contracts/frozen/1

# Install scripts are not run: one of the packages would report each installation.
$(CONTRACTS_TOOLS)/node_modules/.package-lock.json: scripts/contracts/package.json scripts/contracts/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: run make setup" >&2; exit 1; }
	mkdir -p $(CONTRACTS_TOOLS)
	cp $^ $(CONTRACTS_TOOLS)/
	npm ci --prefix $(CONTRACTS_TOOLS) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# Without a container engine and without a cluster; it says what it leaves out.
.PHONY: check-deploy
check-deploy: ## Dockerfile, compose file and Kubernetes' manifests, by the tools of others and against the sources
	scripts/check-deploy.sh

# Bans, licences and sources need nothing but the lock file. The advisories stand in a repository of their own; a machine that
# cannot reach it says so and goes on.
.PHONY: check-dependencies
check-dependencies:
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: run make setup" >&2; exit 1; }
	cargo deny --log-level error check --hide-inclusion-graph bans licenses sources
	cargo deny --log-level error --manifest-path fuzz/Cargo.toml --config deny.toml check --hide-inclusion-graph bans licenses sources
	@if timeout 180 cargo deny --log-level error fetch db >/dev/null 2>&1; then \
		cargo deny --log-level error check --disable-fetch --hide-inclusion-graph advisories; \
		cargo deny --log-level error --manifest-path fuzz/Cargo.toml --config deny.toml check --disable-fetch --hide-inclusion-graph advisories; \
	else \
		echo "notice: the advisory database could not be fetched; advisories were NOT checked"; \
	fi

.PHONY: test
test: setup ## All tests, against a private RabbitMQ and PostgreSQL
	cargo build --locked --workspace --bins --tests
	$(DEBUG)/passereau-platform run -- cargo test --locked --workspace

.PHONY: test-crash
test-crash: setup build ## Harvests under every fault: killed workers and servers, lost messages, a full store
	cargo test --locked --workspace --test crash

.PHONY: test-observability
test-observability: setup build ## Every expression of every panel and alert, asked of a real Prometheus that has watched a fleet; the traces of a harvest
	cargo test --locked --workspace --test observability
	$(DEBUG)/passereau-platform run -- cargo test --locked --workspace --test fleet -- traces::

.PHONY: fuzz
fuzz: setup ## Bad input: every target for a minute, on what is known and on what it finds
	scripts/fuzz.sh 60

# Not a minute: what is known is replayed whole, and ten seconds find what is new and shallow.
.PHONY: fuzz-replay
fuzz-replay: setup ## Bad input: all that is known, and ten seconds a target
	scripts/fuzz.sh 10

.PHONY: demo
demo: setup build ## The fleet end to end: a request by message, records in the synthèse, twice
	$(DEBUG)/passereau-platform run -- $(DEBUG)/demo

# What a run of servers makes is left out: docs/faults.md and docs/dashboards.md (CONTRIBUTING.md).
.PHONY: generated
generated: setup build ## Write anew what is made from the sources: contracts, permissions, documents, dashboards
	$(DEBUG)/passereau-platform run -- env UPDATE_CONTRACTS=1 UPDATE_PERMISSIONS=1 UPDATE_DOCS=1 UPDATE_REJECTS=1 UPDATE_SNAPSHOTS=1 \
		cargo test --workspace --no-fail-fast -- published the_document the_files_for_rabbitmq every_reason_is_documented what_grafana_loads real_archives services_that_misbehave
	scripts/check-deploy.sh --write

.PHONY: bench-landing
bench-landing: setup $(BENCH_ARCHIVE) ## The loader against the manual procedure, 1,000,000 records
	$(RELEASE)/passereau-platform run -- env PASSEREAU_BENCH_ARCHIVE=$(abspath $(BENCH_ARCHIVE)) $(RELEASE)/bench_landing

.PHONY: bench-upsert
bench-upsert: setup build-release ## 100,000 rows into the synthèse against a bare INSERT … SELECT
	$(RELEASE)/passereau-platform run -- $(RELEASE)/bench_upsert

.PHONY: bench-memory
bench-memory: setup $(BENCH_ARCHIVE) ## Peak memory of the loader, 1,000,000 records
	$(RELEASE)/passereau-platform run -- env PASSEREAU_BENCH_ARCHIVE=$(abspath $(BENCH_ARCHIVE)) $(RELEASE)/bench_memory

.PHONY: bench-flow
bench-flow: setup build-release ## A delivery in each format against psql and ogr2ogr, and its peak memory, 1,000,000 records
	$(RELEASE)/passereau-platform run -- $(RELEASE)/bench_flow

.PHONY: bench-scale
bench-scale: setup ## Loaders and upserters: 1, 2, 4 and 8 processes of each, on one broker and database, archives in a bucket
	cargo build --locked --release --workspace --bins
	$(RELEASE)/bench_scale

# Only what the benchmarks run: optimised linking of every worker would take minutes more.
.PHONY: build-release
build-release:
	cargo build --locked --release -p passereau-tests -p passereau-testing -p passereau-sandbox -p passereau-exporter --bins

# Made once: the generator is deterministic. Delete the file after a change of the generator.
$(BENCH_ARCHIVE): | build-release
	mkdir -p $(@D)
	$(RELEASE)/passereau-sandbox generate --records $(BENCH_RECORDS) --seed 1 $@.partial
	mv $@.partial $@
