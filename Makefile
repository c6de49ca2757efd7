# What a person types. Each target is a script that can be read and run by itself.

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-clean test conformance differential clients kube-rs-tests bench lint crds

help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## installs what is missing (Debian packages, Compose, kubectl) and starts Docker if none runs
	@scripts/setup.sh

demo: ## moves the webshop from its "cloud" to this host, by kubectl, every step visible
	@scripts/demo/run.sh

demo-clean: ## removes all that the demo started and made
	@scripts/demo/clean.sh

test: ## runs every test, against real servers
	@scripts/test.sh

conformance: ## puts what a Kubernetes API server does to homeport and, where Go is, to kube-apiserver
	@scripts/conformance.sh

differential: ## puts the same commands of kubectl to homeport and to kube-apiserver, and compares what it prints
	@scripts/differential.sh

clients: ## runs the suites of the Python client, client-go, controller-runtime and Helm against homeport
	@scripts/clients.sh

kube-rs-tests: ## runs kube-rs's own integration tests against homeport
	@scripts/kube-rs-tests.sh

bench: ## measures homeport beside its peers; writes target/bench/results.json
	@scripts/bench.sh

lint: ## formatting, clippy, shellcheck, licences
	@scripts/lint.sh

crds: ## writes crds/*.yaml from the Rust types
	@cargo run --quiet --package homeport-crds --bin generate-crds
