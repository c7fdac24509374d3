//! The part of the doctor that looks at the limits of agents: who would see to them here, and whether the machine has
//! room for one more.

use super::{Finding, Tell};
use crate::error::Result;
use crate::limits::{self, Examined, admission};
use crate::session::Session;

const FIX: &str = "run cq where it may make control groups: as root, in a login with a service manager \
                   (loginctl enable-linger), or in a service with Delegate=yes and DelegateSubgroup=main";

/// Tries what a supervisor would do, with a process, and takes it back.
pub(super) fn look(session: &Session, tell: &mut Tell<'_>) -> Result<()> {
    let config = &session.loaded.config.limits;
    let probe = limits::examine(session.state.dir(), config, &session.environment);
    tell(match probe {
        // Its own hint is to look here.
        Err(error) => Finding::error("limits", error.to_string(), FIX),
        Ok(examined) => mechanism(&examined),
    })?;
    let readings = limits::take_readings(&session.loaded.workspaces(&session.environment)?);
    room(&readings, config).into_iter().try_for_each(tell)
}

fn mechanism(examined: &Examined) -> Finding {
    let check = "limits";
    let Examined { told, is_kernels, chosen, lacking } = examined;
    match lacking {
        None if *is_kernels || *chosen => Finding::ok(check, told),
        _ => Finding::warning(check, told, FIX),
    }
}

fn room(readings: &admission::Readings, config: &crate::config::Limits) -> Vec<Finding> {
    let check = "limits.room";
    let mut findings: Vec<Finding> = readings
        .unknown()
        .into_iter()
        .map(|what| {
            Finding::warning(
                check,
                format!("{what} cannot be read, and is not looked at"),
                "mount /proc and /sys",
            )
        })
        .collect();
    findings.push(match admission::decide(readings, config, 0) {
        Ok(()) => Finding::ok(check, "there is room for an agent"),
        Err(refusal) => {
            let fix = format!("make room, or change {}", refusal.key());
            Finding::warning(check, format!("no agent is started now: {refusal}"), fix)
        }
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::config::Limits;
    use crate::limits::admission::Readings;

    #[test]
    fn a_watchdog_is_less_than_the_kernel_unless_it_was_chosen() {
        let cases = [
            (true, false, None, Verdict::Ok),
            (false, true, None, Verdict::Ok),
            (false, false, None, Verdict::Warning),
            (true, true, Some("limits.cpus is not in force"), Verdict::Warning),
        ];
        for (is_kernels, chosen, lacking, verdict) in cases {
            let lacking = lacking.map(str::to_owned);
            let found = mechanism(&Examined { told: "t".to_owned(), is_kernels, chosen, lacking });
            assert_eq!(found.verdict, verdict);
            assert_eq!(found.fix.is_some(), verdict != Verdict::Ok);
        }
    }

    #[test]
    fn a_full_machine_and_an_unknown_one_are_told() {
        let config = Limits::default();
        let roomy =
            Readings { memory_bytes: Some(1 << 40), disk_bytes: Some(1 << 40), load_per_cpu: Some(0.0) };
        let verdicts = |readings| -> Vec<Verdict> {
            room(&readings, &config).into_iter().map(|found| found.verdict).collect()
        };
        assert_eq!(verdicts(roomy), [Verdict::Ok]);
        assert_eq!(verdicts(Readings { disk_bytes: Some(0), ..roomy }), [Verdict::Warning]);
        assert_eq!(verdicts(Readings { disk_bytes: None, ..roomy }), [Verdict::Warning, Verdict::Ok]);
    }
}
