# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cq_lab_global_optspecs
    string join \n config= state-dir= repo= format= q/quiet v/verbose max-wait= h/help V/version
end

function __fish_cq_lab_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cq_lab_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cq_lab_using_subcommand
    set -l cmd (__fish_cq_lab_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cq-lab -n "__fish_cq_lab_needs_command" -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-lab -n "__fish_cq_lab_needs_command" -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-lab -n "__fish_cq_lab_needs_command" -l repo -d 'The repository on GitHub' -r
complete -c cq-lab -n "__fish_cq_lab_needs_command" -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-lab -n "__fish_cq_lab_needs_command" -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-lab -n "__fish_cq_lab_needs_command" -s q -l quiet -d 'Only errors on stderr'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -s v -l verbose -d 'More on stderr'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -s V -l version -d 'Print version'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -f -a "serve" -d 'Be a GitHub: its REST API and its git server, on a loopback address, until SIGTERM or SIGINT'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -f -a "agent" -d 'Be an agent: read a prompt, follow a script, speak stream-json'
complete -c cq-lab -n "__fish_cq_lab_needs_command" -f -a "messages" -d 'Be the model of a real agent: the Messages API, on a loopback address, until SIGTERM or SIGINT'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l seed -d 'What the GitHub holds at the start (JSON)' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l listen -d 'The loopback address to listen on; port 0 takes a free one' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l token -d 'The only token that is let in' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l ready-file -d 'Written once the server listens: its addresses, token and process id (JSON)' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l delay-ms -d 'Wait this long before each answer of the API' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l git-root -d 'Where the bare repositories are made [default: a temporary folder, removed at the end]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l repo -d 'The repository on GitHub' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -s q -l quiet -d 'Only errors on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -s v -l verbose -d 'More on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l script -d 'What to do, by issue and attempt (JSON) [default: one line in one file, committed]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l repo -d 'The repository on GitHub' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -s q -l quiet -d 'Only errors on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -s v -l verbose -d 'More on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand agent" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l script -d 'What to answer, by issue, attempt and turn (JSON) [default: a file is written and committed]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l listen -d 'The loopback address to listen on; port 0 takes a free one' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l key -d 'The only key that is let in [default: any]' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l ready-file -d 'Written once the server listens: its address and process id (JSON)' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l config -d 'The configuration file [default: orchestrator-config.json here or in a folder above]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l state-dir -d 'The state directory [default: .cq beside the configuration]' -r -F
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l repo -d 'The repository on GitHub' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l format -d 'How stdout is written [default: a table on a terminal, JSON Lines in a pipe]' -r -f -a "table\t'For people'
jsonl\t'One JSON object a line, as soon as it is known'
json\t'One JSON array, at the end'
csv\t'The table\'s columns, comma-separated, for spreadsheets'"
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -l max-wait -d 'Wait at most so long for GitHub\'s limits, then end with 75 [default: github.maxWaitSeconds]' -r
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -s q -l quiet -d 'Only errors on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -s v -l verbose -d 'More on stderr'
complete -c cq-lab -n "__fish_cq_lab_using_subcommand messages" -s h -l help -d 'Print help (see more with \'--help\')'
