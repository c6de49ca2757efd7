#!/bin/bash
# Starts PostgreSQL; on an empty data directory it first makes the cluster, the user and the database that the
# environment asks for: POSTGRES_USER, POSTGRES_PASSWORD (required), POSTGRES_DB. Arguments go to the server.
set -euo pipefail

: "${POSTGRES_PASSWORD:?must be set}"
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    # PG_VERSION in its final place says that the cluster is whole. Without it, what lies here is what a container killed
    # half way left behind.
    find "$PGDATA" -mindepth 1 -delete
    fresh=$PGDATA/fresh
    initdb --pgdata="$fresh" --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    echo 'host all all all scram-sha-256' >>"$fresh/pg_hba.conf"
    if [[ $database != postgres ]]; then
        # Single-user mode: nobody can connect before everything is in place.
        printf 'CREATE DATABASE "%s"\n' "${database//\"/\"\"}" | postgres --single -D "$fresh" postgres >/dev/null
    fi
    find "$fresh" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$fresh/PG_VERSION" "$PGDATA/"
    rmdir "$fresh"
    sync
fi

unset POSTGRES_PASSWORD
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
