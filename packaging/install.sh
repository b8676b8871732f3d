#!/usr/bin/env bash
# Puts redis-frag where the Netdata agent of this machine looks, or takes it away.
#
#   packaging/install.sh install|uninstall
#
# The agent is found by its folders. PREFIX=/opt/netdata names the root of one
# installed elsewhere; PLUGINS_DIR, STOCK_DIR and CONFIG_DIR name the folders
# themselves. The command, its manual, documents and what shells complete go below
# LOCAL, /usr/local; LOCAL= leaves them out. BINARY is the program to install. The operator's
# own files, in CONFIG_DIR, are neither written nor removed.
#
# Runs in the source's folder and in what `make dist` packs alike.
set -euo pipefail
# Whatever root's own is, others are to run and read what comes.
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
packed=$here/redis-frag
[ -f "$packed" ] || packed=${CARGO_TARGET_DIR:-$here/target}/release/redis-frag
BINARY=${BINARY:-$packed}
LOCAL=${LOCAL-/usr/local}
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

# The agent's program, or nothing.
agent_program() {
    local program
    local others=
    # Another agent's version says nothing of the one under PREFIX.
    [ -n "${PREFIX:-}" ] || others=$(command -v netdata || true)
    for program in "${NETDATA:-}" "${ROOT:-}/usr/sbin/netdata" "${ROOT:-}/bin/netdata" "$others"; do
        if [ -x "$program" ]; then
            printf '%s\n' "$program"
            return
        fi
    done
}

# A program that does not run here must not take the place of one that does.
must_run() {
    [ -x "$BINARY" ] || die "no program at $BINARY; run: cargo build --release"
    "$BINARY" --version >/dev/null 2>&1 && return
    local needs='' has
    [ ! -f "$here/packaging/needs" ] || needs=$(cat "$here/packaging/needs")
    has="$(uname -m), $( (getconf GNU_LIBC_VERSION 2>/dev/null || echo 'no glibc'))"
    die "$BINARY does not run on this machine (${has}); it needs ${needs:-another one}; build it here: cargo build --release"
}

# A file of this name that is somebody else's is left alone.
ours_or_absent() {
    [ ! -e "$1" ] || grep -qa "$MARK" "$1" || die "$1 is not redis-frag's; move it away first"
}

# What a Debian package brought is dpkg's to change and to take away.
not_packaged() {
    local file owner
    command -v dpkg-query >/dev/null || return 0
    for file in "$plugin" "$stock"; do
        owner=$(dpkg-query --search "$file" 2>/dev/null) || continue
        die "$file is of the package ${owner%%:*}; take that away first: apt remove ${owner%%:*}"
    done
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

put_documents() {
    rm -rf "$documents.new"
    mkdir -p "$documents.new"
    cp -r "$here"/{README.md,CHANGELOG.md,CONTRIBUTING.md,conf.d,health.d,docs} "$documents.new/"
    chmod -R u=rwX,go=rX "$documents.new"
    rm -rf "$documents"
    mv "$documents.new" "$documents"
    say "installed $documents"
}

paths() {
    plugin=$PLUGINS_DIR/redis-frag.plugin
    stock=$STOCK_DIR/redis-frag.conf
    health=$STOCK_DIR/health.d/redis_frag.conf
    # What is below LOCAL: from, to, mode; and a folder that is ours as a whole.
    local_files=()
    documents=
    [ -n "$LOCAL" ] || return 0
    documents=$LOCAL/share/doc/redis-frag
    local_files=(
        "$BINARY" "$LOCAL/bin/redis-frag" 0755
        "$here/packaging/man/redis-frag.1" "$LOCAL/share/man/man1/redis-frag.1" 0644
        "$here/packaging/completions/redis-frag.bash" "$LOCAL/share/bash-completion/completions/redis-frag" 0644
        "$here/packaging/completions/_redis-frag" "$LOCAL/share/zsh/site-functions/_redis-frag" 0644
        "$here/packaging/completions/redis-frag.fish" "$LOCAL/share/fish/vendor_completions.d/redis-frag.fish" 0644
    )
}

# Before anything is changed.
must_be_ours() {
    not_packaged
    local file
    for file in "$@"; do ours_or_absent "$file"; done
    [ -z "$documents" ] || [ ! -e "$documents" ] || grep -qs "$MARK" "$documents/README.md" ||
        die "$documents is not redis-frag's; move it away first"
}

do_install() {
    must_run
    local i version files=("$stock" "$health")
    for ((i = 1; i < ${#local_files[@]}; i += 3)); do files+=("${local_files[i]}"); done
    must_be_ours "${files[@]}"
    alerts=$(mktemp)
    trap 'rm -f "$alerts"' EXIT
    version=$(sh "$here/packaging/alerts.sh" "$here/health.d/redis_frag.conf" "$alerts" "$(agent_program)")
    put "$BINARY" "$plugin" 0755
    # As Netdata's own plugins: run by its group, changed by root alone.
    if [ "$(id -u)" = 0 ] && getent group netdata >/dev/null; then
        chown root:netdata "$plugin" && chmod 0750 "$plugin"
    fi
    put "$here/conf.d/redis-frag.conf" "$stock" 0644
    put "$alerts" "$health" 0644
    for ((i = 0; i < ${#local_files[@]}; i += 3)); do
        put "${local_files[i]}" "${local_files[i + 1]}" "${local_files[i + 2]}"
    done
    [ -z "$documents" ] || put_documents
    say ""
    say "Agent: ${version:-version unknown}. To start: systemctl restart netdata (or: service netdata restart)"
    say "To configure: cp $stock $CONFIG_DIR/ and edit it there, then restart the agent"
    say "To check what is configured: $plugin check-config"
}

do_uninstall() {
    local i file found=no files
    files=("$plugin" "$stock" "$health")
    for ((i = 1; i < ${#local_files[@]}; i += 3)); do files+=("${local_files[i]}"); done
    must_be_ours "${files[@]}"
    [ -z "$documents" ] || files+=("$documents")
    for file in "${files[@]}"; do
        [ -e "$file" ] || continue
        rm -rf "$file"
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
