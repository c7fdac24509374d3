complete -c cq-status -l explain -d 'Say why an issue is not running' -r
complete -c cq-status -l watch -d 'Show it again every so many seconds, until interrupted' -r
complete -c cq-status -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-status -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-status -l repo -d 'The repository on GitHub' -r
complete -c cq-status -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-status -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-status -l conflicts -d 'Show which branches in work would conflict with each other or with the base as it was last fetched, in which files, and the order of merging with the fewest conflicts'
complete -c cq-status -s q -l quiet -d 'Only errors on stderr'
complete -c cq-status -s v -l verbose -d 'More on stderr'
complete -c cq-status -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-status -s V -l version -d 'Print version'
