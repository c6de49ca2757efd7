#!/usr/bin/env bash
# Builds the demo's container images from Debian packages, so that no image registry is needed: a Debian base by
# debootstrap, and on it what each folder of examples/webshop/images describes. An image is built again only when its
# recipe has changed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"

suite=bookworm
images_dir=$root_dir/examples/webshop/images

main() {
    step "Container images"
    build_base
    build homeport-demo/postgres:15 postgres
    build homeport-demo/webshop:1 app
}

# The machine's own Debian mirror: the images take their packages from where the machine takes its own.
mirror_of() {
    apt-get indextargets --format "\$(ORIGIN) \$(RELEASE) \$(REPO_URI)" 'Created-By: Packages' |
        awk -v kind="$1" '$1 == "Debian" && (kind == "security") == ($2 ~ /-security$/) && $2 !~ /backports/ { print $3; exit }'
}

build_base() {
    base=homeport/debian:$suite-$(declare -f build_base | sha256sum | cut -c 1-12)
    if docker image inspect "$base" >/dev/null 2>&1; then
        ok "$base is there"
        return
    fi
    local mirror security work
    mirror=$(mirror_of main)
    security=$(mirror_of security)
    [[ -n $mirror ]] || die "this machine's apt knows no Debian mirror: run 'apt-get update' first"
    say "$base: debootstrap, about 75 s"
    work=$(mktemp -d)
    # debootstrap leaves nothing mounted, so that the tree can simply be removed.
    trap 'as_root rm -rf -- "$work"' EXIT
    as_root debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; die "debootstrap failed"; }
    {
        echo "deb $mirror $suite main"
        [[ -z $security ]] || echo "deb $security $suite-security main"
    } | as_root tee "$work/root/etc/apt/sources.list" >/dev/null
    apt-config dump | { grep -E '^Acquire::(http|https)::' || true; } |
        as_root tee "$work/root/etc/apt/apt.conf.d/90machine" >/dev/null
    printf '%s\n' 'APT::Install-Recommends "false";' 'Acquire::Languages "none";' |
        as_root tee "$work/root/etc/apt/apt.conf.d/91small" >/dev/null
    printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-exclude /usr/share/man/*' 'path-exclude /usr/share/locale/*' |
        as_root tee "$work/root/etc/dpkg/dpkg.cfg.d/small" >/dev/null
    as_root tar -C "$work/root" -c --exclude=./var/cache/apt/* --exclude=./var/lib/apt/lists/* \
        --exclude=./usr/share/doc/* --exclude=./usr/share/man/* --exclude=./usr/share/locale/* --exclude=./dev/* . |
        docker import - "$base" >/dev/null
    as_root rm -rf -- "$work"
    trap - EXIT
    ok "$base built"
}

# build TAG FOLDER
build() {
    local tag=$1 context=$images_dir/$2 recipe
    recipe=$(cd "$context" && {
        echo "$base"
        find . -type f | LC_ALL=C sort | xargs sha256sum
    } | sha256sum | cut -c 1-64)
    if [[ $(docker image inspect --format '{{index .Config.Labels "dev.homeport.recipe"}}' "$tag" 2>/dev/null) == "$recipe" ]]; then
        ok "$tag is there"
        return
    fi
    say "$tag: docker build"
    # The network of the machine itself: a bridge may not reach the machine's mirror.
    local log
    log=$(DOCKER_BUILDKIT=0 docker build --network=host --build-arg BASE="$base" \
        --label dev.homeport.recipe="$recipe" --tag "$tag" "$context" 2>&1) ||
        { tail -n 20 <<<"$log" >&2; die "docker build of $tag failed"; }
    ok "$tag built"
}

main
