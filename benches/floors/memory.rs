//! What a supervisor keeps resident: while its agent says little, and while it floods.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Bench, time, wait_for};

const MOST_KIB: u64 = 4096;
const FLOOD_BYTES: usize = 1 << 30;
const QUIET: Duration = Duration::from_secs(4);

/// The agent of this measurement: a word, a pause, a flood, and a note at each of them.
pub(super) fn be_quiet_then_flood(note: &Path) {
    let line = |text: &str| {
        let content = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#);
        format!("{{\"type\":\"assistant\",\"message\":{content}}}\n")
    };
    let mut out = std::io::stdout().lock();
    out.write_all(line("I begin.").as_bytes()).unwrap();
    super::note_the_time(note);
    std::thread::sleep(QUIET);
    let many = line(&"x".repeat(900)).repeat(64);
    for _ in 0..FLOOD_BYTES / many.len() {
        out.write_all(many.as_bytes()).unwrap();
    }
}

/// VmRSS of a process, in KiB; none once it has ended.
fn resident(pid: u64) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
}

impl Bench {
    /// In the clone that the measurement of cq-spawn has made.
    pub(super) fn memory(&mut self) {
        let (clone, note) = (self.base.join("clone"), self.base.join("notes/flood"));
        let file = clone.join("orchestrator-config.json");
        let config = fs::read_to_string(&file).unwrap();
        let config = config.replace("note-the-time", "be-quiet-then-flood");
        let config = config.replace("notes/note", "notes/flood");
        fs::write(&file, config.replace("]}}", "],\"parser\":\"claude\"}}")).unwrap();
        fs::write(clone.join("one.json"), r#"[{"number":1001,"title":"A flood"}]"#).unwrap();
        let fetched =
            self.cq("cq-fetch", &clone).args(["--from", "one.json"]).stdout(Stdio::piped()).output();
        fs::write(clone.join("one.jsonl"), fetched.unwrap().stdout).unwrap();
        time(self.cq("cq-claim", &clone).stdin(File::open(clone.join("one.jsonl")).unwrap()));
        time(self.cq("cq-spawn", &clone).arg("1001"));
        wait_for(&note.with_extension("1001"));
        let record = fs::read_to_string(clone.join(".cq/records/1001.json")).unwrap();
        let supervisor = record.split("\"supervisor\"").nth(1).unwrap().split("\"pid\": ").nth(1).unwrap();
        let pid = supervisor.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        let began = Instant::now();
        let (mut quiet, mut flood) = (0, 0);
        while let Some(now) = resident(pid) {
            let most = if began.elapsed() < QUIET { &mut quiet } else { &mut flood };
            *most = now.max(*most);
            assert!(began.elapsed() < Duration::from_secs(300), "the flood does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = record.split("\"log\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let log = fs::read_to_string(log).unwrap();
        assert!(log.contains("are left out here"), "the flood was not followed: {}", log.len());
        for (what, most) in [("a quiet agent", quiet), ("a flood of 1 GB", flood)] {
            let holds = (1..=MOST_KIB).contains(&most);
            let measured = format!("{most} KiB (log {} KiB)", log.len() >> 10);
            self.row(&format!("resident memory of a supervisor, {what}"), measured, "≤ 4096 KiB", holds);
        }
    }
}
