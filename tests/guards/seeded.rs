//! Two hundred secrets, drawn from a seed, in every dress and every place: none of them is pushed.

use std::fs;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::dresses::{DRESSES, VENDORS, dressed, value, vendor};
use crate::stream::{Says, Stream};
use crate::{House, Plan, assert_nothing_arrived};

/// How many places there are.
const PLACES: usize = 10;

/// A house with a checked branch on issue #1, whose commits are then replaced by others.
struct Checked {
    house: House,
    branch: String,
    base: String,
    record: Value,
}

impl Checked {
    fn new() -> Self {
        Self::of(House::usual())
    }

    fn of(house: House) -> Self {
        house.work(1).good();
        let record = house.cq("gate").args(["1"]).run().good().record();
        let text = |name: &str| record["claim"][name].as_str().unwrap().to_owned();
        Self { branch: text("branch"), base: text("base_sha"), record: house.record(1), house }
    }

    /// Puts commits in the place of the branch's, as if an agent had made them and they had passed the checks.
    fn put(&self, stream: Stream) {
        let import = self.house.program("git").args(["fast-import", "--force", "--quiet", "--done"]);
        import.fed(stream.bytes()).good();
        let tree = self.house.git(&["rev-parse", &format!("{}^{{tree}}", self.branch)]);
        let mut record = self.record.clone();
        record["gates"]["tree"] = json!(tree);
        fs::write(self.house.state_dir().join("records/1.json"), record.to_string()).unwrap();
    }

    /// A branch with these bytes in the nth place.
    fn hide(&self, random: &mut Rng, place: usize, bytes: &[u8]) {
        let (mut stream, usual) = (Stream::default(), Says::default());
        let file = |before: &str| [before.as_bytes(), bytes, b"\nand so on\n"].concat();
        let (branch, base) = (self.branch.as_str(), self.base.as_str());
        let one_line: Vec<u8> =
            bytes.iter().copied().filter(|byte| !matches!(byte, b'\n' | 0 | b'<' | b'>')).collect();
        match place % PLACES {
            0 => {
                stream.commit(branch, &usual, &[base]);
                stream.file("100644", b"src/new.txt", &file("a new file\n"));
            }
            1 => {
                // Put in, and taken out again.
                stream.commit(branch, &usual, &[base]);
                stream.file("100644", b"src/new.txt", &file("a new file\n"));
                stream.commit(branch, &usual, &[]);
                stream.file("100644", b"src/new.txt", b"nothing to see\n");
            }
            2 => {
                let message = [b"Do the first thing\n\n".as_slice(), bytes, b"\n"].concat();
                let message = message.into_iter().filter(|byte| *byte != 0).collect::<Vec<_>>();
                stream.commit(branch, &Says { message: &message, ..usual }, &[base]);
                stream.file("100644", b"src/new.txt", b"harmless\n");
            }
            3 => {
                stream.commit(branch, &Says { author: &one_line, ..usual }, &[base]);
                stream.file("100644", b"src/new.txt", b"harmless\n");
            }
            4 => {
                // A name; nothing else of the file tells.
                let name: Vec<u8> = one_line
                    .iter()
                    .copied()
                    .map(|byte| if byte == b'/' { b'_' } else { byte })
                    .take(200)
                    .collect();
                stream.commit(branch, &usual, &[base]);
                stream.file("100644", &[b"docs/".as_slice(), &name].concat(), b"harmless\n");
            }
            5 => {
                // Among bytes that are no text.
                let noise = |random: &mut Rng| (0..2000).map(|_| random.u8(..)).collect::<Vec<u8>>();
                let content = [&noise(random)[..], b"\0\0\0", bytes, b"\0\0\0", &noise(random)].concat();
                stream.commit(branch, &usual, &[base]);
                stream.file("100644", b"logo.png", &content);
            }
            6 => {
                // In the middle of a long file that there was before.
                stream.commit(branch, &usual, &[base]);
                let mut lines: Vec<Vec<u8>> =
                    (0..4000).map(|at| format!("line {at} of a long file\n").into_bytes()).collect();
                stream.file("100644", b"long.txt", &lines.concat());
                stream.commit(branch, &usual, &[]);
                lines.insert(2000, file("    "));
                stream.file("100644", b"long.txt", &lines.concat());
            }
            7 => {
                // In a merge, and in neither of its parents.
                let one = stream.commit(branch, &usual, &[base]);
                stream.file("100644", b"src/new.txt", b"one\n");
                let other = stream.commit("other", &usual, &[base]);
                stream.file("100644", b"src/other.txt", b"other\n");
                stream.commit(branch, &usual, &[&one, &other]);
                stream.file("100644", b"src/new.txt", &file("one\n"));
                stream.file("100644", b"src/other.txt", b"other\n");
            }
            8 => {
                // A file that comes and goes under a name that needs quotes.
                stream.commit(branch, &usual, &[base]);
                stream.file("100755", b"a \"file\"\nwith a line end", &file("#!/bin/sh\n"));
                stream.commit(branch, &usual, &[]);
                stream.remove(b"a \"file\"\nwith a line end");
                stream.file("100644", b"src/new.txt", b"harmless\n");
            }
            _ => {
                // On a branch of the branch, merged away to nothing.
                let side = stream.commit("side", &usual, &[base]);
                stream.file("100644", b"src/side.txt", &file("x\n"));
                let side = [side, stream.commit("side", &usual, &[])];
                stream.remove(b"src/side.txt");
                let one = stream.commit(branch, &usual, &[base]);
                stream.file("100644", b"src/new.txt", b"one\n");
                stream.commit(branch, &usual, &[&one, &side[1]]);
            }
        }
        self.put(stream);
    }

    /// cq-pr refuses, says where and what, and shows no value.
    fn refuses(&self, what: &str, kind: &str, secret: &str, known: &str) {
        let ran = self.house.cq("pr").args(["1"]).env("DEPLOY_TOKEN", known).run();
        assert!(ran.status == 77 && ran.stderr.contains(kind), "{what}: {ran:#?}");
        let record = self.house.record(1);
        assert_eq!((&record["status"], &record["outcome"]), (&json!("failed"), &json!("withheld")), "{what}");
        for told in [&ran.stderr, &ran.stdout, &record.to_string()] {
            assert!(!told.contains(secret), "{what}: the value is shown: {told}");
        }
    }
}

/// A quarter of the two hundred.
fn quarter(number: usize) {
    let checked = Checked::new();
    for seed in (number..200).step_by(4) {
        let mut random = Rng::with_seed(seed as u64);
        let place = seed / 2;
        if seed % 8 < 5 {
            let (secret, dress) = (value(&mut random), seed / 2 + seed / 48);
            let bytes = dressed(&mut random, &secret, dress);
            // A name cannot hold everything that a file can.
            let place = if place % PLACES == 4 && bytes.contains(&0) { 0 } else { place };
            let what = format!("seed {seed}, dress {}, place {}", dress % DRESSES, place % PLACES);
            checked.hide(&mut random, place, &bytes);
            checked.refuses(&what, "a secret that cq knows", &secret, &secret);
        } else {
            let which = seed / 8 * 3 + seed % 8;
            let (kind, secret) = vendor(&mut random, which);
            let whole = secret.contains(['\n', '/', '=']) || secret.len() > 200;
            let place = if whole && [3, 4].contains(&(place % PLACES)) { 0 } else { place };
            let what = format!("seed {seed}, vendor {} ({kind}), place {}", which % VENDORS, place % PLACES);
            checked.hide(&mut random, place, format!("value: \"{secret}\"").as_bytes());
            checked.refuses(&what, kind, &secret, "");
        }
    }
    assert_nothing_arrived(&checked.house);
    // The same branch without any is pushed.
    let mut stream = Stream::default();
    stream.commit(&checked.branch, &Says::default(), &[&checked.base]);
    stream.file("100644", b"src/new.txt", b"harmless\n");
    checked.put(stream);
    checked.house.cq("pr").args(["1"]).run().quietly();
    assert_eq!(checked.house.lab.branches(), [checked.branch]);
}

#[test]
fn the_first_fifty_secrets_are_not_pushed() {
    quarter(0);
}

#[test]
fn the_second_fifty_secrets_are_not_pushed() {
    quarter(1);
}

#[test]
fn the_third_fifty_secrets_are_not_pushed() {
    quarter(2);
}

#[test]
fn the_last_fifty_secrets_are_not_pushed() {
    quarter(3);
}

/// What somebody has let through, what was public before, and what only moved.
#[test]
fn a_secret_that_is_none_is_let_through_by_its_fingerprint_or_place() {
    let checked = Checked::new();
    let (_, key) = vendor(&mut Rng::with_seed(1), 0);
    let hide = |path: &[u8]| {
        let mut stream = Stream::default();
        stream.commit(&checked.branch, &Says::default(), &[&checked.base]);
        stream.file("100644", path, format!("key = \"{key}\"\n").as_bytes());
        checked.put(stream);
    };
    hide(b"tests/fixtures/key.txt");
    let ran = checked.house.cq("pr").args(["1"]).run();
    let ran = ran.ends(77, "'tests/fixtures/key.txt', line 1: GitHub token (commit ");
    let (_, fingerprint) = ran.stderr.split_once(", fingerprint ").unwrap();
    let fingerprint = fingerprint.lines().next().unwrap().to_owned();
    let finding = &checked.house.record(1)["guards"]["findings"][0];
    assert_eq!((&finding["mark"], &finding["kind"]), (&json!(fingerprint), &json!("secret")));
    // A person's word for what the change touches is none for a secret.
    checked.house.cq("pr").args(["--allow-protected", "1"]).run().ends(77, "GitHub token");
    for allowed in [json!([fingerprint]), json!(["tests/fixtures/**"])] {
        checked.house.configure(|config| config["guards"] = json!({"allowSecrets": allowed}));
        checked.house.cq("pr").args(["--dry-run", "1"]).run().ends(0, "would push");
    }
    checked.house.configure(|config| config["guards"] = json!({"allowSecrets": ["tests/other/**"]}));
    checked.house.cq("pr").args(["1"]).run().ends(77, "GitHub token");
    assert_nothing_arrived(&checked.house);
    // What cq itself knows is not let through for its place.
    checked.house.configure(|config| config["guards"] = json!({"allowSecrets": ["**"]}));
    let mut stream = Stream::default();
    stream.commit(&checked.branch, &Says::default(), &[&checked.base]);
    stream.file("100644", b"a", format!("{}\n", crate::support::lab::TOKEN).as_bytes());
    checked.put(stream);
    checked.house.cq("pr").args(["1"]).run().ends(77, "'a', line 1: a secret that cq knows");
    assert_nothing_arrived(&checked.house);
}

/// The password of a development database stands in every checkout, and what only moves was there before.
#[test]
fn what_the_base_has_is_no_secret() {
    let (_, key) = vendor(&mut Rng::with_seed(2), 0);
    let (compose, fixture) = ("password: dev-postgres-1\n", format!("first\nkey = {key}\nlast\n"));
    let files = json!({"README.md": "# Widgets\n", "compose.yml": compose, "tests/key.txt": fixture});
    let house = House::new(&Plan { seed: json!({"widgets": {"files": files}}), ..Plan::default() });
    let checked = Checked::of(house);
    let with =
        |secret: &str| checked.house.cq("pr").args(["--dry-run", "1"]).env("DB_PASSWORD", secret).run();
    let mut stream = Stream::default();
    stream.commit(&checked.branch, &Says::default(), &[&checked.base]);
    stream.file("100644", b"src/settings.txt", b"default = dev-postgres-1\nother = dev-postgres-2\n");
    stream.remove(b"tests/key.txt");
    stream.file("100644", b"tests/data/key.txt", format!("changed\n{fixture}more\n").as_bytes());
    checked.put(stream);
    with("dev-postgres-1").ends(0, "would push");
    with("dev-postgres-2")
        .ends(0, "would not push issue #1: 'src/settings.txt', line 2: a secret that cq knows");
    // Another one in its place is new.
    let mut stream = Stream::default();
    let (_, another) = vendor(&mut Rng::with_seed(3), 0);
    stream.commit(&checked.branch, &Says::default(), &[&checked.base]);
    stream.file("100644", b"tests/key.txt", fixture.replace(&key, &another).as_bytes());
    checked.put(stream);
    with("dev-postgres-1").ends(0, "would not push issue #1: 'tests/key.txt', line 2: GitHub token");
}
