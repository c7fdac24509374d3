//! The client against what the real service once answered (tests/data/github/recorded).

use cq::error::Kind;
use cq::github::{Refusal, Repeat, issues, labels};
use serde_json::Value;

use crate::replay::{Replay, Seen, TOKEN};

fn exchanges(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn is_signed(seen: &Seen) -> bool {
    seen.authorization.as_deref().is_some_and(|said| said == format!("Bearer {TOKEN}"))
}

#[test]
fn pages_are_followed_as_the_links_lead() {
    let recorded = exchanges(include_str!("../data/github/recorded/paginate-issues.json"));
    let replay = Replay::of(&recorded, None);
    let client = replay.client();
    let first =
        client.address("repos/octokit-fixture-org/paginate-issues/issues", &[("per_page", "3")]).unwrap();
    let mut found = Vec::new();
    let mut pages = 0;
    client
        .pages(first, |page| {
            pages += 1;
            let items = page.as_array().unwrap();
            for item in items {
                found.push(issues::from_json(item, None)?);
            }
            Ok(())
        })
        .unwrap();
    let asked: Vec<String> =
        recorded.iter().map(|one| format!("GET {}", one["path"].as_str().unwrap())).collect();
    assert_eq!((pages, replay.lines()), (5, asked));
    assert!(replay.seen().iter().all(is_signed));
    let mut numbers: Vec<u64> = found.iter().map(|record| record.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=13).collect::<Vec<_>>());
    for record in &found {
        assert_eq!(record.repo, "octokit-fixture-org/paginate-issues");
        assert!(record.issue.state == "open" && !record.issue.author.is_empty(), "{record:?}");
        assert!(record.issue.created_at.is_some() && record.issue.updated_at.is_some(), "{record:?}");
    }
}

#[test]
fn a_renamed_repository_is_followed_with_method_body_and_token() {
    let recorded = exchanges(include_str!("../data/github/recorded/rename-repository.json"));
    // The first exchange is the renaming itself, by the address that is redirected later.
    let replay = Replay::of(&recorded[1..], None);
    let client = replay.client();
    let old = client.address("repos/octokit-fixture-org/rename-repository", &[]).unwrap();
    let read = client.get(&old).unwrap().body;
    assert_eq!(read["full_name"], "octokit-fixture-org/rename-repository-newname");
    let body = recorded[4]["body"].clone();
    assert!(body.is_object());
    let written = client.write("PATCH", &old, Some(&body), &Repeat::Harmless).unwrap().body;
    assert_eq!(written["full_name"], "octokit-fixture-org/rename-repository-newname");
    let (from, to) = ("/repos/octokit-fixture-org/rename-repository", "/repositories/1000");
    let expected = ["GET", "GET", "PATCH", "PATCH"].into_iter().zip([from, to, from, to]);
    assert_eq!(replay.lines(), expected.map(|(method, path)| format!("{method} {path}")).collect::<Vec<_>>());
    assert!(replay.seen().iter().all(is_signed), "the same server");
    assert_eq!(replay.seen()[2].body, body);
    assert_eq!(replay.seen()[3].body, body, "307 takes the body along");
}

#[test]
fn another_server_gets_neither_the_token_nor_what_is_written() {
    let recorded = exchanges(include_str!("../data/github/recorded/rename-repository.json"));
    let elsewhere = Replay::of(&recorded[2..], None);
    let replay = Replay::of(&recorded[1..], Some(&elsewhere.address));
    let client = replay.client();
    let old = client.address("repos/octokit-fixture-org/rename-repository", &[]).unwrap();
    let body = recorded[4]["body"].clone();
    let (read, written) = (client.get(&old), client.write("PATCH", &old, Some(&body), &Repeat::Harmless));
    for error in [read.unwrap_err(), written.unwrap_err()] {
        let said = format!("{error:?}");
        assert!(error.kind == Kind::Unavailable && said.contains("another server"), "{said}");
    }
    assert_eq!((replay.seen().len(), elsewhere.seen()), (2, vec![]), "and it is not tried again");
}

#[test]
fn a_refusal_says_what_github_said() {
    let recorded = exchanges(include_str!("../data/github/recorded/errors.json"));
    let replay = Replay::of(&recorded, None);
    let client = replay.client();
    let url = client.address("repos/octokit-fixture-org/errors/labels", &[]).unwrap();
    let error = client.write("POST", &url, Some(&recorded[0]["body"]), &Repeat::Harmless).unwrap_err();
    let refusal = error.cause::<Refusal>().unwrap();
    assert_eq!((refusal.status, &*refusal.message), (422, "Validation Failed: color: invalid"));
    assert_eq!((error.kind, replay.seen().len()), (Kind::Failed, 1), "what is refused is not sent again");
}

#[test]
fn labels_are_found_made_and_put_on() {
    let recorded = exchanges(include_str!("../data/github/recorded/labels.json"));
    let replay = Replay::of(&recorded, None);
    let repo = "octokit-fixture-org/labels";
    assert!(!labels::make(&replay.client(), repo, "test-label", "663399", "").unwrap(), "it is there");
    assert_eq!(replay.lines(), ["GET /repos/octokit-fixture-org/labels/labels/test-label"]);

    let recorded = exchanges(include_str!("../data/github/recorded/add-labels-to-issue.json"));
    let replay = Replay::of(&recorded, None);
    let names = ["Foo", "bAr", "baZ"].map(str::to_owned);
    labels::add(&replay.client(), "octokit-fixture-org/add-labels-to-issue", 1, &names).unwrap();
    assert_eq!(replay.lines(), ["POST /repos/octokit-fixture-org/add-labels-to-issue/issues/1/labels"]);
}

#[test]
fn a_search_is_read_like_a_list() {
    let recorded = exchanges(include_str!("../data/github/recorded/search-issues.json"));
    let items = issues::parse_file(&recorded[0]["response"].to_string()).unwrap();
    let found: Vec<_> = items.iter().map(|(_, item)| issues::from_json(item, None).unwrap()).collect();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|record| record.repo == "octokit-fixture-org/search-issues"));
}
