#!/usr/bin/env bash
# The demo: a real application leaves its "cloud" and arrives on this host, driven by kubectl against homeport's own API.
# What is expensive is kept between runs (the build, the images, the cloud's data); what a migration changes is put back
# first, so that each run shows a whole one.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../lib.sh"
# shellcheck source=scripts/demo/target.sh
source "$here/target.sh"
cd "$root_dir"

cloud=127.0.0.10 dns_port=15353 name=www.shop.example
timeout=600

main() {
    alone
    "$here/../setup.sh"

    step "homeport: release build"
    cargo build --release --locked --bin homeport
    ok "target/release/homeport"

    "$here/../images.sh"
    "$here/cloud.sh" start
    put_back
    pack_bundle
    start_homeport
    apply
    follow
    prove
    explain
}

# Two demos at once would take each other's containers away. The lock is held by a parent that gives it to nobody: what
# the demo leaves running would keep it otherwise.
alone() {
    [[ -z ${HOMEPORT_DEMO_LOCKED:-} ]] || return 0
    local status=0 locked=75
    mkdir -p target
    HOMEPORT_DEMO_LOCKED=yes flock --nonblock --close --conflict-exit-code $locked target/demo.lock \
        "$here/run.sh" || status=$?
    ((status != locked)) || die "another 'make demo' is under way here"
    exit "$status"
}

put_back() {
    step "This host, before the migration"
    remove_target
    local now
    now=$(resolve)
    if [[ $now != "$cloud" ]]; then
        "$here/cloud.sh" reset-dns
    fi
    ok "$name is $(resolve); nothing of the shop runs here"
}

resolve() {
    dig +short +time=2 +tries=3 "@$cloud" -p "$dns_port" "$name" A
}

pack_bundle() {
    step "The bundle: homeport bundle pack examples/webshop/bundle -o target/demo/webshop.hprt"
    rm -f target/demo/webshop.hprt
    "$homeport" bundle pack examples/webshop/bundle -o target/demo/webshop.hprt | indent
}

indent() {
    sed 's/^/    /'
}

start_homeport() {
    step "homeport up: a Kubernetes API and the controllers, in one process"
    mkdir -p "$demo_dir"
    setsid "$homeport" up --state-dir "$state_dir" </dev/null >"$demo_dir/homeport.log" 2>&1 &
    echo $! >"$demo_dir/homeport.pid"
    wait_until 30 answers || { show_log; die "homeport did not come up"; }
    ok "ready; log in target/demo/homeport.log"
}

answers() {
    [[ -r $KUBECONFIG ]] && kubectl get --raw /readyz
}

show_log() {
    echo "--- the end of target/demo/homeport.log:" >&2
    tail -n 20 "$demo_dir/homeport.log" >&2
}

apply() {
    step "kubectl apply -f examples/webshop/"
    kubectl apply -f examples/webshop/ | indent
}

# One line a condition: its object, name, status, reason and message.
conditions() {
    kubectl get homeport -o json 2>/dev/null | jq -r '
        .items[] | . as $object | .status.conditions[]?
        | [$object.kind, .type, .status, .reason, (.message // "" | gsub("\\s+"; " "))] | join("\t")'
}

# Prints conditions as they change, until all four resources are ready.
follow() {
    step "What happens: conditions as they change"
    local begin=$SECONDS kind type status reason message seen
    declare -A last=()
    while true; do
        seen=$(conditions) || { show_log; die "homeport does not answer any more"; }
        while IFS=$'\t' read -r kind type status reason message; do
            [[ -n $kind && ${last[$kind/$type]:-} != "$status/$reason" ]] || continue
            last[$kind/$type]=$status/$reason
            # Ready tells what is waited for; of the others it is of interest when they become true.
            [[ $type == Ready || $status == True && $type != Reconciling ]] || continue
            printf '    %s%4ds%s  %-14s%-16s%s%-9s%s%s\n' "$dim" $((SECONDS - begin)) "$plain" \
                "$kind" "$type" "$(colour_of "$type" "$status")" "$status" "$plain" "${message:-$reason}"
        done <<<"$seen"
        if [[ ${last[*]} == *True/* ]] && all_ready; then
            break
        fi
        if grep -q $'\tStalled\tTrue' <<<"$seen"; then
            kubectl get homeport | indent
            show_log
            die "a resource is stalled: its message above says why"
        fi
        if ((SECONDS - begin > timeout)); then
            kubectl describe homeport | tail -n 60 >&2
            show_log
            die "not done within $timeout s"
        fi
        sleep 0.5
    done
    # Unlike apply, wait descends into folders unless told not to.
    kubectl wait --for=condition=Ready --timeout=30s --recursive=false -f examples/webshop/ | indent
    quiet_note "the migration took $((SECONDS - begin)) s"
}

colour_of() {
    case $1/$2 in
        Stalled/True) printf '%s' "$red" ;;
        */Unknown) printf '%s' "$dim" ;;
        */True) printf '%s' "$green" ;;
    esac
}

all_ready() {
    kubectl get homeport -o json | jq -e '
        (.items | length == 4) and (.items | all(
            . as $object | .status.observedGeneration == .metadata.generation
            and any(.status.conditions[]?; .type == "Ready" and .status == "True")))' >/dev/null
}

prove() {
    step "The proof"
    local address before after
    address=$(resolve)
    [[ $address == 127.0.0.20 ]] || die "$name is '$address' in DNS, not 127.0.0.20"
    ok "$name is $address in DNS"
    before=$(curl -fsS --max-time 60 "http://$cloud:8080/api/summary")
    after=$(curl -fsS --max-time 60 --resolve "$name:8080:$address" "http://$name:8080/api/summary")
    [[ $(jq -r .served_from <<<"$after") == 'your own host' ]] || die "the page is not served from the new host"
    ok "http://$name:8080/ is served from $(jq -r .served_from <<<"$after")"
    jq -rn --argjson before "$before" --argjson after "$after" '
        ["", "in the cloud", "here"], ($before.rows | keys[] | [., $before.rows[.], $after.rows[.]]) | @tsv' |
        column -t -s $'\t' -R 2,3 | indent
    [[ $(jq -S '[.rows, .sums]' <<<"$before") == "$(jq -S '[.rows, .sums]' <<<"$after")" ]] ||
        die "the two sides differ: $(diff <(jq -S '[.rows, .sums]' <<<"$before") <(jq -S '[.rows, .sums]' <<<"$after") || true)"
    ok "row counts, sums and the next order's number are the same on both sides"
    curl -fsS --max-time 10 --resolve "$name:8080:$address" "http://$name:8080/" | grep -q "served from <b>your own host</b>" ||
        die "the front page does not say that it is served from the new host"
}

explain() {
    step "Done. Look around:"
    cat <<TEXT
    export KUBECONFIG=$KUBECONFIG PATH="$tools_dir/bin:\$PATH"
    kubectl get homeport                    the four resources
    kubectl describe cutover webshop        each step with its times, the records before and after
    target/release/homeport status --state-dir target/demo/state
    curl http://127.0.0.20:8080/            the shop here;  http://127.0.0.10:8080/ is the one in the cloud
    kubectl patch cutover webshop --type=merge -p '{"spec":{"desired":"RolledBack"}}'     the way back
    make demo-clean                         removes all of it
TEXT
}

main
