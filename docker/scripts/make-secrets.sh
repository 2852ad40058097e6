#!/bin/sh
# Makes the passwords that compose.yml hands to its containers. What is there stays.
#
#   make-secrets.sh directory
set -eu

directory=${1:?usage: make-secrets.sh directory}
# The directory is closed to others. The files in it are not: compose mounts them as they are, for other users to read.
mkdir -p "$directory"
chmod 700 "$directory"
umask 022
for name in postgres_password metrics_password grafana_password; do
    [ -s "$directory/$name" ] || od -A n -N 24 -t x1 /dev/urandom | tr -d ' \n' >"$directory/$name"
done
