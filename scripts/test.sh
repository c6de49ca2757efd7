#!/usr/bin/env bash
# Runs every test of the workspace against real servers: sets up what they need, then hands over to cargo.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$root_dir"

"$here/setup.sh"
"$here/images.sh"

# The end-to-end tests run the program itself.
step "Building"
cargo build --workspace --all-targets

step "Testing"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --no-fail-fast
    cargo test --workspace --doc
else
    cargo test --workspace --no-fail-fast
fi
