#!/usr/bin/env bash
# Runs a kube-apiserver on 127.0.0.1 with an etcd of its own and the controllers that namespaces and garbage collection
# need, prints the kubeconfig to use, and ends with all of them on Ctrl-C.
#
#   scripts/kube-apiserver.sh [--dir DIRECTORY] [--until-eof]
#
# --dir keeps data, logs, process ids (<program>.pid) and the kubeconfig in DIRECTORY; else they are in a temporary directory
# that is removed at the end. --until-eof ends when standard input ends, so that what starts this need not be outlived by it.
# Standard output gets one line, KUBECONFIG=<path>, when everything is ready.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

pids=()

main() {
    local dir='' until_eof=no
    while (($#)); do
        case $1 in
        --dir) dir=${2:?--dir needs a directory} && shift ;;
        --until-eof) until_eof=yes ;;
        *) die "unknown argument '$1': see the head of this script" ;;
        esac
        shift
    done
    bin_dir=$("$here/kubernetes.sh" --where) || die "kube-apiserver is not built: run scripts/kubernetes.sh first"
    trap 'exit 0' INT TERM
    if [[ -n $dir ]]; then
        mkdir -p "$dir"
        trap stop_all EXIT
    else
        dir=$(mktemp -d)
        trap 'stop_all; rm -rf "$state_dir"' EXIT
    fi
    state_dir=$(cd "$dir" && pwd)
    read -r etcd_port peer_port api_port < <(free_ports 3)

    exec 3<&0
    make_credentials
    start_etcd
    start_apiserver
    start_controllers
    printf 'KUBECONFIG=%s\n' "$state_dir/kubeconfig"
    if [[ $until_eof == yes ]]; then
        cat <&3 >/dev/null &
        pids+=($!)
        wait -n
    else
        wait -n || true
        die "a program ended by itself; the logs are in $state_dir"
    fi
}

free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

# One user of the group that may do everything, as in the kubeconfig that homeport writes; and the key of service accounts.
make_credentials() {
    token=$(openssl rand -hex 32)
    (
        umask 077
        printf '%s,admin,admin,"system:masters"\n' "$token" >"$state_dir/tokens.csv"
        openssl ecparam -name prime256v1 -genkey -noout -out "$state_dir/service-accounts.key"
    )
}

# start PROGRAM ARGUMENT...
start() {
    local program=$1
    shift
    "$bin_dir/$program" "$@" >"$state_dir/$program.log" 2>&1 </dev/null 3<&- &
    pids+=($!)
    echo $! >"$state_dir/$program.pid"
}

start_etcd() {
    local client=http://127.0.0.1:$etcd_port peer=http://127.0.0.1:$peer_port
    start etcd --data-dir "$state_dir/etcd" --log-level warn \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
    await 'etcd' curl --silent --fail "$client/health"
}

start_apiserver() {
    local url=https://127.0.0.1:$api_port
    start kube-apiserver --etcd-servers "http://127.0.0.1:$etcd_port" \
        --bind-address 127.0.0.1 --secure-port "$api_port" --cert-dir "$state_dir/certificates" \
        --endpoint-reconciler-type none --service-cluster-ip-range 10.0.0.0/24 \
        --token-auth-file "$state_dir/tokens.csv" --authorization-mode RBAC \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$state_dir/service-accounts.key" \
        --service-account-signing-key-file "$state_dir/service-accounts.key"
    await 'kube-apiserver' curl --silent --fail --insecure --header "Authorization: Bearer $token" "$url/readyz"
    (
        umask 077
        cat >"$state_dir/kubeconfig" <<KUBECONFIG
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: $url
    certificate-authority: $state_dir/certificates/apiserver.crt
users:
- name: admin
  user:
    token: $token
contexts:
- name: local
  context:
    cluster: local
    user: admin
current-context: local
KUBECONFIG
    )
}

# What homeport's API does by itself, and kube-apiserver leaves to others. Nothing schedules or runs pods.
start_controllers() {
    start kube-controller-manager --kubeconfig "$state_dir/kubeconfig" --leader-elect=false --secure-port 0 \
        --controllers namespace-controller,garbage-collector-controller,serviceaccount-controller,root-ca-certificate-publisher-controller \
        --root-ca-file "$state_dir/certificates/apiserver.crt"
    await 'kube-controller-manager' curl --silent --fail --insecure --header "Authorization: Bearer $token" \
        "https://127.0.0.1:$api_port/api/v1/namespaces/default/serviceaccounts/default"
}

# await PROGRAM COMMAND...
await() {
    local program=$1
    shift
    wait_until 120 "$@" || {
        tail -n 20 "$state_dir/$program.log" >&2
        die "$program did not become ready within 120 s"
    }
}

# Nothing here is worth an orderly end: etcd's file survives this too. Bash would report each as killed.
stop_all() {
    {
        ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" || true
        wait
    } 2>/dev/null
}

main "$@"
