#!/usr/bin/env bash
# Measures homeport beside its peers, and writes target/bench/results.json. Exit status 1 if a bar is missed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$root_dir"

"$here/setup.sh"
step "Release build"
cargo build --release --locked --bin homeport
cargo build --release --locked --package homeport-sync --example pgcopy
"$here/kubernetes.sh" || quiet_note 'the local API is not measured'

step "Measuring"
cargo bench --quiet --locked --package homeport-tests --bench peers -- "$@"
