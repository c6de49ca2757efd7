#!/usr/bin/env bash
# Runs the suites of unmodified client libraries against `homeport up`: tests/clients/python and tests/clients/go, the
# latter with controller-runtime, kstatus and Helm. With a kubeconfig as argument they run against that cluster instead.
# Says what it leaves out where Python or Go is missing.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
# shellcheck source=scripts/serve.sh
source "$here/serve.sh"

clients_dir=$root_dir/tests/clients
venv_dir=${XDG_CACHE_HOME:-$HOME/.cache}/homeport/clients/python

failed=()

main() {
    cd "$root_dir"
    if (($# > 0)); then
        KUBECONFIG=$(realpath "$1")
        export KUBECONFIG
        unset HOMEPORT_BIN
    else
        serve_homeport
        export HOMEPORT_BIN=$served_program
    fi
    python_client
    go_clients
    ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}

python_client() {
    step "Python: the package kubernetes"
    if ! have python3 || ! python3 -c 'import ensurepip' 2>/dev/null; then
        quiet_note "skipped: there is no Python 3 with venv here"
        return
    fi
    # The stamp is the list of packages itself: another list means another installation.
    if ! cmp --silent "$clients_dir/python/requirements.txt" "$venv_dir/installed"; then
        rm -rf "$venv_dir"
        python3 -m venv "$venv_dir"
        "$venv_dir/bin/pip" install --quiet --disable-pip-version-check --requirement "$clients_dir/python/requirements.txt"
        cp "$clients_dir/python/requirements.txt" "$venv_dir/installed"
    fi
    (cd "$clients_dir/python" && PYTHONDONTWRITEBYTECODE=1 "$venv_dir/bin/python" -m unittest) || failed+=(python)
}

go_clients() {
    step "Go: client-go, controller-runtime, kstatus and Helm"
    if ! have go; then
        quiet_note "skipped: there is no Go here"
        return
    fi
    (cd "$clients_dir/go" && go test -count 1 ./...) || failed+=(go)
}

main "$@"
