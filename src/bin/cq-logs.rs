//! `cq-logs`: all instances' logs, merged by time. Reads logs, changes nothing.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Logs>()
}
