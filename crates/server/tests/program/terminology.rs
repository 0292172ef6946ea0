//! Code systems loaded from releases: a tiny synthetic one is read, installed, asked by every tenant,
//! replaced and removed; a load that fails leaves what was there.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use crate::place::{Place, Server, fails, ok};

const TERMS: &str = "\"LOINC_NUM\",\"LONG_COMMON_NAME\",\"STATUS\",\"VersionLastChanged\"\n\
    \"718-7\",\"Hemoglobin [Mass/volume] in Blood\",\"ACTIVE\",\"2.73\"\n\
    \"nonsense\",\"x\",\"ACTIVE\",\"\"\n\
    \"1-8\",\"Acyclovir\",\"ACTIVE\",\"2.9\"\n";

#[cfg(unix)]
#[test]
fn a_release_is_loaded_asked_kept_and_removed() {
    let place = Place::new();
    let data = place.at("data");
    ok(&["--data", &data, "-o", "json", "init"]);
    for (slug, name) in [("rosewood", "Rosewood"), ("lakeside", "Lakeside")] {
        ok(&[
            "--data", &data, "-o", "json", "tenant", "create", slug, "--name", name,
        ]);
    }
    let mut tokens = Vec::new();
    for slug in ["rosewood", "lakeside"] {
        ok(&[
            "--data", &data, "-o", "json", "client", "create", "--tenant", slug, "Lab",
        ]);
        let made = ok(&[
            "--data",
            &data,
            "-o",
            "json",
            "token",
            "create",
            "--tenant",
            slug,
            "--client",
            "Lab",
            "till winter",
        ]);
        tokens.push(made["token"].as_str().unwrap().to_owned());
    }
    let folder = place.at("Loinc");
    std::fs::create_dir_all(format!("{folder}/LoincTable")).unwrap();
    std::fs::write(format!("{folder}/LoincTable/Loinc.csv"), TERMS).unwrap();
    let load = [
        "--data",
        &data,
        "-o",
        "json",
        "terminology",
        "load",
        "loinc",
    ];
    let made = ok(&[&load[..], &[&folder]].concat());
    assert_eq!(
        (
            &made["url"],
            &made["version"],
            &made["concepts"],
            &made["refused"]
        ),
        (
            &serde_json::json!("http://loinc.org"),
            &serde_json::json!("2.73"),
            &serde_json::json!(2),
            &serde_json::json!(1)
        ),
        "{made}"
    );
    // A release of another kind, or a file that is none, changes nothing.
    fails(
        &["--data", &data, "terminology", "load", "snomed", &folder],
        3,
        "concept snapshot",
    );
    fails(
        &[
            "--data",
            &data,
            "terminology",
            "load",
            "icd10",
            &place.at("nowhere"),
        ],
        3,
        "nowhere",
    );
    let listed = ok(&["--data", &data, "-o", "json", "terminology", "list"]);
    assert_eq!(listed[0]["url"], "http://loinc.org", "{listed}");
    assert_eq!(listed.as_array().unwrap().len(), 1);

    let lookup = "CodeSystem/$lookup?system=http://loinc.org&code=718-7";
    let ask = |server: &Server| -> Vec<String> {
        let asked = ["rosewood", "lakeside"].iter().zip(&tokens);
        asked
            .map(|(slug, token)| server.get(&format!("/t/{slug}/fhir/{lookup}"), token))
            .collect()
    };
    let server = Server::start(&data);
    for answer in ask(&server) {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains("Hemoglobin [Mass/volume] in Blood"),
            "{answer}"
        );
    }
    let expand = "/t/rosewood/fhir/ValueSet/$expand?url=http://loinc.org/vs&filter=acy";
    let answer = server.get(expand, &tokens[0]);
    assert!(
        answer.contains("\"1-8\"") && !answer.contains("718-7"),
        "{answer}"
    );
    server.end();

    // The same version again is a replacement.
    let fewer = TERMS.replace("Hemoglobin", "Haemoglobin");
    std::fs::write(format!("{folder}/LoincTable/Loinc.csv"), fewer).unwrap();
    ok(&[&load[..], &[&folder]].concat());
    let listed = ok(&["--data", &data, "-o", "json", "terminology", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let blobs = || -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![std::path::PathBuf::from(&data).join("blobs")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        found
    };
    assert_eq!(blobs().len(), 1, "the blob of the replaced one is gone");

    // A damaged blob is an answer that says so, for questions about it only.
    let blob = blobs().remove(0);
    let whole = std::fs::read(&blob).unwrap();
    std::fs::write(&blob, b"damaged").unwrap();
    let server = Server::start(&data);
    for answer in ask(&server) {
        assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
        assert!(answer.contains("theriac terminology load"), "{answer}");
    }
    let gender =
        "/t/rosewood/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender";
    assert!(server.get(gender, &tokens[0]).contains("female"));
    server.end();
    std::fs::write(&blob, whole).unwrap();

    ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "terminology",
        "remove",
        "http://loinc.org",
    ]);
    fails(
        &["--data", &data, "terminology", "remove", "http://loinc.org"],
        3,
        "http://loinc.org",
    );
    assert!(blobs().is_empty());
    let server = Server::start(&data);
    for answer in ask(&server) {
        assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
    }
    server.end();
}

#[cfg(unix)]
#[test]
fn a_backup_holds_what_is_installed() {
    let place = Place::new();
    let (data, file, phrase) = (place.at("data"), place.at("b.backup"), place.at("phrase"));
    std::fs::write(&phrase, "seven otters in a canoe\n").unwrap();
    let at = |folder: &str, words: &[&str]| {
        ok(&[&["--data", folder, "-o", "json", "--quiet"], words].concat())
    };
    at(&data, &["init"]);
    let words = ["tenant", "create", "rosewood", "--name", "Rosewood"];
    at(&data, &words);
    at(&data, &["client", "create", "--tenant", "rosewood", "Lab"]);
    let token = [
        "token",
        "create",
        "--tenant",
        "rosewood",
        "--client",
        "Lab",
        "till winter",
    ];
    let token = at(&data, &token)["token"].as_str().unwrap().to_owned();
    let folder = place.at("Loinc");
    std::fs::create_dir_all(format!("{folder}/LoincTable")).unwrap();
    std::fs::write(format!("{folder}/LoincTable/Loinc.csv"), TERMS).unwrap();
    at(&data, &["terminology", "load", "loinc", &folder]);

    let healthy = at(&data, &["doctor"]);
    let check = |found: &serde_json::Value| -> (String, String) {
        let rows = found["checks"].as_array().unwrap();
        let row = rows.iter().find(|row| row["check"] == "installed lists");
        let text = |name: &str| row.unwrap()[name].as_str().unwrap().to_owned();
        (text("result"), text("found"))
    };
    assert_eq!(check(&healthy).0, "ok", "{healthy}");

    let backup = ["backup", &file, "--passphrase-file", &phrase];
    let made = at(&data, &backup);
    assert_eq!(made["installed"], 1, "{made}");
    assert_eq!(made["installed_lost"], serde_json::json!([]), "{made}");
    let restored = place.at("restored");
    let words = ["restore", &file, "--passphrase-file", &phrase];
    let placed = at(&restored, &words);
    assert_eq!(placed["verification"]["verdict"], "sound", "{placed}");
    let verified = at(&data, &["verify", &restored]);
    assert_eq!(verified["verdict"], "sound", "{verified}");
    let server = Server::start(&restored);
    let expand = "/t/rosewood/fhir/ValueSet/$expand?url=http://loinc.org/vs&filter=acy";
    let answer = server.get(expand, &token);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"1-8\""),
        "{answer}"
    );
    server.end();

    // A blob that is gone is said: by doctor, and by a backup, which holds the rest.
    let blobs = format!("{data}/blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    let output = crate::place::run(&["--data", &data, "-o", "json", "doctor"]);
    assert_eq!(output.status.code(), Some(1));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(check(&said).0, "fail", "{said}");
    assert!(check(&said).1.contains("http://loinc.org"), "{said}");
    let poorer = place.at("c.backup");
    let made = at(&data, &["backup", &poorer, "--passphrase-file", &phrase]);
    assert_eq!(
        made["installed_lost"],
        serde_json::json!(["http://loinc.org"]),
        "{made}"
    );
}
