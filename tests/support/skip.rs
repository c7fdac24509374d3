//! A test that cannot run here says so where it is seen.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// Prints that a test was skipped and why, and notes it in `skipped.txt` of the target folder.
#[expect(clippy::print_stdout, reason = "whoever runs the test should see it")]
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {reason}\n");
    print!("{line}");
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    std::fs::create_dir_all(&target).unwrap();
    let mut file = OpenOptions::new().append(true).create(true).open(target.join("skipped.txt")).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// Whether bubblewrap makes sandboxes here; says aloud that the test is skipped where it does not.
pub(crate) fn bubblewrap_works(test: &str) -> bool {
    let tried = Command::new("bwrap")
        .args(["--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "true"])
        .output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => format!("bubblewrap does not work here: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => format!("bubblewrap cannot be started: {error}"),
    };
    skip(test, &why);
    false
}
