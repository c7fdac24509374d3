#!/bin/sh
# Ends every agent, removes every workspace, and lets nothing start until `cq-stop --thaw`. Unpushed work is
# kept under refs/cq/rescue/.
case ${1:-} in
    -h|--help) echo "Usage: emergency-cleanup.sh   stop everything and remove everything; cq-stop --thaw goes on"; exit 0 ;;
    '') ;;
    *) echo "emergency-cleanup.sh: takes no arguments" >&2; exit 2 ;;
esac
cq-stop --abort --reason 'emergency-cleanup.sh' --format table
exec cq-cleanup --all --force --format table
