//! `cq-doctor`: says what is wrong and what to do about it. Reads flags, writes findings.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Doctor>()
}
