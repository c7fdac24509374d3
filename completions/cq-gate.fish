complete -c cq-gate -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-gate -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-gate -l repo -d 'The repository on GitHub' -r
complete -c cq-gate -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-gate -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-gate -l again -d 'Check again, even a tree that has a verdict; the base, too, and without caches'
complete -c cq-gate -l dry-run -d 'Say what would be checked, and check nothing'
complete -c cq-gate -s q -l quiet -d 'Only errors on stderr'
complete -c cq-gate -s v -l verbose -d 'More on stderr'
complete -c cq-gate -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-gate -s V -l version -d 'Print version'
