//! Nothing can be asked of GitHub that these tests do not know of: the sources are searched for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::description::versions;

/// The library's code but for the rehearsal and unit tests, by path.
fn sources() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut left) = (BTreeMap::new(), vec![root.join("src")]);
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.ends_with("tests.rs") || path.ends_with("properties.rs");
            if path.is_dir() && !path.ends_with("src/lab") {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
                let text = fs::read_to_string(&path).unwrap();
                let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
                found.insert(path.strip_prefix(root).unwrap().to_owned(), text[..end].to_owned());
            }
        }
    }
    found
}

/// The string literals of a line.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// Paths below the API, as the code writes them: `repos/{repo}/issues/{number}`.
fn paths(text: &str) -> BTreeSet<String> {
    let code = text.lines().filter(|line| !line.trim().starts_with("//"));
    let of_line = |line: &str| -> Vec<String> {
        let direct = line.split(".address(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let is_path =
            |literal: &&str| ["repos/", "app/", "installation/"].iter().any(|one| literal.starts_with(one));
        let below = literals(line).filter(is_path);
        direct.chain(below).map(str::to_owned).collect()
    };
    code.flat_map(of_line).collect()
}

#[test]
fn every_address_is_one_of_githubs() {
    let (mut addresses, mut calls) = (BTreeSet::new(), 0);
    for (file, text) in sources() {
        let here = paths(&text);
        let uses = text.matches("client.address(").count() + text.matches("client()?.address(").count();
        // An App asks in its own name, past the client.
        let in_its_own_name = file.ends_with("src/github/app/mint.rs");
        assert_eq!(
            uses > 0 || in_its_own_name,
            !here.is_empty(),
            "{}: addresses {here:?}, {uses} calls",
            file.display()
        );
        assert!(
            text.matches(".address(").count() == uses,
            "{}: an address that is asked for in a way this test does not see",
            file.display()
        );
        calls += uses;
        addresses.extend(here);
    }
    assert!(calls >= 9 && addresses.len() >= 9, "{calls} calls of {addresses:?}");
    for description in versions() {
        // Whatever a parameter is called here and there.
        let shape = |path: &str| -> String {
            let segments =
                path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
            segments.collect::<Vec<_>>().join("/")
        };
        let routes: BTreeSet<String> = description.routes().map(shape).collect();
        // What the description leaves out, and what is put together further: the running commands show these.
        let others = ["installation/token", "repos/{repo}/{path}", "repos/{repo}/actions/jobs/{job}/logs"];
        for address in addresses.iter().filter(|address| !others.contains(&address.as_str())) {
            // The first parameter is `owner/name`.
            let route = match address.strip_prefix("repos/") {
                Some(rest) => {
                    let (_, rest) = rest.split_once('}').unwrap();
                    format!("/repos/{{owner}}/{{repo}}{rest}")
                }
                None => format!("/{address}"),
            };
            assert!(routes.contains(&shape(&route)), "{}: there is no '{address}'", description.version);
        }
    }
}

/// The documents of `src/github/document.rs` are held against GitHub's schema there; nowhere else may be any.
#[test]
fn graphql_is_written_in_one_place() {
    let kinds = ["query ", "mutation ", "subscription "];
    let is_named =
        |rest: &str| rest.starts_with(|first: char| first.is_ascii_uppercase() || "({$".contains(first));
    let mut asked = 0;
    for (file, text) in sources() {
        let documents: usize = kinds
            .iter()
            .map(|kind| {
                let begins = |at: usize| text[..at].ends_with(['"', '\n', ' ']);
                let found = text.match_indices(kind).filter(|(at, _)| begins(*at));
                found.filter(|(at, _)| is_named(&text[at + kind.len()..])).count()
            })
            .sum();
        let is_the_place =
            ["src/github/document.rs", "src/github/document/pulls.rs"].iter().any(|one| file.ends_with(one));
        assert_eq!(documents > 0, is_the_place, "{}: {documents}", file.display());
        let queries = text.match_indices(".query(").chain(text.match_indices(".mutate("));
        for (at, call) in queries {
            let argument = text[at + call.len()..].trim_start();
            // An address has a query too.
            if argument.starts_with(')') {
                continue;
            }
            let from_there = argument.trim_start_matches('&').starts_with("document::");
            assert!(from_there, "{}: a query that is not from document.rs", file.display());
            asked += 1;
        }
    }
    assert!(asked >= 4, "{asked}");
}
