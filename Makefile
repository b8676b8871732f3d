# redis-frag. `make demo` and `make test` do all of their own set-up.

CARGO ?= cargo
DEMO_ARGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
SOAK_SEED ?= 1
BENCH_ARGS ?= --sick --peer-exporter debian

.PHONY: help setup build demo test lint bench fuzz soak generated pictures deb dist install uninstall

help:
	@echo "make demo       watch a private Netdata agent chart a Redis through a minute and a half"
	@echo "make test       run all tests against real servers and a real agent"
	@echo "make lint       rustfmt, clippy, and what comes in with the dependencies"
	@echo "make bench      one collection, the whole plugin beside its targets (BENCH_ARGS), TLS"
	@echo "make fuzz       each fuzz target for FUZZ_SECONDS (60); needs cargo-fuzz and a nightly toolchain"
	@echo "make soak       a hundred instances with faults at random for SOAK_SECONDS (3600)"
	@echo "make generated  write anew what is worked out from the tables and committed"
	@echo "make pictures   make the pictures of README anew"
	@echo "make setup      install what demo and tests need (they do it themselves)"
	@echo "make deb        a Debian package, in target/debian"
	@echo "make dist       a tarball with an installer, in target/dist"
	@echo "make install    put the plugin where this machine's Netdata agent looks (as root)"
	@echo "make uninstall  take it away again (as root)"
	@echo "DEMO_ARGS=--keep make demo leaves agent and Redis running for a look"

setup:
	@bash tests/setup.sh

build:
	$(CARGO) build --release --locked

demo: setup build
	$(CARGO) run --release --locked --quiet --example demo -- $(DEMO_ARGS)

test: setup
	$(CARGO) test --locked --tests

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@bash tests/dependencies.sh

# Each says where it misses a target; the others run all the same.
bench:
	$(CARGO) bench --locked --bench collection
	$(CARGO) bench --locked --bench whole -- $(BENCH_ARGS); whole=$$?; \
	$(CARGO) bench --locked --bench tls && exit $$whole

fuzz:
	@bash fuzz/run.sh $(FUZZ_SECONDS)

soak: setup
	REDIS_FRAG_SOAK=$(SOAK_SECONDS) REDIS_FRAG_SOAK_SEED=$(SOAK_SEED) \
		$(CARGO) test --release --locked --test soak -- --nocapture

# Tests work these files out; they compare them otherwise.
generated:
	REDIS_FRAG_WRITE=1 $(CARGO) test --locked --lib committed_schema
	REDIS_FRAG_WRITE=1 $(CARGO) test --locked --test tests -- generated::

pictures:
	@bash docs/pictures/make.sh

deb: build
	@bash packaging/deb.sh --no-build

dist: build
	@bash packaging/dist.sh

# As root there may be no cargo: what was built before is installed then.
install:
	@if command -v $(CARGO) >/dev/null; then $(CARGO) build --release --locked; fi
	@bash packaging/install.sh install

uninstall:
	@bash packaging/install.sh uninstall
