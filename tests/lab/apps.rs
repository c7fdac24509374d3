//! GitHub Apps: the JWT, installation tokens, what they may do.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Got, Rehearsal};

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn jwt(claims: &Value) -> String {
    let pem = include_str!("../data/github-app.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = ring::rsa::KeyPair::from_der(&STANDARD.decode(body).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn lab() -> Rehearsal {
    Rehearsal::start(&json!({
        "apps": [{
            "id": 77, "slug": "queue", "public_key_pem": include_str!("../data/github-app.pub.pem"),
            "long_tokens": true, "installations": [
                {"id": 5, "permissions": {"issues": "write", "contents": "read", "metadata": "read"}}],
        }],
        "repositories": [
            {"owner": "acme", "name": "widgets", "issues": [{"number": 7}]},
            {"owner": "acme", "name": "secret", "private": true, "issues": [{"number": 1}]},
        ],
    }))
}

fn with(lab: &Rehearsal, method: &str, path: &str, token: &str, body: Option<&Value>) -> Got {
    lab.send(method, path, body, &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn a_jwt_is_checked_as_github_does() {
    let (lab, now) = (lab(), now());
    let cases = [
        (json!({"iss": "77", "iat": now - 60, "exp": now + 540}), 200, ""),
        (json!({"iss": 77, "iat": now + 30, "exp": now + 540}), 200, ""),
        (json!({"iss": "77", "iat": now + 120, "exp": now + 540}), 401, "'Issued at'"),
        (json!({"iss": "77", "iat": now - 60, "exp": now + 700}), 401, "too far in the future"),
        (json!({"iss": "77", "iat": now - 600, "exp": now - 1}), 401, "'Expiration time'"),
        (json!({"iss": "78", "iat": now - 60, "exp": now + 540}), 404, "Integration not found"),
    ];
    for (claims, status, message) in cases {
        let got = with(&lab, "GET", "/app", &jwt(&claims), None);
        assert_eq!(got.status, status, "{claims}: {}", got.body);
        assert!(got.body["message"].as_str().unwrap_or_default().contains(message), "{claims}: {}", got.body);
    }
    let good = jwt(&json!({"iss": "77", "iat": now - 60, "exp": now + 540}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other: String = signature.chars().rev().collect();
    assert_eq!(with(&lab, "GET", "/app", &format!("{signed}.{other}"), None).status, 401);
    assert_eq!(with(&lab, "GET", "/app", "lab-token", None).status, 401);
}

#[test]
fn an_installations_token_does_what_it_may() {
    let (lab, now) = (lab(), now());
    let app = jwt(&json!({"iss": "77", "iat": now - 60, "exp": now + 540}));
    let found = with(&lab, "GET", "/repos/acme/widgets/installation", &app, None);
    assert_eq!(found.body["id"], 5);
    let path = "/app/installations/5/access_tokens";
    let narrow = json!({"repositories": ["widgets"], "permissions": {"issues": "write"}});
    let got = with(&lab, "POST", path, &app, Some(&narrow));
    assert_eq!((got.status, &got.body["repository_selection"]), (201, &json!("selected")));
    let token = got.body["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ghs_77_") && (500..540).contains(&token.len()), "{}", token.len());
    for refused in [json!({"repositories": ["nope"]}), json!({"permissions": {"contents": "write"}})] {
        assert_eq!(with(&lab, "POST", path, &app, Some(&refused)).status, 422);
    }
    let all = with(&lab, "GET", "/installation/repositories", &token, None);
    assert_eq!(all.body["total_count"], 1);
    assert_eq!(with(&lab, "GET", "/repos/acme/secret", &token, None).status, 404);
    let said =
        with(&lab, "POST", "/repos/acme/widgets/issues/7/comments", &token, Some(&json!({"body": "x"})));
    assert_eq!((said.status, &said.body["user"]["login"]), (201, &json!("queue[bot]")));
    let pull = json!({"title": "t", "head": "h", "base": "main"});
    let refused = with(&lab, "POST", "/repos/acme/widgets/pulls", &token, Some(&pull));
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("x-accepted-github-permissions"), "pull_requests=write");
    assert_eq!(refused.body["message"], "Resource not accessible by integration");
    let labelled = json!({"labels": ["claude-ready"]});
    with(&lab, "POST", "/repos/acme/widgets/issues/7/labels", &token, Some(&labelled));
    let events = lab.get("/repos/acme/widgets/issues/7/events");
    assert_eq!(events.body[0]["performed_via_github_app"]["slug"], "queue");
    assert_eq!(with(&lab, "DELETE", "/installation/token", &token, None).status, 204);
    assert_eq!(with(&lab, "GET", "/repos/acme/widgets", &token, None).status, 401);
}
