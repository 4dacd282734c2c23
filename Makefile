# The two commands of the README, and what a developer does many times a day.
# Options of the demo: make demo ARGS="--port 9000 --fresh"

.DEFAULT_GOAL := help
.PHONY: help demo test check build install chaos bench-admin bench-depsolve bench-koji bench-pipeline bench-repocache bench-web fuzz fuzz-depsolve

ARGS ?=

help:
	@echo "make demo    build Koschei and show it at work on a small simulated distribution"
	@echo "make test    install what the tests need and run all of them"
	@echo "make check   formatting and lints only"
	@echo "make build   build only"
	@echo "make install  build a release and install it with its units; DESTDIR=DIR puts all of it below DIR"
	@echo "make bench-depsolve  how fast the resolver is, beside libsolv and others"
	@echo "make bench-koji     reading Koji's largest answers, beside the official client"
	@echo "make bench-pipeline  what the services need for a new repo, builds and priorities of a whole distribution"
	@echo "make bench-repocache  fetching and keeping a repository, beside librepo and hawkey"
	@echo "make bench-web      how fast the pages are on a database of Fedora's size, to one reader and to many"
	@echo "make bench-admin    branching and cleaning up a database of Fedora's size, and taking it over"
	@echo "make fuzz-depsolve  the resolver against libsolv on a million random repositories"
	@echo "make chaos   the whole system under a long sequence of faults: make chaos ARGS=\"--seed 7 --builds 3000\", or a"
	@echo "             day of life among them: make chaos ARGS=\"--minutes 1440\""
	@echo "make fuzz    fuzz what reads bytes from outside, for eight hours: make fuzz ARGS=\"--minutes 60 primary\""

demo:
	@scripts/install-deps demo
	@cargo build --package koschei
	@exec cargo run --quiet --package koschei -- demo $(ARGS)

test:
	@scripts/install-deps test
	@scripts/test

check:
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings

build:
	@scripts/install-deps demo
	cargo build --package koschei

install:
	@DESTDIR="$(DESTDIR)" BINARY="$(BINARY)" scripts/install

# ARGS="--count NUMBER --seed NUMBER --threads NUMBER --output DIR" or ARGS="--case FILE".
fuzz-depsolve:
	@scripts/install-deps test
	@exec cargo run --quiet --release --package depsolve --example fuzz-depsolve -- $(ARGS)

fuzz:
	@scripts/install-deps fuzz
	@scripts/fuzz $(ARGS)

chaos:
	@scripts/install-deps test
	@scripts/chaos $(ARGS)

bench-koji:
	@scripts/install-deps test
	cargo bench --package koji --bench decode

bench-depsolve:
	@scripts/bench-depsolve

bench-pipeline:
	@scripts/bench-pipeline

bench-repocache:
	@scripts/bench-repocache

# ARGS="--packages NUMBER --dir DIR"
bench-admin:
	@scripts/bench-database
	@exec cargo run --quiet --package koschei-db --example bench-admin -- $(ARGS)

# ARGS="--seconds NUMBER KIND..."
bench-web:
	@scripts/bench-web $(ARGS)
