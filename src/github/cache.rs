//! GitHub's answers by address, with their ETags, shared by all commands: an answer that has not changed costs
//! nothing of the rate limit. One file an answer, replaced whole; any of them may be deleted at any time.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::credential::digest;
use crate::state::{durable, make_private};

/// Answers that nobody asked for in this time are swept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An answer that is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where it came from: what a file is found by is shortened.
    pub url: String,
    /// Whose it is: an ETag belongs to the token that fetched it.
    pub of: String,
    pub etag: String,
    /// The page after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Url>,
    pub body: Value,
}

/// A folder of answers.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// In `.cq/cache`.
    pub(super) fn below(folder: &Path) -> Self {
        Self { folder: folder.join("http") }
    }

    fn file(&self, of: &str, url: &Url) -> PathBuf {
        let name = digest(&format!("{of}\n{url}"));
        self.folder.join(format!("{name:032x}.json"))
    }

    /// What is known of an address. Unreadable is unknown.
    pub(super) fn find(&self, of: &str, url: &Url) -> Option<Kept> {
        let text = std::fs::read_to_string(self.file(of, url)).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        (kept.url == url.as_str() && kept.of == of).then_some(kept)
    }

    /// Keeps an answer. A cache that cannot be written only makes the next request dearer.
    pub(super) fn keep(&self, kept: &Kept) {
        let Ok(url) = Url::parse(&kept.url) else { return };
        if let Ok(text) = serde_json::to_vec(kept)
            && make_private(&self.folder).is_ok()
        {
            let _ = durable::replace_cheaply(&self.file(&kept.of, &url), &text);
        }
    }

    /// Deletes what is old; gives how many.
    pub(super) fn sweep(&self, now: SystemTime) -> usize {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return 0 };
        let old = |entry: &std::fs::DirEntry| {
            let written = entry.metadata().and_then(|about| about.modified()).ok()?;
            Some(now.duration_since(written).ok()? > KEPT)
        };
        let swept = entries.flatten().filter(|entry| old(entry) == Some(true));
        swept.filter(|entry| std::fs::remove_file(entry.path()).is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_belongs_to_its_address_and_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::below(folder.path());
        let url = Url::parse("https://api.example/a?b=c").unwrap();
        assert!(cache.find("t", &url).is_none());
        cache.keep(&Kept {
            url: url.to_string(),
            of: "t".into(),
            etag: "W/\"1\"".into(),
            next: None,
            body: json!([1]),
        });
        assert_eq!(cache.find("t", &url).unwrap().body, json!([1]));
        assert!(cache.find("u", &url).is_none());
        assert!(cache.find("t", &Url::parse("https://api.example/a").unwrap()).is_none());
        assert_eq!(cache.sweep(SystemTime::UNIX_EPOCH), 0);
        let file = std::fs::read_dir(folder.path().join("http")).unwrap().next().unwrap().unwrap().path();
        std::fs::File::options().write(true).open(&file).unwrap().set_len(7).unwrap();
        assert!(cache.find("t", &url).is_none(), "half a file is no answer");
        let later = std::fs::metadata(&file).unwrap().modified().unwrap() + KEPT * 2;
        assert_eq!(cache.sweep(later), 1);
    }
}
