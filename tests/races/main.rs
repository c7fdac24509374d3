//! Many commands at once, and commands killed at any moment: afterwards the state is as if they had come one
//! after the other.
//!
//! `CQ_TEST_SEED=N` draws the random moments of an earlier run again.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test starts programs itself, says what it saw, and may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod checkout;
mod claims;
mod deliveries;
mod machines;
mod place;
mod pressure;
mod processes;
mod repository;
mod spawns;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Says aloud that a test could not run here, and why.
fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {reason}\n");
    print!("{line}");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/skipped.txt");
    let file = OpenOptions::new().create(true).append(true).open(list);
    file.and_then(|mut file| file.write_all(line.as_bytes())).unwrap();
}

/// Where random moments come from; the seed is printed, so that a failure can be played again.
fn dice(test: &str) -> fastrand::Rng {
    let seed = std::env::var("CQ_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: CQ_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// How many different ones there are, of what must all be different.
fn assert_different<T: Ord + std::fmt::Debug>(what: &str, all: impl IntoIterator<Item = T>) -> usize {
    let mut seen = BTreeSet::new();
    for one in all {
        let text = format!("{one:?}");
        assert!(seen.insert(one), "{what} {text} was given twice");
    }
    seen.len()
}
