//! `cq`: `cq NAME` runs `cq-NAME`, here or on PATH.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Umbrella>()
}
