#!/bin/sh
# Makes the passwords that compose.yml hands to its containers, and the key of encrypted backups. What is there stays.
#
#   make-secrets.sh directory
set -eu

directory=${1:?usage: make-secrets.sh directory}
# The directory is closed to others. The files in it are not: compose mounts them as they are, for other users to read.
mkdir -p "$directory"
chmod 700 "$directory"
umask 022
make() { # name, bytes
    [ -s "$directory/$1" ] || od -A n -N "$2" -t x1 /dev/urandom | tr -d ' \n' >"$directory/$1"
}
make postgres_password 24
make metrics_password 24
make grafana_password 24
make backup_key 32
