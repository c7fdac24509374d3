//! `cq-fetch`: lists the issues that may be worked on, best first. Reads GitHub or a file, writes records.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Fetch>()
}
