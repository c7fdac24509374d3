#!/bin/sh
# Removes the workspaces of completed and failed issues.
case ${1:-} in
    -h|--help) echo "Usage: cleanup-workspace.sh [--all | INSTANCE...]   remove finished workspaces: those past cleanupAfterHours, all, or these"; exit 0 ;;
esac
exec cq-cleanup --format table "$@"
