#!/usr/bin/env bash
# Writes a backup of the shop's database to a file: backup.sh FILE. Restore it with restore.sh.
set -euo pipefail

file=${1:?usage: backup.sh FILE}
container=$(docker ps --quiet --filter volume=webshop-data | head -n 1)
[[ -n $container ]] || { echo "the shop's database does not run" >&2; exit 1; }

umask 077
docker exec "$container" pg_dump --host=/tmp --username=webshop --format=custom webshop >"$file.part"
mv "$file.part" "$file"
echo "backup written to $file"
