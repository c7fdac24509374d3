complete -c cq-fetch -l from -d 'Read issues from FILE (`-`: stdin) instead of GitHub; whoever runs the command vouches for their text' -r
complete -c cq-fetch -l label -d 'An issue needs at least one of these labels (replaces github.labels)' -r
complete -c cq-fetch -l exclude-label -d 'Leave issues with this label alone (replaces github.excludeLabels)' -r
complete -c cq-fetch -l limit -d 'At most so many' -r
complete -c cq-fetch -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-fetch -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-fetch -l repo -d 'The repository on GitHub' -r
complete -c cq-fetch -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-fetch -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-fetch -l all -d 'Show the ineligible too, each with its reasons'
complete -c cq-fetch -s q -l quiet -d 'Only errors on stderr'
complete -c cq-fetch -s v -l verbose -d 'More on stderr'
complete -c cq-fetch -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-fetch -s V -l version -d 'Print version'
