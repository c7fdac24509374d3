//! What others do behind the client's back, where issues went, and the limits.

use serde_json::json;

use super::Rehearsal;

fn lab() -> Rehearsal {
    Rehearsal::start(&json!({
        "users": [{"login": "mia", "permission": "maintain", "role_name": "lead"}, {"login": "gone", "deleted": true}],
        "tokens": [{"token": "eves", "user": "eve", "scopes": ["repo", "workflow"]}],
        "repositories": [
            {"owner": "acme", "name": "widgets", "former_names": ["gadgets"], "issues": [
                {"number": 7, "user": "gone"}, {"number": 8, "transferred_to": "acme/other#3"},
                {"number": 9, "deleted": true}]},
            {"owner": "acme", "name": "other", "issues": [{"number": 3}]},
        ],
    }))
}

const EVE: [(&str, &str); 1] = [("authorization", "token eves")];

#[test]
fn others_act_under_their_names() {
    let lab = lab();
    let issue = "/repos/acme/widgets/issues/7";
    assert_eq!(lab.get(issue).body["user"], json!(null));
    let deeds = json!([
        {"by": "mia", "at": "2026-01-01T00:00:00Z", "number": 7, "do": {"label": "claude-ready"}},
        {"by": "eve", "at": "2026-01-02T00:00:00Z", "number": 7, "do": {"edit_body": "evil"}},
        {"by": "eve", "number": 7, "do": {"edit_title": "New"}},
        {"by": "eve", "number": 7, "do": {"comment": "hello"}},
        {"by": "mia", "number": 7, "do": {"lock": "spam"}},
        {"by": "eve", "do": {"open": {"title": "Mine", "labels": ["bug"]}}},
        {"number": 7, "do": {"transfer": {"to": "acme/other"}}},
        {"do": {"set_permission": {"user": "eve", "permission": "triage"}}},
    ]);
    let made = lab.call("POST", "/_lab/act", &deeds);
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!((&made.body[5]["number"], &made.body[6]["number"]), (&json!(10), &json!(4)));
    let moved = lab.get("/repos/acme/other/issues/4");
    assert_eq!((&moved.body["title"], &moved.body["body"]), (&json!("New"), &json!("evil")));
    assert_eq!((&moved.body["locked"], &moved.body["active_lock_reason"]), (&json!(true), &json!("spam")));
    let events = lab.get("/repos/acme/other/issues/4/events").body;
    let told: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["labeled", "renamed", "locked", "transferred"]);
    assert_eq!(
        (&events[0]["actor"]["login"], &events[0]["created_at"]),
        (&json!("mia"), &json!("2026-01-01T00:00:00Z"))
    );
    assert_eq!(events[1]["rename"], json!({"from": "Issue 7", "to": "New"}));
    let permission = lab.get("/repos/acme/widgets/collaborators/mia/permission").body;
    assert_eq!((&permission["permission"], &permission["role_name"]), (&json!("write"), &json!("lead")));
    assert_eq!(lab.get("/repos/acme/widgets/collaborators/eve/permission").body["role_name"], "triage");
    let asked = lab.send("GET", "/repos/acme/widgets/collaborators/mia/permission", None, &EVE);
    assert_eq!((asked.status, asked.header("x-oauth-scopes")), (403, "repo, workflow"));
}

#[test]
fn what_went_elsewhere_is_said() {
    let lab = lab();
    let no_follow: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .into();
    let get = |path: &str| {
        let got = no_follow.get(lab.url(path)).header("authorization", "Bearer lab-token").call().unwrap();
        let place = got.headers().get("location").map_or("", |place| place.to_str().unwrap()).to_owned();
        (got.status().as_u16(), place)
    };
    let (status, place) = get("/repos/acme/gadgets/issues?state=all");
    assert_eq!(
        (status, place.ends_with("/issues?state=all") && place.contains("/repositories/")),
        (301, true)
    );
    let (status, place) = get("/repos/acme/widgets/issues/8");
    assert_eq!((status, place.ends_with("/issues/3")), (301, true), "{place}");
    assert_eq!(lab.get("/repos/acme/widgets/issues/8").body["number"], 3);
    assert_eq!(get("/repos/acme/widgets/issues/9").0, 410);
    let moved =
        no_follow.post(lab.url("/repos/acme/gadgets/issues")).header("authorization", "Bearer lab-token");
    assert_eq!(moved.send("{\"title\": \"x\"}").unwrap().status().as_u16(), 307);
    let version = [("authorization", "Bearer lab-token"), ("x-github-api-version", "v3")];
    let unknown = lab.send("GET", "/user", None, &version);
    assert_eq!(
        (unknown.status, unknown.body["message"].as_str().unwrap().contains("\"v3\", is not")),
        (400, true)
    );
}

#[test]
fn lists_lag_behind_writes() {
    let lab = Rehearsal::start(&json!({"repositories": [{
        "owner": "acme", "name": "widgets", "list_lag_ms": 1500, "issues": [{"number": 7}],
    }]}));
    let listed = || lab.get("/repos/acme/widgets/issues?labels=bug").body.as_array().unwrap().len();
    lab.call("POST", "/repos/acme/widgets/issues/7/labels", &json!({"labels": ["bug"]}));
    assert_eq!(listed(), 0);
    assert_eq!(lab.get("/repos/acme/widgets/issues/7").body["labels"][0]["name"], "bug");
    std::thread::sleep(std::time::Duration::from_millis(1600));
    assert_eq!(listed(), 1);
}

#[test]
fn limits_are_enforced_and_who_ignores_them_is_noted() {
    let lab = Rehearsal::start(&json!({
        "limits": {"core": 3, "graphql": 1, "window_s": 600},
        "repositories": [{"owner": "acme", "name": "widgets"}],
    }));
    let statuses: Vec<u16> = (0..5).map(|_| lab.get("/repos/acme/widgets").status).collect();
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
    let query = json!({"query": "{ viewer { login } }"});
    assert_eq!(lab.call("POST", "/graphql", &query).body["data"]["viewer"]["login"], "cq-bot");
    let over = lab.call("POST", "/graphql", &query);
    assert_eq!((over.status, &over.body["errors"][0]["type"]), (200, &json!("RATE_LIMIT")));
    assert_eq!(lab.get("/rate_limit").body["resources"]["core"]["remaining"], 0);
    let violations = lab.get("/_lab/state").body["violations"].clone();
    assert_eq!(violations.as_array().unwrap().len(), 1, "{violations}");
    assert_eq!(violations[0]["limit"], "primary");
}
