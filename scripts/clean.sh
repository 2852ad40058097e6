#!/usr/bin/env bash
# Stops this checkout's clusters and removes everything that was built or fetched for it.
. "$(dirname "$0")/environment.sh"

if [ -d "$server_home/cluster" ]; then
    for cluster in "$server_home"/cluster/*/; do
        MEMORY_EXT_CLUSTER=$(basename "$cluster") "$repo/scripts/cluster.sh" stop
    done
fi
if [ -n "${MEMORY_EXT_HOME:-}" ]; then
    # A directory that the caller chose may hold other things.
    rm -rf "${server_home:?}/cluster" "${server_home:?}/pg"
elif [ -n "$server_user" ]; then
    rm -rf "${server_home:?}"
fi
rm -rf "${repo:?}/target"
