//! What it does not start with.

use serde_json::json;

use crate::{House, Receiver, SECRET};

#[test]
fn it_does_not_start_half_configured() {
    let house = House::usual();
    house.cq("webhook").run().ends(78, "no secret: without one anybody could pretend to be GitHub");
    house.cq("webhook").env("CQ_WEBHOOK_SECRET", "").run().ends(78, "no secret");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--listen", "0.0.0.0:0"], 78, "'0.0.0.0:0' can be reached from other machines"),
        (&["--listen", "[::]:0"], 78, "can be reached from other machines"),
        (&["--listen", "localhost"], 2, "--listen"),
        (&["--path", "webhook"], 78, "'webhook' is not a path"),
        (&["--path", "/a?b"], 78, "'/a?b' is not a path"),
        (&["--allow", "github.com"], 2, "neither an address nor a range"),
        (&["--allow-any", "--allow", "10.0.0.0/8"], 2, "cannot be used with"),
        (&["--exit-after", "0"], 2, "--exit-after"),
        (&["--format", "table"], 2, "only --format jsonl"),
    ];
    for (options, status, said) in cases {
        house.cq("webhook").env("CQ_WEBHOOK_SECRET", SECRET).args(options).run().ends(status, said);
    }
    house.configure(|config| config["webhook"] = json!({"secret": "${HOOK_SECRET}"}));
    house.cq("webhook").run().ends(78, "'webhook.secret' names HOOK_SECRET, which is not set");
    house.configure(|config| config["webhook"] = json!({"secret": SECRET, "listen": "8477"}));
    house.cq("webhook").run().ends(78, "'webhook.listen': '8477' is not an address and port");
}

#[test]
fn one_at_a_time_works_with_a_state_directory() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let second = house.cq("webhook").env("CQ_WEBHOOK_SECRET", SECRET).args(["--listen", "127.0.0.1:0"]);
    second.run().ends(75, "another cq-webhook works with this state directory");
    let taken = receiver.authority().to_owned();
    house
        .cq("webhook")
        .env("CQ_WEBHOOK_SECRET", SECRET)
        .args(["--state-dir", "../other", "--listen", &taken])
        .run()
        .ends(78, "cannot listen on");
}

#[test]
fn a_memory_that_cannot_be_understood_is_told() {
    let house = House::usual();
    drop(Receiver::start(&house, &[]));
    std::fs::write(house.state_dir().join("cache/deliveries.json"), "[{").unwrap();
    let ran = house.cq("webhook").env("CQ_WEBHOOK_SECRET", SECRET).run();
    ran.ends(70, "remove it to forget which deliveries were written");
}
