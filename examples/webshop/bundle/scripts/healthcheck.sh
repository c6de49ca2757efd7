#!/usr/bin/env bash
# Says whether the shop answers and reaches its database. Exit status 0: it does.
set -euo pipefail

url=${SHOP_URL:-http://127.0.0.20:8080}/healthz
for _ in {1..30}; do
    if curl --fail --silent --show-error --max-time 5 "$url" >/dev/null 2>&1; then
        echo "the shop is healthy"
        exit 0
    fi
    sleep 1
done
echo "the shop does not answer at $url" >&2
exit 1
