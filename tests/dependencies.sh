#!/bin/bash
# Checks what comes in with the dependencies against deny.toml, of the crate and of what
# fuzzes it: licences, versions of one crate beside each other, sources, and known defects
# where their database can be reached. Installs cargo-deny into target/tools where there
# is none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VERSION=0.20.2
tools="${CARGO_TARGET_DIR:-target}/tools"
cargo=${CARGO:-cargo}

say() { echo "dependencies: $*"; }

by_hand() {
    say "cargo-deny could not be installed. Try again where crates.io can be reached, or" >&2
    say "  install it by hand: cargo install cargo-deny --locked --version $VERSION" >&2
    exit 1
}

deny=cargo-deny
if ! cargo-deny --version >/dev/null 2>&1; then
    deny="$tools/bin/cargo-deny"
    if ! "$deny" --version >/dev/null 2>&1; then
        say "installing cargo-deny $VERSION into $tools; this takes some minutes, once"
        "$cargo" install cargo-deny --quiet --locked --version "$VERSION" --root "$tools" || by_hand
    fi
fi

# What is checked last says nothing of what was checked before it.
failed=0
check() {
    local manifest
    for manifest in Cargo.toml fuzz/Cargo.toml; do
        say "$manifest"
        "$deny" "$1" --manifest-path "$manifest" --config deny.toml \
            check --hide-inclusion-graph "${@:2}" || failed=1
    done
}

check --locked bans licenses sources
if told=$(timeout 120 "$deny" --config deny.toml fetch db 2>&1); then
    check --frozen advisories
else
    say "advisories were NOT checked: their database cannot be reached: ${told##*$'\n'}"
fi
exit "$failed"
