//! SIGTERM and SIGINT: which one counts, how often they came, and a pipe that wakes whoever waits.

use std::io::Read as _;
use std::os::unix::net::UnixStream;

use crate::error::{Kind, OrFail, Result};
use crate::process;

/// Signals as they come.
#[derive(Debug)]
pub(super) struct Signals {
    noted: process::Signals,
    wakes: UnixStream,
    count: usize,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let failed = || "cannot listen for signals";
        let (wakes, rings) = UnixStream::pair().or_fail(Kind::Internal, failed)?;
        wakes.set_nonblocking(true).or_fail(Kind::Internal, failed)?;
        let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
        let noted = process::Signals::note(&signals)?;
        for signal in signals {
            let rings = rings.try_clone().or_fail(Kind::Internal, failed)?;
            signal_hook::low_level::pipe::register(signal, rings).or_fail(Kind::Internal, failed)?;
        }
        Ok(Self { noted, wakes, count: 0 })
    }

    /// Readable when a signal has come.
    pub(super) fn wakes(&self) -> &UnixStream {
        &self.wakes
    }

    /// How many have come so far.
    pub(super) fn count(&mut self) -> usize {
        let mut bytes = [0; 16];
        while let Ok(length @ 1..) = self.wakes.read(&mut bytes) {
            self.count += length;
        }
        self.count
    }

    /// The number of the one that [counts](process::Signals::told).
    pub(super) fn told(&self) -> Option<u8> {
        self.noted.told()
    }
}
