complete -c cq-run -l interval -d 'Seconds between two looks at what is due and what is new [default: run.intervalSeconds, else 60]' -r
complete -c cq-run -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-run -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-run -l repo -d 'The repository on GitHub' -r
complete -c cq-run -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-run -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-run -l once -d 'Each pipeline once, in order, for cron; the exit status is the worst of all'
complete -c cq-run -l dry-run -d 'Say what would be run, and run nothing'
complete -c cq-run -s q -l quiet -d 'Only errors on stderr'
complete -c cq-run -s v -l verbose -d 'More on stderr'
complete -c cq-run -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-run -s V -l version -d 'Print version'
