//! GitHub behind a path, behind TLS, behind a proxy: where enterprises keep it.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::House;
use crate::support::ran::Run;
use crate::wire::{Authority, connect_proxy, prefixed, tls};

/// A GitHub that only a proxy can find.
const HOST: &str = "github.test";

#[test]
fn an_api_below_a_path_is_found_there() {
    let house = House::usual();
    let front = prefixed(house.lab.authority(), "/api/v3");
    let address = format!("http://{}", front.address);
    let cq = |line: &str| {
        let run = house.shell(line).env("GITHUB_SERVER_URL", &address);
        run.env("GITHUB_API_URL", format!("{address}/api/v3")).run()
    };
    cq("cq-fetch | cq-claim --max 1 | cq-spawn --wait | cq-gate | cq-pr").quietly();
    assert_eq!(house.lab.pulls().len(), 1);
    cq("cq-pr --sync").quietly();
    assert!(front.seen.load(Ordering::SeqCst) >= 3, "fetch, look, open");
    let wrong = house.cq("fetch").env("GITHUB_API_URL", &address).run();
    wrong.ends(77, "not there, or not visible to this token");
}

/// The house's command, with GitHub at `https://github.test` and a proxy on the way.
fn behind(house: &House, run: Run, proxy: &str, authority: Option<&Authority>) -> Run {
    let github = format!("https://{HOST}");
    let run = run.env("GITHUB_API_URL", &github).env("GITHUB_SERVER_URL", &github);
    let run = run.env("GITHUB_GRAPHQL_URL", format!("{github}/graphql")).env("https_proxy", proxy);
    match authority {
        None => run,
        Some(authority) => {
            let file = house.place("ca.pem");
            std::fs::write(&file, &authority.pem).unwrap();
            run.env("SSL_CERT_FILE", file)
        }
    }
}

#[test]
fn everything_goes_through_the_proxy_and_trusts_the_given_authority() {
    let house = House::usual();
    let authority = Authority::new();
    let terminator = tls(house.lab.authority(), &authority, HOST);
    let proxy = connect_proxy(&terminator.address);
    let address = format!("http://{}", proxy.address);
    let seen = || proxy.seen.swap(0, Ordering::SeqCst);
    let cq = |name: &str, args: &[&str]| {
        behind(&house, house.cq(name).args(args), &address, Some(&authority)).run().quietly()
    };

    assert_eq!(cq("fetch", &[]).numbers(), [1, 2, 3]);
    assert!(seen() >= 1, "the API");
    cq("claim", &["1"]);
    seen();
    cq("spawn", &["--wait", "1"]);
    assert!(seen() >= 1, "git fetch");
    cq("gate", &["1"]);
    assert_eq!(seen(), 0, "a check asks nobody");
    cq("pr", &["1"]);
    assert!(seen() >= 3, "ls-remote, push and the API");
    assert_eq!(house.lab.pulls().len(), 1);
    assert_eq!(house.lab.branches().len(), 1);
}

#[test]
fn an_authority_that_nobody_vouches_for_is_refused() {
    let house = House::usual();
    let (authority, other) = (Authority::new(), Authority::new());
    let terminator = tls(house.lab.authority(), &authority, HOST);
    let proxy = connect_proxy(&terminator.address);
    let address = format!("http://{}", proxy.address);
    for trusted in [None, Some(&other)] {
        let ran = behind(&house, house.cq("fetch"), &address, trusted).run();
        let ran = ran.ends(69, "cannot read 'https://github.test/repos/acme/widgets/issues'");
        assert!(ran.stderr.to_lowercase().contains("certificate"), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    // git is as strict as the API's client.
    house.claim(1);
    let ran = behind(&house, house.cq("spawn").args(["--wait", "1"]), &address, None).run();
    ran.ends(69, "cannot fetch 'main' from 'https://github.test/acme/widgets.git'");
    assert_eq!(house.record(1)["claim"]["attempt"], json!(1));
}

#[test]
fn a_proxy_that_is_down_is_told() {
    let house = House::usual();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = format!("http://127.0.0.1:{port}");
    let ran = behind(&house, house.cq("fetch"), &nowhere, None).run();
    ran.ends(69, "cannot read 'https://github.test/repos/acme/widgets/issues'");
}

/// Answers that break off are asked for again; an issue is never lost between two pages.
#[test]
fn a_broken_answer_is_asked_for_again() {
    let house = House::usual();
    let path = "/repos/*/*/issues$";
    house.lab.break_with(&json!([
        {"method": "GET", "path": path}, {"method": "GET", "path": path, "status": 502, "body": "<html>"},
    ]));
    assert_eq!(house.cq("fetch").run().quietly().numbers(), [1, 2, 3]);
    house.lab.break_with(&json!([{"method": "GET", "path": path, "status": 503, "times": 9}]));
    house.cq("fetch").run().ends(69, "GitHub is in trouble");
}
