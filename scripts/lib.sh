# shellcheck shell=bash
# What the scripts share: where things are, and how they speak. Sourced, never run.

# shellcheck disable=SC2034
root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Programs that Debian has not (Compose v2, kubectl) live in a Python environment of their own, outside the clone, so
# that a second clone finds them.
tools_dir=${HOMEPORT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/homeport/tools}
# The last two are where Rust's and Go's own installers put them, and where not everybody's PATH looks.
export PATH="$tools_dir/bin:$PATH:$HOME/.cargo/bin:/usr/local/go/bin"

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi

step() { printf '\n%s==> %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '    %s\n' "$*"; }
ok() { printf '    %s✓%s %s\n' "$green" "$plain" "$*"; }
quiet_note() { printf '    %s%s%s\n' "$dim" "$*" "$plain"; }
die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: runs it as root, by sudo where we are not root.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif have sudo; then
        sudo -- "$@"
    else
        die "this needs root: run it as root, or install sudo ($*)"
    fi
}

# postgres_bin NAME: the path of a PostgreSQL server program, the newest major version installed.
postgres_bin() {
    local dir
    dir=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [[ -n $dir && -x $dir/$1 ]] || die "no PostgreSQL server program '$1' under /usr/lib/postgresql; run 'make setup'"
    printf '%s\n' "$dir/$1"
}

# wait_until SECONDS COMMAND...: repeats the command until it succeeds; fails when the time is over.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}
