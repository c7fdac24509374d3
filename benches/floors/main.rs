//! The ratios that must hold, each against the named thing in the same run on the same machine.
//!
//! `scripts/bench` builds what is measured and runs this. It needs only the standard library, so that it can also
//! be compiled by itself. `CQ_BENCH_BIN` names the folder of the binaries. Every round works in a folder that is
//! new: some file systems are slow where much was just deleted.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark starts programs itself, writes plain files, and may panic"
)]

mod fetch;
mod large;
mod memory;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One line of the table.
struct Row {
    what: String,
    measured: String,
    target: String,
    holds: bool,
}

struct Bench {
    bin: PathBuf,
    base: PathBuf,
    rows: Vec<Row>,
    has_sqlite: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, file] = arguments.as_slice()
        && role == "note-the-time"
    {
        return note_the_time(Path::new(file));
    }
    if let [_, role, file] = arguments.as_slice()
        && role == "be-quiet-then-flood"
    {
        return memory::be_quiet_then_flood(Path::new(file));
    }
    let built = option_env!("CARGO_BIN_EXE_cq").and_then(|file| Path::new(file).parent().map(Path::to_owned));
    let Some(bin) = std::env::var_os("CQ_BENCH_BIN").map(PathBuf::from).or(built) else {
        eprintln!("floors: CQ_BENCH_BIN must name the folder of the binaries; scripts/bench does that");
        return;
    };
    let base = std::env::temp_dir().join(format!("cq-bench-{}", std::process::id()));
    fs::create_dir_all(&base).unwrap();
    let has_sqlite = Command::new("sqlite3").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has_sqlite {
        println!("SKIPPED: the comparisons with sqlite3: it is not installed");
    }
    let mut bench = Bench { bin, base: base.clone(), rows: Vec::new(), has_sqlite };
    let only = std::env::var("CQ_BENCH_ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only == name;
    if wanted("start-up") {
        bench.start_up();
    }
    if wanted("claims") {
        bench.one_claim();
        bench.many_claims();
    }
    if wanted("status") {
        bench.status();
    }
    if wanted("spawn") {
        bench.spawn();
        bench.memory();
    }
    if wanted("large") {
        bench.large();
    }
    if wanted("fetch") {
        bench.fetch();
    }
    bench.print();
    let _ = fs::remove_dir_all(base);
}

/// The agent of the spawn measurement: it says when it was started.
fn note_the_time(file: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    fs::write(file.with_extension(std::env::var("CQ_ISSUE").unwrap()), now.to_string()).unwrap();
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// Runs a command and says how long it took.
fn time(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.status().expect("cannot run a command");
    let took = started.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

impl Bench {
    fn row(&mut self, what: &str, measured: String, target: &str, holds: bool) {
        self.rows.push(Row { what: what.to_owned(), measured, target: target.to_owned(), holds });
    }

    fn print(&self) {
        println!("{:<62} {:<46} {:<22} result", "what", "measured", "target");
        for Row { what, measured, target, holds } in &self.rows {
            println!(
                "{what:<62} {measured:<46} {target:<22} {}",
                if *holds { "holds" } else { "DOES NOT HOLD" }
            );
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.base.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A command of cq in a folder, with nothing of the caller's environment but PATH.
    fn cq(&self, name: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", &self.base).arg("--quiet").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    // --- start-up ----------------------------------------------------------------------------------------

    fn start_up(&mut self) {
        let folder = self.folder("empty");
        fs::write(folder.join("empty.rs"), "fn main() {}\n").unwrap();
        let mut rustc = Command::new("rustc");
        rustc.current_dir(&folder).args(["-O", "-C", "panic=abort", "-C", "strip=symbols", "empty.rs"]);
        if cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
            rustc.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static"]);
        }
        time(&mut rustc);
        let mut names: Vec<String> = fs::read_dir(&self.bin)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| (name == "cq" || name.starts_with("cq-")) && !name.contains('.'))
            .collect();
        names.sort();
        let mut programs = vec![folder.join("empty")];
        programs.extend(names.iter().map(|name| self.bin.join(name)));
        let mut times = vec![Vec::new(); programs.len()];
        for _ in 0..101 {
            for (program, times) in programs.iter().zip(&mut times) {
                times.push(time(Command::new(program).arg("--version").stdout(Stdio::null())));
            }
        }
        let mut medians: Vec<Duration> = times.iter_mut().map(|times| median(times)).collect();
        let empty = medians.remove(0);
        for (name, own) in names.iter().zip(medians) {
            let ratio = ratio(own, empty);
            let measured = format!("{:.2} × ({:.2} ms against {:.2} ms)", ratio, ms(own), ms(empty));
            self.row(
                &format!("start-up: {name} --version / empty program"),
                measured,
                "≤ 1.5 ×",
                ratio <= 1.5,
            );
        }
    }

    // --- claims ------------------------------------------------------------------------------------------

    /// A state directory of its own, with `claimed` issues in flight and `archived` in the archive; the records
    /// of `free` more issues, a file each.
    fn state(&self, name: &str, claimed: usize, archived: usize, free: usize) -> (PathBuf, Vec<PathBuf>) {
        let folder = self.folder(name);
        let config = r#"{"github":{"owner":"o","repo":"r"},"queue":{"maxConcurrentIssues":1000000}}"#;
        fs::write(folder.join("orchestrator-config.json"), config).unwrap();
        let body = "Steps to reproduce, what happens, and what should happen instead. ".repeat(12);
        let issue = |n: usize| {
            format!(r#"{{"number":{n},"title":"Issue {n}","body":"{body}","labels":["claude-ready"]}}"#)
        };
        let issues: Vec<String> = (1..=claimed + free).map(issue).collect();
        fs::write(folder.join("issues.json"), format!("[{}]", issues.join(","))).unwrap();
        let fetched =
            self.cq("cq-fetch", &folder).args(["--from", "issues.json"]).stdout(Stdio::piped()).output();
        let fetched = String::from_utf8(fetched.unwrap().stdout).unwrap();
        let records: Vec<&str> = fetched.lines().collect();
        assert_eq!(records.len(), claimed + free);
        let first = folder.join("first.jsonl");
        fs::write(&first, records[..claimed].join("\n") + "\n").unwrap();
        time(self.cq("cq-claim", &folder).stdin(File::open(&first).unwrap()));
        if archived > 0 {
            let archive = folder.join(".cq/archive");
            let record = fs::read(folder.join(".cq/records/1.json")).unwrap();
            for n in 0..archived {
                // Links: the name in the folder is what could cost something, not the bytes. A file has 65,000 at most.
                let source = archive.join(format!("{}.1.json", 10_000_000 + n / 50_000 * 50_000));
                if n % 50_000 == 0 {
                    fs::write(&source, &record).unwrap();
                } else {
                    fs::hard_link(&source, archive.join(format!("{}.1.json", 10_000_000 + n))).unwrap();
                }
            }
        }
        let files = records[claimed..].iter().enumerate().map(|(index, record)| {
            let file = folder.join(format!("wish-{index}.jsonl"));
            fs::write(&file, format!("{record}\n")).unwrap();
            file
        });
        let files = files.collect();
        (folder, files)
    }

    fn claim(&self, folder: &Path, wish: &Path) -> Duration {
        time(self.cq("cq-claim", folder).stdin(File::open(wish).unwrap()))
    }

    /// The same in SQLite: issues in flight in one table, finished ones in another, events in a third.
    fn database(&self, name: &str, claimed: usize, archived: usize) -> PathBuf {
        let file = self.folder(name).join("claims.db");
        let body = "x".repeat(2_000);
        let sql = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE record(number INTEGER PRIMARY KEY, status TEXT NOT NULL, instance INTEGER NOT NULL, body TEXT);
             CREATE INDEX by_status ON record(status); CREATE UNIQUE INDEX by_instance ON record(instance);
             CREATE TABLE archive(number INTEGER, attempt INTEGER, body TEXT, PRIMARY KEY(number, attempt));
             CREATE TABLE event(at TEXT, number INTEGER, what TEXT);
             BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{claimed})
                 INSERT INTO record SELECT i,'queued',i,'{body}' FROM n WHERE {claimed}>0;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{archived})
                 INSERT INTO archive SELECT 10000000+i,1,'{body}' FROM n WHERE {archived}>0;
             COMMIT; PRAGMA wal_checkpoint(TRUNCATE);"
        );
        let mut child = Command::new("sqlite3")
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("cannot run sqlite3");
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        file
    }

    fn sqlite_claim(database: &Path, number: usize) -> Duration {
        let body = "x".repeat(2_000);
        let sql = format!(
            "PRAGMA synchronous=FULL; BEGIN IMMEDIATE;
             INSERT INTO record SELECT {number},'queued',(SELECT min(i) FROM (SELECT 1 AS i UNION ALL SELECT instance+1 FROM record)
                 WHERE i NOT IN (SELECT instance FROM record)),'{body}'
                 WHERE (SELECT count(*) FROM record WHERE status IN ('queued','in-progress','testing')) < 1000000
                 AND NOT EXISTS (SELECT 1 FROM record WHERE number={number});
             INSERT INTO event VALUES(datetime('now'),{number},'claimed'); COMMIT;"
        );
        time(
            Command::new("sqlite3")
                .args(["-cmd", ".timeout 60000"])
                .arg(database)
                .arg(sql)
                .stdin(Stdio::null())
                .stdout(Stdio::null()),
        )
    }

    fn one_claim(&mut self) {
        const ROUNDS: usize = 41;
        let (few, few_wishes) = self.state("claim-few", 100, 0, ROUNDS);
        let (many, many_wishes) = self.state("claim-many", 100, 100_000, ROUNDS);
        let databases = self
            .has_sqlite
            .then(|| (self.database("sqlite-few", 100, 0), self.database("sqlite-many", 100, 100_000)));
        let mut times: [Vec<Duration>; 4] = Default::default();
        for round in 0..ROUNDS {
            times[0].push(self.claim(&few, &few_wishes[round]));
            times[1].push(self.claim(&many, &many_wishes[round]));
            if let Some((few, many)) = &databases {
                times[2].push(Self::sqlite_claim(few, 1000 + round));
                times[3].push(Self::sqlite_claim(many, 1000 + round));
            }
        }
        let [few, many] = [median(&mut times[0]), median(&mut times[1])];
        let growth = ratio(many, few);
        let measured = format!("{growth:.2} × ({:.2} ms against {:.2} ms)", ms(many), ms(few));
        self.row(
            "one claim: 100,000 archived / none archived",
            measured,
            "0.8 to 1.2 ×",
            (0.8..=1.2).contains(&growth),
        );
        if databases.is_some() {
            let sqlite = [median(&mut times[2]), median(&mut times[3])];
            for (archived, own, theirs) in [("none", few, sqlite[0]), ("100,000", many, sqlite[1])] {
                let ratio = ratio(own, theirs);
                let measured = format!("{ratio:.2} × ({:.2} ms against {:.2} ms)", ms(own), ms(theirs));
                let what = format!("one claim, {archived} archived: cq-claim / sqlite3 shell");
                self.row(&what, measured, "≤ 1 ×", ratio <= 1.0);
            }
        }
    }

    fn many_claims(&mut self) {
        const WORKERS: usize = 64;
        const EACH: usize = 8;
        let mut totals = [Duration::ZERO; 2];
        let mut latencies: [Vec<Duration>; 2] = Default::default();
        for round in 0..3 {
            let (folder, wishes) = self.state(&format!("burst-{round}"), 0, 0, WORKERS * EACH);
            let (total, mut took) = at_once(WORKERS, EACH, &|n| self.claim(&folder, &wishes[n]));
            totals[0] += total;
            latencies[0].append(&mut took);
            let claimed = fs::read_dir(folder.join(".cq/records")).unwrap().count();
            assert_eq!(claimed, WORKERS * EACH, "a claim was lost");
            if self.has_sqlite {
                let database = self.database(&format!("burst-sqlite-{round}"), 0, 0);
                let (total, mut took) = at_once(WORKERS, EACH, &|n| Self::sqlite_claim(&database, n + 1));
                totals[1] += total;
                latencies[1].append(&mut took);
            }
        }
        let count = u32::try_from(3 * WORKERS * EACH).unwrap();
        let per_second = |total: Duration| f64::from(count) / total.as_secs_f64();
        let p99 = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() * 99 / 100]
        };
        let own = (per_second(totals[0]), p99(&mut latencies[0]));
        if !self.has_sqlite {
            println!("64 claims at once: {:.0} a second, p99 {:.0} ms", own.0, ms(own.1));
            return;
        }
        let theirs = (per_second(totals[1]), p99(&mut latencies[1]));
        let more = own.0 / theirs.0;
        let measured = format!("{more:.2} × ({:.0} against {:.0} a second)", own.0, theirs.0);
        self.row("64 claims at once: throughput / sqlite3 shells", measured, "≥ 2 ×", more >= 2.0);
        let longer = ratio(own.1, theirs.1);
        let measured = format!("{longer:.2} × ({:.0} ms against {:.0} ms)", ms(own.1), ms(theirs.1));
        self.row("64 claims at once: p99 / sqlite3 shells", measured, "≤ 0.33 ×", longer <= 1.0 / 3.0);
    }

    fn status(&mut self) {
        let (folder, _) = self.state("status", 1_000, 0, 0);
        for format in ["jsonl", "table"] {
            let mut times: Vec<Duration> =
                (0..31).map(|_| time(self.cq("cq-status", &folder).args(["--format", format]))).collect();
            let median = median(&mut times);
            let what = format!("cq-status --format {format}, 1,000 records in flight");
            self.row(&what, format!("{:.1} ms", ms(median)), "≤ 20 ms", ms(median) <= 20.0);
        }
    }

    // --- spawn -------------------------------------------------------------------------------------------

    fn git(&self, folder: &Path) -> Command {
        let mut git = Command::new("git");
        git.current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", &self.base);
        git.envs([
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "b"),
            ("GIT_AUTHOR_EMAIL", "b@localhost"),
        ]);
        git.envs([("GIT_COMMITTER_NAME", "b"), ("GIT_COMMITTER_EMAIL", "b@localhost")]);
        git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        git
    }

    /// A repository of 50 files in each of so many folders, its origin, and a configuration whose agent notes the time.
    fn repository(&self, base: &Path, folders: usize) -> (PathBuf, PathBuf) {
        let origin = base.join("origin");
        for folder in 0..folders {
            let name = origin.join(format!("src/part-{folder}"));
            fs::create_dir_all(&name).unwrap();
            for file in 0..50 {
                let text = format!("// part {folder}, file {file}\n").repeat(60);
                fs::write(name.join(format!("file-{file}.rs")), text).unwrap();
            }
        }
        time(self.git(&origin).args(["init", "--quiet", "--initial-branch=main"]));
        time(self.git(&origin).args(["add", "."]));
        time(self.git(&origin).args(["commit", "--quiet", "--message", "All files"]));
        time(self.git(base).args(["clone", "--quiet", "origin", "clone"]));
        let (clone, notes) = (base.join("clone"), base.join("notes/note"));
        fs::create_dir(base.join("notes")).unwrap();
        let text = |path: &Path| path.display().to_string();
        let me = std::env::current_exe().unwrap();
        let config = format!(
            r#"{{"github":{{"owner":"o","repo":"r"}},"queue":{{"maxConcurrentIssues":1000}},"git":{{"remote":"{}"}},
                "sandbox":"none","agent":"bench","agents":{{"bench":{{"command":["{}","note-the-time","{}"]}}}}}}"#,
            text(&origin),
            text(&me),
            text(&notes)
        );
        fs::write(clone.join("orchestrator-config.json"), config).unwrap();
        (clone, notes)
    }

    /// Claims issues from 1 on.
    fn claim_all(&self, clone: &Path, count: usize) {
        let issue = |n: usize| format!(r#"{{"number":{n},"title":"Issue {n}"}}"#);
        let issues: Vec<String> = (1..=count).map(issue).collect();
        fs::write(clone.join("issues.json"), format!("[{}]", issues.join(","))).unwrap();
        let fetched =
            self.cq("cq-fetch", clone).args(["--from", "issues.json"]).stdout(Stdio::piped()).output();
        fs::write(clone.join("issues.jsonl"), fetched.unwrap().stdout).unwrap();
        time(self.cq("cq-claim", clone).stdin(File::open(clone.join("issues.jsonl")).unwrap()));
    }

    /// `git worktree add` of a new branch at the base.
    fn add_by_git(&self, clone: &Path, path: &Path, branch: &str) -> Duration {
        time(self.git(clone).args(["worktree", "add", "-b", branch]).arg(path).arg("origin/main"))
    }

    /// From cq-spawn to its agent's start. Returns once the run is over: the agent changes nothing.
    fn start_agent(&self, clone: &Path, notes: &Path, number: usize) -> Duration {
        let asked = SystemTime::now();
        time(self.cq("cq-spawn", clone).arg(number.to_string()));
        let began = wait_for(&notes.with_extension(number.to_string()));
        let record = clone.join(format!(".cq/records/{number}.json"));
        while !fs::read_to_string(&record).unwrap().contains("\"status\": \"failed\"") {
            std::thread::sleep(Duration::from_millis(10));
        }
        (UNIX_EPOCH + began).duration_since(asked).unwrap()
    }

    fn spawn(&mut self) {
        const ROUNDS: usize = 11;
        let (clone, notes) = self.repository(&self.base, 40);
        self.claim_all(&clone, ROUNDS + 1);
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for number in 1..=ROUNDS + 1 {
            let branch = format!("by-git-{number}");
            let by_git = self.add_by_git(&clone, &self.base.join(&branch), &branch);
            let by_cq = self.start_agent(&clone, &notes, number);
            // The first fetches the base and makes what is made once.
            if number > 1 {
                theirs.push(by_git);
                own.push(by_cq);
            }
        }
        let (own, theirs) = (median(&mut own), median(&mut theirs));
        let over = ms(own) - ms(theirs);
        let measured = format!("{over:+.0} ms ({:.0} ms against {:.0} ms)", ms(own), ms(theirs));
        self.row(
            "spawn to agent's start, 2,000 files / git worktree add",
            measured,
            "≤ +25 ms",
            over <= 25.0,
        );
    }
}

/// What the agent noted: nanoseconds since 1970.
fn wait_for(note: &Path) -> Duration {
    let began = Instant::now();
    loop {
        match fs::read_to_string(note).ok().and_then(|text| text.parse().ok()) {
            Some(nanoseconds) => return Duration::from_nanos(nanoseconds),
            None if began.elapsed() > Duration::from_secs(30) => panic!("the agent was not started"),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Several workers at once, each a number of times; how long all of it took, and each time.
fn at_once(
    workers: usize,
    each: usize,
    once: &(dyn Fn(usize) -> Duration + Sync),
) -> (Duration, Vec<Duration>) {
    let times = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let times = &times;
            scope.spawn(move || {
                for turn in 0..each {
                    let took = once(worker * each + turn);
                    times.lock().unwrap().push(took);
                }
            });
        }
    });
    (began.elapsed(), times.into_inner().unwrap())
}
