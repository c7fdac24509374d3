//! cq-token: the token for other programs, and for git's own questions.

use std::fs;

use serde_json::json;

use crate::House;
use crate::acme_app::AcmeApp;
use crate::leaks::{Watch, forms};
use crate::support::lab::TOKEN;

#[test]
fn the_token_is_printed_with_what_is_known_of_it() {
    let house = House::usual();
    let shown = house.cq("token").run().quietly().record();
    let expected = json!({"token": TOKEN, "expires_at": null, "permissions": null, "source": "GITHUB_TOKEN"});
    assert_eq!(shown, expected);
    for plain in [["--plain", "--quiet"], ["--format", "table"]] {
        assert_eq!(house.cq("token").args(plain).run().quietly().stdout, format!("{TOKEN}\n"));
    }
    let by = |run: crate::support::ran::Run| run.run().quietly().record()["source"].clone();
    assert_eq!(by(house.cq("token").without("GITHUB_TOKEN").env("GH_TOKEN", "other")), "GH_TOKEN");
    house.configure(|config| config["github"]["token"] = json!("${MINE}"));
    assert_eq!(by(house.cq("token").env("MINE", "mine")), "github.token");
    house.configure(|config| config["github"]["token"] = json!(null));
    // gh, where it is signed in to this server, and nobody else has said anything.
    let bin = house.place("bin");
    fs::create_dir(&bin).unwrap();
    let script = "#!/bin/sh\n[ \"$*\" = 'auth token --hostname 127.0.0.1' ] && echo from-gh\n";
    cq::state::durable::replace(&bin.join("gh"), script.as_bytes()).unwrap();
    house.program("chmod").args(["700", &house.text_of("bin/gh")]).run().good();
    let path = format!("{}:{}", bin.display(), "/usr/bin:/bin");
    assert_eq!(by(house.cq("token").without("GITHUB_TOKEN").env("PATH", path)), "gh auth token");
    house.cq("token").without("GITHUB_TOKEN").env("PATH", "/nowhere").run().ends(77, "no GitHub token");
    house.cq("token").env("GITHUB_TOKEN", "two words").run().ends(78, "the token of GITHUB_TOKEN is none");
    house.cq("token").args(["--revoke"]).run().ends(78, "only the token of a GitHub App");
}

/// Real git, a private repository, and the token nowhere but in git's memory.
#[test]
fn git_gets_its_password_from_cq_token() {
    let acme = AcmeApp::usual();
    let (house, address) = (&acme.house, acme.house.lab.address());
    let url = format!("{address}/acme/widgets.git");
    let helper = ["-c", "credential.helper=", "-c", "credential.helper=!cq-token"];
    let clone = |name: &str| ["clone".to_owned(), "--quiet".to_owned(), url.clone(), house.text_of(name)];

    let refused = acme.program("git").env("GIT_TERMINAL_PROMPT", "0").args(clone("none")).run();
    assert_ne!(refused.status, 0, "the server lets nobody in");
    let token = acme.cq("token").args(["--plain"]).run().quietly().stdout.trim_end().to_owned();
    let watch = Watch::for_any_of(forms(&token).to_vec());
    acme.program("git").args(helper).args(clone("helped")).run().quietly();
    acme.program("git").env("GIT_ASKPASS", "cq-token").args(clone("asked")).run().quietly();
    watch.end();
    for name in ["helped", "asked"] {
        assert!(house.place(name).join("README.md").exists());
        let config = fs::read_to_string(house.place(name).join(".git/config")).unwrap();
        assert!(!config.contains(&token) && !config.contains("x-access-token"), "{config}");
    }

    let authority = house.lab.authority();
    let get = |question: String| acme.cq("token").args(["get"]).fed(question).quietly().stdout;
    let path = "path=acme/widgets.git";
    let ours = get(format!("capability[]=authtype\nprotocol=http\nhost={authority}\n{path}\n\n"));
    let lines: Vec<&str> = ours.lines().collect();
    assert_eq!(lines[..2], ["username=x-access-token", format!("password={token}").as_str()]);
    assert!(lines[2].starts_with("password_expiry_utc="), "{lines:?}");
    for (protocol, host) in [("https", authority), ("http", "github.com"), ("http", "127.0.0.1:1")] {
        assert_eq!(get(format!("protocol={protocol}\nhost={host}\n\n")), "", "{protocol}://{host}");
    }
    for other in ["store", "erase"] {
        acme.cq("token").args([other]).fed("protocol=https\nhost=github.com\n\n").quietly();
    }
    let ask = |question: &str| acme.cq("token").args([question]).run();
    assert_eq!(ask(&format!("Username for '{address}': ")).quietly().stdout, "x-access-token\n");
    let denied = ask("Password for 'https://x-access-token@github.com': ");
    assert_eq!(denied.ends(77, "not the configured server").stdout, "");
    ask("Password: ").ends(2, "expected get, store or erase");
}
