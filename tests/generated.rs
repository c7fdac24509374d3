//! What is made from the code is committed, and is what the code would make now.
//!
//! `CQ_WRITE=1 cargo nextest run --test generated` writes it again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

use std::path::Path;

use cq::cli::manual::{self, Made};

const BEGIN: &str = "<!-- commands: made from src/cli by tests/generated.rs -->\n";
const END: &str = "<!-- end of commands -->";

fn writes() -> bool {
    std::env::var("CQ_WRITE").is_ok_and(|value| value == "1")
}

fn hold(path: &Path, expected: &str) {
    if writes() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the code makes; run: CQ_WRITE=1 cargo nextest run --test generated",
        path.display()
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn pages_completions_and_schemas_are_current() {
    for Made { path, text } in manual::files().unwrap() {
        hold(&root().join(path), &text);
    }
}

#[test]
fn the_readme_lists_the_commands() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has no place for the commands");
    let (_, after) = rest.split_once(END).expect("README.md: the place for the commands has no end");
    hold(&path, &format!("{before}{BEGIN}{}{END}{after}", manual::command_table()));
}

#[test]
fn every_binary_has_a_page_and_every_page_a_binary() {
    let names = |folder: &str, end: &str| {
        let mut names: Vec<String> = std::fs::read_dir(root().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(end).to_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("src/bin", ".rs"), names("man", ".1"));
}

#[test]
fn every_page_has_the_promised_sections() {
    for Made { path, text } in manual::files().unwrap().iter().filter(|made| made.path.starts_with("man")) {
        for section in ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"] {
            assert!(
                text.contains(&format!(".SH \"{section}\"")) || text.contains(&format!(".SH {section}")),
                "{}: {section}",
                path.display()
            );
        }
    }
}
