#!/usr/bin/env bash
# Puts what a Kubernetes API server does, as requests and their answers, to homeport, and where Go is installed to a
# kube-apiserver too. CONFORMANCE_KUBECONFIG names another server to put it to instead; CONFORMANCE_ONLY=watch chooses
# behaviours or cases by a part of their names.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$root_dir"

"$here/kubernetes.sh"

step "Building"
cargo build --bin homeport
cargo test --package homeport-tests --test conformance --no-run

step "Conformance"
cargo test --quiet --package homeport-tests --test conformance -- --nocapture
