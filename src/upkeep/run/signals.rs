//! SIGTERM and SIGINT: which one came first, how often, and a pipe that wakes whoever waits.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Kind, OrFail, Result};
use crate::process;

/// Signals as they come.
#[derive(Debug)]
pub(super) struct Signals {
    last: Arc<AtomicUsize>,
    wakes: UnixStream,
    count: usize,
}

impl Signals {
    pub(super) fn listen() -> Result<Self> {
        let failed = || "cannot listen for signals";
        let last = Arc::new(AtomicUsize::new(0));
        let (wakes, rings) = UnixStream::pair().or_fail(Kind::Internal, failed)?;
        wakes.set_nonblocking(true).or_fail(Kind::Internal, failed)?;
        let signals = [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT];
        process::note_signals(&signals, &last)?;
        for signal in signals {
            let rings = rings.try_clone().or_fail(Kind::Internal, failed)?;
            signal_hook::low_level::pipe::register(signal, rings).or_fail(Kind::Internal, failed)?;
        }
        Ok(Self { last, wakes, count: 0 })
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

    /// The last one's number; none if none has come.
    pub(super) fn last(&self) -> Option<u8> {
        u8::try_from(self.last.load(Ordering::SeqCst)).ok().filter(|signal| *signal != 0)
    }
}
