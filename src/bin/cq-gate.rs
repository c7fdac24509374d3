//! `cq-gate`: runs the checks on the exact tree. Reads records in testing, writes them with their gates.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Gate>()
}
