#!/usr/bin/env bash
# Runs kube-rs's own integration tests, of the version that homeport is built with, against `homeport up`.
# With a kubeconfig as argument they run against that cluster instead.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
# shellcheck source=scripts/serve.sh
source "$here/serve.sh"

# Outside the clone: the crates would otherwise be members of its workspace, and a second clone finds them built.
work_dir=${HOMEPORT_KUBE_RS:-${XDG_CACHE_HOME:-$HOME/.cache}/homeport/kube-rs}

# Crates with tests that need a cluster; the other crates of kube-rs are taken along so that all are one version's.
tested=(kube kube-client kube-runtime)
sources=("${tested[@]}" kube-core kube-derive)

# What is left out, and why. All other tests that are marked as needing a cluster are run, also those of later versions.
skipped() {
    cat <<'LIST'
test::pod_can_await_conditions              waits for a Pod to run
test::pod_can_exec_and_write_to_stdin       runs a Pod and attaches to it
test::can_get_pod_logs_and_evict            runs a Pod and reads its logs
LIST
}

main() {
    cd "$root_dir"
    step "kube-rs: taking its sources from cargo's registry"
    take_sources
    step "kube-rs: building its tests in $work_dir/target"
    build_tests
    if (($# > 0)); then
        KUBECONFIG=$(realpath "$1")
        export KUBECONFIG
    else
        serve_homeport
    fi
    step "kube-rs: running its tests against $KUBECONFIG"
    run_tests
}

# Copies the sources that cargo downloaded for homeport itself into a workspace of their own.
take_sources() {
    local metadata crate manifest
    cargo fetch --locked --quiet
    metadata=$(cargo metadata --format-version 1 --locked)
    mkdir -p "$work_dir"
    for crate in "${sources[@]}"; do
        manifest=$(jq -r --arg name "$crate" '.packages[] | select(.name == $name) | .manifest_path' <<<"$metadata")
        [[ -n $manifest ]] || die "homeport's Cargo.lock has no crate '$crate'"
        rm -rf "${work_dir:?}/$crate"
        cp -r "$(dirname "$manifest")" "$work_dir/$crate"
        # The registry's copy is read-only on some systems, and a crate's own lock file says nothing in a workspace.
        chmod -R u+w "$work_dir/$crate"
    done
    # Cargo leaves this out of what it publishes, as the crates need each other in a circle.
    for crate in kube-client kube-runtime; do
        printf '\n[dev-dependencies.kube]\npath = "../kube"\nfeatures = ["derive", "client", "runtime", "ws"]\n' \
            >>"$work_dir/$crate/Cargo.toml"
    done
    cp Cargo.lock "$work_dir/Cargo.lock"
    workspace >"$work_dir/Cargo.toml"
    ok "version $(jq -r '.packages[] | select(.name == "kube") | .version' <<<"$metadata")"
}

workspace() {
    local crate
    printf '[workspace]\nresolver = "3"\nmembers = [\n'
    printf '    "%s",\n' "${sources[@]}"
    printf ']\n\n[profile.dev]\ndebug = false\n\n[patch.crates-io]\n'
    for crate in "${sources[@]}"; do
        printf '%s = { path = "%s" }\n' "$crate" "$crate"
    done
}

build_tests() {
    cargo_test --no-run
}

# cargo_test ARGUMENTS...: the library tests of the crates with every feature that has a test.
cargo_test() {
    local crate packages=()
    for crate in "${tested[@]}"; do packages+=(--package "$crate"); done
    (cd "$work_dir" && CARGO_TARGET_DIR="$work_dir/target" cargo test --quiet "${packages[@]}" --lib \
        --features kube/derive,kube/runtime,kube/ws,kube/jsonpatch,kube/unstable-client "$@")
}

run_tests() {
    local name why arguments=()
    while read -r name why; do
        quiet_note "skipped: $name ($why)"
        arguments+=(--skip "$name")
    done < <(skipped)
    cargo_test --no-fail-fast -- --ignored --exact --test-threads 1 "${arguments[@]}"
}

main "$@"
