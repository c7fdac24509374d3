complete -c cq-init -l base -d 'The branch that work starts from [default: what origin/HEAD says, else main]' -r
complete -c cq-init -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-init -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-init -l repo -d 'The repository on GitHub' -r
complete -c cq-init -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-init -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-init -l labels -d 'Also make the labels on GitHub: claude-ready, claude-in-progress, claude-blocked'
complete -c cq-init -l dry-run -d 'Say what would be made, and make nothing'
complete -c cq-init -s q -l quiet -d 'Only errors on stderr'
complete -c cq-init -s v -l verbose -d 'More on stderr'
complete -c cq-init -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-init -s V -l version -d 'Print version'
