#!/usr/bin/env bash
# Removes all that the demo started and made, but for the build and the container images.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../lib.sh"
# shellcheck source=scripts/demo/target.sh
source "$here/target.sh"

step "Removing the demo"
if docker info >/dev/null 2>&1; then
    remove_target
else
    stop_homeport
    say "Docker does not run: containers of the shop, if any, are still there"
fi
"$here/cloud.sh" stop
rm -rf "$demo_dir"
ok "target/demo removed"
say "the images stay: docker image rm homeport-demo/webshop:1 homeport-demo/postgres:15 removes them"
