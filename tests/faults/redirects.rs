//! Redirects: followed within the server, with everything; never out of it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::Plan;
use crate::table::{Fetch, LIST, PULLS, Play as _, Pull, always, house, once, play, row};

/// Another server, and all that was said to it.
fn stranger() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(String::new()));
    let ear = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 8192];
            let count = stream.read(&mut bytes).unwrap_or(0);
            ear.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]");
        }
    });
    (address, heard)
}

#[test]
fn a_redirect_of_a_read_stays_on_the_server() {
    let (address, heard) = stranger();
    let here = "/repos/acme/widgets/issues";
    let to = |status: u16, place: &str| json!({"status": status, "redirect_to": place});
    let away = format!("{address}/repos/acme/widgets/issues");
    let rows = vec![
        row("301 once", once("GET", LIST, to(301, here)), 0, ""),
        row("307 once", once("GET", LIST, to(307, here)), 0, ""),
        row("a circle", always("GET", LIST, to(302, here)), 69, "more than 5 redirects"),
        row("nowhere", always("GET", LIST, json!({"status": 301})), 69, "leads nowhere"),
        row(
            "to another protocol",
            always("GET", LIST, to(302, "ftp://127.0.0.1/")),
            69,
            "a redirect from http to ftp",
        ),
        row(
            "to another server",
            always("GET", LIST, to(302, &away)),
            69,
            "a redirect to another server, http://127.0.0.1:",
        ),
        row("of GraphQL", always("POST", "/graphql", to(307, &away)), 69, "a redirect to another server"),
    ];
    play(&Fetch(house(&Plan::default())), rows);
    assert_eq!(*heard.lock().unwrap(), "", "nobody spoke to the stranger");
}

#[test]
fn a_redirect_of_a_write_keeps_what_is_written_and_where() {
    let (address, heard) = stranger();
    let to = |status: u16, place: &str| json!({"status": status, "redirect_to": place});
    let rows = vec![
        row("307", once("POST", PULLS, to(307, "/repos/acme/widgets/pulls")), 0, "").made(1),
        row("308", once("POST", PULLS, to(308, "/repos/acme/widgets/pulls")), 0, "").made(1),
        row(
            "a circle",
            always("POST", PULLS, to(307, "/repos/acme/widgets/pulls")),
            69,
            "more than 5 redirects",
        ),
        row(
            "to another server",
            always("POST", PULLS, to(307, &address)),
            69,
            "a redirect to another server",
        ),
    ];
    play(&Pull::new(), rows);
    assert_eq!(*heard.lock().unwrap(), "", "nobody spoke to the stranger");
}

/// A repository that was renamed is still found by its old name: read, claimed and written to.
#[test]
fn a_renamed_repository_is_found() {
    let seed = json!({"widgets": {"former_names": ["gadgets"]}});
    let house = house(&Plan { seed, ..Plan::default() });
    house.configure(|config| config["github"]["repo"] = json!("gadgets"));
    assert_eq!(house.shell("cq-fetch --limit 1 | cq-claim").run().quietly().numbers(), [1]);
    house.cq("init").args(["--labels"]).run().quietly();
    let labels = house.lab.repository()["labels"].to_string();
    assert!(labels.contains("claude-blocked"), "{labels}");
}

#[test]
fn the_stage_is_rewound() {
    let on = Pull::new();
    on.run().quietly();
    assert_eq!((on.made(), on.whole()), (1, 1));
    on.rewind();
    assert_eq!((on.made(), on.house().status(1).as_str()), (0, "testing"));
}
