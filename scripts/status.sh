#!/bin/sh
# Shows instances.
case ${1:-} in
    -h|--help) echo "Usage: status.sh [INSTANCE|ISSUE]...   what runs, for how long, at what cost"; exit 0 ;;
esac
exec cq-status --format table "$@"
