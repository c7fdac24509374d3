//! An agent that tries everything it should not, then deletes everything it can reach.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{House, Plan, assert_sound, sandboxed};

const LATER: &str = "2199-01-01T00:00:00Z";

/// Each tries to do a thing, and ends with 0 if that was done. They find the clone in `$clone`, another home's key
/// in `$HOME`, the shared git directory in `$common`, another instance's branch in `$other`, a process in `$victim`.
const ATTEMPTS: [(&str, &str); 36] = [
    ("write the repository's settings", r#"git config --file "$common/config" core.pager "touch /tmp/x""#),
    ("write them past git", r#"echo "[core] pager = evil" >> "$common/config""#),
    ("plant a hook", r#"echo 'touch /tmp/x' > "$common/hooks/pre-push""#),
    ("plant attributes", r#"mkdir -p "$common/info" && echo '* filter=x' > "$common/info/attributes""#),
    ("move main", "git update-ref refs/heads/main HEAD"),
    ("write main", r#"git rev-parse HEAD > "$common/refs/heads/main""#),
    ("move a remote's branch", "git update-ref refs/remotes/origin/main HEAD"),
    ("make a tag", "git tag v1"),
    ("see another instance's branch", r#"git rev-parse --verify --quiet "refs/heads/$other""#),
    ("see another instance's worktree", r#"test "$(ls "$common/worktrees" | wc -l)" -gt 1"#),
    ("empty packed-refs", r#": > "$common/packed-refs""#),
    ("remove packed-refs", r#"rm "$common/packed-refs""#),
    ("delete the repository's packs", "rm -r /run/cq/objects/0/pack"),
    ("write among its objects", "touch /run/cq/objects/0/new"),
    ("prune", "git gc --prune=now"),
    ("write in the checkout", r#"echo gone > "$clone/README.md""#),
    ("read the checkout", r#"cat "$clone/README.md""#),
    ("read the configuration", r#"cat "$clone/orchestrator-config.json""#),
    ("read the state", r#"cat "$clone"/.cq/records/*.json"#),
    ("stop cq", r#"mkdir -p "$clone/.cq" && echo '{}' > "$clone/.cq/stop""#),
    ("read another workspace", r#"ls "$clone/workspaces/claude-instance-2""#),
    ("write in another workspace", r#"touch "$clone/workspaces/claude-instance-2/widgets/x""#),
    ("read the prompt's folder", "cat ../prompt.md ../.env"),
    ("read an ssh key", r#"cat "$HOME/.ssh/id_ed25519""#),
    (
        "read tokens",
        r#"cat "$HOME/.config/gh/hosts.yml" || cat "$HOME/.git-credentials" || cat "$HOME/.netrc""#,
    ),
    ("read by a link", r#"ln -sfn "$clone/.cq" way && cat way/lock && ls way/records"#),
    ("read by another root", r#"ls /proc/1/root"$clone/.cq" || ls /proc/self/cwd/../../../.cq/records"#),
    ("kill a process", r#"kill -9 "$victim""#),
    ("read others' environments", "grep -l GITHUB_TOKEN= /proc/[0-9]*/environ"),
    ("unmount", r#"umount "$common" || umount "$HOME" || umount -l /"#),
    (
        "mount anew",
        r#"mount -o remount,rw "$common" || mount -o remount,bind,rw "$common" || mount -t proc proc /tmp"#,
    ),
    (
        "mount in a namespace of its own",
        r#"unshare -Urm sh -c 'umount "$0" || mount -o remount,bind,rw "$0"' "$common""#,
    ),
    ("bend its own pointer", "echo 'gitdir: /nonexistent' > .git || rm -f .git && test ! -e .git"),
    ("write to the system", "test -w /usr/bin || test -w /etc/passwd || touch /new"),
    (
        "set the kernel",
        "cat /proc/sys/kernel/core_pattern > /tmp/p && cat /tmp/p > /proc/sys/kernel/core_pattern",
    ),
    ("read what only root may", "cat /etc/shadow || ls /etc/ssh/*key"),
];

/// Steps that try everything, and note in the agent's home how it went.
fn steps(house: &House, victim: u32, other: &str) -> Vec<Value> {
    let prelude = r#"clone=$1 victim=$2 other=$3; common=$(git rev-parse --git-common-dir)
        name=$4; if ( eval "$5" ) > "$HOME/last" 2>&1
        then echo "DONE: $name: $(head -c 300 "$HOME/last")"; else echo "blocked: $name"; fi >> "$HOME/report""#;
    let (clone, victim) = (house.clone().display().to_string(), victim.to_string());
    let step = |&(name, attempt): &(&str, &str)| json!({"run": ["sh", "-c", prelude, "sh", clone, victim, other, name, attempt]});
    ATTEMPTS.iter().map(step).collect()
}

#[test]
fn everything_an_agent_should_not_do_is_blocked_and_what_it_deletes_is_its_own() {
    let Some(house) = sandboxed("tampering", json!({})) else { return };
    house.configure(|config| config["agents"]["claude"]["commitLeftovers"] = json!(false));
    for (file, text) in [
        (".ssh/id_ed25519", "a key"),
        (".config/gh/hosts.yml", "oauth_token: x"),
        (".git-credentials", "https://x:y@github.com"),
        (".netrc", "password x"),
    ] {
        let path = house.place("home").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    house.git(&["tag", "v0"]);
    house.git(&["pack-refs", "--all"]);

    // Another instance has worked already, and its work waits.
    fs::write(
        house.place("script.json"),
        json!({"default": [{"write": {"path": "two.txt", "content": "2"}}, {"commit": "Two"}]}).to_string(),
    )
    .unwrap();
    let claimed = house.claim(1);
    house.work(2).good();
    let other = house.record(2)["claim"]["branch"].as_str().unwrap().to_owned();

    let mut victim = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    let mut first =
        vec![json!({"write": {"path": "work.txt", "content": "work"}}), json!({"commit": "Good work"})];
    first.extend(steps(&house, victim.id(), &other));
    first.push(json!({"exit": 1}));
    // Only paths of this house: were the sandbox open, nothing else would be lost.
    let delete =
        r#"cd /; rm -rf "$1/.git" "$1/.cq" "$1/workspaces" "$1/logs" "$1" "$2" "$HOME" /run/cq/objects"#;
    let second =
        json!([{"run": ["sh", "-c", delete, "sh", house.clone(), house.root()]}, {"say": "All is deleted."}]);
    let script = json!({"issues": {"1": {"1": first, "2": second}}});
    fs::write(house.place("script.json"), script.to_string()).unwrap();

    let before =
        (house.owners_view(), house.git(&["for-each-ref"]), config(&house), house.git(&["ls-files", "-s"]));
    house.cq("spawn").args(["--wait", "1"]).run().good();
    let branch = claimed["claim"]["branch"].as_str().unwrap().to_owned();
    let report = fs::read_to_string(house.workspace(1).join(".sandbox/home/report")).unwrap();
    let blocked = report.lines().filter(|line| line.starts_with("blocked: ")).count();
    assert_eq!(blocked, ATTEMPTS.len(), "{report}");
    assert!(victim.try_wait().unwrap().is_none(), "somebody else's process lives");
    assert_eq!(house.git(&["log", "--format=%s", &format!("main..{branch}")]), "Good work");
    assert_sound(&house);

    let ended = house.cq("spawn").args(["--wait", "1"]).at(LATER).run().good().record();
    assert_eq!((&ended["status"], &ended["run"]["commits"]), (&json!("testing"), &json!(1)), "{ended}");
    let left = fs::read_dir(house.workspace(1).join("widgets")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, [".git"], "it deleted what it could");
    assert_sound(&house);
    let own = format!("refs/heads/{branch}");
    let refs = house.git(&["for-each-ref"]);
    let others =
        |refs: &str| refs.lines().filter(|line| !line.ends_with(&own)).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(others(&refs), others(&before.1));
    assert_eq!(
        (house.owners_view(), config(&house), house.git(&["ls-files", "-s"])),
        (before.0, before.2, before.3)
    );

    house.shell("cq-gate 1 2 | cq-pr").run().quietly();
    let mut titles: Vec<String> =
        house.lab.pulls().iter().map(|pull| pull["title"].as_str().unwrap().to_owned()).collect();
    titles.sort();
    assert_eq!(titles, ["First (#1)", "Second (#2)"]);
    victim.kill().unwrap();
    victim.wait().unwrap();
}

fn config(house: &House) -> String {
    fs::read_to_string(house.clone().join(".git/config")).unwrap()
}

/// The same attempts without a sandbox: most of them do what they say, or the test above would show nothing. Those
/// that could harm more than this house are left out.
#[test]
fn without_a_sandbox_the_same_attempts_succeed() {
    let house = House::new(&Plan::default());
    let harmless = |name: &str| {
        !["mount", "system", "kernel", "only root", "kill", "packs", "packed-refs", "pointer", "objects"]
            .iter()
            .any(|word| name.contains(word))
    };
    house.claim(1);
    let key = house.place("home/.ssh/id_ed25519");
    fs::create_dir_all(key.parent().unwrap()).unwrap();
    fs::write(key, "a key").unwrap();
    house.work(2).good();
    let other = house.record(2)["claim"]["branch"].as_str().unwrap().to_owned();
    let steps: Vec<Value> = steps(&house, 0, &other)
        .into_iter()
        .filter(|step| harmless(step["run"][7].as_str().unwrap()))
        .chain([json!({"exit": 1})])
        .collect();
    fs::write(house.place("script.json"), json!({"default": steps}).to_string()).unwrap();
    house.cq("spawn").args(["--wait", "1"]).run();
    let report = fs::read_to_string(house.place("home/report")).unwrap();
    let done = report.lines().filter(|line| line.starts_with("DONE: ")).count();
    assert!(done >= 18, "{done} of {}: {report}", steps.len());
}
