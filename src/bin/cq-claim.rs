//! `cq-claim`: one winner per issue. Reads records, writes those it claimed (queued).

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Claim>()
}
