# Distr Chat. `make help` says what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up build test check-rust check-frontend browser docker-test chaos bench attacks mutants peers profile clean tools-build tools-test

ARGS ?=
CARGO := cargo
INFERNO_VERSION := 0.12.8
FRONTEND_SOURCES := $(shell find frontend/src frontend/public -type f 2>/dev/null) \
	$(wildcard frontend/*.html frontend/*.json frontend/vite.config.ts frontend/dev/precompress.ts)

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

up: build ## build what is missing, and run everything on this machine (ARGS="--app-ports 5001,5002")
	./target/release/distr-chat up $(ARGS)

build: tools-build frontend/dist/index.html ## build the frontend and the release binary
	$(CARGO) build --release --locked --bin distr-chat

test: tools-test frontend/dist/index.html check-rust check-frontend browser docker-test ## everything: format, lints, units, simulation, real sockets, browser, containers
	@echo "all tests passed"

check-rust: tools-build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	# Short memory takes long worlds to show anything (docs/failures.md), so only `make chaos` has it.
	CHAOS_WITHOUT=memory $(CARGO) test --workspace --locked

check-frontend: frontend/node_modules/.package-lock.json
	cd frontend && npm run check

browser: build
	cd frontend && npm run e2e

docker-test: ## stop, kill and wipe every container of compose.yaml while clients talk, where a Docker engine answers
	@if docker version >/dev/null 2>&1; then \
		$(CARGO) test --locked --test docker -- --ignored --nocapture; \
	else \
		echo "make: no Docker engine answers, so compose.yaml is not tested"; \
	fi

chaos: tools-test ## break servers, their clocks, Redis and networks for ten minutes while clients check that nothing is lost (CHAOS_SECONDS=60)
	CHAOS_SECONDS=$${CHAOS_SECONDS:-600} $(CARGO) test --locked --test chaos -- --nocapture the_promise_is_kept
	$(CARGO) test --locked --test chaos -- --nocapture --ignored a_wrong_clock_costs_nothing

bench: ## benchmarks; docs/performance.md says what they show
	$(CARGO) bench --workspace --locked

attacks: tools-test ## what one client can cost the others, with a verdict for each attack (ARGS="--only joins", "--json")
	$(call need,prlimit,install util-linux)
	$(CARGO) bench --locked --bench attacks -- $(ARGS)

profile: tools-build target/tools/bin/inferno-flamegraph ## a flame graph of a server under load, its system calls, what its turns went to (ARGS="--rate 5000")
	RUSTFLAGS="-C force-frame-pointers=yes" $(CARGO) build --profile profiling --locked --bin distr-chat
	$(CARGO) build --release --locked --package loadgen
	node benches/profile/main.mjs $(ARGS)

mutants: ## which test notices when a rule of replication is off, written into docs/replication.md
	MUTANTS_WRITE=1 $(CARGO) test --locked --lib mutant_table::every_mutant_is_noticed

peers: tools-build benches/peers/node_modules/.package-lock.json ## the same load on µWebSockets.js, ws and Socket.IO, in turn with ours (ARGS="--only bursts")
	$(call need,taskset,install util-linux)
	$(CARGO) build --release --locked --package distr-chat --package loadgen
	node benches/peers/comparison.js $(ARGS)

clean: ## remove what was built
	$(CARGO) clean
	rm -rf frontend/dist frontend/node_modules benches/peers/node_modules

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

frontend/dist/index.html: frontend/node_modules/.package-lock.json $(FRONTEND_SOURCES)
	cd frontend && npm run build
	@touch $@

target/tools/bin/inferno-flamegraph:
	$(CARGO) install inferno --version $(INFERNO_VERSION) --locked --root target/tools

# A tool that is missing is named, with what to do; what tests need is installed where that is possible.
define need
	@command -v $(1) >/dev/null || { echo "make: $(1) is missing: $(2)" >&2; exit 1; }
endef

# The program $(1) of the package $(2), which $(3) need. RUNLEVEL: Debian starts what it installs; tests start their own.
define install
	@command -v $(1) >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "make: installing $(2) for $(3)"; \
			apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
				apt-get install -y -qq --no-install-recommends $(2) >/dev/null; \
		else \
			echo "make: $(1) is missing, $(3) need it: apt-get install $(2)" >&2; exit 1; \
		fi; }
endef

tools-build:
	$(call need,cargo,install Rust 1.95 with rustup)
	$(call need,cc,install a C compiler such as gcc)
	$(call need,node,install Node.js 20 or newer)
	$(call need,npm,install npm; it comes with Node.js)

tools-test: tools-build
	$(call install,redis-server,redis-server,the backplane tests)
	$(call install,chromium,chromium,the browser tests)
