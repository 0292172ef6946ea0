//! Subscriptions of the running program: killed in the middle of sending, it loses nothing.

use std::time::Duration;

use testkit::receiver::{Receiver, Reply};

use crate::place::{Place, Server, ok};

const CHANGES: u64 = 60;

fn numbers(receiver: &Receiver) -> Vec<u64> {
    let number = |id: &str| id.rsplit('.').next().unwrap().parse().unwrap();
    receiver
        .seen()
        .iter()
        .map(|one| number(one.header("webhook-id").unwrap()))
        .collect()
}

fn wait(what: impl Fn() -> bool) -> bool {
    (0..1200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        what()
    })
}

#[test]
fn a_kill_in_the_middle_of_sending_loses_nothing() {
    let receiver = Receiver::start(|_, _| Reply::status(200).after(Duration::from_millis(30)));
    let place = Place::new();
    let data = place.at("data");
    ok(&["--data", &data, "-o", "json", "init"]);
    let base = ["--data", &data, "-o", "json"];
    let run = |arguments: &[&str]| ok(&[base.as_slice(), arguments].concat());
    run(&["tenant", "create", "rosewood", "--name", "Rosewood"]);
    run(&["client", "create", "--tenant", "rosewood", "Lab"]);
    let token = run(&[
        "token", "create", "--tenant", "rosewood", "--client", "Lab", "x",
    ]);
    let token = token["token"].as_str().unwrap();
    let config = place.at("t.toml");
    let allow = format!("[egress]\nallow = [\"{} private\"]\n", receiver.url(""));
    std::fs::write(&config, allow).unwrap();
    let flags = ["--config", config.as_str(), "--data", data.as_str()];

    let server = Server::start_with(&flags);
    let subscription = format!(
        r#"{{"resourceType":"Subscription","id":"s1","status":"requested","reason":"x","criteria":"Patient?","channel":{{"type":"rest-hook","endpoint":"{}"}}}}"#,
        receiver.url("/in")
    );
    let path = "/t/rosewood/fhir/Subscription/s1";
    let stored = server.send("PUT", path, token, &subscription);
    assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
    let active = || server.get(path, token).contains(r#""status":"active""#);
    assert!(wait(active), "{}", server.get(path, token));
    for n in 1..=CHANGES {
        let path = format!("/t/rosewood/fhir/Patient/p{n}");
        let body = format!(r#"{{"resourceType":"Patient","id":"p{n}"}}"#);
        let stored = server.send("PUT", &path, token, &body);
        assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
    }
    assert!(wait(|| numbers(&receiver).len() >= 5));
    // Dropping it is SIGKILL.
    drop(server);
    let before = numbers(&receiver).len() as u64;
    assert!(before < CHANGES, "it was not killed in the middle");
    let server = Server::start_with(&flags);
    let all = wait(|| numbers(&receiver).last() == Some(&CHANGES));
    let seen = numbers(&receiver);
    assert!(all, "{seen:?}: {}", server.get(path, token));
    let mut first = seen.clone();
    first.dedup();
    // In order, and what came twice has the number it had: the one that was being sent, no more.
    assert_eq!(first, (1..=CHANGES).collect::<Vec<u64>>());
    assert!(seen.len() as u64 <= CHANGES + 1, "{seen:?}");
}
