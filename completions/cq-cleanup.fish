complete -c cq-cleanup -l restore -d 'Bring back what was rescued of an issue, the latest unless an attempt is named, in a new worktree' -r
complete -c cq-cleanup -l to -d 'Where --restore makes the worktree [default: workspaces/rescue-ISSUE-ATTEMPT]; nothing may be there' -r -F
complete -c cq-cleanup -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-cleanup -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-cleanup -l repo -d 'The repository on GitHub' -r
complete -c cq-cleanup -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'"
complete -c cq-cleanup -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-cleanup -l all -d 'Every finished workspace, however fresh'
complete -c cq-cleanup -l force -d 'Also what still runs: it is ended first'
complete -c cq-cleanup -l list-rescues -d 'Show what was rescued, and remove nothing'
complete -c cq-cleanup -l prune -d 'Remove rescues older than cleanup.rescueDays, or those that are named'
complete -c cq-cleanup -l dry-run -d 'Say what would be done, and do nothing'
complete -c cq-cleanup -s q -l quiet -d 'Only errors on stderr'
complete -c cq-cleanup -s v -l verbose -d 'More on stderr'
complete -c cq-cleanup -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-cleanup -s V -l version -d 'Print version'
