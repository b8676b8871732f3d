#!/bin/bash
# Fuzzes every target of fuzz/targets for so many seconds each: fuzz/run.sh [SECONDS] [TARGET …].
# Seeds are the captures and recordings of the tests. What is found goes to fuzz/artifacts;
# put it into tests/fixtures/fuzzed/TARGET, where the tests run it from then on.
# Without the tools it ends with an error, with FUZZ_LENIENT=1 without one. FUZZ_JOBS
# targets run at a time (1).
{ # Read as a whole: it may be changed while it runs.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true

missing() {
    echo "fuzz: left out: $1"
    if [[ ${FUZZ_LENIENT-} = 1 ]]; then exit 0; fi
    exit 1
}

cargo=${CARGO:-cargo}
"$cargo" +nightly --version >/dev/null 2>&1 ||
    missing "no nightly toolchain; rustup toolchain install nightly --profile minimal"
"$cargo" fuzz --version >/dev/null 2>&1 ||
    missing "no cargo-fuzz; cargo install cargo-fuzz --locked"
command -v c++ >/dev/null ||
    missing "no C++ compiler, which libFuzzer is built with; apt-get install g++"

# There is no unsafe code here for a sanitizer to watch: without one it runs twice as often.
"$cargo" +nightly fuzz build --sanitizer none
built=fuzz/target/$("$cargo" +nightly -vV | sed -n 's/^host: //p')/release

# Last lines of a run: what libFuzzer counted.
counted() {
    grep -E '^(stat::number_of_executed_units|stat::average_exec_per_sec|stat::new_units_added)' "$1" |
        sed 's/^stat:://' | tr -s ' \n' ' '
}

one() {
    local target=$1 corpus=fuzz/corpus/$1 log=fuzz/target/$1.log
    shift
    local seeds=() options=(-max_total_time="$seconds" -max_len=65536 -timeout=30 -rss_limit_mb=1024)
    local folder artifacts=fuzz/artifacts/$target/
    for folder in "$@" "tests/fixtures/fuzzed/$target"; do
        if [[ -d $folder ]]; then seeds+=("$folder"); fi
    done
    if [[ -e fuzz/dictionaries/$target ]]; then options+=(-dict="fuzz/dictionaries/$target"); fi
    mkdir -p "$corpus" "$artifacts"
    if "$built/$target" "${options[@]}" -artifact_prefix="$artifacts" -print_final_stats=1 \
        "$corpus" "${seeds[@]}" >"$log" 2>&1; then
        echo "fuzz: $target: $(counted "$log")"
    else
        tail -n 60 "$log"
        echo "fuzz: $target: FAILED; the whole output is in $log"
        return 1
    fi
}

# So many at a time.
jobs=${FUZZ_JOBS:-1}
failed=0
while read -r target folders; do
    if [[ $# -gt 0 && " $* " != *" $target "* ]]; then continue; fi
    if [[ $(jobs -rp | wc -l) -ge $jobs ]]; then wait -n || failed=1; fi
    # shellcheck disable=SC2086
    one "$target" $folders </dev/null &
done <fuzz/targets
while [[ -n $(jobs -p) ]]; do wait -n || failed=1; done
exit "$failed"
}
