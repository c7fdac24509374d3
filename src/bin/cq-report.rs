//! `cq-report`: what became of the issues: attempts, times, checks and costs, one by one or in groups. Reads the state's
//! past, changes nothing.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Report>()
}
