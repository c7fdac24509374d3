//! `cq-stop`: stops everything, or lets it go on: one file that every command honours.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Stop>()
}
