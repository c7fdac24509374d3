//! How much of what an agent says the log takes: an agent gone mad must not fill the disk twice.

use std::time::Duration;

/// So much at once: more than anybody reads.
const MOST: u64 = 8 << 20;
/// So much more a second.
const BYTES_PER_SECOND: u64 = 8 << 10;
/// Once it is used up, so much is gathered first: no note for every line.
const ENOUGH: u64 = 64 << 10;

/// What is left of a log's ration, and what was left out for it.
#[derive(Debug)]
pub(super) struct Ration {
    left: u64,
    /// When that was so, since the machine was started.
    at: Duration,
    /// Lines and bytes since the last that was told.
    lines: u64,
    bytes: u64,
}

impl Ration {
    pub(super) fn new(now: Duration) -> Self {
        Self { left: MOST, at: now, lines: 0, bytes: 0 }
    }

    /// Whether the log takes an entry of so many bytes.
    pub(super) fn takes(&mut self, bytes: usize, now: Duration) -> bool {
        let bytes = bytes as u64;
        let since = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = since.saturating_mul(BYTES_PER_SECOND) / 1000;
        // Less than a byte is waited for.
        if more > 0 {
            (self.left, self.at) = (self.left.saturating_add(more).min(MOST), now);
        }
        let needed = if self.lines > 0 { bytes.max(ENOUGH) } else { bytes };
        if needed > self.left {
            self.lines += 1;
            self.bytes += bytes;
            return false;
        }
        self.left -= bytes;
        true
    }

    /// What was left out since it was last asked.
    pub(super) fn left_out(&mut self) -> Option<String> {
        let (lines, bytes) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.bytes));
        (lines > 0).then(|| {
            format!(
                "({lines} entries, {} KB, are left out here: only the raw output has them)",
                bytes.div_ceil(1000)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_left_out_and_counted_and_what_trickles_is_told() {
        let at = Duration::from_secs;
        let mut ration = Ration::new(at(5));
        let line = 1 << 10;
        let told = (0..100_000).filter(|_| ration.takes(line, at(5))).count();
        assert_eq!(told, usize::try_from(MOST).unwrap() / line);
        assert!(!ration.takes(line, at(6)), "not yet");
        assert!(ration.takes(line, at(5 + 8)), "enough has gathered");
        let said = "(91809 entries, 94013 KB, are left out here: only the raw output has them)";
        assert_eq!(ration.left_out().as_deref(), Some(said));
        assert_eq!(ration.left_out(), None);
        let trickle = (0..1000).filter(|second| ration.takes(line, at(14 + second))).count();
        assert_eq!(trickle, 1000);
        let told: usize =
            (0..3600).map(|second| (0..100).filter(|_| ration.takes(line, at(2000 + second))).count()).sum();
        assert!(told * line < (MOST + 3601 * BYTES_PER_SECOND).try_into().unwrap(), "{told}");
    }
}
