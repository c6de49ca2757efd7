#!/usr/bin/env bash
# Puts the same commands of kubectl to homeport and to a kube-apiserver, where Go is installed to build one, and compares
# what kubectl prints. DIFFERENTIAL=get,apply chooses scenarios of tests/differential; DIFFERENTIAL_REFERENCE and
# DIFFERENTIAL_HOMEPORT name kubeconfigs of servers that run already.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$root_dir"

"$here/kubernetes.sh"

step "Building"
cargo build --bin homeport
cargo test --package homeport-tests --test differential --no-run

step "Comparing, which takes some minutes"
cargo test --quiet --package homeport-tests --test differential -- --nocapture
