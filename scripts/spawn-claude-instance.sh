#!/bin/sh
# Creates the workspace of an issue and starts its agent there.
case ${1:-} in
    ''|-h|--help) echo "Usage: spawn-claude-instance.sh ISSUE WORKSPACE   start ISSUE in WORKSPACE, such as claude-instance-1"; [ -n "${1:-}" ] || exit 2; exit 0 ;;
esac
[ $# -eq 2 ] || { echo "spawn-claude-instance.sh: expected an issue and a workspace" >&2; exit 2; }
instance_of() { sed -n 's/.*"instance":"\([^"]*\)".*/\1/p'; }

instance=$(cq-status --format jsonl "$1" 2>/dev/null | instance_of)
if [ -z "$instance" ]; then
    # cq-claim gives the lowest number that is free; another one cannot be asked for.
    instance=$(cq-claim "$1" | instance_of)
    [ -n "$instance" ] || { cq-status --explain "$1" >&2; exit 1; }
    if [ "$instance" != "$2" ]; then
        cq-claim --release "$1" >/dev/null
        echo "spawn-claude-instance.sh: issue #$1 would get $instance, not $2: name that one, or free $2 first" >&2
        exit 1
    fi
elif [ "$instance" != "$2" ]; then
    echo "spawn-claude-instance.sh: issue #$1 belongs to $instance, not to $2" >&2
    exit 1
fi
cq-spawn --format table "$1"
