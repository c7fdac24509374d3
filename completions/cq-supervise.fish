complete -c cq-supervise -l enter -d 'With --launch: enter this control group first' -r -F
complete -c cq-supervise -l arrived -d 'With --launch: say in this file which control groups that are' -r -F
complete -c cq-supervise -l forget -d 'With --launch: keep this variable from the program' -r
complete -c cq-supervise -l agent -d 'The agent profile to use, instead of the one that the labels or the configuration name' -r
complete -c cq-supervise -l launch -d 'Become the leader of a new session, then the program that follows' -r
complete -c cq-supervise -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-supervise -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-supervise -l repo -d 'The repository on GitHub' -r
complete -c cq-supervise -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-supervise -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-supervise -l lock-on-stdin -d 'Take the instance\'s lock over from stdin'
complete -c cq-supervise -l onward -d 'Go on with cq-gate and cq-pr when the agent is done'
complete -c cq-supervise -s q -l quiet -d 'Only errors on stderr'
complete -c cq-supervise -s v -l verbose -d 'More on stderr'
complete -c cq-supervise -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-supervise -s V -l version -d 'Print version'
