//! `cq-status`: what runs, for how long, at what cost. Reads state, changes nothing.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Status>()
}
