complete -c cq-token -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-token -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-token -l repo -d 'The repository on GitHub' -r
complete -c cq-token -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-token -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-token -l plain -d 'Only the token, also on a terminal'
complete -c cq-token -l revoke -d 'Make the App\'s token that is kept worthless, and forget it'
complete -c cq-token -s q -l quiet -d 'Only errors on stderr'
complete -c cq-token -s v -l verbose -d 'More on stderr'
complete -c cq-token -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-token -s V -l version -d 'Print version'
