//! A search parameter is built for what is stored while the server is killed, and goes on.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Server, bundles, ok};

/// The number of a JSON answer's member `total`.
fn body(answer: &str) -> Value {
    let text = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// State of the only parameter, and how many resources its pass has looked at.
fn standing(server: &Server, token: &str) -> (String, u64) {
    let status = body(&server.get("/t/rosewood/fhir/SearchParameter/$status", token));
    let parts = status["parameter"].as_array().cloned().unwrap_or_default();
    let of = |name: &str, member: &str| {
        let one = parts.iter().find(|part| part["name"] == name)?;
        let part = one["part"]
            .as_array()?
            .iter()
            .find(|part| part["name"] == member)?;
        Some(part.clone())
    };
    let state = of("parameter", "state").map(|part| part["valueCode"].as_str().unwrap().to_owned());
    let done = of("pass", "done").and_then(|part| part["valueDecimal"].as_u64());
    (state.unwrap_or_default(), done.unwrap_or_default())
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..20_000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what} did not happen");
}

#[test]
#[expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]
fn a_parameter_is_built_across_kills_and_misses_nothing() {
    let place = Place::new();
    let (data, source) = (place.at("data"), place.at("source"));
    let config = place.at("theriac.toml");
    std::fs::write(&config, "[search]\nreindex_grace_s = 1\n").unwrap();
    let base = [
        "--data", &data, "--config", &config, "-o", "json", "--quiet",
    ];
    let told = |rest: &[&str]| ok(&[&base, rest].concat());
    told(&["init"]);
    told(&["tenant", "create", "rosewood", "--name", "Rosewood"]);
    told(&["client", "create", "--tenant", "rosewood", "Integrator"]);
    let token = told(&[
        "token",
        "create",
        "--tenant",
        "rosewood",
        "--client",
        "Integrator",
        "tests",
    ]);
    let token = token["token"].as_str().unwrap();
    let bundled = 200;
    bundles(Path::new(&source), bundled);
    told(&["import", "--tenant", "rosewood", &source]);

    let flags = ["--data", data.as_str(), "--config", config.as_str()];
    let server = Server::start_with(&flags);
    let definition = json!({
        "resourceType": "SearchParameter", "url": "urn:test:text", "name": "text", "status": "active",
        "description": "of a test", "code": "said", "base": ["Condition"], "type": "string",
        "expression": "Condition.code.text"
    });
    let made = server.send(
        "POST",
        "/t/rosewood/fhir/SearchParameter",
        token,
        &definition.to_string(),
    );
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let halfway = until("the first page", || {
        let (state, done) = standing(&server, token);
        assert_ne!(state, "ready", "built before it could be killed");
        (done > 0).then_some(done)
    });
    drop(server); // SIGKILL
    let server = Server::start_with(&flags);
    let (_, again) = standing(&server, token);
    assert!(again >= halfway, "{again} of {halfway} were kept");
    let early = body(&server.get("/t/rosewood/fhir/Condition?said=c7&_summary=count", token));
    assert!(
        early["total"].is_null() || early["total"] == bundled,
        "{early}"
    );
    until("ready", || {
        (standing(&server, token).0 == "ready").then_some(())
    });
    for number in [0, 7, 19] {
        let path = format!("/t/rosewood/fhir/Condition?said:exact=c{number}&_summary=count");
        let found = until("the search", || {
            let found = body(&server.get(&path, token));
            found["total"].as_u64()
        });
        assert_eq!(found, bundled as u64, "c{number}");
    }
}
