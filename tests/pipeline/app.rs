//! Acting as a GitHub App: tokens are minted, shared, renewed and kept where nobody can read them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::json;

use crate::House;
use crate::app_server::{APP, AppServer, INSTALLATION};

fn sealed(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.state_dir().join("cache")).unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "sealed"))
        .collect()
}

#[test]
fn an_app_takes_an_issue_to_its_pull_request_with_one_token() {
    let house = House::usual();
    let server = AppServer::before(&house);
    let line = "cq-fetch | cq-claim --max 1 | cq-spawn --wait | cq-gate | cq-pr";
    server.run(house.shell(line)).run().quietly();
    assert_eq!(house.lab.pulls().len(), 1);
    assert_eq!(server.inside().minted, 1, "one process minted, the others found it");
    let files = sealed(&house);
    assert_eq!(files.len(), 1);
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let limits = house.state_dir().join(format!("cache/github-limits-app-{APP}-{INSTALLATION}.json"));
    assert!(limits.exists(), "the budget is the installation's");
}

#[test]
fn ten_processes_mint_once() {
    let house = House::usual();
    let server = AppServer::before(&house);
    let ten = "for n in 1 2 3 4 5 6 7 8 9 10; do cq-token --plain & done; wait";
    let said = server.run(house.shell(ten)).run().good().stdout;
    let tokens: Vec<&str> = said.lines().collect();
    assert_eq!(tokens.len(), 10, "{said}");
    assert!(tokens.iter().all(|token| *token == tokens[0] && token.len() > 500));
    assert_eq!(server.inside().minted, 1);
}

#[test]
fn a_token_that_is_refused_or_ends_is_replaced() {
    let house = House::usual();
    let server = AppServer::before(&house);
    let fetch = || server.run(house.cq("fetch")).run().quietly().numbers();
    assert_eq!(fetch(), [1, 2, 3]);
    server.inside().live.clear();
    assert_eq!(fetch(), [1, 2, 3], "GitHub forgot it: another one");
    assert_eq!(server.inside().minted, 2);
    // What cannot be read, or is not ours, is as good as nothing.
    let file = sealed(&house).remove(0);
    for content in ["", "{}", "{\"installation\":98765,\"sealed\":\"AAAA\"}"] {
        fs::write(&file, content).unwrap();
        assert_eq!(fetch(), [1, 2, 3], "{content}");
    }
    assert_eq!(server.inside().minted, 5);
    // One that ends sooner than a usual one is used all the same, until half of its life is over.
    fs::remove_file(&file).unwrap();
    server.inside().seconds = 240;
    fetch();
    fetch();
    assert_eq!(server.inside().minted, 6);
}

#[test]
fn a_clock_that_is_off_is_allowed_for_and_told() {
    for (ahead, word) in [(7200, "behind"), (-7200, "ahead of"), (-90, "ahead of")] {
        let house = House::usual();
        let server = AppServer::before(&house);
        server.inside().ahead = ahead;
        let ran = server.run(house.cq("token")).run().ends(0, word);
        assert!(ran.stderr.contains("this machine's clock is "), "{ran:?}");
        assert!(server.inside().refused_for_time > 0, "the server did not mind");
        server.run(house.cq("fetch")).run().quietly();
        assert_eq!(server.inside().minted, 1, "a token lives in GitHub's time");
    }
}

#[test]
fn what_is_wrong_with_an_app_is_said() {
    let house = House::usual();
    let server = AppServer::before(&house);
    let key = house.place("app.pem");
    let try_with = |app: serde_json::Value| {
        house.configure(|config| config["github"]["app"] = app);
        server.run(house.cq("token")).run()
    };
    let file = "../app.pem";
    try_with(json!({"id": APP})).ends(78, "needs privateKeyFile or privateKey");
    try_with(json!({"id": "a b", "privateKeyFile": file})).ends(78, "'a b' is no id");
    try_with(json!({"id": APP, "privateKeyFile": "nowhere.pem"})).ends(78, "cannot read the App's key");
    try_with(json!({"id": APP, "privateKeyFile": file, "installationId": 1})).ends(77, "404");
    let more = json!({"metadata": "read", "workflows": "write"});
    let refused = try_with(json!({"id": APP, "privateKeyFile": file, "permissions": more}));
    refused.ends(1, "not granted to this installation");
    try_with(json!({"id": APP, "privateKey": "${APP_KEY}"})).ends(78, "names APP_KEY, which is not set");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    try_with(json!({"id": APP, "privateKeyFile": file})).ends(78, "can be read by others (mode 0644)");
    let inline = fs::read_to_string(&key).unwrap();
    house.configure(|config| config["github"]["app"] = json!({"id": APP, "privateKey": "${APP_KEY}"}));
    server.run(house.cq("token")).env("APP_KEY", inline).run().quietly();
}

#[test]
fn a_token_can_be_revoked_and_forgotten() {
    let house = House::usual();
    let server = AppServer::before(&house);
    let cq = |args: &[&str]| server.run(house.cq("token")).args(args).run();
    cq(&["--revoke"]).ends(0, "nothing is revoked");
    let token = cq(&["--plain"]).quietly().stdout;
    assert_eq!(server.inside().live, [token.trim_end()]);
    cq(&["--revoke"]).ends(0, "is revoked");
    assert!(server.inside().live.is_empty() && sealed(&house).is_empty());

    // git says that the server refused it: the next one is another.
    let old = cq(&["--plain"]).quietly().stdout;
    let authority = server.address.trim_start_matches("http://");
    let erase = |password: &str, host: &str| {
        let question = format!("protocol=http\nhost={host}\npassword={password}\n\n");
        server.run(house.cq("token")).args(["erase"]).fed(question).quietly();
    };
    erase(old.trim_end(), "127.0.0.1:1");
    erase("another", authority);
    assert_eq!(cq(&["--plain"]).quietly().stdout, old);
    erase(old.trim_end(), authority);
    assert_ne!(cq(&["--plain"]).quietly().stdout, old);

    // The end of everything, where the configuration wants it.
    house.configure(|config| config["github"]["app"]["revoke"] = json!(true));
    let before = server.inside().live.len();
    server.run(house.cq("stop")).args(["--abort"]).run().ends(0, "the App's token is revoked");
    assert_eq!(server.inside().live.len(), before - 1);
}
