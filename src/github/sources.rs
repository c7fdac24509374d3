//! The login that GitHub's own command line keeps: `gh auth token`.

use std::path::Path;
use std::time::Duration;

use url::Url;

use crate::environment::Environment;
use crate::process::{self, Program};

/// A keyring that waits for somebody must not hold up cq.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `gh auth token` says for a server; none where there is no `gh`, or it knows none, or it takes too long.
pub fn gh(environment: &Environment, server: &Url) -> Option<String> {
    let path = process::find("gh", Path::new("/"), environment).ok()?;
    let host = server.host_str()?;
    // gh is the user's own program, and finds its keyring by variables that cq need not know.
    let program = Program::new(path, "/")
        .args(["auth", "token", "--hostname", host])
        .envs(environment.iter())
        .env("GH_PROMPT_DISABLED", "1")
        .env("GH_NO_UPDATE_NOTIFIER", "1");
    let finished = program.run(PATIENCE).ok()?;
    Some(finished.text()).filter(|token| finished.success() && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn gh_is_asked_for_the_server_by_name_and_may_be_missing_or_refuse() {
        let folder = tempfile::tempdir().unwrap();
        let environment: Environment =
            [("PATH".to_owned(), folder.path().display().to_string())].into_iter().collect();
        let server = Url::parse("https://github.example:8443/").unwrap();
        assert_eq!(gh(&environment, &server), None, "no gh on PATH");

        let cases = [
            ("echo \"$*\" | /usr/bin/tr ' ' +", Some("auth+token+--hostname+github.example")),
            ("echo token; exit 1", None),
            ("echo not logged in >&2", None),
        ];
        for (script, expected) in cases {
            let file = folder.path().join("gh");
            crate::state::durable::replace(&file, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
            assert_eq!(gh(&environment, &server).as_deref(), expected, "{script}");
        }
    }
}
