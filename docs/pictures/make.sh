#!/usr/bin/env bash
# Makes the pictures of README anew, from real servers and a real agent: the dashboard after
# the demo's story, a report and the live view as a terminal shows them. Installs what it
# misses from Debian's packages and says so; ends all that it started.
#
#   docs/pictures/make.sh           as root, or with sudo for what is to be installed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=${CARGO_TARGET_DIR:-target}
servers=$target/test-servers
work=$(mktemp -d)
pids=()
say() { echo "pictures: $*"; }

end() {
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    tmux -L redis-frag-pictures kill-server 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

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
frag=$(realpath "$target/release/redis-frag")

# A page as a picture of so many pixels, in few colours.
picture() {
    local page=$1 size=$2 to=$3
    timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --hide-scrollbars --user-data-dir="$(mktemp -d -p "$work")" --window-size="$size" \
        --virtual-time-budget=30000 --screenshot="$work/shot.png" "$page" >/dev/null 2>&1
    pngquant --force --strip --speed 1 128 --output "$to" "$work/shot.png"
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
"$target/release/examples/demo" --keep >"$work/demo.log"
url=$(grep -o 'http://127.0.0.1:[0-9]*/' "$work/demo.log" | tail -n 1)
read -r -a pids < <(sed -n 's/^To end them: kill //p' "$work/demo.log")
picture "${url}#menu_redis_frag_demo;after=-74;theme=white" 1280,1300 docs/dashboard.png
kill "${pids[@]}"
pids=()
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
    "$server" --port "$port" --bind 127.0.0.1 --save '' --dir "$work" --loglevel warning >/dev/null &
    pids+=($!)
    until redis-cli -p "$port" PING >/dev/null 2>&1; do sleep 0.1; done
}

start 6391 "$servers/redis-8.2.3/redis-server"
start 6392 "$(command -v redis-server)"
start 6393 "$servers/valkey-9.1.2/valkey-server"
cat >"$work/redis-frag.conf" <<END
discovery: {local: no}
jobs:
  - {name: cache, address: 'redis://127.0.0.1:6391'}
  - {name: sessions, address: 'redis://127.0.0.1:6392'}
  - {name: queue, address: 'redis://127.0.0.1:6393'}
  - {name: shop, address: 'redis://127.0.0.1:6394'}
END
export NETDATA_USER_CONFIG_DIR=$work NETDATA_STOCK_CONFIG_DIR=$work
fill 6391 100 0
fill 6392 240 0
fill 6393 150 0

tmux() { command tmux -L redis-frag-pictures "$@"; }
tmux -f /dev/null new-session -d -x 100 -y 12 "LANG=C.UTF-8 TERM=xterm-256color '$frag' diagnose --watch --interval 1"
sleep 8
fill 6391 250 70
sleep 4
fill 6393 200 60
sleep 6
tmux capture-pane -e -p | sed 's/[[:space:]]*$//' | terminal 950,280 docs/watch.png
tmux kill-server

redis-cli -p 6391 CONFIG SET active-defrag-ignore-bytes 50mb >/dev/null
script -qec "stty cols 100 rows 60; TERM=xterm-256color '$frag' diagnose cache" /dev/null </dev/null |
    tr -d '\r' | sed '/^.*Active defrag/,$d' >"$work/report" || true
terminal 790,730 docs/terminal.png <"$work/report"
