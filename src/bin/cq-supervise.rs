//! `cq-supervise`: plumbing: runs one instance to its end and holds its lock. Started by `cq-spawn`.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Supervise>()
}
