//! Who cannot sign is nobody.

use serde_json::json;

use crate::receiver::sign;
use crate::{Delivery, House, Receiver, SECRET};

#[test]
fn what_is_not_signed_with_the_secret_is_refused_unread() {
    let house = House::usual();
    let receiver = Receiver::start(&house, &[]);
    let good = Delivery::of_issue(11);
    let right = good.signature.clone().unwrap();
    let mut bodies = vec![(good.clone().signed(None), "unsigned")];
    let mut bad = |signature: &str, why| bodies.push((good.clone().signed(Some(signature.to_owned())), why));
    bad("", "empty");
    bad("sha256=", "no digits");
    bad(&right[..right.len() - 2], "truncated");
    bad(&format!("{right}00"), "too long");
    bad(&right.replace("sha256=", "sha1="), "another algorithm's name");
    bad(&right["sha256=".len()..], "bare");
    bad(&sign("another secret entirely", &good.body), "another secret");
    bad(&sign("", &good.body), "the empty secret");
    bad(&sign(SECRET, b"{}"), "of another body");
    let flipped = right.chars().rev().collect::<String>();
    let flipped =
        if flipped.starts_with('0') { flipped.replacen('0', "1", 1) } else { format!("0{}", &flipped[1..]) };
    bad(&flipped.chars().rev().collect::<String>(), "a bit flipped");
    let sha1 = good.clone().signed(None).with("x-hub-signature", &format!("sha1={}", "a".repeat(40)));
    bodies.push((sha1, "SHA-1 only"));
    bodies.push((good.clone().with("x-hub-signature-256", &right), "signed twice"));
    let mut bent = good.clone();
    *bent.body.last_mut().unwrap() = b' ';
    bodies.push((bent, "a byte of the body changed"));
    // Not even well-formed: it must not matter, because it must not be looked at.
    bodies
        .push((Delivery::of_bytes("issues", b"not json".to_vec()).signed(Some(sign("x", b"y"))), "not JSON"));
    let other = good.clone().with("content-type", "text/plain").signed(None);
    bodies.push((other, "no content type of GitHub's"));
    for (delivery, why) in &bodies {
        assert_eq!(delivery.send(&receiver.url).0, 401, "{why}");
    }
    assert!(receiver.lines().is_empty());
    assert!(!receiver.said().contains(SECRET));
    // None of them used up the delivery's id.
    assert_eq!(good.send(&receiver.url), (200, "written\n".to_owned()));
}

#[test]
fn the_previous_secret_is_good_while_it_is_named() {
    let house = House::usual();
    house.configure(|config| {
        config["webhook"] =
            json!({"secret": "the brand new secret", "previousSecret": "${CQ_WEBHOOK_SECRET}"});
    });
    let mut receiver = Receiver::start(&house, &[]);
    let new = Delivery::of_issue(11);
    let new = new.clone().signed(Some(sign("the brand new secret", &new.body)));
    assert_eq!(new.send(&receiver.url).0, 200);
    assert_eq!(Delivery::of_issue(12).send(&receiver.url).0, 200);
    assert_eq!(receiver.numbers(), [11, 12]);
    receiver.says("is signed with the previous secret");
    assert_eq!(receiver.stop(), Some(0));
    house.configure(|config| config["webhook"] = json!({"secret": "the brand new secret"}));
    let receiver = Receiver::start(&house, &[]);
    assert_eq!(Delivery::of_issue(13).send(&receiver.url).0, 401);
}
