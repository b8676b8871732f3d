#!/usr/bin/env bash
# Packs what was built, its files and the installer into target/dist, for machines without
# Rust. The same commit and program give the same bytes.
#
#   packaging/dist.sh           BINARY is the program to pack
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}
BINARY=${BINARY:-$target/release/redis-frag}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# Of the program, not of this machine.
case $(od -An -tx1 -j18 -N2 "$BINARY" | tr -d ' ') in
    3e00) arch=x86_64 ;;
    b700) arch=aarch64 ;;
    *) echo "dist: $BINARY is for a machine that has no name here; add it to packaging/dist.sh" >&2; exit 1 ;;
esac
name=redis-frag-$version-$arch-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/$name/packaging" "$target/dist"
install -m 0755 "$BINARY" "$work/$name/redis-frag"
cp -r README.md CONTRIBUTING.md CHANGELOG.md conf.d health.d docs "$work/$name/"
cp -r packaging/install.sh packaging/alerts.sh packaging/man packaging/completions "$work/$name/packaging/"
# The newest version of the C library that it asks for.
glibc=$(readelf -V "$BINARY" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
echo "$arch, glibc ${glibc#GLIBC_}" >"$work/$name/packaging/needs"
cat >"$work/$name/install.sh" <<'END'
#!/usr/bin/env bash
# install.sh install|uninstall, as root; packaging/install.sh says what can be chosen.
exec bash "$(dirname "$0")/packaging/install.sh" "$@"
END
chmod 0755 "$work/$name/install.sh"
find "$work/$name" -type d -exec chmod 0755 {} +
find "$work/$name" -type f -not -perm -u+x -exec chmod 0644 {} +
# Of the commit; where there is none, of the day on which time begins.
when=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" \
    --directory "$work" "$name" | gzip --no-name --best >"$work/$name.tar.gz"
mv "$work/$name.tar.gz" "$target/dist/$name.tar.gz"
echo "$target/dist/$name.tar.gz"
