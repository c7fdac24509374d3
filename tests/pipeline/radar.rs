//! The conflict radar: which branches in work would conflict, with real git and twenty of them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::{House, Plan};

/// A house with so many issues, each claimed.
fn claimed(count: u64) -> House {
    let issues: Vec<Value> =
        (1..=count).map(|number| json!({"number": number, "labels": ["claude-ready"]})).collect();
    let mut files = json!({"README.md": "# Widgets\n"});
    for number in 0..40 {
        files[format!("src/part-{number}.txt")] = json!(part("line 1", "line 9"));
    }
    let seed = json!({"widgets": {"files": files}});
    let house = House::new(&Plan { issues: json!(issues), seed, ..Plan::default() });
    house.configure(|config| config["queue"]["maxConcurrentIssues"] = json!(count));
    house.shell("cq-fetch | cq-claim").run().quietly();
    house
}

/// A commit on top of another, which writes these files, or takes them away where there is no text.
fn commit(house: &House, parent: &str, files: &[(&str, Option<&str>)]) -> String {
    let index = house.text_of("scratch-index");
    let git = |args: &[&str], stdin: &str| {
        let ran = house.program("git").args(args).env("GIT_INDEX_FILE", &index);
        let ran = ["AUTHOR", "COMMITTER"].iter().fold(ran, |ran, who| {
            ran.env(&format!("GIT_{who}_NAME"), "owner").env(&format!("GIT_{who}_EMAIL"), "owner@localhost")
        });
        ran.fed(stdin).good().stdout.trim_end().to_owned()
    };
    git(&["read-tree", parent], "");
    for (path, text) in files {
        match text {
            Some(text) => {
                let blob = git(&["hash-object", "-w", "--stdin"], text);
                git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{path}")], "");
            }
            None => drop(git(&["update-index", "--force-remove", path], "")),
        }
    }
    let tree = git(&["write-tree"], "");
    git(&["commit-tree", &tree, "-p", parent, "-m", "Work"], "")
}

/// Puts an issue's branch at a commit, as if an agent had worked from `base`, and lets the issue stand there.
fn stand(house: &House, number: u64, base: &str, head: &str, status: &str) {
    let mut record = house.record(number);
    record["claim"]["base_sha"] = json!(base);
    record["status"] = json!(status);
    house.git(&["update-ref", &format!("refs/heads/{}", record["claim"]["branch"].as_str().unwrap()), head]);
    fs::write(house.state_dir().join(format!("records/{number}.json")), record.to_string()).unwrap();
}

/// A part's text with its first line changed, or its last.
fn part(first: &str, last: &str) -> String {
    format!("{first}\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\n{last}\n")
}

/// What the radar says, by kind.
fn rows(house: &House, kind: &str) -> Vec<Value> {
    let rows = house.cq("status").args(["--conflicts"]).run().quietly().records();
    rows.into_iter().filter(|row| row["kind"] == kind).collect()
}

type Pair = (BTreeSet<u64>, Vec<String>);

fn pair(row: &Value) -> Pair {
    let issues = row["issues"].as_array().unwrap().iter().map(|issue| issue.as_u64().unwrap());
    let files = row["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
    (issues.collect(), files.collect())
}

#[test]
fn of_twenty_branches_exactly_the_conflicting_pairs_are_named() {
    let house = claimed(20);
    let base = house.git(&["rev-parse", "HEAD"]);
    let statuses = ["in-progress", "testing", "pr-ready"];
    for number in 1..=20_usize {
        // Each changes a part of its own, and one that it shares with its neighbour at the other end of the file: no
        // conflict. Planted ones follow.
        let own = format!("src/part-{number}.txt");
        let shared = format!("src/part-{}.txt", 20 + number / 2);
        let ends = if number % 2 == 0 { part("changed", "line 9") } else { part("line 1", "changed") };
        let text = part(&format!("by {number}"), "line 9");
        let mut files: Vec<(&str, Option<&str>)> = vec![(&own, Some(&text)), (&shared, Some(&ends))];
        let readme = format!("# Widgets of {number}\n");
        let added = format!("new, by {number}\n");
        match number {
            // Three that all change the same line; two that add the same file.
            3 | 9 | 14 => files.push(("README.md", Some(&readme))),
            5 | 6 => files.push(("src/new.txt", Some(&added))),
            // One takes away what another changes.
            17 => files.push(("src/part-18.txt", None)),
            _ => {}
        }
        let head = commit(&house, &base, &files);
        stand(&house, number.try_into().unwrap(), &base, &head, statuses[number % 3]);
    }
    // The base goes on, and meets two of them: in the line that one changed, and in a file that another took away.
    let ahead = commit(&house, &base, &[("src/part-11.txt", Some(&part("by the base", "line 9")))]);
    house.git(&["update-ref", "refs/remotes/origin/main", &ahead]);
    // One began after that: what it brings along of the base is not its own doing.
    let fresh = commit(&house, &ahead, &[("src/part-39.txt", Some("fresh\n"))]);
    stand(&house, 20, &ahead, &fresh, "in-progress");

    let ran = house.cq("status").args(["--conflicts"]).run().quietly();
    println!("190 pairs and 20 with the base: {} ms", ran.took.as_millis());
    assert!(ran.took.as_secs() < 10, "{:?}", ran.took);
    let rows = ran.records();
    let found: BTreeSet<Pair> =
        rows.iter().filter(|row| row["kind"] == "conflict" && row["base"].is_null()).map(pair).collect();
    let planted = [
        (&[3, 9][..], "README.md"),
        (&[3, 14], "README.md"),
        (&[9, 14], "README.md"),
        (&[5, 6], "src/new.txt"),
        (&[17, 18], "src/part-18.txt"),
    ];
    let planted = planted.map(|(issues, file)| (issues.iter().copied().collect(), vec![file.to_owned()]));
    assert_eq!(found, BTreeSet::from(planted), "{rows:#?}");
    let with_base: Vec<&Value> = rows.iter().filter(|row| !row["base"].is_null()).collect();
    assert_eq!(with_base.len(), 1, "{with_base:#?}");
    assert_eq!(
        (&with_base[0]["issues"], &with_base[0]["base"], &with_base[0]["files"]),
        (&json!([11]), &json!("main"), &json!(["src/part-11.txt"]))
    );
    // Of the three one, of the pairs one each, and not the one that meets the base: 20 - 2 - 1 - 1 - 1.
    let order = rows.last().unwrap();
    assert_eq!((order["kind"].as_str(), rows.len()), (Some("order"), 7));
    let numbers = |key: &str| -> BTreeSet<u64> {
        order[key].as_array().unwrap().iter().map(|issue| issue.as_u64().unwrap()).collect()
    };
    let (clean, conflicting) = (numbers("clean"), numbers("conflicting"));
    assert_eq!((clean.len(), conflicting.len()), (15, 5), "{order}");
    assert!(conflicting.contains(&11));
    for (issues, _) in &found {
        assert!(!issues.is_subset(&clean), "{issues:?} are both called clean");
    }
    // Merged in that order by plain git, those come in without a conflict.
    house.git(&["checkout", "--quiet", "--detach", "refs/remotes/origin/main"]);
    for issue in order["clean"].as_array().unwrap() {
        let record = house.record(issue.as_u64().unwrap());
        house.git(&["merge", "--quiet", "--no-edit", record["claim"]["branch"].as_str().unwrap()]);
    }
}

/// What the agents and the account planted is not run and not obeyed, and nothing stays behind.
#[test]
fn planted_drivers_and_attributes_are_not_obeyed() {
    let house = claimed(2);
    let base = house.git(&["rev-parse", "HEAD"]);
    let attributes = "* merge=evil\nREADME.md merge=union\n";
    let base = commit(&house, &base, &[(".gitattributes", Some(attributes))]);
    house.git(&["update-ref", "refs/remotes/origin/main", &base]);
    for number in [1, 2] {
        let head = commit(
            &house,
            &base,
            &[
                ("README.md", Some(&format!("# By {number}\n"))),
                ("src/part-1.txt", Some(&part(&format!("by {number}"), "line 9"))),
            ],
        );
        stand(&house, number, &base, &head, "testing");
    }
    let canary = house.text_of("canary");
    house.git(&["config", "merge.evil.driver", &format!("touch '{canary}'")]);
    house.git(&["config", "merge.default", "evil"]);
    fs::create_dir_all(house.clone().join(".git/info")).unwrap();
    fs::write(house.clone().join(".git/info/attributes"), attributes).unwrap();
    fs::create_dir_all(house.place("home/.config/git")).unwrap();
    fs::write(house.place("home/.config/git/attributes"), attributes).unwrap();

    let before = house.git(&["count-objects"]);
    let found = rows(&house, "conflict");
    assert_eq!(
        found.iter().map(pair).collect::<Vec<_>>(),
        [(BTreeSet::from([1, 2]), vec!["README.md".to_owned(), "src/part-1.txt".to_owned()])]
    );
    assert!(!house.place("canary").exists(), "a planted driver was run");
    assert_eq!(house.git(&["count-objects"]), before, "objects of tried merges stay in the repository");
    let left = fs::read_dir(house.state_dir().join("repo.git")).unwrap();
    let left = left.flatten().map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with(".tmp-")).collect::<Vec<_>>(), Vec::<String>::new());

    // Plain git steps into it.
    let branch = |number| house.record(number)["claim"]["branch"].as_str().unwrap().to_owned();
    house.git(&["checkout", "--quiet", "--force", &branch(1)]);
    house.git(&["merge", "--quiet", "--no-edit", &branch(2)]);
    assert!(house.place("canary").exists(), "the trap was not set");
}

/// What an operator sees: nothing, a clean line, a conflict told once by the tick, a git that is too old.
#[test]
fn the_radar_speaks_to_people() {
    let house = House::with_steps(&json!([
        {"write": {"path": "README.md", "content": "# By {issue}\n"}}, {"commit": "Change the readme"},
    ]));
    let conflicts = || house.cq("status").args(["--conflicts", "--format", "table"]).run();
    conflicts().ends(0, "no branch in work has commits");
    house.work(1).quietly();
    let one = conflicts().ends(0, "1 branch in work, without a conflict");
    assert!(one.stdout.contains("merge order") && one.stdout.contains("#1"), "{}", one.stdout);
    house.cq("monitor").run().quietly();
    house.work(2).quietly();
    let both =
        conflicts().ends(0, "1 of 2 branches in work merges without a conflict: #1 and #2 meet in README.md");
    let lines: Vec<&str> = both.stdout.lines().collect();
    assert!(lines[1].contains("conflict") && lines[1].contains("#1 and #2"), "{}", both.stdout);
    assert!(lines[2].contains("merge order") && lines[2].contains("#1, #2"), "{}", both.stdout);
    let said = "#1 and #2 meet in README.md (cq-status --conflicts says more)";
    house.cq("monitor").args(["--dry-run"]).run().ends(0, said);
    house.cq("monitor").run().ends(0, said);
    house.cq("monitor").run().quietly();

    // A git before 2.38, which knows another merge-tree.
    let real = house.shell("command -v git").run().good().stdout.trim().to_owned();
    fs::create_dir(house.place("old")).unwrap();
    let old = format!(
        "#!/bin/sh\nfor a in \"$@\"; do case $a in merge-tree) echo 'usage: git merge-tree <base-tree> <branch1> \
         <branch2>' >&2; exit 129;; version) echo git version 2.30.2; exit;; esac; done\nexec '{real}' \"$@\"\n"
    );
    house
        .shell(r#"printf '%s' "$0" > "$1" && chmod +x "$1""#)
        .args([old, house.text_of("old/git")])
        .run()
        .quietly();
    let path = format!("{}:{}", house.text_of("old"), House::path());
    let ran = house.cq("status").args(["--conflicts"]).env("PATH", path).run();
    let ran = ran.ends(78, "git version 2.30.2 cannot merge without a checkout");
    assert!(ran.stderr.contains("hint: install git 2.39 or newer"), "{}", ran.stderr);
}

/// Where objects are missing or histories have nothing in common, that is said, and the others are still compared.
#[test]
fn what_cannot_be_compared_is_said_so() {
    let house = claimed(3);
    let base = house.git(&["rev-parse", "HEAD"]);
    for number in [1, 2] {
        let head = commit(&house, &base, &[("README.md", Some(&format!("# By {number}\n")))]);
        stand(&house, number, &base, &head, "testing");
    }
    let tree = house.git(&["rev-parse", "HEAD^{tree}"]);
    let stranger = house.git(&["commit-tree", &tree, "-m", "From nowhere"]);
    stand(&house, 3, &base, &stranger, "pr-ready");
    let unknown = rows(&house, "unknown");
    let who: Vec<BTreeSet<u64>> = unknown.iter().map(|row| pair(row).0).collect();
    assert_eq!(who, [BTreeSet::from([3]), [1, 3].into(), [2, 3].into()], "{unknown:#?}");
    assert!(unknown[0]["unknown"].as_str().unwrap().contains("unrelated histories"), "{unknown:#?}");
    let found = rows(&house, "conflict");
    assert_eq!(found.iter().map(pair).collect::<Vec<_>>(), [([1, 2].into(), vec!["README.md".to_owned()])]);
}
