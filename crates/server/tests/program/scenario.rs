//! The golden path of medicines, played by the built program: every step as expected, the ledger sound, a
//! changed copy of it found altered.

use serde_json::Value;

use crate::place::{Place, find, ok, run};

fn play(folder: &str) -> Value {
    let words = ["-o", "json", "--quiet", "demo", "--folder", folder];
    ok(&[words.as_slice(), &["--scenario", "medicines"]].concat())
}

#[test]
fn the_golden_path_of_medicines_comes_out_and_its_ledger_verifies() {
    let place = Place::new();
    let folder = place.at("demo");
    let told = play(&folder);
    assert_eq!(told["unexpected"], Value::Null, "{told}");
    assert_eq!(told["verdict"], "sound", "{told}");
    let steps = told["steps"].as_array().unwrap();
    let statuses = |status: u64| steps.iter().filter(|step| step["status"] == status).count();
    assert!(statuses(422) >= 14, "what is held and refused is shown");
    for told in [
        "possible double dose",
        "reorder: needed",
        "missing: 30",
        "balance: 5",
        "regional-formulary did not answer",
    ] {
        let said = |step: &&Value| step["decided"].as_str().unwrap().contains(told);
        assert!(steps.iter().any(|step| said(&step)), "no step says {told}");
    }
    for step in steps {
        let stored = step["entry"].is_string();
        let refused = step["status"].as_u64().unwrap() >= 400;
        assert!(
            !(stored && refused),
            "what is refused is not stored: {step}"
        );
        let of_api = step["of_api"] == true;
        assert!(
            stored || refused || of_api || step["status"] == 200,
            "{step}"
        );
    }
    let ledger = told["ledger"].as_str().unwrap();
    assert_eq!(run(&["--quiet", "verify", ledger]).status.code(), Some(0));
    let entries = find(
        std::path::Path::new(ledger),
        "rosewood-house/changes/tile/entries",
    );
    let mut bytes = std::fs::read(&entries).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entries, &bytes).unwrap();
    assert_eq!(run(&["--quiet", "verify", ledger]).status.code(), Some(1));
    // The same folder again: other residents, another export, the first chapters still come out.
    let again = play(&folder);
    assert_eq!(again["unexpected"], Value::Null, "{again}");
    assert_ne!(again["ledger"], told["ledger"]);
}
