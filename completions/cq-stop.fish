complete -c cq-stop -l reason -d 'Why, for whoever meets the stop' -r
complete -c cq-stop -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-stop -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-stop -l repo -d 'The repository on GitHub' -r
complete -c cq-stop -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'"
complete -c cq-stop -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-stop -l drain -d 'Start nothing new; running agents finish'
complete -c cq-stop -l abort -d 'Start nothing new, end the running agents, and return when they have; their work stays in their workspaces'
complete -c cq-stop -l thaw -d 'Lift the stop'
complete -c cq-stop -l dry-run -d 'Say what would be stopped, and stop nothing'
complete -c cq-stop -s q -l quiet -d 'Only errors on stderr'
complete -c cq-stop -s v -l verbose -d 'More on stderr'
complete -c cq-stop -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-stop -s V -l version -d 'Print version'
