//! Git over HTTP: git's own server, started as a CGI program.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::answer::{Answer, Failure};
use super::identity::{Credentials, credentials};
use super::roles;
use super::server::{Lab, Shared};
use super::store::{Push, Store};
use crate::error::{Kind, OrFail};

/// A path that git asks for.
pub(super) struct Target {
    owner: String,
    name: String,
    rest: &'static str,
}

impl Target {
    /// `/OWNER/NAME.git/info/refs` and its like; `.git` may be left out, as on GitHub.
    pub(super) fn of(path: &str) -> Option<Self> {
        let rest = ["info/refs", "git-upload-pack", "git-receive-pack"]
            .into_iter()
            .find(|rest| path.strip_suffix(rest).is_some_and(|path| path.ends_with('/')))?;
        let mut segments = path.split('/').skip(1);
        let (owner, name) = (segments.next()?, segments.next()?);
        let expected = rest.split('/').count();
        (segments.count() == expected).then(|| Self {
            owner: owner.to_owned(),
            name: name.strip_suffix(".git").unwrap_or(name).to_owned(),
            rest,
        })
    }
}

/// The password of a Basic credential.
pub(super) fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}

pub(super) async fn handle(lab: &Shared, target: &Target, request: Request) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let writes = target.rest == "git-receive-pack" || query.contains("service=git-receive-pack");
    let credentials = credentials(lab, request.headers());
    let place = lab.place(&target.owner, &target.name);
    let private = lab.store().find(&target.owner, &target.name).is_none_or(|repository| repository.private);
    if matches!(credentials, Credentials::Wrong | Credentials::App(_) | Credentials::BadJwt(_))
        || (matches!(credentials, Credentials::None) && (writes || private))
    {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
        return Ok((StatusCode::UNAUTHORIZED, challenge, "Authentication required\n").into_response());
    }
    let place = place.map_err(|_| Failure::message(StatusCode::NOT_FOUND, "Repository not found."))?;
    if let Credentials::Right(asker) = &credentials {
        let store = lab.store();
        let repository = store.repository(&target.owner, &target.name)?;
        let need = roles::Need { permission: "contents", write: writes, role: "write" };
        let refused = match &asker.grant {
            Some(grant) => roles::granted(grant, repository, &need).is_err(),
            None => writes && !store.user(&asker.login).may(need.role),
        };
        if refused {
            let place = format!("{}/{}.git", repository.owner, repository.name);
            let message = format!("remote: Permission to {place} denied to {}.\n", asker.login);
            return Ok((StatusCode::FORBIDDEN, message).into_response());
        }
    }
    let before = if target.rest == "git-receive-pack" { Some(lab.git.refs(&place).await?) } else { None };
    let response = backend(lab, target, request).await?;
    let Some(before) = before else { return Ok(response) };
    // What a push answers is short; it is kept until the refs are known, for the log of pushes.
    let (parts, body) = response.into_parts();
    let attempt = || "cannot read what git answers";
    let body = to_bytes(body, usize::MAX).await.or_fail(Kind::Internal, attempt)?;
    let after = lab.git.refs(&place).await?;
    log(&mut lab.store(), lab, target, &before, &after)?;
    super::pulls::refresh(lab, &target.owner, &target.name).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn log(
    store: &mut Store,
    lab: &Lab,
    target: &Target,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let repository = store.repository_mut(&target.owner, &target.name)?;
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| before.get(*name) != after.get(*name)) {
        let (old, new) = (before.get(name).cloned(), after.get(name).cloned());
        repository.pushes.push(Push { at: lab.now(), reference: name.clone(), old, new });
    }
    Ok(())
}

/// Starts `git http-backend`, feeds it the request's body and passes its answer on as it comes.
async fn backend(lab: &Lab, target: &Target, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let mut command = lab.git.command(["http-backend"]);
    let place = lab.place(&target.owner, &target.name)?;
    let info = format!("/{}/{}", place.strip_prefix(&lab.root).unwrap_or(&place).display(), target.rest);
    command.env("GIT_PROJECT_ROOT", &lab.root).env("GIT_HTTP_EXPORT_ALL", "1").env("PATH_INFO", info);
    command.env("REQUEST_METHOD", parts.method.as_str()).env("REMOTE_ADDR", "127.0.0.1");
    command.env("QUERY_STRING", parts.uri.query().unwrap_or_default());
    command.env("GIT_CONFIG_COUNT", "2").env("GIT_CONFIG_KEY_1", "http.receivepack");
    command.env("GIT_CONFIG_VALUE_1", "true");
    let passed = [
        ("CONTENT_TYPE", header::CONTENT_TYPE),
        ("CONTENT_LENGTH", header::CONTENT_LENGTH),
        ("HTTP_CONTENT_ENCODING", header::CONTENT_ENCODING),
        ("GIT_PROTOCOL", HeaderName::from_static("git-protocol")),
    ];
    for (variable, name) in passed {
        if let Some(value) = text(name) {
            command.env(variable, value);
        }
    }
    let attempt = || "cannot run 'git http-backend'";
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().or_fail(Kind::Config, attempt)?;
    if let Some(stdin) = child.stdin.take() {
        // Beside the answer: git may answer before it has read everything.
        tokio::spawn(feed(body, stdin));
    }
    let stdout =
        child.stdout.take().ok_or_else(|| Failure::message(StatusCode::BAD_GATEWAY, "no answer from git"))?;
    let mut stdout = BufReader::new(stdout);
    let mut response = Response::new(Body::empty());
    loop {
        let mut line = String::new();
        let read = stdout.read_line(&mut line).await.or_fail(Kind::Internal, attempt)?;
        let line = line.trim_end();
        if read == 0 && response.headers().is_empty() {
            return Err(Failure::message(StatusCode::BAD_GATEWAY, "git http-backend gave no answer"));
        }
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let number = value.split(' ').next().and_then(|number| number.parse().ok());
            *response.status_mut() =
                number.and_then(|number| StatusCode::from_u16(number).ok()).unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = Body::new(ChildBody { stdout, child });
    Ok(response)
}

/// Passes a body to a child. A child that stops reading has its reasons, and says them in its answer.
async fn feed(mut body: Body, mut stdin: ChildStdin) {
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.into_data()
            && stdin.write_all(&data).await.is_err()
        {
            break;
        }
    }
}

/// A child's stdout as a body; the child is reaped (or, where the client went away, killed) with it.
struct ChildBody {
    stdout: BufReader<ChildStdout>,
    child: Child,
}

impl HttpBody for ChildBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let mut space = vec![0; 32 * 1024];
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.stdout).poll_read(cx, &mut buffer))?;
        let length = buffer.filled().len();
        if length == 0 {
            // Reaps the child; one that lingers after its last word is killed when this is dropped.
            self.child.try_wait()?;
            return Poll::Ready(None);
        }
        space.truncate(length);
        Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from(space)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found() {
        let cases = [
            ("eC1hY2Nlc3MtdG9rZW46bGFiLXRva2Vu", Some("lab-token")),
            ("OnA=", Some("p")),
            ("YTo=", Some("")),
            ("YQ==", None),
            ("!", None),
        ];
        for (encoded, expected) in cases {
            assert_eq!(password(encoded).as_deref(), expected, "{encoded}");
        }
    }

    #[test]
    fn only_gits_own_paths_go_to_git() {
        let cases = [
            ("/o/r.git/info/refs", true),
            ("/o/r/info/refs", true),
            ("/o/r.git/git-receive-pack", true),
            ("/o/r.git/objects/aa/bb", false),
            ("/repos/o/r/info/refs", false),
            ("/o/r.git/x/git-upload-pack", false),
            ("/o/r", false),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::of(path).is_some(), expected, "{path}");
        }
    }
}
