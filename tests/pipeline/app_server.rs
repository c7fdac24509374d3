//! A GitHub that knows an App, before a GitHub that does not: it answers what an App asks in its own name, lets in
//! the tokens it gave, and passes everything else on.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::House;
use crate::support::lab::TOKEN;
use crate::support::ran::Run;

/// The App's id and its installation's.
pub(crate) const APP: u64 = 4321;
pub(crate) const INSTALLATION: u64 = 98765;
const KEY: &str = include_str!("../data/app/rsa-2048.pkcs1.pem");

/// What a test may turn, and see.
pub(crate) struct Inside {
    /// Tokens that are let in.
    pub(crate) live: Vec<String>,
    /// How many were given.
    pub(crate) minted: usize,
    /// What was refused for its clock.
    pub(crate) refused_for_time: usize,
    /// Seconds by which this server's clock is ahead.
    pub(crate) ahead: i64,
    /// How long a token lives.
    pub(crate) seconds: i64,
    /// What the installation was granted.
    pub(crate) granted: Value,
}

type Shared = Arc<Mutex<Inside>>;

pub(crate) struct AppServer {
    pub(crate) address: String,
    inside: Shared,
}

impl AppServer {
    /// Before the house's lab; the house is configured for the App, with the installation looked up.
    pub(crate) fn before(house: &House) -> Self {
        let granted =
            json!({"metadata": "read", "issues": "write", "pull_requests": "write", "contents": "write"});
        let inside =
            Inside { live: Vec::new(), minted: 0, refused_for_time: 0, ahead: 0, seconds: 3600, granted };
        let inside: Shared = Arc::new(Mutex::new(inside));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let door = Door { inside: Arc::clone(&inside), lab: house.lab.address().to_owned() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer).with_state(door)).await.unwrap();
            });
        });
        let key = house.place("app.pem");
        cq::state::durable::replace(&key, KEY.as_bytes()).unwrap();
        house.configure(|config| {
            config["github"]["app"] = json!({"id": APP, "privateKeyFile": "../app.pem"});
        });
        Self { address, inside }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// A command that finds GitHub here, and no token in its environment.
    pub(crate) fn run(&self, run: Run) -> Run {
        run.without("GITHUB_TOKEN")
            .env("GITHUB_API_URL", &self.address)
            .env("GITHUB_GRAPHQL_URL", format!("{}/graphql", self.address))
            .env("GITHUB_SERVER_URL", &self.address)
    }
}

#[derive(Clone)]
struct Door {
    inside: Shared,
    lab: String,
}

fn now(inside: &Inside) -> i64 {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(here).unwrap() + inside.ahead
}

fn moment(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(seconds, 0).unwrap()
}

async fn answer(State(door): State<Door>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let date = moment(now(&door.inside.lock().unwrap())).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let signed = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let signed = signed.unwrap_or_default().to_owned();
    let as_app = path.ends_with("/installation") || path.starts_with("/app/");
    let mut response = if as_app {
        plain(for_app(&mut door.inside.lock().unwrap(), &path, &signed, &body))
    } else {
        let token = token_in(&signed);
        let lives = door.inside.lock().unwrap().live.contains(&token);
        if !lives {
            let mut refused = plain((401, json!({"message": "Bad credentials", "status": "401"})));
            let basic = "Basic realm=\"GitHub\"".parse().unwrap();
            refused.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
            refused
        } else if path == "/installation/token" {
            door.inside.lock().unwrap().live.retain(|live| *live != token);
            plain((204, Value::Null))
        } else {
            let method = parts.method.to_string();
            let url = format!("{}{}", door.lab, parts.uri.path_and_query().unwrap());
            let (headers, body) = (parts.headers, body);
            tokio::task::spawn_blocking(move || pass_on(&method, &url, &headers, &body)).await.unwrap()
        }
    };
    response.headers_mut().insert(header::DATE, date.parse().unwrap());
    response
}

fn plain((status, body): (u16, Value)) -> Response {
    let text = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    response.body(Body::from(text)).unwrap()
}

/// `Bearer T`, or `Basic` with T as the password.
fn token_in(signed: &str) -> String {
    let (scheme, value) = signed.split_once(' ').unwrap_or_default();
    if scheme == "Bearer" {
        return value.to_owned();
    }
    let decoded = String::from_utf8(STANDARD.decode(value).unwrap_or_default()).unwrap();
    decoded.split_once(':').map(|(_, password)| password.to_owned()).unwrap_or_default()
}

fn for_app(inside: &mut Inside, path: &str, signed: &str, body: &Bytes) -> (u16, Value) {
    if let Err(why) = jwt(inside, signed.trim_start_matches("Bearer ")) {
        inside.refused_for_time += usize::from(why.contains("claim"));
        return (401, json!({"message": why, "status": "401"}));
    }
    let installation = json!({
        "id": INSTALLATION, "app_id": APP, "permissions": inside.granted, "suspended_at": null,
        "repository_selection": "selected",
    });
    if path == "/repos/acme/widgets/installation" || path == format!("/app/installations/{INSTALLATION}") {
        return (200, installation);
    }
    if path != format!("/app/installations/{INSTALLATION}/access_tokens") {
        return (404, json!({"message": "Not Found", "status": "404"}));
    }
    let asked: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(asked["repositories"], json!(["widgets"]));
    let wanted = asked["permissions"].as_object().unwrap();
    if wanted.iter().any(|(name, _)| inside.granted[name].is_null()) {
        let message = "The permissions requested are not granted to this installation.";
        return (422, json!({"message": message, "status": "422"}));
    }
    inside.minted += 1;
    // The stateless form, as long as GitHub's.
    let token = format!("ghs_{APP}_{}.{}-{:04}", "eyJ_x-".repeat(60), "Zz9".repeat(48), inside.minted);
    inside.live.push(token.clone());
    let ends = moment(now(inside) + inside.seconds).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let repositories = json!([{"full_name": "acme/widgets"}]);
    let answer = json!({
        "token": token, "expires_at": ends, "permissions": wanted,
        "repository_selection": "selected", "repositories": repositories,
    });
    (201, answer)
}

/// Checks a JWT as GitHub does, and says what GitHub says.
fn jwt(inside: &Inside, jwt: &str) -> Result<(), String> {
    let undecodable = || "A JSON web token could not be decoded".to_owned();
    let (signed, signature) = jwt.rsplit_once('.').ok_or_else(undecodable)?;
    let der = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_der(der.secret_der()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref().to_vec());
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| undecodable());
    key.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| undecodable())?;
    let claims: Value = serde_json::from_slice(&decode(signed.split_once('.').unwrap().1)?).unwrap();
    assert_eq!(claims["iss"], APP);
    let (now, issued, ends) = (now(inside), claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    if issued > now {
        return Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued".into());
    }
    if ends <= now {
        return Err("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires".into());
    }
    if ends > now + 600 {
        return Err("'Expiration time' claim ('exp') is too far in the future".into());
    }
    Ok(())
}

/// Passes a request on to the lab, with the token that it knows.
fn pass_on(method: &str, url: &str, headers: &HeaderMap, body: &Bytes) -> Response {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for name in [
        "content-type",
        "content-encoding",
        "accept",
        "git-protocol",
        "if-none-match",
        "x-github-api-version",
    ] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    request =
        request.header("accept-encoding", "identity").header("authorization", format!("Bearer {TOKEN}"));
    let passed = match body.len() {
        0 => agent.run(request.body(()).unwrap()),
        _ => agent.run(request.body(body.to_vec()).unwrap()),
    };
    let mut passed = passed.unwrap();
    let mut response = Response::builder().status(StatusCode::from_u16(passed.status().as_u16()).unwrap());
    for (name, value) in passed.headers() {
        if !["date", "transfer-encoding", "content-length", "connection"].contains(&name.as_str()) {
            response = response.header(name, value);
        }
    }
    let body = passed.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
    response.body(Body::from(body)).unwrap()
}
