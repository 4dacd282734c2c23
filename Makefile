# The two commands of the README, and what a developer does many times a day.
# Options of the demo: make demo ARGS="--port 9000 --fresh"

.DEFAULT_GOAL := help
.PHONY: help demo test check build

ARGS ?=

help:
	@echo "make demo    build Koschei and show it at work on a small simulated distribution"
	@echo "make test    install what the tests need and run all of them"
	@echo "make check   formatting and lints only"
	@echo "make build   build only"

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
