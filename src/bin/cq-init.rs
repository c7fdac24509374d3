//! `cq-init`: makes the configuration, the state directory and the templates. Reads flags, writes what it made.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Init>()
}
