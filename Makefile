# Everything that is done with this project by hand or by machine. `make help` lists it.
#
# CARGO_TARGET_DIR   where cargo builds, if not in ./target
# TRADEWIND_PEERS    where clients, upstreams and rivals for the tests are installed
# ARGS               further arguments: `make run ARGS="-f tradewind.yaml"`, `make test-clients ARGS="-k stream"`

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

target := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export TRADEWIND_PEERS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tradewind/peers
python := $(TRADEWIND_PEERS)/python/bin/python
ARGS ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: ## build and start the gateway
	cargo run --release -p tradewind -- run $(ARGS)

.PHONY: build
build: ## build everything with optimisation
	cargo build --release --workspace --bins

.PHONY: test
test: peers nextest lint test-rust test-clients ## everything a change has to pass

.PHONY: test-full
# A test that fails is run once more and named as flaky, but not here.
test-full: export NEXTEST_RETRIES := 0
test-full: reruns := 0
test-full: test test-ways test-modules test-meaning real-model budget soak test-bench test-races ## test, more ways out, all of Go's scripts, choosing by meaning, the real model, 100,000 paid calls, ten minutes of soak, and the bench run short

.PHONY: lint
lint: ## formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: test-rust
test-rust: nextest ## the Rust tests
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet

.PHONY: test-clients
test-clients: peers debug-bins ## black-box tests with the official clients
	$(call clients,not real_model and not full and not modules)

.PHONY: test-ways
test-ways: debug-bins ## ways out by sing-box, px and cntlm, slow callers, and zashboard in a browser
	tests/peers/install.sh test ways
	$(call clients,full)

.PHONY: test-races
test-races: nextest ## a million races for one key of state, on each engine of files
	TRADEWIND_STATE_RACES=1000000 cargo nextest run -p tradewind-store --test embedded races

.PHONY: test-modules
test-modules: peers debug-bins ## all of Go's own script tests with the modules door in the middle, and fifty times kill -9
	$(call clients,modules)

.PHONY: real-model
real-model: debug-bins ## the same against a real language model; builds llama-server when it is missing
	tests/peers/install.sh test model
	$(call clients,real_model)

# clients MARK: the black-box tests with this mark, against the binaries just built.
reruns := 1
define clients
	TRADEWIND_BIN=$(target)/debug/tradewind TRADEWIND_SIM_BIN=$(target)/debug/tradewind-sim \
		$(python) -m pytest -c tests/clients/pytest.ini tests/clients -m "$(1)" --reruns $(reruns) $(ARGS)
endef

.PHONY: debug-bins
debug-bins:
	cargo build -p tradewind -p tradewind-sim --bins

.PHONY: bench
bench: shipped release-bins store-benches ## measure against nginx, Envoy, TensorZero, LiteLLM, mihomo and no gateway; writes bench/RESULTS.md
	tests/peers/install.sh bench
	$(call bench,$(shipped),$(ARGS))

.PHONY: test-bench
test-bench: release-bins store-benches ## the same, short and without writing results: does the bench still run?
	tests/peers/install.sh bench
	$(call bench,$(target)/release/tradewind,--short)

.PHONY: meaning
meaning: ## measure choosing by meaning on public questions and our own pairs; fails where it is worse than it was; writes bench/MEANING.md
	$(call meaning,)

.PHONY: test-meaning
test-meaning: ## the same, without writing results
	$(call meaning,--check)

.PHONY: budget
budget: ## 100,000 calls, cut off, failed over and hedged: is what is booked what providers charge?
	TRADEWIND_BUDGET_CALLS=100000 cargo test --release -p tradewind --test gateway -- \
		--exact budget::what_is_booked_is_what_providers_charge --nocapture

.PHONY: soak
soak: peers release-bins ## ten minutes of calls, faults and callers that leave: nothing may grow
	TRADEWIND_BIN=$(target)/release/tradewind TRADEWIND_SIM_BIN=$(target)/release/tradewind-sim \
		$(python) bench/soak.py $(ARGS)

# meaning ARGUMENTS: how well and how fast meaning chooses.
define meaning
	tests/peers/install.sh meaning
	cargo build --release -p tradewind-meaning --example bfcl --example encode
	PYTHONPATH=$(TRADEWIND_PEERS)/encoder-python $(python) tests/rigs/meaning.py $(target)/release/examples $(1)
endef

# bench BINARY ARGUMENTS: the bench with this gateway.
define bench
	TRADEWIND_BIN=$(1) TRADEWIND_SIM_BIN=$(target)/release/tradewind-sim $(python) bench/run.py $(2)
endef

shipped := $(target)/pgo/release/tradewind

.PHONY: shipped
shipped: peers ## build the gateway as it is shipped: shaped by a profile of itself at work; takes three builds
	packaging/pgo.sh $(target)/pgo

.PHONY: release-bins
release-bins:
	cargo build --release -p tradewind -p tradewind-sim --bins

.PHONY: store-benches
store-benches: peers
	cargo bench -p tradewind-store --no-run

.PHONY: fuzz
fuzz: ## run each fuzz target for a while
	fuzz/run $(ARGS)

.PHONY: deny
deny: ## licences, bans and sources of all dependencies, by cargo-deny
	@command -v cargo-deny >/dev/null || cargo install cargo-deny --locked
	cargo deny check licenses bans sources

.PHONY: peers
peers: ## install what the tests need
	tests/peers/install.sh test

.PHONY: peers-full
peers-full: ## install what the benches and the real model need as well
	tests/peers/install.sh test ways bench model

.PHONY: nextest
nextest:
	@command -v cargo-nextest >/dev/null || cargo install cargo-nextest --locked

.PHONY: dist
dist: shipped ## pack a release into dist of the target folder: binary, completions, manual, unit, Containerfile
	packaging/dist.sh $(shipped) $(target)/dist
