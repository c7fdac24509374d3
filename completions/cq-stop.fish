complete -c cq-stop -l reason -d 'Why, for whoever meets the stop' -r
complete -c cq-stop -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-stop -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-stop -l repo -d 'The repository on GitHub' -r
complete -c cq-stop -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-stop -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-stop -l freeze -d 'Start nothing new, and let no running agent move: their claims are kept, and the time does not count for their timeouts. A check that runs goes on to its end'
complete -c cq-stop -l thaw -d 'Lift any stop: frozen agents go on where they were'
complete -c cq-stop -l drain -d 'Start nothing new; running agents finish'
complete -c cq-stop -l abort -d 'Start nothing new and end the running agents; what they did goes to refs/cq/rescue/ISSUE/ATTEMPT, their workspaces go, their claims are released, and a comment on each issue says so'
complete -c cq-stop -l status -d 'Say what is in force: a stop, or a rest after a usage limit'
complete -c cq-stop -l no-comment -d 'With --abort: no comments'
complete -c cq-stop -l dry-run -d 'Say what would be stopped, and stop nothing'
complete -c cq-stop -s q -l quiet -d 'Only errors on stderr'
complete -c cq-stop -s v -l verbose -d 'More on stderr'
complete -c cq-stop -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-stop -s V -l version -d 'Print version'
