#!/usr/bin/env bash
# Puts a backup made by backup.sh in place of what the shop's database holds now: restore.sh FILE. All or nothing.
set -euo pipefail

file=${1:?usage: restore.sh FILE}
container=$(docker ps --quiet --filter volume=webshop-data | head -n 1)
[[ -n $container ]] || { echo "the shop's database does not run" >&2; exit 1; }

docker exec --interactive "$container" pg_restore --host=/tmp --username=webshop --dbname=webshop \
    --clean --if-exists --single-transaction --exit-on-error <"$file"
echo "restored from $file"
