# shellcheck shell=bash
# Starts `homeport up` for a script that tests it, and ends it with the script. Sourced after lib.sh, never run.

served_program=''
served_dir=''
served_pid=''

# serve_homeport: builds homeport, starts it on a free port with a state directory of its own, and exports KUBECONFIG.
# The program is $HOMEPORT_BIN where that is set, and $served_program afterwards.
serve_homeport() {
    served_program=${HOMEPORT_BIN:-}
    if [[ -z $served_program ]]; then
        step "Building homeport"
        cargo build --quiet --locked --package homeport
        served_program=${CARGO_TARGET_DIR:-$root_dir/target}/debug/homeport
    fi
    served_dir=$(mktemp -d)
    trap stop_homeport EXIT
    "$served_program" up --listen 127.0.0.1:0 --state-dir "$served_dir" --log warn >"$served_dir/log" 2>&1 &
    served_pid=$!
    export KUBECONFIG=$served_dir/kubeconfig
    wait_until 60 kubectl get --raw /readyz || {
        tail -n 20 "$served_dir/log" >&2
        die "homeport did not become ready within 60 s"
    }
    ok "homeport up, with its state in $served_dir"
}

stop_homeport() {
    if [[ -n $served_pid ]]; then
        kill "$served_pid" 2>/dev/null || true
        wait "$served_pid" 2>/dev/null || true
    fi
    [[ -z $served_dir ]] || rm -rf "$served_dir"
}
