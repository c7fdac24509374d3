//! Who is let in, to what; and what every answer of the API carries.

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tower::Service as _;

use super::answer::{Failure, respond};
use super::git_http;
use super::identity::{Asker, Credentials, credentials};
use super::limits::Resource;
use super::roles;
use super::server::{Lab, Shared};
use super::store::{Gone, Store, same};
use super::versions::Version;

/// Answers as GitHub would.
pub(super) async fn answer(lab: &Shared, mut request: Request) -> Response {
    if let Some(target) = git_http::Target::of(request.uri().path()) {
        return git_http::handle(lab, &target, request).await.unwrap_or_else(IntoResponse::into_response);
    }
    if !lab.delay.is_zero() {
        tokio::time::sleep(lab.delay).await;
    }
    // The addresses of an Enterprise server.
    let path = request.uri().path();
    let shorter =
        path.strip_prefix("/api/v3").or_else(|| path.strip_prefix("/api").filter(|rest| *rest == "/graphql"));
    if let Some(shorter) = shorter.map(str::to_owned) {
        lead(&mut request, if shorter.is_empty() { "/" } else { &shorter });
    }
    let Some(request) = read_whole(request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let (headers, method) = (request.headers().clone(), request.method().clone());
    let path = request.uri().path().to_owned();
    let resource = Resource::of(&path);
    let credentials = credentials(lab, &headers);
    let asker = match &credentials {
        Credentials::Right(asker) => Some(asker.clone()),
        _ => None,
    };
    let free = path == "/rate_limit";
    let now = lab.now().timestamp();
    if !free {
        let admitted = lab.store().meter.refuse(method.as_str(), &path, now);
        if let Some(refusal) = admitted {
            return finished(lab, refusal);
        }
    }
    let version = Version::of(&headers);
    let response = match version.and_then(|_| admit(lab, credentials, request)) {
        Ok(Admitted::To(request)) => {
            let mut api = lab.api.clone();
            let call = asker.clone().unwrap_or_default().during(api.call(request));
            match call.await {
                Ok(response) => response,
                Err::<_, Infallible>(never) => match never {},
            }
        }
        Ok(Admitted::Elsewhere(redirect)) => redirect,
        Err(failure) => failure.into_response(),
    };
    let version = Version::of(&headers).unwrap_or(Version::First);
    let response = if resource == Resource::Core { version.cut(&path, response).await } else { response };
    let mut response = if method == Method::GET { tagged(&headers, response).await } else { response };
    let free = free || response.status() == StatusCode::NOT_MODIFIED;
    if !free && resource == Resource::Core {
        lab.store().meter.count(resource, 1);
    }
    let answered = response.headers_mut();
    lab.store().meter.write(resource, now, answered);
    if asker.is_none() && !lab.store().meter.is_enforced(resource) {
        // Nobody in particular may ask less.
        let used = lab.store().meter.used(resource);
        answered.insert("x-ratelimit-limit", HeaderValue::from(60));
        answered.insert("x-ratelimit-remaining", HeaderValue::from(60_u64.saturating_sub(used)));
    }
    answered.insert("x-github-api-version-selected", HeaderValue::from_static(version.name()));
    if let Some(scopes) = asker.and_then(|asker| asker.scopes)
        && let Ok(scopes) = HeaderValue::try_from(scopes.join(", "))
    {
        answered.insert("x-oauth-scopes", scopes);
    }
    finished(lab, response)
}

/// What every answer has.
fn finished(lab: &Lab, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert("x-github-media-type", HeaderValue::from_static("github.v3; format=json"));
    let id = format!("CQ1A:{:04X}:{:06X}", std::process::id() & 0xffff, lab.store().next_id());
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert("x-github-request-id", id);
    }
    response
}

/// No request of the API is larger.
const LARGEST_REQUEST: usize = 16 << 20;

/// A request with its body at hand. A refusal that left the body unread would end in a closed connection, which
/// a client with a pool notices only at its next request.
pub(super) async fn read_whole(request: Request) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, LARGEST_REQUEST).await.ok()?;
    Some(Request::from_parts(parts, Body::from(bytes)))
}

/// Gives a request another path; the query stays.
fn lead(request: &mut Request, path: &str) {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    if let Ok(target) = format!("{path}{query}").parse() {
        *request.uri_mut() = target;
    }
}

/// The rest of a path, with its first slash.
fn below(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| path + "/" + segment)
}

enum Admitted {
    To(Request),
    Elsewhere(Response),
}

/// Lets a request in, or says why not, and leads `/repositories/ID/…` to `/repos/OWNER/NAME/…`.
fn admit(lab: &Lab, credentials: Credentials, mut request: Request) -> Result<Admitted, Failure> {
    if request.headers().get(header::USER_AGENT).is_none_or(HeaderValue::is_empty) {
        let message = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.";
        return Err(Failure::message(StatusCode::FORBIDDEN, message));
    }
    let unauthorised = |message: &str| Failure::message(StatusCode::UNAUTHORIZED, message);
    let store = lab.store();
    let path = by_name(&store, request.uri().path())?;
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let of_apps = matches!(segments.as_slice(), ["app", ..] | ["repos", _, _, "installation"]);
    let asker = match credentials {
        Credentials::Wrong => return Err(unauthorised("Bad credentials")),
        Credentials::BadJwt(failure) => return Err(failure),
        Credentials::App(id) if of_apps => {
            request.extensions_mut().insert(super::apps::Claimed(id));
            None
        }
        Credentials::App(_) => return Err(roles::not_accessible(None)),
        _ if of_apps => return Err(unauthorised("A JSON web token could not be decoded")),
        Credentials::None => None,
        Credentials::Right(asker) => Some(asker),
    };
    let redirect = |target: String| {
        let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
        Ok(Admitted::Elsewhere(moved(request.method(), &format!("{}{target}{query}", lab.base))))
    };
    if let ["repos", owner, name, rest @ ..] = segments.as_slice() {
        let full = format!("{owner}/{name}");
        let Some(repository) = store.find(owner, name) else {
            let former = |one: &&super::store::Repository| one.former.iter().any(|old| same(old, &full));
            let now = store.repositories.iter().find(former).ok_or_else(Failure::not_found)?;
            let rest = below(rest);
            return redirect(format!("/repositories/{}{rest}", now.id));
        };
        guard(&store, repository, asker.as_ref(), request.method(), rest, of_apps)?;
        if let ["issues", number, more @ ..] = rest
            && let Some(gone) = number.parse().ok().and_then(|number: u64| repository.gone.get(&number))
        {
            let Gone::To(there) = gone else { return Err(Failure::gone("This issue was deleted")) };
            let rest = below(more);
            let place = store.find(&there.owner, &there.name).map_or_else(
                || format!("/repos/{}/{}", there.owner, there.name),
                |repository| format!("/repositories/{}", repository.id),
            );
            return redirect(format!("{place}/issues/{}{rest}", there.number));
        }
    }
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    if asker.is_none() && !of_apps && (!reading || ["/user", "/installation/repositories"].contains(&&*path))
    {
        let graphql = "This endpoint requires you to be authenticated.";
        return Err(unauthorised(if path == "/graphql" { graphql } else { "Requires authentication" }));
    }
    drop(store);
    lead(&mut request, &path);
    Ok(Admitted::To(request))
}

/// A path with `/repositories/ID` spelt out.
fn by_name(store: &Store, path: &str) -> Result<String, Failure> {
    let Some(rest) = path.strip_prefix("/repositories/") else { return Ok(path.to_owned()) };
    let (id, rest) =
        rest.split_once('/').map_or((rest, String::new()), |(id, rest)| (id, format!("/{rest}")));
    let found = store.repositories.iter().find(|repository| repository.id.to_string() == id);
    let repository = found.ok_or_else(Failure::not_found)?;
    Ok(format!("/repos/{}{rest}", repository.full_name()))
}

/// Whether somebody may do this in a repository.
fn guard(
    store: &Store,
    repository: &super::store::Repository,
    asker: Option<&Asker>,
    method: &Method,
    rest: &[&str],
    of_apps: bool,
) -> Result<(), Failure> {
    if of_apps {
        return Ok(());
    }
    let Some(asker) = asker else {
        return if repository.private { Err(Failure::not_found()) } else { Ok(()) };
    };
    let need = roles::need(method, rest);
    if let Some(grant) = &asker.grant {
        return roles::granted(grant, repository, &need);
    }
    let own = |number: &str| {
        let issue = number.parse().ok().and_then(|number| repository.issues.get(&number));
        issue.is_some_and(|issue| same(&issue.user, &asker.login))
    };
    let user = store.user(&asker.login);
    match rest {
        _ if repository.private && !user.may("read") => Err(Failure::not_found()),
        // What one has written, one may change and close.
        ["issues", number] if own(number) => Ok(()),
        _ if user.may(need.role) || need.role == "read" => Ok(()),
        _ => Err(Failure::message(StatusCode::FORBIDDEN, "Must have admin rights to Repository.")),
    }
}

/// GET is moved for good; whatever else is to be sent again, as it was.
fn moved(method: &Method, location: &str) -> Response {
    let (status, message) = if matches!(*method, Method::GET | Method::HEAD) {
        (StatusCode::MOVED_PERMANENTLY, "Moved Permanently")
    } else {
        (StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect")
    };
    let body = json!({
        "message": message, "url": location,
        "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
    });
    let mut response = respond(status, &body);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Gives a good answer its ETag; where the client has that one already, only says so.
async fn tagged(headers: &HeaderMap, response: Response) -> Response {
    use std::hash::{DefaultHasher, Hasher as _};

    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    hasher.write(parts.headers.get(header::LINK).map_or(b"", |link| link.as_bytes()));
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if let Ok(tag) = HeaderValue::try_from(&tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60, s-maxage=60"));
    if known.is_some_and(|known| known.split(',').any(|one| strip(one) == strip(&tag))) {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Reads an answer's body as JSON; what is not JSON is null.
pub(super) async fn json_of(body: Body) -> (Value, axum::body::Bytes) {
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    (serde_json::from_slice(&bytes).unwrap_or_default(), bytes)
}
