//! `cq-fetch` against `gh issue list`, both asking the rehearsal's GitHub, which answers after 150 ms.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Bench, median, ratio, time};

/// The rehearsal, until it is dropped.
struct Github {
    server: Child,
    port: String,
}

impl Drop for Github {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Bench {
    pub(super) fn fetch(&mut self) {
        if Command::new("gh").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: cq-fetch against gh: gh is not installed");
            return;
        }
        let cases = [
            ("1,000 issues", 1000, 0, false, 0.35),
            ("5,000 issues, links by page", 4500, 500, false, 0.25),
            ("5,000 issues, links by cursor", 4500, 500, true, 0.55),
        ];
        for (what, issues, pulls, cursors, target) in cases {
            let folder = self.folder(&format!("fetch-{issues}-{cursors}"));
            let github = self.github(&folder, issues, pulls, cursors);
            let (mut ours, mut theirs, mut again) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..5 {
                let house = folder.join(round.to_string());
                fs::create_dir(&house).unwrap();
                let mut init = Command::new("git");
                time(init.args(["init", "--quiet"]).current_dir(&house));
                let mut init = Command::new(self.bin.join("cq-init"));
                github.known_to(init.current_dir(&house).stdout(Stdio::null()).stderr(Stdio::null()));
                time(&mut init);
                let mut fetch = Command::new(self.bin.join("cq-fetch"));
                github.known_to(fetch.arg("--all").current_dir(&house).stdout(Stdio::null()));
                ours.push(time(&mut fetch));
                again.push(time(&mut fetch));
                theirs.push(time(github.gh(issues, &house).stdout(Stdio::null())));
            }
            let (ours, theirs, again) = (median(&mut ours), median(&mut theirs), median(&mut again));
            let ratio = ratio(ours, theirs);
            let seconds = |time: Duration| time.as_secs_f64();
            let measured = format!(
                "{ratio:.2} × ({:.2} s against {:.2} s; again {:.2} s)",
                seconds(ours),
                seconds(theirs),
                seconds(again)
            );
            let target_text = format!("≤ {target} ×");
            self.row(
                &format!("cq-fetch, first run, {what} / gh issue list"),
                measured,
                &target_text,
                ratio <= target,
            );
        }
    }

    fn github(&self, folder: &Path, issues: u32, pulls: u32, cursors: bool) -> Github {
        let seed = folder.join("seed.json");
        let text = format!(
            r#"{{"repositories":[{{"owner":"acme","name":"widgets","cursor_pagination":{cursors},
            "generate":{{"issues":{issues},"label":"bulk","pull_requests":{pulls}}}}}]}}"#
        );
        fs::write(&seed, text).unwrap();
        let ready = folder.join("ready.json");
        let mut lab = Command::new(self.bin.join("cq-lab"));
        lab.args(["serve", "--delay-ms", "150", "--seed"]).arg(&seed).arg("--ready-file").arg(&ready);
        let server = lab.stdout(Stdio::null()).spawn().unwrap();
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = fs::read_to_string(&ready).unwrap();
        let (_, after) = text.split_once("http://127.0.0.1:").unwrap();
        let port = after.chars().take_while(char::is_ascii_digit).collect();
        Github { server, port }
    }
}

impl Github {
    fn known_to(&self, command: &mut Command) {
        let address = format!("http://127.0.0.1:{}", self.port);
        command
            .env("GITHUB_API_URL", &address)
            .env("GITHUB_GRAPHQL_URL", format!("{address}/graphql"))
            .env("GITHUB_SERVER_URL", &address)
            .env("GITHUB_TOKEN", "lab-token")
            .env("CQ_REPO", "acme/widgets");
    }

    /// gh speaks plain HTTP to this one host, through the proxy that its environment names.
    fn gh(&self, issues: u32, house: &Path) -> Command {
        let mut gh = Command::new("gh");
        let fields = "number,title,body,labels,author,assignees,createdAt,updatedAt,state,url";
        gh.args(["issue", "list", "-R", "acme/widgets", "--limit", &issues.to_string(), "--json", fields]);
        gh.current_dir(house)
            .env("HOME", house)
            .env("GH_HOST", "github.localhost")
            .env("GH_TOKEN", "lab-token")
            .env("http_proxy", format!("http://127.0.0.1:{}", self.port))
            .env_remove("no_proxy");
        gh
    }
}
