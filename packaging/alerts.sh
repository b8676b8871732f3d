#!/bin/sh
# Writes the alerts as an agent understands them: agents before 1.43 log an error for every
# summary: line.
#
#   alerts.sh FROM TO [NETDATA]     NETDATA is the agent's program, if there is one
#
# Prints the agent's version, MAJOR.MINOR, or nothing where it cannot be asked.
set -eu

from=$1
to=$2
netdata=${3:-}

version=
if [ -n "$netdata" ] && [ -x "$netdata" ]; then
    version=$("$netdata" -V 2>/dev/null | sed -n 's/^netdata v\{0,1\}\([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
fi
major=${version%%.*}
minor=${version##*.}
if [ -n "$version" ] && { [ "$major" -gt 1 ] || [ "$minor" -ge 43 ]; }; then
    cat "$from" >"$to"
else
    grep -v '^ *summary:' "$from" >"$to"
fi
printf '%s\n' "$version"
