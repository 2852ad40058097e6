#!/usr/bin/env bash
# Draws docker/grafana/dashboards/memory.json as a picture: its queries, answered by a Prometheus with six hours of made-up history.
#
#   dashboard-picture.sh [picture.png [directory]]      default: docs/dashboard.png; a picture of each panel goes into the directory
. "$(dirname "$0")/environment.sh"

picture=${1:-$repo/docs/dashboard.png}
"$repo/scripts/setup.sh" programs pictures
PATH=$PATH:$repo/target/tools/debian/usr/bin
export PYTHONPATH=$repo/target/tools/pictures${PYTHONPATH:+:$PYTHONPATH}

work=$(mktemp -d)
prometheus=
finish() {
    [ -z "$prometheus" ] || kill "$prometheus" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT

python3 "$repo/tests/deploy/history.py" 6 >"$work/history.om"
promtool tsdb create-blocks-from openmetrics "$work/history.om" "$work/data" >"$work/log" || die "no history" "$(tail -n 3 "$work/log")"
echo '{}' >"$work/prometheus.yml"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
    --log.level=warn >"$work/log" 2>&1 &
prometheus=$!
ready() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' "http://127.0.0.1:$port/-/ready" 2>/dev/null; }
for ((try = 0; try < 60; try++)); do
    if ready; then break; fi
    kill -0 "$prometheus" 2>/dev/null || die "Prometheus ends" "$(tail -n 3 "$work/log")"
    sleep 0.5
done

MPLCONFIGDIR=$work python3 "$repo/docker/grafana/preview.py" "http://127.0.0.1:$port" "$picture" 6 ${2:+"$2"}
