#!/usr/bin/env bash
# The property tests of core/, with many more random cases than `make test` spends.
. "$(dirname "$0")/environment.sh"

cd "$repo"
PROPTEST_CASES=${FUZZ_CASES:-100000} exec cargo test --release --package memory_core
