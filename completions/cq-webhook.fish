complete -c cq-webhook -l listen -d 'The address to listen on; port 0 takes a free one [default: webhook.listen, else 127.0.0.1:8477]' -r
complete -c cq-webhook -l path -d 'The only path that is answered [default: webhook.path, else /webhook]' -r
complete -c cq-webhook -l allow -d 'Let these addresses in besides GitHub\'s own' -r
complete -c cq-webhook -l trusted-proxy -d 'Believe these addresses when they say in X-Forwarded-For for whom they speak' -r
complete -c cq-webhook -l exit-after -d 'End after N records were written' -r
complete -c cq-webhook -l ready-file -d 'Written once it listens and knows GitHub\'s addresses, or that they are not to be had: its address and process id (JSON)' -r -F
complete -c cq-webhook -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-webhook -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-webhook -l repo -d 'The repository on GitHub' -r
complete -c cq-webhook -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-webhook -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-webhook -l public -d 'Listen on an address that other machines can reach; there is no TLS'
complete -c cq-webhook -l allow-any -d 'Let every address in: only the signature counts'
complete -c cq-webhook -l all -d 'Write the ineligible too, each with its reasons'
complete -c cq-webhook -s q -l quiet -d 'Only errors on stderr'
complete -c cq-webhook -s v -l verbose -d 'More on stderr'
complete -c cq-webhook -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-webhook -s V -l version -d 'Print version'
