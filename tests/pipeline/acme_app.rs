//! A house whose repository is private, and a GitHub App that may work in it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::lab::TOKEN;
use crate::support::ran::Run;
use crate::{House, Plan};

/// The App's id and its installation's.
pub(crate) const APP: u64 = 4321;
const INSTALLATION: u64 = 98765;
/// The token of a person, in the length of the long form.
pub(crate) fn long_token() -> String {
    ["ghs_77_", &"eyJ_x-".repeat(60), ".", &"Yy8".repeat(50)].concat()
}

pub(crate) struct Wish {
    /// How long its tokens live.
    pub(crate) seconds: i64,
    /// What the installation was granted.
    pub(crate) granted: Value,
    /// Seconds by which GitHub's clock is ahead.
    pub(crate) ahead: i64,
}

impl Default for Wish {
    fn default() -> Self {
        let granted =
            json!({"metadata": "read", "issues": "write", "pull_requests": "write", "contents": "write"});
        Self { seconds: 3600, granted, ahead: 0 }
    }
}

/// The house, configured for the App, with the installation left to look up.
pub(crate) struct AcmeApp {
    pub(crate) house: House,
}

impl AcmeApp {
    pub(crate) fn new(wish: &Wish) -> Self {
        let here = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let there = chrono::DateTime::from_timestamp(here + wish.ahead, 0).unwrap();
        let seed = json!({
            "apps": [{
                "id": APP, "public_key_pem": include_str!("../data/github-app.pub.pem"), "long_tokens": true,
                "token_seconds": wish.seconds,
                "installations": [{"id": INSTALLATION, "permissions": wish.granted}],
            }],
            "viewer": "lena",
            "tokens": [{"token": long_token(), "user": "lena"}],
        });
        let github_now = (wish.ahead != 0).then(|| there.to_rfc3339());
        let house = House::new(&Plan { seed, private: true, github_now, ..Plan::default() });
        if wish.ahead != 0 {
            // Its answers tell its own time.
            house.lab.break_with(&json!([{"path": "/", "times": 1_000_000, "date_skew_s": 0}]));
        }
        let key = include_str!("../data/github-app.pem");
        cq::state::durable::replace(&house.place("app.pem"), key.as_bytes()).unwrap();
        house.configure(|config| config["github"]["app"] = configured());
        Self { house }
    }

    pub(crate) fn usual() -> Self {
        Self::new(&Wish::default())
    }

    /// A command of cq that has no token but the App's.
    pub(crate) fn cq(&self, name: &str) -> Run {
        self.house.cq(name).without("GITHUB_TOKEN")
    }

    /// The same for any program.
    pub(crate) fn program(&self, name: &str) -> Run {
        self.house.program(name).without("GITHUB_TOKEN")
    }

    /// The same for a line of the shell.
    pub(crate) fn shell(&self, line: &str) -> Run {
        self.house.shell(line).without("GITHUB_TOKEN")
    }

    /// How many tokens were given.
    pub(crate) fn minted(&self) -> usize {
        self.answered("/access_tokens", 201)
    }

    /// How often an answer was given to requests whose path ends so.
    pub(crate) fn answered(&self, end: &str, status: u64) -> usize {
        let state = self.house.lab.state();
        let hits = |request: &&Value| {
            request["target"].as_str().unwrap().ends_with(end) && request["status"] == status
        };
        state["requests"].as_array().unwrap().iter().filter(hits).count()
    }

    /// Makes a token worthless behind everybody's back.
    pub(crate) fn kill(&self, token: &str) {
        assert!(self.lives(token));
        self.ask("DELETE", "/installation/token", token);
        assert!(!self.lives(token));
    }

    /// Whether a token opens the repository.
    pub(crate) fn lives(&self, token: &str) -> bool {
        self.ask("GET", "/repos/acme/widgets", token) == 200
    }

    fn ask(&self, method: &str, path: &str, token: &str) -> u16 {
        assert_ne!(token, TOKEN);
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.house.lab.address()))
            .header("authorization", format!("Bearer {token}"));
        agent.run(request.body(()).unwrap()).unwrap().status().as_u16()
    }
}

/// `github.app`, as it should be.
pub(crate) fn configured() -> Value {
    json!({"id": APP, "privateKeyFile": "../app.pem"})
}
