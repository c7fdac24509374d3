//! Copies of what a repository's git directory says, for those who may only see it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Repository, complaint};
use crate::error::{Kind, OrFail, Result};
use crate::state::make_private;

/// A loose ref, or a list of alternates, is shorter.
const SMALL: u64 = 64 << 10;
/// git follows alternates of alternates this far.
const DEEPEST: usize = 5;

/// Opens a plain file; none where there is none. A link is not followed, a pipe not waited for.
pub(super) fn open_plain(path: &Path) -> std::io::Result<Option<File>> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(std::io::Error::new(ErrorKind::InvalidData, "not a plain file")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text of a small plain file; none where there is none.
pub(super) fn read_small(path: &Path) -> std::io::Result<Option<String>> {
    read_plain(path, SMALL)
}

/// The text of a plain file, so many bytes of it; none where there is none.
pub(super) fn read_plain(path: &Path, most: u64) -> std::io::Result<Option<String>> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    let mut text = String::new();
    file.take(most).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Copies a plain file; anything else, or nothing, is left out.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let Ok(Some(mut file)) = open_plain(from) else { return Ok(()) };
    let failed = || format!("cannot copy '{}' to '{}'", from.display(), to.display());
    if let Some(folder) = to.parent() {
        make_private(folder)?;
    }
    let mut copy = File::create_new(to).or_fail(Kind::CannotWrite, failed)?;
    std::io::copy(&mut file, &mut copy).or_fail(Kind::CannotWrite, failed).map(drop)
}

/// Copies the plain files of a folder, locks left out.
pub(super) fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().ends_with(".lock") {
            copy(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}

/// Copies loose refs. `except` is a folder, relative to the git directory, whose refs are other instances' own;
/// cq's refs are nobody's.
pub(super) fn copy_refs(from: &Path, to: &Path, except: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !from.ends_with(except) && !from.ends_with("refs/cq") {
            copy_refs(&from, &to, except)?;
        } else if !is_folder && from.extension().is_none_or(|end| end != "lock") {
            copy(&from, &to)?;
        }
    }
    make_private(to)
}

/// The object directories of a repository: its own, and those that it borrows from.
pub(super) fn object_directories(common: &Path) -> Vec<PathBuf> {
    let mut found = vec![common.join("objects")];
    let mut next = 0;
    while next < found.len() && found.len() < DEEPEST * DEEPEST {
        let here = found[next].clone();
        next += 1;
        let Ok(Some(text)) = read_small(&here.join("info/alternates")) else { continue };
        let named = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for folder in named.filter_map(|line| here.join(line).canonicalize().ok()) {
            if !found.contains(&folder) {
                found.push(folder);
            }
        }
    }
    found
}

impl Repository {
    /// The repository's settings without those that may hold a secret, or read one from elsewhere: credentials,
    /// headers, included files, the user's part of addresses. Nothing is packed in the background.
    pub(super) fn settings_without_secrets(&self) -> Result<String> {
        let listed = self.run(&[
            "config",
            "--file",
            &self.common_dir().join("config").display().to_string(),
            "--list",
            "-z",
        ])?;
        if !listed.success() {
            return Err(complaint("read the repository's settings", &listed));
        }
        let text = String::from_utf8_lossy(&listed.stdout);
        let mut settings: String = text.split('\0').filter_map(setting).collect();
        settings.push_str("[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n");
        Ok(settings)
    }
}

/// One setting, `key`, line end, `value`, as a file has it.
fn setting(listed: &str) -> Option<String> {
    let (key, value) = listed.split_once('\n').map_or((listed, None), |(key, value)| (key, Some(value)));
    let lower = key.to_ascii_lowercase();
    let secret = ["credential", "include", "http.", "sendemail", "imap", "url.", "core.worktree"];
    let telling = ["pass", "token", "secret", "header", "cookie"];
    if secret.iter().any(|start| lower.starts_with(start)) || telling.iter().any(|word| lower.contains(word))
    {
        return None;
    }
    let (section, name) = key.rsplit_once('.')?;
    let head = match section.split_once('.') {
        None => format!("[{section}]"),
        Some((section, sub)) => format!("[{section} \"{}\"]", sub.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    let Some(value) = value else { return Some(format!("{head}\n\t{name}\n")) };
    let value = without_user(value)
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\t', "\\t");
    Some(format!("{head}\n\t{name} = \"{value}\"\n"))
}

/// `https://user:password@host/` without what stands before the `@`.
fn without_user(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = if scheme.starts_with("http") { host } else { authority };
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::durable;

    #[test]
    fn settings_are_shown_without_secrets() {
        let cases = [
            ("core.bare\nfalse", Some("[core]\n\tbare = \"false\"\n")),
            ("core.flag", Some("[core]\n\tflag\n")),
            (
                "remote.origin.url\nhttps://x:s3cret@github.com/o/r.git",
                Some("[remote \"origin\"]\n\turl = \"https://github.com/o/r.git\"\n"),
            ),
            (
                "remote.a.b\"c.url\nssh://git@github.com/o/r",
                Some("[remote \"a.b\\\"c\"]\n\turl = \"ssh://git@github.com/o/r\"\n"),
            ),
            ("alias.x\n!f() {\n\t\"a\\b\"; }", Some("[alias]\n\tx = \"!f() {\\n\\t\\\"a\\\\b\\\"; }\"\n")),
            ("http.https://github.com/.extraheader\nAUTHORIZATION: basic eA==", None),
            ("credential.helper\nstore", None),
            ("includeIf.gitdir:/x.path\n/y", None),
            ("url.https://t@h/.insteadOf\nx", None),
            ("my.accessToken\nx", None),
            ("", None),
        ];
        for (listed, expected) in cases {
            assert_eq!(setting(listed).as_deref(), expected, "{listed}");
        }
    }

    #[test]
    fn borrowed_objects_are_found_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let directory = |name: &str, borrows: &str| {
            std::fs::create_dir_all(root.join(name).join("objects/info")).unwrap();
            let file = root.join(name).join("objects/info/alternates");
            durable::replace_cheaply(&file, borrows.as_bytes()).unwrap();
        };
        directory("a", "../../b/objects\n# no\n/nonexistent\n");
        directory("b", &format!("{}\n", root.join("a/objects").display()));
        assert_eq!(object_directories(&root.join("a")), [root.join("a/objects"), root.join("b/objects")]);
    }
}
