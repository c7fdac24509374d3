//! Signals that are noted instead of ending the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::flag::register_usize;

use crate::error::{Kind, OrFail, Result};

/// What has come of some signals.
#[derive(Debug, Default)]
pub struct Signals {
    interrupt: Arc<AtomicUsize>,
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// From now on these signals end nobody.
    pub fn note(signals: &[i32]) -> Result<Self> {
        let noted = Self::default();
        for signal in signals {
            // Apart from the others: whatever closes the terminal after a Ctrl-C must not hide it.
            let place = if *signal == SIGINT { &noted.interrupt } else { &noted.last };
            let number = usize::try_from(*signal).unwrap_or_default();
            register_usize(*signal, Arc::clone(place), number)
                .or_fail(Kind::Internal, || "cannot listen for signals")?;
        }
        Ok(noted)
    }

    /// The number of the one that counts, none if none has come: SIGINT, which is a person's wish, whatever came before or
    /// after it; else the last one.
    pub fn told(&self) -> Option<u8> {
        let came = [&self.interrupt, &self.last].map(|place| place.load(Ordering::SeqCst));
        came.into_iter().find(|signal| *signal != 0).and_then(|signal| u8::try_from(signal).ok())
    }

    /// Whether SIGINT has come.
    pub fn interrupted(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst) != 0
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::consts::{SIGHUP, SIGTERM};
    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn a_ctrl_c_counts_whatever_comes_with_it() {
        let table: [(&[i32], Option<i32>); 6] = [
            (&[], None),
            (&[SIGINT], Some(SIGINT)),
            (&[SIGINT, SIGTERM, SIGHUP], Some(SIGINT)),
            (&[SIGHUP, SIGINT], Some(SIGINT)),
            (&[SIGTERM], Some(SIGTERM)),
            (&[SIGTERM, SIGHUP], Some(SIGHUP)),
        ];
        for (come, expected) in table {
            let signals = Signals::note(&[SIGINT, SIGTERM, SIGHUP]).unwrap();
            for signal in come {
                raise(*signal).unwrap();
            }
            assert_eq!(signals.told().map(i32::from), expected, "{come:?}");
            assert_eq!(signals.interrupted(), expected == Some(SIGINT), "{come:?}");
        }
    }
}
