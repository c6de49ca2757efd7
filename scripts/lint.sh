#!/usr/bin/env bash
# Everything that is judged without running it: formatting, lints, shell scripts, licences of what is linked.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/lib.sh"
cd "$root_dir"

step "Formatting"
cargo fmt --all --check

step "Shell scripts"
mapfile -t scripts < <(git ls-files -z --cached --others --exclude-standard | xargs -0 grep -lE '^#!.*\b(ba)?sh$' --)
shellcheck -x "${scripts[@]}"
say "${#scripts[@]} scripts"

step "Licences"
if cargo deny --version >/dev/null 2>&1; then
    cargo deny check licenses
else
    # Only what is linked on this platform: the rest would be downloaded just to be looked at.
    cargo metadata --format-version 1 --locked --filter-platform "$(rustc -vV | sed -n "s/^host: //p")" |
        python3 "$here/licences.py"
fi

step "Clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings
