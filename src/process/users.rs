//! Who uses a folder: is in it, or writes a file in it.

use std::path::{Path, PathBuf};

use super::table::pids;

/// `O_WRONLY` and `O_RDWR`, as `/proc/PID/fdinfo` shows a file's flags.
const WRITES: u32 = 0o3;

/// A process that uses a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub pid: u32,
    /// What its program is called.
    pub name: String,
    /// In a few words.
    pub how: &'static str,
}

/// The living processes, this one excepted, whose working directory or root is in a folder, or that write a file in it.
/// Those of other users are not seen unless this one may look at them.
pub fn using(folder: &Path) -> Vec<User> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let me = std::process::id();
    let user = |pid: u32| {
        let how = how(pid, &folder)?;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(User { pid, name: name.trim_end().to_owned(), how })
    };
    pids().into_iter().flatten().filter(|pid| *pid != me).filter_map(user).collect()
}

fn how(pid: u32, folder: &Path) -> Option<&'static str> {
    let leads = |what: &str| -> Option<PathBuf> { std::fs::read_link(format!("/proc/{pid}/{what}")).ok() };
    let inside = |what: &str| leads(what).is_some_and(|path| path.starts_with(folder));
    if inside("cwd") || inside("root") {
        return Some("works in it");
    }
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut numbers = files.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let writes = |number: &String| inside(&format!("fd/{number}")) && is_written(pid, number);
    numbers.any(|number| writes(&number)).then_some("writes a file in it")
}

fn is_written(pid: u32, number: &str) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & WRITES != 0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::{Program, signal_all};

    #[test]
    fn who_is_in_a_folder_or_writes_there_is_named_and_a_reader_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::File::create(inner.join("read")).unwrap();
        let sh =
            |dir: &Path, script: &str| Program::new("/bin/sh", dir).args(["-c", script]).start().unwrap();
        let inside = sh(&inner, "exec sleep 60");
        let reader = sh(Path::new("/"), &format!("exec sleep 60 < '{}'", inner.join("read").display()));
        let writer = sh(Path::new("/"), &format!("exec sleep 60 > '{}'", inner.join("written").display()));
        let began = Instant::now();
        let found = loop {
            let found = using(&inner);
            // Until the shells have become what they will be.
            let ready = found.len() == 2 && found.iter().all(|user| user.name == "sleep");
            if ready || began.elapsed() > Duration::from_secs(20) {
                break found;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let how = |running: &crate::process::Running| {
            found.iter().find(|user| Some(user.pid) == running.pid()).map(|user| user.how)
        };
        assert_eq!((how(&inside), how(&reader)), (Some("works in it"), None));
        assert_eq!(how(&writer), Some("writes a file in it"));
        assert!(using(&folder.path().join("none")).is_empty());
        let pids: Vec<u32> = [&inside, &reader, &writer].iter().filter_map(|running| running.pid()).collect();
        signal_all(&pids, rustix::process::Signal::KILL);
        for running in [inside, reader, writer] {
            assert!(running.wait(Duration::from_secs(20)).unwrap().is_some());
        }
    }
}
