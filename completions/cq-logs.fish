complete -c cq-logs -l since -d 'Only what is younger: a time (2026-01-31T09:30:00Z) or a span (90s, 15m, 2h, 1d)' -r
complete -c cq-logs -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-logs -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-logs -l repo -d 'The repository on GitHub' -r
complete -c cq-logs -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-logs -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-logs -s f -l follow -d 'Go on as the logs grow, until interrupted'
complete -c cq-logs -l raw -d 'The agents\' own output, unrendered and unredacted'
complete -c cq-logs -s q -l quiet -d 'Only errors on stderr'
complete -c cq-logs -s v -l verbose -d 'More on stderr'
complete -c cq-logs -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-logs -s V -l version -d 'Print version'
