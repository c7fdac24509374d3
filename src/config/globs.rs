//! Patterns of paths, as several sections of the configuration have them.

use glob::{MatchOptions, Pattern, PatternError};

use crate::error::{Kind, OrFail, Result};

/// `*` and `?` stay within a folder, `**` does not.
const BY_FOLDER: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Whether a path, from the repository's root, fits a pattern. One that ends with `/` is everything below.
pub fn fits(glob: &str, path: &str) -> bool {
    pattern(glob).is_ok_and(|glob| glob.matches_with(path, BY_FOLDER))
}

/// Refuses what is no pattern, by the key it stands at: it would fit nothing, and nobody would notice.
pub(super) fn refuse_odd(key: &str, glob: &str) -> Result<()> {
    pattern(glob).or_fail(Kind::Config, || format!("'{key}': '{glob}' is no pattern of paths")).map(drop)
}

fn pattern(glob: &str) -> std::result::Result<Pattern, PatternError> {
    if glob.ends_with('/') { Pattern::new(&format!("{glob}**")) } else { Pattern::new(glob) }
}
