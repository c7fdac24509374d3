//! `cq-pr`: pushes and opens the pull request, once. Reads gated records, writes them pr-ready.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Pr>()
}
