# shellcheck shell=bash
# The side that the demo moves to: where it lies, and how it is removed. Sourced after lib.sh.

demo_dir=${root_dir:?}/target/demo
state_dir=$demo_dir/state
homeport=$root_dir/target/release/homeport
export KUBECONFIG=$state_dir/kubeconfig

# Removes all that a migration has made on this host: homeport's process and state, containers, network and volume.
remove_target() {
    stop_homeport
    local containers
    mapfile -t containers < <({
        docker ps --all --quiet --filter volume=webshop-data
        docker ps --all --quiet --filter network=webshop
    } | sort -u)
    if ((${#containers[@]})); then
        docker rm --force --volumes "${containers[@]}" >/dev/null
        ok "the shop's containers removed"
    fi
    if docker network inspect webshop >/dev/null 2>&1; then
        docker network rm webshop >/dev/null
    fi
    docker volume rm --force webshop-data >/dev/null
    rm -rf "$state_dir"
}

stop_homeport() {
    local pid
    [[ -s $demo_dir/homeport.pid ]] || return 0
    pid=$(<"$demo_dir/homeport.pid")
    if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$homeport"* ]]; then
        kill "$pid"
        wait_until 30 is_gone "$pid" || kill -KILL "$pid"
        ok "homeport stopped"
    fi
    rm -f "$demo_dir/homeport.pid"
}

is_gone() {
    ! kill -0 "$1" 2>/dev/null
}
