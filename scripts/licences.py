"""Checks the licences of all crates that are linked: reads `cargo metadata` from stdin, and what is allowed from deny.toml.

Stands in for `cargo deny check licenses` where cargo-deny is not installed.
"""

import json
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def allowed_by(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences; '/' is Cargo's old form of OR."""
    # An exception ("WITH ...") only ever widens what its licence permits.
    expression = re.sub(r"\s+WITH\s+\S+?(?=[\s)]|$)", "", expression.replace("/", " OR "))
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return bool(eval(" ".join(words.get(token, str(token in allowed)) for token in tokens)))


def main() -> int:
    with open(ROOT / "deny.toml", "rb") as file:
        allowed = set(tomllib.load(file)["licenses"]["allow"])
    packages = json.load(sys.stdin)["packages"]
    refused = [
        f"{package['name']} {package['version']}: {package['license'] or 'no licence stated'}"
        for package in packages
        if not (package["license"] and allowed_by(package["license"], allowed))
    ]
    for line in refused:
        print(f"error: {line}: not a licence that deny.toml allows", file=sys.stderr)
    print(f"    {len(packages)} crates, {len(refused)} refused")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
