//! Whether a repository wants what agents do: nothing is started in one that says that it does not, unless the
//! operator says otherwise.

use crate::agent::policy;
use crate::error::{Error, Kind, Result};
use crate::git::PrivateGit;
use crate::session::Session;

/// Refuses where the commit that work would start from forbids it.
pub(super) fn refuse_unless(session: &Session, base_sha: &str) -> Result<()> {
    if session.loaded.config.trust.allow_despite_policy {
        return Ok(());
    }
    match forbidden_by(&session.git()?.1, base_sha)? {
        None => Ok(()),
        Some((file, sentence)) => {
            let message = format!("the repository's {file} does not allow it: '{sentence}'");
            Err(Error::new(Kind::NotPermitted, message).hint(HINT))
        }
    }
}

/// What to do about it.
pub(crate) const HINT: &str = "ask its maintainers; if they agree, set trust.allowDespitePolicy to true";

/// The file, and its sentence, with which a commit forbids what agents do.
pub(crate) fn forbidden_by(private: &PrivateGit, base_sha: &str) -> Result<Option<(&'static str, String)>> {
    let texts = private.texts_at(base_sha, &policy::FILES)?;
    let sentence = |text: &Option<String>| text.as_deref().and_then(policy::forbids);
    Ok(policy::FILES.into_iter().zip(&texts).find_map(|(file, text)| Some((file, sentence(text)?))))
}
