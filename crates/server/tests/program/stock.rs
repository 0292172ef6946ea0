//! A server that is killed while it acknowledges movements of the stock and entries of the controlled-drug
//! register: what was acknowledged is there after the next start, once; the balance is the sum of the
//! movements and of the entries; the ledger verifies.

#![expect(
    clippy::too_many_lines,
    reason = "the story of a house that is killed three times in one piece"
)]

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::place::{Place, Server, ok};

/// A person at a browser.
#[derive(Clone)]
struct Person {
    address: String,
    cookies: String,
    csrf: String,
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The whole answer; none where the server ended before it said all of it.
fn exchange(address: &str, cookies: &str, call: &str, form: &[(&str, &str)]) -> Option<String> {
    let fields = form
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    let body = fields.collect::<Vec<_>>().join("&");
    let request = format!(
        "{call} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookies}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("\r\n\r\n").then_some(answer)
}

fn header<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

fn cookies(answer: &str) -> String {
    let own = header(answer, "set-cookie");
    let own = own.iter().filter_map(|own| own.split(';').next());
    own.collect::<Vec<_>>().join("; ")
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let from = text
        .find(before)
        .unwrap_or_else(|| panic!("{before}: {text}"))
        + before.len();
    let rest = &text[from..];
    &rest[..rest.find(after).unwrap()]
}

impl Person {
    fn signed_in(address: &str, name: &str, password: &str) -> Self {
        let page = exchange(address, "", "GET /sign-in", &[]).unwrap();
        let csrf = between(&page, "name=\"csrf\" value=\"", "\"");
        let fields = [
            ("csrf", csrf),
            ("tenant", "rosewood"),
            ("user", name),
            ("password", password),
        ];
        let done = exchange(address, &cookies(&page), "POST /sign-in", &fields).unwrap();
        assert!(done.starts_with("HTTP/1.1 303"), "{done}");
        let mut own = Self {
            address: address.to_owned(),
            cookies: cookies(&done),
            csrf: String::new(),
        };
        let page = own.get("/medicines/stock");
        between(&page, "name=\"csrf\" value=\"", "\"").clone_into(&mut own.csrf);
        own
    }

    fn get(&self, below: &str) -> String {
        let call = format!("GET /t/rosewood{below}");
        let page = exchange(&self.address, &self.cookies, &call, &[]).unwrap();
        assert!(page.starts_with("HTTP/1.1 200"), "{below}: {page}");
        page
    }

    /// Sends a form; the address that it leads to once it is done.
    fn post(&self, below: &str, fields: &[(&str, &str)]) -> Option<String> {
        let call = format!("POST /t/rosewood{below}");
        let mut all = vec![("csrf", self.csrf.as_str())];
        all.extend(fields);
        let answer = exchange(&self.address, &self.cookies, &call, &all)?;
        assert!(answer.starts_with("HTTP/1.1 303"), "{below}: {answer}");
        Some((*header(&answer, "location").first()?).to_owned())
    }

    fn keeps(&self, product: &str) -> String {
        let fields = [("product", product), ("unit", "{tablet}")];
        let made = self.post("/medicines/stock/new", &fields).unwrap();
        between(&made, "/medicines/stock/", "?").to_owned()
    }

    /// How much is held, the number of the last movement, and of its entry in the register.
    fn shelf(&self, item: &str) -> (usize, usize, usize) {
        let page = self.get(&format!("/medicines/stock/{item}"));
        let held = between(&page, "<p class=\"lead\">", " tablet");
        let moves = page
            .split("aria-labelledby=\"moves-title\"")
            .nth(1)
            .unwrap();
        let row = moves.split("<tbody").nth(1).unwrap().split("</tr>").next();
        let row = row.unwrap();
        let number = between(row, "<span>", "<");
        let entry = match row.split_once("Register No. ") {
            Some((_, rest)) => rest.split('<').next().unwrap().parse().unwrap(),
            None => 0,
        };
        (held.parse().unwrap(), number.parse().unwrap(), entry)
    }
}

/// One receipt of one tablet, with both signatures where there are passwords.
fn received(person: &Person, item: &str, id: &str, passwords: Option<(&str, &str)>) -> Option<()> {
    let mut fields = vec![
        ("movement", id),
        ("location", "cupboard"),
        ("resident", ""),
        ("party", "pharmacy"),
        ("units", "1"),
        ("lot", "A1"),
        ("expiry", "2099-12-31"),
    ];
    if let Some((nurse, carer)) = passwords {
        fields.extend([("by-name", "nurse"), ("by-password", nurse)]);
        fields.extend([("witness-name", "carer"), ("witness-password", carer)]);
    }
    let below = format!("/medicines/stock/{item}/receive");
    person.post(&below, &fields).map(|_| ())
}

fn program(data: &str, rest: &[&str]) -> serde_json::Value {
    ok(&[&["--data", data, "-o", "json", "--quiet"], rest].concat())
}

#[cfg(unix)]
#[test]
fn what_was_acknowledged_of_stock_and_register_survives_kills() {
    let place = Place::new();
    let data = place.at("data");
    let told = |rest: &[&str]| program(&data, rest);
    told(&["init"]);
    told(&["tenant", "create", "rosewood", "--name", "Rosewood"]);
    let branch = told(&["branch", "create", "--tenant", "rosewood", "North"]);
    let user = |name: &str| {
        let own = [
            "user", "create", name, "--tenant", "rosewood", "--branch", "North",
        ];
        let made = told(&[&own[..], &["--name", name, "--role", name]].concat());
        made["password"].as_str().unwrap().to_owned()
    };
    let passwords = (user("nurse"), user("carer"));
    told(&["client", "create", "--tenant", "rosewood", "Estates"]);
    let token = told(&[
        "token", "create", "--tenant", "rosewood", "--client", "Estates", "places",
    ]);
    let token = token["token"].as_str().unwrap();

    let mut server = Server::start(&data);
    let organization = branch["organization"].as_str().unwrap();
    let cupboard = format!(
        r#"{{"resourceType":"Location","id":"cupboard","name":"Cupboard","managingOrganization":{{"reference":"Organization/{organization}"}}}}"#
    );
    let pharmacy = r#"{"resourceType":"Organization","id":"pharmacy","name":"Pharmacy","address":[{"text":"1 High Street"}]}"#;
    for (name, body) in [
        ("Location/cupboard", cupboard.as_str()),
        ("Organization/pharmacy", pharmacy),
    ] {
        let made = server.send("PUT", &format!("/t/rosewood/fhir/{name}"), token, body);
        assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    }
    let mut nurse = Person::signed_in(server.address(), "nurse", &passwords.0);
    let plain = nurse.keeps("Paracetamol 500mg tablet");
    let controlled = nurse.keeps("Morphine 10mg modified-release tablet");
    let page = [("item", controlled.as_str()), ("premises", "cupboard")];
    nurse.post("/medicines/register/new", &page).unwrap();

    // What was sent, by medicine, and how much of it was acknowledged.
    let mut sent: [Vec<(String, bool)>; 2] = [Vec::new(), Vec::new()];
    for round in 0..3 {
        let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
        let work = |lane: usize, controlled_drug: bool| {
            let (nurse, passwords) = (nurse.clone(), passwords.clone());
            let item = if controlled_drug {
                controlled.clone()
            } else {
                plain.clone()
            };
            let count = counts[usize::from(controlled_drug)].clone();
            std::thread::spawn(move || {
                let mut own = Vec::new();
                loop {
                    let id = format!("r{round}-l{lane}-{}", own.len());
                    let both =
                        controlled_drug.then_some((passwords.0.as_str(), passwords.1.as_str()));
                    let done = received(&nurse, &item, &id, both).is_some();
                    own.push((id, done));
                    if !done {
                        return own;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let lanes = [work(0, false), work(1, false), work(2, true)];
        let mut looks = 0;
        while counts[0].load(Ordering::SeqCst) < 20 || counts[1].load(Ordering::SeqCst) < 3 {
            looks += 1;
            assert!(looks < 48_000, "nothing is acknowledged");
            std::thread::sleep(Duration::from_millis(5));
        }
        // SIGKILL, in the middle of whatever it does.
        drop(server);
        for (lane, thread) in lanes.into_iter().enumerate() {
            sent[usize::from(lane == 2)].extend(thread.join().unwrap());
        }

        server = Server::start(&data);
        server.address().clone_into(&mut nurse.address);
        for (which, item) in [&plain, &controlled].into_iter().enumerate() {
            let (held, last, entry) = nurse.shelf(item);
            let acknowledged = sent[which].iter().filter(|own| own.1).count();
            assert!(
                (acknowledged..=sent[which].len()).contains(&held),
                "{held} held, {acknowledged} acknowledged of {}",
                sent[which].len()
            );
            assert_eq!(held, last, "the balance is the sum of the movements");
            if which == 1 {
                assert_eq!(held, entry, "each has its entry in the register");
            }
            // All of it once more, under the same ids: what is there moves nothing, what was cut off comes.
            for (id, done) in &mut sent[which] {
                let both = (which == 1).then_some((passwords.0.as_str(), passwords.1.as_str()));
                if which == 0 || !*done {
                    received(&nurse, item, id, both).unwrap();
                    *done = true;
                }
            }
            let count = sent[which].len();
            let entries = if which == 1 { count } else { 0 };
            assert_eq!(nurse.shelf(item), (count, count, entries));
        }
    }
    let register = nurse.get("/medicines/register");
    let count = sent[1].len();
    assert!(
        register.contains(&format!("{count} tablet")),
        "{count}: {register}"
    );
    drop(server);
    assert_eq!(told(&["verify", &data])["verdict"], "sound");
}
