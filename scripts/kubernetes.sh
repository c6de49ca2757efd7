#!/usr/bin/env bash
# Builds the reference for the local API, once, into the cache: kube-apiserver, etcd, and the controllers of
# kube-controller-manager, from the Go module tests/kubernetes. With --where it only prints the directory of the programs,
# and fails if they are not built. Without Go it says what cannot be done, and succeeds: what needs the programs asks --where.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

module_dir=$root_dir/tests/kubernetes
programs=(
    go.etcd.io/etcd/server/v3=etcd
    k8s.io/kubernetes/cmd/kube-apiserver=kube-apiserver
    k8s.io/kubernetes/cmd/kube-controller-manager=kube-controller-manager
)

main() {
    local bin_dir
    bin_dir=$(bin_dir)
    if [[ ${1:-} == --where ]]; then
        is_built "$bin_dir" || return 1
        printf '%s\n' "$bin_dir"
    elif is_built "$bin_dir"; then
        step "Kubernetes: in $bin_dir"
    elif ! have go; then
        step "Kubernetes: there is no Go here to build kube-apiserver and etcd with"
        say "skipped: comparing the local API with kube-apiserver (conformance, benchmarks)"
        say "Install Go $(go_version) or later to have it."
    else
        build "$bin_dir"
    fi
}

# The programs of one state of the module's files are never those of another.
bin_dir() {
    local hash
    hash=$(cat "$module_dir/go.mod" "$module_dir/go.sum" | sha256sum | cut -c 1-16)
    printf '%s/homeport/kubernetes/%s/bin\n' "${XDG_CACHE_HOME:-$HOME/.cache}" "$hash"
}

is_built() {
    local program
    for program in "${programs[@]}"; do
        [[ -x $1/${program#*=} ]] || return 1
    done
}

go_version() { awk '$1 == "go" { print $2 }' "$module_dir/go.mod"; }

build() {
    local bin_dir=$1 version stamp program
    version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$module_dir/go.mod")
    step "Kubernetes: building $version and etcd into $bin_dir, which takes several minutes"
    mkdir -p "$bin_dir"
    # /version answers what the linker is told, as in Kubernetes' own releases.
    stamp=$(linker_version "$version")
    for program in "${programs[@]}"; do
        [[ ! -x $bin_dir/${program#*=} ]] || continue
        # Renamed when it is whole, so that a build that was stopped leaves nothing that looks done.
        (cd "$module_dir" && go build -p 2 -trimpath -ldflags "-s -w $stamp" -o "$bin_dir/${program#*=}.partial" "${program%=*}") ||
            die "${program#*=} cannot be built; see above"
        mv "$bin_dir/${program#*=}.partial" "$bin_dir/${program#*=}"
        ok "${program#*=}"
    done
}

linker_version() {
    local version=$1 package=k8s.io/component-base/version major minor
    IFS=. read -r major minor _ <<<"${version#v}"
    printf -- '-X %s.gitVersion=%s -X %s.gitMajor=%s -X %s.gitMinor=%s' \
        "$package" "$version" "$package" "$major" "$package" "$minor"
}

main "$@"
