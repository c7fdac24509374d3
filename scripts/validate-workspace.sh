#!/bin/sh
# Compares a workspace with its record. Changes nothing, and runs nothing that an agent could have planted.
case ${1:-} in
    ''|-h|--help) echo "Usage: validate-workspace.sh INSTANCE...   check folder, worktree, branch and .env of these instances"; [ -n "${1:-}" ] || exit 2; exit 0 ;;
esac

wrong=0
good() { echo "ok     $instance: $*"; }
bad() { echo "WRONG  $instance: $*"; wrong=1; }
value() { printf '%s\n' "$record" | sed -n 's/.*[{,]"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'; }

for instance in "$@"; do
    record=$(cq-status --format jsonl "$instance" 2>/dev/null | tail -n 1)
    [ -n "$record" ] || { bad "has no record: cq-status shows the instances"; continue; }
    workspace=$(value workspace) git_dir=$(value git_dir) branch=$(value branch)
    [ -n "$workspace" ] || { good "has no workspace now (issue #$(value number))"; continue; }
    if [ ! -d "$workspace" ] || [ -L "$workspace" ]; then
        bad "the folder $workspace is missing, or a link"
        continue
    fi
    good "folder $workspace"

    pointer=$(find "$workspace" -mindepth 2 -maxdepth 2 -name .git -type f)
    if [ -n "$git_dir" ] && [ "$(cat "${pointer:-/dev/null}")" = "gitdir: $git_dir" ]; then
        good "worktree ${pointer%/.git}"
    else
        bad "the worktree does not point to $git_dir"
    fi
    if [ "$(cat "$git_dir/HEAD" 2>/dev/null)" = "ref: refs/heads/$branch" ]; then
        good "branch $branch"
    else
        bad "the worktree is not on the branch $branch"
    fi
    if head=$(git --git-dir="${git_dir%/worktrees/*}" rev-parse --verify --quiet "refs/heads/$branch"); then
        good "commit $head"
    else
        bad "the branch $branch is gone from the repository"
    fi
    mode=$(find "$workspace/.env" -maxdepth 0 -type f -perm 600 2>/dev/null)
    if [ -n "$mode" ]; then good ".env is readable by its owner only"; else bad ".env is missing, or its mode is not 0600"; fi
done
exit "$wrong"
