//! `cq-lab`: the rehearsal: a GitHub on this machine, and an agent that follows a script.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Lab>()
}
