#!/usr/bin/env bash
# Makes the pictures of README anew, from real servers and a real agent: the dashboard after
# the demo's story, a report and the live view as a terminal shows them. Installs what it
# misses from Debian's packages and says so.
#
#   docs/pictures/make.sh           as root, or with sudo for what is to be installed
#
# All of it runs in a network and among processes of its own: ports that others have cannot
# be met, and nothing is left when it ends, however it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
servers=$target/test-servers
frag=$target/release/redis-frag
say() { echo "pictures: $*"; }
die() { echo "pictures: $*" >&2; exit 1; }

if [ "${1-}" != apart ]; then
    bash tests/setup.sh
    missing=()
    for program in chromium tmux aha pngquant; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    fc-list 2>/dev/null | grep -q 'DejaVu Sans Mono' || missing+=(fonts-dejavu-core fontconfig)
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing from Debian: ${missing[*]}"
        root=
        [ "$(id -u)" = 0 ] || root=sudo
        $root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
    fi
    ${CARGO:-cargo} build --release --locked --quiet --bin redis-frag --example demo
    own=(--net --pid --fork --kill-child --mount-proc)
    [ "$(id -u)" = 0 ] || own+=(--user --map-root-user)
    unshare "${own[@]}" true || die "cannot get a network and processes of its own: run it as root"
    # Short: a socket's path has room for 107 bytes.
    work=$(mktemp -d /tmp/pictures.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    TMPDIR=$work unshare "${own[@]}" bash "docs/pictures/make.sh" apart
    exit
fi

# The first process here: all others end with it.
trap 'exit 130' INT TERM
# An agent of 1.37 has its socket at /tmp/netdata-ipc, whatever it is told: one that the
# machine runs keeps its own, unless this project lies in /tmp itself.
case "$PWD/:$target/" in
    /tmp/* | *:/tmp/*) ;;
    *) mount --bind "$TMPDIR" /tmp && TMPDIR=/tmp ;;
esac
work=$TMPDIR
export TMUX_TMPDIR=$work HOME=$work LC_ALL=C.UTF-8 TZ=UTC
PATH=$PATH:/usr/sbin:/sbin ip link set lo up

# Waits for something, so many seconds at most.
await() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "waited in vain for $what"
        sleep 0.2
    done
}

# A page as a picture of so many pixels, in few colours.
picture() {
    local page=$1 size=$2 to=$3
    timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --hide-scrollbars --user-data-dir="$(mktemp -d)" --window-size="$size" \
        --virtual-time-budget=30000 --screenshot="$work/shot.png" "$page" >"$work/chromium.log" 2>&1 ||
        die "chromium made no $to: $(tail -n 3 "$work/chromium.log")"
    pngquant --force --strip --speed 1 128 --output "$work/small.png" "$work/shot.png"
    # Over the old one only when it is whole.
    cp "$work/small.png" "$to"
    say "$to: $(stat -c %s "$to") bytes"
}

# Text with its colours, as a terminal shows it.
terminal() {
    local size=$1 to=$2
    {
        echo '<meta charset="utf-8"><style>body{background:#16181d;margin:0;padding:18px}'
        echo 'pre{font:15px/1.3 "DejaVu Sans Mono",monospace;color:#d6dae0;margin:0}</style><pre>'
        # Colours as most terminals have them, not the purest there are.
        aha --no-header --black | sed -E \
            -e 's/color:(red|#cc0000)/color:#e0555f/g' -e 's/color:(lime|green)/color:#7fb85f/g' \
            -e 's/color:yellow/color:#dba94f/g' -e 's/color:(fuchsia|purple)/color:#c07ad8/g' \
            -e 's/color:(aqua|teal|cyan)/color:#4fb3c0/g' -e 's/color:(dimgray|black)/color:#16181d/g'
        echo '</pre>'
    } >"$work/terminal.html"
    picture "file://$work/terminal.html" "$size" "$to"
}

# --- The dashboard -------------------------------------------------------------

say "playing the demo's story; this takes a minute and a half"
"$target/release/examples/demo" --keep >"$work/demo.log" || die "the story did not come true: $(cat "$work/demo.log")"
url=$(grep -o 'http://127.0.0.1:[0-9]*/' "$work/demo.log" | tail -n 1)
# As long as the story was, for all of it is to be seen; a window without the dashboard's
# menu, which would make the charts small.
story=$(sed -n 's/^All scenes came true in \([0-9]*\) seconds.*/\1/p' "$work/demo.log")
picture "${url}#menu_redis_frag_demo;after=-$((story + 4));theme=white" 980,1300 docs/dashboard.png
# What it shows: a test asks for a new picture where a title has changed.
for chart in ratio allocator_ratio wasted reclaimable; do
    COLUMNS=120 "$frag" explain "redis_frag.$chart" | sed -n 3p
done >docs/pictures/dashboard.txt

# --- The terminal ----------------------------------------------------------------

# Values of 64 to 2000 bytes, and some of them deleted again at random.
fill() {
    local port=$1 megabytes=$2 deleted=$3
    redis-cli -p "$port" EVAL '
        math.randomseed(1)
        for i = 1, ARGV[1] * 1000 do
            redis.call("SET", "k" .. i, string.rep("x", math.random(64, 2000)))
        end
        for i = 1, ARGV[1] * 1000 do
            if math.random(100) <= tonumber(ARGV[2]) then redis.call("DEL", "k" .. i) end
        end' 0 "$megabytes" "$deleted" >/dev/null
}

start() {
    local port=$1 server=$2
    "$server" --port "$port" --bind 127.0.0.1 --save '' --dir "$work" --loglevel warning >"$work/$port.log" &
    await 20 "$server on port $port" redis-cli -p "$port" PING
}

start 6379 "$servers/redis-8.2.3/redis-server"
start 6380 "$(command -v redis-server)"
start 6381 "$servers/valkey-9.1.2/valkey-server"
cat >"$work/redis-frag.conf" <<END
discovery: {local: no}
jobs:
  - {name: cache, address: 'redis://127.0.0.1:6379'}
  - {name: sessions, address: 'redis://127.0.0.1:6380'}
  - {name: queue, address: 'redis://127.0.0.1:6381'}
  - {name: shop, address: 'redis://127.0.0.1:6382'}
END
export NETDATA_USER_CONFIG_DIR=$work NETDATA_STOCK_CONFIG_DIR=$work
fill 6379 100 0
fill 6380 240 0
fill 6381 150 0

# Whether the live view shows all of these words.
shows() {
    local screen word
    screen=$(tmux capture-pane -p)
    for word; do [[ $screen = *"$word"* ]] || return 1; done
}

tmux -f /dev/null new-session -d -x 100 -y 12 "TERM=xterm-256color '$frag' diagnose --watch --interval 1"
await 30 "the live view" shows healthy 'shop' unreachable
# A past for the lines to show.
sleep 8
fill 6379 250 70
sleep 2
fill 6381 200 60
await 60 "both verdicts" shows fragmented unattributed
sleep 3
tmux capture-pane -e -p | sed 's/[[:space:]]*$//' | terminal 950,280 docs/watch.png
tmux kill-server

redis-cli -p 6379 CONFIG SET active-defrag-ignore-bytes 50mb >/dev/null
# It ends with the severity of what it found.
script -qec "stty cols 100 rows 60; TERM=xterm-256color '$frag' diagnose cache" /dev/null </dev/null |
    tr -d '\r' | sed '/^.*Active defrag/,$d' >"$work/report" || true
grep -q fragmented "$work/report" || die "the report does not say fragmented: $(cat "$work/report")"
terminal 790,730 docs/terminal.png <"$work/report"
