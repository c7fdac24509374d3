//! `cq-token`: prints the GitHub token that cq works with, or answers git. Reads git's question, writes the token.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Token>()
}
