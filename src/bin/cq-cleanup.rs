//! `cq-cleanup`: removes workspaces that are done, rescue first. Reads state, writes what it removed.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Cleanup>()
}
