//! What a token may do, and what it should: permissions as Apps and fine-grained tokens have them. Pure.

use std::collections::BTreeMap;

/// `issues` to `write`, and so on.
pub type Permissions = BTreeMap<String, String>;

/// What cq needs of its repository.
pub const NEEDED: [(&str, &str); 4] =
    [("metadata", "read"), ("issues", "write"), ("pull_requests", "write"), ("contents", "write")];

/// [`NEEDED`], as a map.
pub fn needed() -> Permissions {
    NEEDED.iter().map(|&(name, level)| (name.to_owned(), level.to_owned())).collect()
}

/// What is wanted and not granted: `issues: write`. A higher level covers the lower ones.
pub fn missing(granted: &Permissions, wanted: &Permissions) -> Vec<String> {
    beyond(wanted, granted)
}

/// What is granted and not wanted. Reading alone, of anything, is passed over.
pub fn excessive(granted: &Permissions, wanted: &Permissions) -> Vec<String> {
    let writes = granted.iter().filter(|(_, level)| rank(level) > rank("read"));
    beyond(&writes.map(|(name, level)| (name.clone(), level.clone())).collect(), wanted)
}

/// What of the first goes beyond the second.
fn beyond(some: &Permissions, others: &Permissions) -> Vec<String> {
    let covered = |name: &str, level: &str| others.get(name).is_some_and(|other| rank(other) >= rank(level));
    some.iter()
        .filter(|(name, level)| !covered(name, level))
        .map(|(name, level)| format!("{name}: {level}"))
        .collect()
}

fn rank(level: &str) -> u8 {
    match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_too_much() {
        let of = |pairs: &[(&str, &str)]| -> Permissions {
            pairs.iter().map(|&(name, level)| (name.to_owned(), level.to_owned())).collect()
        };
        let exact = needed();
        let lacking = of(&[("metadata", "read"), ("issues", "read"), ("contents", "admin")]);
        let more = of(&[
            ("metadata", "read"),
            ("issues", "write"),
            ("pull_requests", "write"),
            ("contents", "write"),
            ("checks", "read"),
            ("workflows", "write"),
            ("administration", "admin"),
        ]);
        let cases: [(&Permissions, &[&str], &[&str]); 4] = [
            (&exact, &[], &[]),
            (&lacking, &["issues: write", "pull_requests: write"], &["contents: admin"]),
            (&more, &[], &["administration: admin", "workflows: write"]),
            (&of(&[]), &["contents: write", "issues: write", "metadata: read", "pull_requests: write"], &[]),
        ];
        for (granted, lacks, exceeds) in cases {
            assert_eq!(missing(granted, &exact), lacks, "{granted:?}");
            assert_eq!(excessive(granted, &exact), exceeds, "{granted:?}");
        }
    }
}
