//! `cq-webhook`: receives GitHub's webhooks. Writes the issues they tell of as records, as they happen.

fn main() -> std::process::ExitCode {
    cq::cli::main::<cq::cli::Webhook>()
}
