//! Acting as a GitHub App: tokens are minted, shared, renewed and kept where nobody can read them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::House;
use crate::acme_app::{APP, AcmeApp, Wish, configured};

fn sealed(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.state_dir().join("cache")).unwrap().flatten();
    let ends = |path: &PathBuf| path.extension().is_some_and(|end| end == "sealed");
    entries.map(|entry| entry.path()).filter(ends).collect()
}

#[test]
fn an_app_takes_an_issue_to_its_pull_request_with_one_token() {
    let acme = AcmeApp::usual();
    acme.shell("cq-fetch | cq-claim --max 1 | cq-spawn --wait | cq-gate | cq-pr").run().quietly();
    assert_eq!(acme.house.lab.pulls().len(), 1);
    assert_eq!(acme.minted(), 1, "one process minted, the others found it");
    let files = sealed(&acme.house);
    assert_eq!(files.len(), 1);
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    // The budget is the installation's: another token of it has the same.
    acme.kill(acme.cq("token").args(["--plain"]).run().quietly().stdout.trim_end());
    acme.cq("fetch").run().quietly();
    let entries = fs::read_dir(acme.house.state_dir().join("cache")).unwrap().flatten();
    let limits = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("github-limits-"));
    assert_eq!((limits.count(), acme.minted()), (1, 2));
}

#[test]
fn ten_processes_mint_once() {
    let acme = AcmeApp::usual();
    let ten = "for n in 1 2 3 4 5 6 7 8 9 10; do cq-token --plain & done; wait";
    let said = acme.shell(ten).run().good().stdout;
    let tokens: Vec<&str> = said.lines().collect();
    assert_eq!(tokens.len(), 10, "{said}");
    assert!(tokens.iter().all(|token| *token == tokens[0] && token.len() > 500));
    assert_eq!(acme.minted(), 1);
}

#[test]
fn a_token_that_is_refused_or_cannot_be_read_is_replaced() {
    let acme = AcmeApp::usual();
    let fetch = || acme.cq("fetch").run().quietly().numbers();
    let token = acme.cq("token").args(["--plain"]).run().quietly().stdout;
    assert_eq!(fetch(), [1, 2, 3]);
    acme.kill(token.trim_end());
    assert_eq!(fetch(), [1, 2, 3], "in mid-run");
    assert_eq!(acme.minted(), 2);
    let file = sealed(&acme.house).remove(0);
    for content in ["", "{}", "{\"installation\":98765,\"sealed\":\"AAAA\"}"] {
        fs::write(&file, content).unwrap();
        assert_eq!(fetch(), [1, 2, 3], "{content}");
    }
    assert_eq!(acme.minted(), 5);
}

#[test]
fn a_short_life_is_lived_by_half_of_it() {
    let acme = AcmeApp::new(&Wish { seconds: 240, ..Wish::default() });
    acme.cq("fetch").run().quietly();
    acme.cq("fetch").run().quietly();
    assert_eq!(acme.minted(), 1);
}

#[test]
fn a_clock_that_is_off_is_allowed_for_and_told() {
    for (ahead, word) in [(7200, "behind"), (-7200, "ahead of"), (-200, "ahead of")] {
        let acme = AcmeApp::new(&Wish { ahead, ..Wish::default() });
        let ran = acme.cq("token").run().ends(0, word);
        assert!(ran.stderr.contains("this machine's clock is "), "{ran:?}");
        let refused = acme.answered("/access_tokens", 401) + acme.answered("/installation", 401);
        assert!(refused > 0, "the server did not mind");
        acme.cq("fetch").run().quietly();
        assert_eq!(acme.minted(), 1, "a token lives in GitHub's time");
    }
}

#[test]
fn what_is_wrong_with_an_app_is_said() {
    let acme = AcmeApp::usual();
    let key = acme.house.place("app.pem");
    let try_with = |app: serde_json::Value| {
        acme.house.configure(|config| config["github"]["app"] = app);
        acme.cq("token").run()
    };
    let file = "../app.pem";
    try_with(json!({"id": APP})).ends(78, "needs privateKeyFile or privateKey");
    try_with(json!({"privateKeyFile": file})).ends(78, "missing field `id`");
    try_with(json!({"id": "a b", "privateKeyFile": file})).ends(78, "'a b' is no id");
    try_with(json!({"id": APP, "privateKeyFile": "nowhere.pem"})).ends(78, "cannot read the App's key");
    try_with(json!({"id": 1, "privateKeyFile": file})).ends(77, "check github.app");
    try_with(json!({"id": APP, "privateKeyFile": file, "installationId": 1})).ends(77, "check github.app");
    let more = json!({"metadata": "read", "workflows": "write"});
    let refused = try_with(json!({"id": APP, "privateKeyFile": file, "permissions": more}));
    refused.ends(1, "the App needs metadata: read, workflows: write");
    try_with(json!({"id": APP, "privateKey": "${APP_KEY}"})).ends(78, "names APP_KEY, which is not set");
    let inline = fs::read_to_string(&key).unwrap();
    acme.cq("token").env("APP_KEY", inline).run().quietly();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    try_with(configured()).ends(78, "can be read by others (mode 0644)");
}

#[test]
fn a_token_can_be_revoked_and_forgotten() {
    let acme = AcmeApp::usual();
    let cq = |args: &[&str]| acme.cq("token").args(args).run();
    let token = || cq(&["--plain"]).quietly().stdout.trim_end().to_owned();
    cq(&["--revoke"]).ends(0, "nothing is revoked");
    let first = token();
    assert!(acme.lives(&first));
    cq(&["--revoke"]).ends(0, "is revoked");
    assert!(!acme.lives(&first) && sealed(&acme.house).is_empty());

    // git says that the server refused it: the next one is another.
    let old = token();
    let erase = |password: &str, host: &str| {
        let question = format!("protocol=http\nhost={host}\npassword={password}\n\n");
        acme.cq("token").args(["erase"]).fed(question).quietly();
    };
    erase(&old, "127.0.0.1:1");
    erase("another", acme.house.lab.authority());
    assert_eq!(token(), old);
    erase(&old, acme.house.lab.authority());
    let new = token();
    assert_ne!(new, old);

    // The end of everything, where the configuration wants it.
    acme.cq("stop").args(["--abort"]).run().good();
    assert!(acme.lives(&new), "nobody asked for it");
    acme.house.configure(|config| config["github"]["app"]["revoke"] = json!(true));
    acme.cq("stop").args(["--abort"]).run().ends(0, "the App's token is revoked");
    assert!(!acme.lives(&new));
}
