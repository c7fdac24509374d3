//! `cq-run`: the orchestrator: runs the other commands, again and again or once.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Run>()
}
