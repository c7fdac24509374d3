#!/bin/sh
# Puts an agent on one issue now, whatever its labels say about readiness.
case ${1:-} in
    ''|-h|--help) echo "Usage: assign-issue.sh ISSUE   claim issue number ISSUE and start an agent on it"; [ -n "${1:-}" ] || exit 2; exit 0 ;;
esac
claimed=$(cq-claim "$1") || exit
if [ -z "$claimed" ]; then
    # Somebody holds it, or no place is free.
    cq-status --explain "$1" >&2
    exit 1
fi
printf '%s\n' "$claimed" | cq-spawn --format table
