//! Lists of products loaded from releases: a small one is read, installed, found by a scan, replaced, kept
//! by a backup and removed; a load that is refused or killed leaves what was there.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tells its story in one piece"
)]

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::{Place, Server, fails, ok, theriac};

/// A release of dm+d with so many virtual products, each with one actual product, pack and number.
fn release(folder: &str, count: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(format!("{folder}/{name}"), text).unwrap();
    };
    let all = |one: &dyn Fn(u64) -> String| (0..count).map(one).collect::<String>();
    let vmps = all(&|n| {
        format!(
            "<VMP><VPID>{}</VPID><NM>Paracetamol {}mg tablets</NM></VMP>\n",
            1_000 + n,
            n + 1
        )
    });
    let parts = all(&|n| {
        format!(
            "<VPI><VPID>{}</VPID><ISID>90332006</ISID><STRNT_NMRTR_VAL>{}</STRNT_NMRTR_VAL><STRNT_NMRTR_UOMCD>258684004</STRNT_NMRTR_UOMCD></VPI>\n",
            1_000 + n,
            n + 1
        )
    });
    write(
        "f_vmp2_3.xml",
        format!(
            "<V><VMPS>{vmps}</VMPS><VIRTUAL_PRODUCT_INGREDIENT>{parts}</VIRTUAL_PRODUCT_INGREDIENT></V>"
        ),
    );
    let amps = all(&|n| {
        format!(
            "<AMP><APID>{}</APID><VPID>{}</VPID><NM>x</NM><DESC>Brand {n} (Maker)</DESC></AMP>\n",
            5_000_000 + n,
            1_000 + n
        )
    });
    write("f_amp2_3.xml", format!("<A><AMPS>{amps}</AMPS></A>"));
    let packs = all(&|n| {
        format!(
            "<AMPP><APPID>{}</APPID><NM>x</NM><APID>{}</APID></AMPP>\n",
            9_000_000 + n,
            5_000_000 + n
        )
    });
    write("f_ampp2_3.xml", format!("<A><AMPPS>{packs}</AMPPS></A>"));
    let numbers = all(&|n| {
        format!(
            "<AMPP><AMPPID>{}</AMPPID><GTINDATA><GTIN>{}</GTIN></GTINDATA></AMPP>\n",
            9_000_000 + n,
            gtin(n)
        )
    });
    write("f_gtin2_0.xml", format!("<G><AMPPS>{numbers}</AMPPS></G>"));
    write(
        "f_ingredient2_3.xml",
        "<I><ING><ISID>90332006</ISID><NM>Paracetamol</NM></ING></I>".to_owned(),
    );
    write(
        "f_lookup2_3.xml",
        "<L><UNIT_OF_MEASURE><INFO><CD>258684004</CD><DESC>mg</DESC></INFO></UNIT_OF_MEASURE></L>"
            .to_owned(),
    );
}

/// A number with its check digit.
fn gtin(number: u64) -> String {
    let body = 501_234_500_000 + number;
    let digits: Vec<u64> = body
        .to_string()
        .bytes()
        .map(|own| u64::from(own - b'0'))
        .collect();
    let sum: u64 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| digit * if at % 2 == 0 { 3 } else { 1 })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn at(data: &str, words: &[&str]) -> Value {
    ok(&[&["--data", data, "-o", "json"][..], words].concat())
}

fn house(place: &Place) -> (String, String) {
    let data = place.at("data");
    at(&data, &["init"]);
    at(
        &data,
        &["tenant", "create", "rosewood", "--name", "Rosewood"],
    );
    at(
        &data,
        &["client", "create", "--tenant", "rosewood", "Trolley"],
    );
    let made = at(
        &data,
        &[
            "token", "create", "--tenant", "rosewood", "--client", "Trolley", "scans",
        ],
    );
    let token = made["token"].as_str().unwrap().to_owned();
    (data, token)
}

fn scanned(data: &str, token: &str, number: &str) -> Value {
    let server = Server::start(data);
    let answer = server.get(
        &format!("/t/rosewood/api/v1/medicines/scan?text={number}"),
        token,
    );
    server.end();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

#[cfg(unix)]
#[test]
fn a_list_is_loaded_found_replaced_kept_and_removed() {
    let place = Place::new();
    let (data, token) = house(&place);
    let first = place.at("first");
    release(&first, 3);
    let made = at(
        &data,
        &["products", "load", "dmd", &first, "--release", "2026-10"],
    );
    assert_eq!(
        (
            &made["kind"],
            &made["release"],
            &made["products"],
            &made["numbers"]
        ),
        (&json!("dmd"), &json!("2026-10"), &json!(6), &json!(3)),
        "{made}"
    );
    let found = scanned(&data, &token, &gtin(2));
    assert_eq!(found["product"]["name"], "Brand 2 (Maker)", "{found}");
    assert_eq!(
        found["product"]["ingredients"],
        json!([{ "name": "paracetamol", "strength": "3 mg" }])
    );
    // The small built-in list answers where the loaded one has nothing.
    let built_in = scanned(&data, &token, "2000000000107");
    assert_eq!(built_in["product"]["name"], "Paracetamol 500mg tablet");

    // What is refused is named, and leaves the list of before.
    let broken = place.at("broken");
    release(&broken, 3);
    std::fs::write(
        format!("{broken}/f_amp2_3.xml"),
        "<A>\n<AMPS>\n<AMP><APID>1</APID></AMP></AMPS></A>",
    )
    .unwrap();
    let load = ["--data", &data, "products", "load", "dmd"];
    fails(&[&load[..], &[&broken]].concat(), 2, "f_amp2_3.xml line 3");
    std::fs::remove_file(format!("{broken}/f_amp2_3.xml")).unwrap();
    fails(
        &[&load[..], &[&broken]].concat(),
        2,
        "the release holds no f_amp2_*.xml",
    );
    fails(&[&load[..], &[&place.at("nowhere")]].concat(), 3, "nowhere");
    let rxnorm = ["--data", &data, "products", "load", "rxnorm", &first];
    fails(&rxnorm, 2, "the release holds no RXNCONSO.RRF");
    let listed = at(&data, &["products", "list"]);
    assert_eq!(listed[0]["release"], "2026-10", "{listed}");
    assert_eq!(listed.as_array().unwrap().len(), 1);

    // A recall stops what it names until it is ended.
    at(
        &data,
        &[
            "products",
            "recall",
            &gtin(2),
            "--batch",
            "B1",
            "--notice",
            "Class 2, 12 March",
        ],
    );
    let recalled = scanned(&data, &token, &format!("(01)0{}(10)B1", gtin(2)));
    assert_eq!(recalled["recall"], "Class 2, 12 March", "{recalled}");
    let other = scanned(&data, &token, &format!("(01)0{}(10)B2", gtin(2)));
    assert_eq!(other["recall"], Value::Null);
    at(
        &data,
        &["products", "end-recall", &gtin(2), "--batch", "B1"],
    );
    assert_eq!(at(&data, &["products", "recalls"]), json!([]));

    at(&data, &["products", "remove", "dmd"]);
    assert_eq!(scanned(&data, &token, &gtin(2))["product"], Value::Null);
    assert_eq!(at(&data, &["verify", &data])["verdict"], "sound");
}

#[cfg(unix)]
#[test]
fn a_backup_holds_the_list_and_a_lost_one_is_said() {
    let place = Place::new();
    let (data, token) = house(&place);
    let folder = place.at("release");
    release(&folder, 3);
    at(&data, &["products", "load", "dmd", &folder]);
    let (file, phrase) = (place.at("house.backup"), place.at("phrase"));
    std::fs::write(&phrase, "a long and quiet phrase\n").unwrap();
    let made = at(&data, &["backup", &file, "--passphrase-file", &phrase]);
    assert_eq!(made["installed"], 1, "{made}");
    let restored = place.at("restored");
    at(&restored, &["restore", &file, "--passphrase-file", &phrase]);
    assert_eq!(
        scanned(&restored, &token, &gtin(1))["product"]["name"],
        "Brand 1 (Maker)"
    );
    let blobs = format!("{data}/blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    let output = crate::place::run(&["--data", &data, "-o", "json", "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("products dmd"), "{said}");
    // Until it is loaded again, checks say that it was not used.
    let server = Server::start(&data);
    let patient = r#"{"resourceType":"Patient","id":"p","birthDate":"1950-01-01"}"#;
    let made = server.send("PUT", "/t/rosewood/fhir/Patient/p", &token, patient);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let checked = server.get("/t/rosewood/fhir/Patient/p/$medication-check", &token);
    server.end();
    let says = "the list of products dmd did not answer: it has lost its blob";
    assert!(checked.contains(says), "{checked}");
}

#[cfg(unix)]
#[test]
fn a_load_that_is_killed_leaves_the_list_of_before() {
    let place = Place::new();
    let (data, _) = house(&place);
    let (small, large) = (place.at("small"), place.at("large"));
    release(&small, 3);
    release(&large, 20_000);
    at(
        &data,
        &["products", "load", "dmd", &small, "--release", "old"],
    );
    let mut killed = 0;
    for wait in [20, 60, 120, 240, 480, 900, 1_500, 2_500, 4_000, 6_000] {
        let mut child = theriac()
            .args([
                "--data",
                &data,
                "products",
                "load",
                "dmd",
                &large,
                "--release",
                "new",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        let listed = at(&data, &["products", "list"]);
        let release = &listed[0]["release"];
        if release == "new" {
            assert_eq!(
                listed[0]["products"], "40000",
                "all of it or nothing: {listed}"
            );
            break;
        }
        assert_eq!(
            (release, &listed[0]["products"]),
            (&json!("old"), &json!("6"))
        );
    }
    assert!(killed > 0, "it was always quicker than the kill");
    at(&data, &["doctor"]);
    let made = at(
        &data,
        &["products", "load", "dmd", &large, "--release", "new"],
    );
    assert_eq!(made["products"], 40_000);
    assert_eq!(at(&data, &["verify", &data])["verdict"], "sound");
}
