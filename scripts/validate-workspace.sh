#!/bin/sh
# Compares workspaces with their records. Changes nothing, and runs nothing that an agent could have planted.
case ${1:-} in
    ''|-h|--help) echo "Usage: validate-workspace.sh INSTANCE...   check folder, worktree, branch and .env of these instances"; [ -n "${1:-}" ] || exit 2; exit 0 ;;
esac
exec cq-doctor "$@"
