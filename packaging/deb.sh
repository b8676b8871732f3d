#!/usr/bin/env bash
# Packs redis-frag for Debian and its like, into target/debian. Installs cargo-deb into
# target/tools where there is none.
#
#   packaging/deb.sh [OPTION of cargo deb …]     --no-build: what was built before
#
# OUTPUT names another folder, with a slash at its end, or a file.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VERSION=3.8.0
target=${CARGO_TARGET_DIR:-target}
cargo=${CARGO:-cargo}

say() { echo "deb: $*"; }

deb="cargo-deb"
if ! cargo-deb --version >/dev/null 2>&1; then
    deb="$target/tools/bin/cargo-deb"
    if ! "$deb" --version >/dev/null 2>&1; then
        say "installing cargo-deb $VERSION into $target/tools; this takes a minute or two, once" >&2
        "$cargo" install cargo-deb --quiet --locked --version "$VERSION" --root "$target/tools" || {
            say "cargo-deb could not be installed. Try again where crates.io can be reached, or" >&2
            say "  install it by hand: cargo install cargo-deb --locked --version $VERSION" >&2
            exit 1
        }
    fi
fi
OUTPUT=${OUTPUT:-$target/debian/}
mkdir -p "$(dirname "$OUTPUT.")"
"$deb" --locked --quiet --output "$OUTPUT" "$@"
