//! `cq-spawn`: starts an agent for each record. Reads claimed records, writes them as they start, or with `--wait` as they end.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Spawn>()
}
