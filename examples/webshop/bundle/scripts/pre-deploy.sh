#!/usr/bin/env bash
# Runs before the stacks are brought up: says early, and in plain words, what would fail later.
set -euo pipefail

for image in homeport-demo/postgres:15 homeport-demo/webshop:1; do
    if ! docker image inspect "$image" >/dev/null 2>&1; then
        echo "the image $image is not on this host: build it with scripts/images.sh of the homeport repository" >&2
        exit 1
    fi
done
