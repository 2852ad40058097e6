# The work is done by scripts/; see there for the variables that each one reads.
#   PG_CONFIG             the server to build for and install into (default: the embedded PostgreSQL 18)
#   MEMORY_EXT_PORT       port of the demo cluster (54318)
#   MEMORY_EXT_HOME       where embedded servers and clusters are kept
#   DESTDIR               goes before every path of `make install`
#   PACKAGES              where packages are put (target/packages)
export PG_CONFIG MEMORY_EXT_PORT MEMORY_EXT_HOME DESTDIR PACKAGES

SHELL := bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo psql stop
demo: ## build, start an embedded PostgreSQL 18, load the demo memories and show what they are good for
	@scripts/demo.sh

psql: ## open a shell on the demo cluster
	@scripts/cluster.sh start
	@scripts/cluster.sh psql

stop: ## stop the demo cluster
	@scripts/cluster.sh stop

.PHONY: build install
build: ## compile the extension (PG_CONFIG chooses the server)
	@scripts/build.sh

install: build ## compile and copy it into the server that PG_CONFIG names
	@scripts/install.sh

.PHONY: deb dist
deb: build ## Debian package for the server's major version, in target/packages
	@scripts/package.sh deb

dist: ## the sources as PGXN takes them, with META.json, in target/packages
	@scripts/package.sh dist

.PHONY: image-test
image-test: ## the steps of docker/Dockerfile and the package in a plain Debian, without a container engine (as root)
	@scripts/image-test.sh

.PHONY: dashboard-picture
dashboard-picture: ## draw the Grafana dashboard with made-up history, docs/dashboard.png
	@scripts/dashboard-picture.sh

.PHONY: schema check-schema
schema: ## regenerate the install script of this version in sql/
	@scripts/schema.sh

check-schema: ## fail when the committed install script differs from the code
	@scripts/schema.sh --check

.PHONY: test lint fmt core-test test-18 test-16 test-upgrade
test: ## everything below, on PostgreSQL 18 and 16
	@scripts/test.sh lint core 18 16 upgrade schema frozen demo

lint: ## formatting, clippy, shellcheck, licences
	@scripts/test.sh lint

fmt: ## format the Rust code
	@cargo fmt --all

core-test: ## unit and property tests of core/, without a server
	@scripts/test.sh core

test-18: ## the extension's tests on PostgreSQL 18
	@scripts/test.sh 18

test-16: ## the extension's tests on PostgreSQL 16
	@scripts/test.sh 16

test-upgrade: ## pg_upgrade of a store from PostgreSQL 16 to 18
	@scripts/test.sh upgrade

.PHONY: bench quality soak capacity fuzz
bench: ## speed beside hand-written pgvector SQL
	@scripts/bench.sh bench

quality: ## recall and nDCG of search on a labelled data set
	@scripts/bench.sh quality

soak: ## memory of one session over many mixed calls
	@scripts/bench.sh soak

capacity: ## disk, memory and time of stores of several sizes, as docs/operations.md shows them
	@scripts/bench.sh capacity

fuzz: ## the property tests of core/ with many more cases (FUZZ_CASES=100000)
	@scripts/fuzz.sh

.PHONY: clean
clean: ## remove everything built, the demo cluster and the embedded servers
	@scripts/clean.sh
