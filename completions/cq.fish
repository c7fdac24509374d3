complete -c cq -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq -l repo -d 'The repository on GitHub' -r
complete -c cq -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq -l list -d 'List the commands'
complete -c cq -s q -l quiet -d 'Only errors on stderr'
complete -c cq -s v -l verbose -d 'More on stderr'
complete -c cq -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq -s V -l version -d 'Print version'
