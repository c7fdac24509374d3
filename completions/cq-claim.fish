complete -c cq-claim -l max -d 'Claim at most so many now' -r
complete -c cq-claim -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-claim -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-claim -l repo -d 'The repository on GitHub' -r
complete -c cq-claim -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-claim -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-claim -l retry -d 'Queue these failed issues again, with all their attempts; not one that is closed (77). Where checks were red on the base as well, it is fetched, and the agent told to merge what is new'
complete -c cq-claim -l release -d 'Give up the claim of these queued or failed issues'
complete -c cq-claim -l dry-run -d 'Say what would be claimed, and claim nothing'
complete -c cq-claim -s q -l quiet -d 'Only errors on stderr'
complete -c cq-claim -s v -l verbose -d 'More on stderr'
complete -c cq-claim -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-claim -s V -l version -d 'Print version'
