//! The sandbox in force: what it protects, what not, and what to do about it.

use super::{Finding, Tell};
use crate::config::Network;
use crate::error::Result;
use crate::sandbox::{Tier, choose};
use crate::session::Session;

/// Tries it.
pub(super) fn look(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let config = &session.loaded.config;
    let network = config.sandbox_access.network;
    tell(match choose(config.sandbox, network, &session.environment) {
        Err(error) => Finding::failed(CHECK, &error),
        Ok(tier) => found(&tier, network),
    })
}

const CHECK: &str = "sandbox";

fn found(tier: &Tier, network: Network) -> Finding {
    let open =
        "an agent can read and write whatever this account can: its keys, other agents' work, cq's own state";
    match tier {
        Tier::Bubblewrap(_) => {
            let network = match network {
                Network::Open => "it reaches the network, this machine's own services included",
                Network::None => "it reaches no network",
            };
            Finding::ok(
                CHECK,
                format!(
                    "bubblewrap: an agent can write its worktree, its branch and a home of its own, and read the \
                     system's programs and the repository's history; {network}; checks run in one, too"
                ),
            )
        }
        Tier::None => Finding::warning(CHECK, format!("none: {open}"), "set sandbox to auto or required"),
        Tier::Broken { why } => Finding::warning(CHECK, format!("none, because {why}: {open}"), Tier::fix()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn each_tier_is_said_in_words() {
        let bubblewrap = Tier::Bubblewrap("/usr/bin/bwrap".into());
        let broken = Tier::Broken { why: "program 'bwrap' is not on PATH, or not executable".to_owned() };
        let cases = [
            (&bubblewrap, Network::Open, Verdict::Ok, "this machine's own services included"),
            (&bubblewrap, Network::None, Verdict::Ok, "it reaches no network"),
            (&Tier::None, Network::Open, Verdict::Warning, "none: an agent can read and write"),
            (&broken, Network::Open, Verdict::Warning, "'bwrap' is not on PATH"),
        ];
        for (tier, network, verdict, words) in cases {
            let finding = found(tier, network);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.what.contains(words), "{finding:?}");
        }
    }
}
