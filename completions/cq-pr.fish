complete -c cq-pr -l reason -d 'Why a change is taken back, for people and for the agent' -r
complete -c cq-pr -l log -d 'The log that shows it; its end is told' -r -F
complete -c cq-pr -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-pr -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-pr -l repo -d 'The repository on GitHub' -r
complete -c cq-pr -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-pr -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-pr -l sync -d 'Ask GitHub what became of open pull requests, and queue those whose agent has to go on'
complete -c cq-pr -l merge -d 'Merge what people have approved and CI has passed, where merge.enabled says so'
complete -c cq-pr -l revert -d 'Open a pull request that takes the merged change of this one issue back, open the issue again, and queue it. Merge that pull request before an agent starts, which else begins at a base that still has the change'
complete -c cq-pr -l unchecked -d 'Open it even where the checks of its tree have not passed, or could not judge it; the pull request says so'
complete -c cq-pr -l allow-protected -d 'Push although the change touches protected paths, or is larger than the guards let through: your word as a person, noted in the record and told in the pull request. Secrets are never let through by it'
complete -c cq-pr -l dry-run -d 'Say what would be done, and change nothing'
complete -c cq-pr -s q -l quiet -d 'Only errors on stderr'
complete -c cq-pr -s v -l verbose -d 'More on stderr'
complete -c cq-pr -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-pr -s V -l version -d 'Print version'
