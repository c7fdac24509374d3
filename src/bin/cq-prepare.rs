//! `cq-prepare`: plumbing: makes the workspace of one instance. Started by `cq-supervise`.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Prepare>()
}
