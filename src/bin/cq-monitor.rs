//! `cq-monitor`: one tick: buries the dead, writes the records that are due for an agent.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Monitor>()
}
