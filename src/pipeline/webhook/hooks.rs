//! GitHub's own addresses for webhooks: `hooks` of `GET /meta`, asked for once a day, kept in
//! `.cq/cache/meta.json`. Old ones are better than none, for a week; after that nobody is let in.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Voice;
use super::door::Range;
use crate::clock::{Clock, Timestamp, stamp};
use crate::error::{Error, Kind, OrFail, Result};
use crate::session::Session;
use crate::state::durable;

/// Asked for again after this.
const FRESH: TimeDelta = TimeDelta::hours(24);
/// Not believed after this.
const BELIEVED: TimeDelta = TimeDelta::days(7);
/// A failure is followed by another try after this, then after twice as long, up to [`PATIENT`].
const EAGER: Duration = Duration::from_secs(60);
const PATIENT: Duration = Duration::from_secs(3600);

/// What GitHub said, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    fetched_at: Timestamp,
    hooks: Vec<String>,
}

impl Meta {
    /// Whether it is younger than this; what comes from the future is not.
    fn younger(&self, than: TimeDelta, now: Timestamp) -> bool {
        let age = now - self.fetched_at;
        age < than && age > -TimeDelta::hours(1)
    }
}

/// An answer, and the ranges it names.
type Known = (Meta, Arc<[Range]>);

/// What is known of GitHub's addresses, shared between whoever asks and whoever decides.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks(Arc<RwLock<Option<Known>>>);

impl Hooks {
    /// GitHub's ranges; none where nothing is known that is young enough.
    pub(super) fn at(&self, now: Timestamp) -> Option<Arc<[Range]>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(meta, _)| meta.younger(BELIEVED, now)).map(|(_, ranges)| ranges.clone())
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|(meta, _)| meta.younger(FRESH, now))
    }

    fn learn(&self, meta: Meta) -> Result<()> {
        let ranges: Result<Arc<[Range]>, String> = meta.hooks.iter().map(|text| text.parse()).collect();
        let ranges = ranges.map_err(|why| Error::new(Kind::Unavailable, why))?;
        if ranges.is_empty() {
            return Err(Error::new(Kind::Unavailable, "GitHub names no addresses of its webhooks"));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((meta, ranges));
        Ok(())
    }
}

/// How GitHub is asked.
type Ask = Box<dyn Fn() -> Result<Vec<String>> + Send>;

fn ask(session: &Session) -> Result<Ask> {
    let client = session.github()?;
    let url = client.address("meta", &[])?;
    Ok(Box::new(move || {
        let answer = client.get(&url)?.body;
        let hooks = answer["hooks"].as_array().into_iter().flatten();
        Ok(hooks.filter_map(|range| range.as_str().map(str::to_owned)).collect())
    }))
}

/// Whoever keeps the addresses current.
pub(super) struct Keeper {
    ask: Ask,
    hooks: Hooks,
    path: PathBuf,
    clock: Clock,
    voice: Voice,
}

impl Keeper {
    /// Starts from what is in the cache; one that cannot be understood is none.
    pub(super) fn new(session: &Session, hooks: Hooks, voice: Voice) -> Result<Self> {
        let path = session.state.dir().join("cache/meta.json");
        if let Some(meta) = durable::read(&path)?.and_then(|text| serde_json::from_str(&text).ok())
            && let Err(error) = hooks.learn(meta)
        {
            voice.note(&error.context(format!("in '{}'", path.display())).to_string());
        }
        Ok(Self { ask: ask(session)?, hooks, path, clock: session.clock, voice })
    }

    /// Asks as often as is due, in a thread that ends with the process. The sender hears when it is known whether
    /// GitHub answers at all.
    pub(super) fn keep(self, first: oneshot::Sender<()>) {
        std::thread::spawn(move || {
            let mut first = Some(first);
            let mut pause = EAGER;
            loop {
                let due = !self.hooks.is_fresh(self.clock.now());
                pause = match due.then(|| self.refresh()) {
                    None | Some(Ok(())) => EAGER,
                    Some(Err(error)) => {
                        self.tell(&error, pause);
                        (pause * 2).min(PATIENT)
                    }
                };
                first.take().map(|first| first.send(()));
                std::thread::sleep(pause);
            }
        });
    }

    fn refresh(&self) -> Result<()> {
        let meta = Meta { fetched_at: self.clock.now(), hooks: (self.ask)()? };
        let text =
            serde_json::to_vec_pretty(&meta).or_fail(Kind::Internal, || "cannot write GitHub's addresses")?;
        self.hooks.learn(meta)?;
        self.voice.detail("GitHub's addresses are current");
        if let Err(error) = durable::replace(&self.path, &text) {
            self.voice.note(&error.to_string());
        }
        Ok(())
    }

    fn tell(&self, error: &Error, pause: Duration) {
        let seconds = pause.as_secs();
        let consequence = match self.hooks.0.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some((meta, _)) if meta.younger(BELIEVED, self.clock.now()) => {
                format!(
                    "those of {} are used until {}",
                    stamp(meta.fetched_at),
                    stamp(meta.fetched_at + BELIEVED)
                )
            }
            _ => "every delivery is refused, but for addresses given with --allow".to_owned(),
        };
        self.voice.note(&format!(
            "GitHub's addresses are not to be had: {error}; {consequence}; next try in {seconds} s"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_fresh_for_a_day_and_believed_for_a_week() {
        let hooks = Hooks::default();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert!(hooks.at(at("2026-01-01T00:00:00Z")).is_none());
        hooks
            .learn(Meta { fetched_at: at("2026-01-01T00:00:00Z"), hooks: vec!["10.0.0.0/8".into()] })
            .unwrap();
        let cases = [
            ("2025-12-31T22:59:00Z", false, false),
            ("2025-12-31T23:59:00Z", true, true),
            ("2026-01-01T23:59:59Z", true, true),
            ("2026-01-02T00:00:00Z", false, true),
            ("2026-01-07T23:59:59Z", false, true),
            ("2026-01-08T00:00:00Z", false, false),
        ];
        for (now, fresh, believed) in cases {
            assert_eq!((hooks.is_fresh(at(now)), hooks.at(at(now)).is_some()), (fresh, believed), "{now}");
        }
    }

    #[test]
    fn an_answer_without_addresses_changes_nothing() {
        let hooks = Hooks::default();
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        hooks.learn(Meta { fetched_at: now, hooks: vec!["10.0.0.0/8".into()] }).unwrap();
        for bad in [vec![], vec!["10.0.0.0/8".to_owned(), "nonsense".to_owned()]] {
            assert!(hooks.learn(Meta { fetched_at: now, hooks: bad }).is_err());
            assert_eq!(hooks.at(now).unwrap().len(), 1);
        }
    }
}
