complete -c cq-prepare -l lock-of -d 'Hold the instance by the lock on stdin, together with this process, and no longer than it' -r
complete -c cq-prepare -l agent -d 'The agent profile to use, instead of the one that the labels or the configuration name' -r
complete -c cq-prepare -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-prepare -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-prepare -l repo -d 'The repository on GitHub' -r
complete -c cq-prepare -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-prepare -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-prepare -s q -l quiet -d 'Only errors on stderr'
complete -c cq-prepare -s v -l verbose -d 'More on stderr'
complete -c cq-prepare -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-prepare -s V -l version -d 'Print version'
