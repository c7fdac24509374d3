//! The same under an account without privileges, where bubblewrap needs a user namespace.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::support::skip::skip;
use crate::{assert_sound, sandboxed};

const NAME: &str = "an account without privileges";

#[test]
fn an_account_without_privileges_has_a_sandbox_too() {
    let Some(house) = sandboxed(
        NAME,
        json!({"default": [
            {"run": ["sh", "-c", "(id -u; ls \"$0\"; echo x >> \"$0/README.md\") > seen.txt 2>&1", "CLONE"]},
            {"commit": "Look"},
        ]}),
    ) else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        // The other tests have shown it.
        return;
    }
    let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let tried =
        Command::new("setpriv").args(as_nobody).args([env!("CARGO_BIN_EXE_cq-lab"), "--version"]).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        return skip(NAME, "setpriv is missing, or another account may not start what was built");
    }
    let script = fs::read_to_string(house.place("script.json")).unwrap();
    let clone = house.clone().display().to_string();
    fs::write(house.place("script.json"), script.replace("CLONE", &clone)).unwrap();
    fs::set_permissions(house.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(house.root()).status().unwrap();
    assert!(owned.success());
    let line = "cq-fetch 1 | cq-claim | cq-spawn --wait | cq-gate | cq-pr";
    let ran = house.program("setpriv").args(as_nobody).args(["sh", "-c", line]).run().quietly();
    let record = ran.record();
    assert_eq!((&record["status"], &record["run"]["sandbox"]), (&json!("pr-ready"), &json!("bubblewrap")));
    let owned = Command::new("chown").args(["-R", "0:0"]).arg(house.root()).status().unwrap();
    assert!(owned.success());
    let branch = record["claim"]["branch"].as_str().unwrap();
    let seen = house.git(&["show", &format!("{branch}:seen.txt")]);
    assert!(seen.starts_with("65534\nworkspaces\n"), "{seen}");
    assert!(seen.contains("Read-only file system"), "{seen}");
    assert_sound(&house);
}
