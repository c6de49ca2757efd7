#!/usr/bin/env bash
# Runs after the stacks are up: the shop must reach its database.
set -euo pipefail

exec "$(dirname "${BASH_SOURCE[0]}")/healthcheck.sh"
