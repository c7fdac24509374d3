complete -c cq-report -l by -d 'Totals and rates of groups, and of all together, instead of issues' -r -f -a "label\t'The issue\'s labels, each'
agent\t'The agent profile of the last run'
model\t'The model of the last run'
week\t'The week of the last change of status'"
complete -c cq-report -l since -d 'Only claims whose status has changed since: a time (2026-01-31T09:30:00Z) or a span (90s, 15m, 2h, 1d)' -r
complete -c cq-report -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-report -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-report -l repo -d 'The repository on GitHub' -r
complete -c cq-report -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-report -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-report -s q -l quiet -d 'Only errors on stderr'
complete -c cq-report -s v -l verbose -d 'More on stderr'
complete -c cq-report -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-report -s V -l version -d 'Print version'
