#!/bin/sh
# Ends instances and removes their workspaces. What is in them and nowhere else is rescued first.
case ${1:-} in
    ''|-h|--help) echo "Usage: cleanup.sh INSTANCE...   end these instances, however far they are, and remove them"; [ -n "${1:-}" ] || exit 2; exit 0 ;;
esac
exec cq-cleanup --force --format table "$@"
