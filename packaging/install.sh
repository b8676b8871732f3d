#!/usr/bin/env bash
# Puts redis-frag where the Netdata agent of this machine looks, or takes it away.
#
#   packaging/install.sh install|uninstall
#
# The agent is found by its folders. PREFIX=/opt/netdata names the root of one
# installed elsewhere; PLUGINS_DIR, STOCK_DIR and CONFIG_DIR name the folders
# themselves. BINARY is the program to install. The operator's own files, in
# CONFIG_DIR, are neither written nor removed.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
BINARY=${BINARY:-${CARGO_TARGET_DIR:-$here/target}/release/redis-frag}
MARK='redis-frag'

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Where an agent lies: its plugins, its stock files, the operator's files.
find_agent() {
    local root
    if [ -n "${PREFIX:-}" ]; then
        use_root "${PREFIX%/}" || die "no Netdata agent under $PREFIX: it has neither usr/libexec/netdata/plugins.d nor usr/lib/netdata/plugins.d; correct PREFIX"
    elif [ -z "${PLUGINS_DIR:-}" ] || [ -z "${STOCK_DIR:-}" ]; then
        for root in /opt/netdata ''; do use_root "$root" && break; done
        [ -n "${PLUGINS_DIR:-}" ] || die "no Netdata agent found; install one, or name its root with PREFIX=/path"
    fi
    CONFIG_DIR=${CONFIG_DIR:-/etc/netdata}
}

# Netdata's own packages keep plugins in libexec, Debian's in lib.
use_root() {
    local libexec=$1/usr/libexec/netdata/plugins.d lib=$1/usr/lib/netdata/plugins.d
    if [ -d "$libexec" ]; then PLUGINS_DIR=${PLUGINS_DIR:-$libexec}
    elif [ -d "$lib" ]; then PLUGINS_DIR=${PLUGINS_DIR:-$lib}
    else return 1; fi
    STOCK_DIR=${STOCK_DIR:-$1/usr/lib/netdata/conf.d}
    CONFIG_DIR=${CONFIG_DIR:-$1/etc/netdata}
    ROOT=$1
}

# MAJOR.MINOR of the agent, or nothing where it cannot be asked.
agent_version() {
    local program
    for program in "${NETDATA:-}" "${ROOT:-}/usr/sbin/netdata" "${ROOT:-}/bin/netdata" "$(command -v netdata || true)"; do
        if [ -x "$program" ]; then
            "$program" -V 2>/dev/null | sed -n 's/^netdata v\{0,1\}\([0-9]*\.[0-9]*\).*/\1/p' | head -n 1
            return
        fi
    done
}

# Agents before 1.43 log an error for every summary: line.
knows_summary() {
    local version=$1
    [ -z "$version" ] && return 1
    [ "${version%%.*}" -gt 1 ] || [ "${version##*.}" -ge 43 ]
}

# A file of this name that is somebody else's is left alone.
ours_or_absent() {
    [ ! -e "$1" ] || head -c 2000 "$1" | grep -qa "$MARK" || die "$1 is not redis-frag's; move it away first"
}

# Written beside its place and moved over it, so that nothing is ever half there
# and a running plugin keeps its own program.
put() {
    local from=$1 to=$2 mode=$3
    mkdir -p "$(dirname "$to")"
    install -m "$mode" "$from" "$to.new"
    mv -f "$to.new" "$to"
    say "installed $to"
}

paths() {
    plugin=$PLUGINS_DIR/redis-frag.plugin
    stock=$STOCK_DIR/redis-frag.conf
    health=$STOCK_DIR/health.d/redis_frag.conf
}

do_install() {
    [ -x "$BINARY" ] || die "no program at $BINARY; run: cargo build --release"
    ours_or_absent "$stock"
    ours_or_absent "$health"
    local version
    version=$(agent_version)
    alerts=$(mktemp)
    trap 'rm -f "$alerts"' EXIT
    if knows_summary "$version"; then
        cat "$here/health.d/redis_frag.conf" >"$alerts"
    else
        grep -v '^ *summary:' "$here/health.d/redis_frag.conf" >"$alerts"
    fi
    put "$BINARY" "$plugin" 0755
    # As Netdata's own plugins: run by its group, changed by root alone.
    if [ "$(id -u)" = 0 ] && getent group netdata >/dev/null; then
        chown root:netdata "$plugin" && chmod 0750 "$plugin"
    fi
    put "$here/conf.d/redis-frag.conf" "$stock" 0644
    put "$alerts" "$health" 0644
    say ""
    say "Agent: ${version:-version unknown}. To start: systemctl restart netdata (or: service netdata restart)"
    say "To configure: cp $stock $CONFIG_DIR/ and edit it there, then restart the agent"
    say "To check what is configured: $plugin check-config"
}

do_uninstall() {
    local file found=no
    ours_or_absent "$stock"
    ours_or_absent "$health"
    for file in "$plugin" "$stock" "$health"; do
        [ -e "$file" ] || continue
        rm -f "$file"
        found=yes
        say "removed $file"
    done
    [ "$found" = yes ] || say "nothing of redis-frag in $PLUGINS_DIR and $STOCK_DIR"
    for file in "$CONFIG_DIR/redis-frag.conf" "$CONFIG_DIR/health.d/redis_frag.conf"; do
        [ ! -e "$file" ] || say "left $file: it is yours"
    done
    [ "$found" = no ] || say "To end the running plugin: systemctl restart netdata (or: service netdata restart)"
}

find_agent
paths
case ${1:-} in
    install) do_install ;;
    uninstall) do_uninstall ;;
    *) die "say install or uninstall" ;;
esac
