//! Due times of thousands of random Timings against python-dateutil, in zones whose clocks change by an hour,
//! by half an hour and never. What the oracle does stands in `tests/oracle/schedule.py`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fhir::json::{Document, Limits};
use kernel::{Timestamp, ZoneName};
use medication::dosage::{CYCLE, Dosage};
use medication::schedule::{Rounds, Setting, Window, due};
use serde_json::{Value, json};
use testkit::peers::{PeerMissing, required};

const CASES: usize = 4_000;
const ZONES: [&str; 5] = [
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "UTC",
];

fn python() -> Result<PathBuf, PeerMissing> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/.venv/bin/python");
    if path.exists() {
        return Ok(path);
    }
    let detail = format!("{} does not exist: run `cargo xtask peers`", path.display());
    Err(PeerMissing::new("python-dateutil", detail))
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
    fn some<'a>(&mut self, items: &[&'a str], most: usize) -> Vec<&'a str> {
        let wanted = 1 + self.below(most as u64) as usize;
        let mut picked: Vec<&str> = items.to_vec();
        while picked.len() > wanted {
            let out = self.below(picked.len() as u64) as usize;
            picked.remove(out);
        }
        picked
    }
}

fn repeat(numbers: &mut Numbers) -> Value {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let clocks = [
        "00:30:00", "01:15:00", "01:45:00", "02:10:00", "02:30:00", "08:00:00", "20:05:00",
    ];
    let whens = [
        "MORN", "NIGHT", "HS", "WAKE", "ACM", "PCV", "EVE.late", "AC",
    ];
    let mut repeat = match numbers.below(9) {
        0 => json!({"frequency": 1 + numbers.below(4), "period": 1, "periodUnit": "d"}),
        1 => json!({"timeOfDay": numbers.some(&clocks, 4)}),
        2 => {
            json!({"period": 1 + numbers.below(9), "periodUnit": "d", "frequency": 1, "timeOfDay": numbers.some(&clocks, 1)})
        }
        3 => {
            let when = *numbers.of(&whens);
            json!({"when": [when], "offset": 5 * numbers.below(25)})
        }
        4 => json!({"when": numbers.some(&["MORN", "CM", "AC", "HS", "NIGHT"], 3)}),
        5 => {
            json!({"period": 1 + numbers.below(3), "periodUnit": "wk", "dayOfWeek": numbers.some(&days, 1), "frequency": 1, "timeOfDay": numbers.some(&clocks, 1)})
        }
        6 => json!({"dayOfWeek": numbers.some(&days, 5), "timeOfDay": numbers.some(&clocks, 3)}),
        7 => {
            let unit = *numbers.of(&["mo", "a"]);
            json!({"period": 1 + numbers.below(4), "periodUnit": unit, "frequency": 1, "timeOfDay": numbers.some(&clocks, 1)})
        }
        _ => match numbers.below(3) {
            0 => json!({"period": 1 + numbers.below(72), "periodUnit": "h", "frequency": 1}),
            1 => json!({"period": 30 + numbers.below(600), "periodUnit": "min", "frequency": 1}),
            _ => {
                json!({"period": 1 + numbers.below(2), "periodUnit": "wk", "frequency": 1 + numbers.below(4)})
            }
        },
    };
    match numbers.below(5) {
        0 => repeat["count"] = json!(1 + numbers.below(40)),
        1 => {
            let length = 1 + numbers.below(60);
            repeat["boundsDuration"] =
                json!({"value": length, "system": "http://unitsofmeasure.org", "code": "d"});
        }
        _ => {}
    }
    repeat
}

fn case(numbers: &mut Numbers) -> Value {
    // Anchors from 2019 to 2030, leap days among them, windows up to 60 days that often hold a change.
    let anchor = match numbers.below(12) {
        0 => 1_582_934_400 + 60 * numbers.below(1_440) as i64, // 29 February 2020
        _ => 1_546_300_800 + 60 * numbers.below(5_700_000) as i64,
    };
    let from = anchor + 3_600 * numbers.below(24 * 120) as i64;
    let to = from + 3_600 * numbers.below(24 * 60) as i64;
    let mut case = json!({
        "zone": numbers.of(&ZONES), "anchor": anchor, "from": from, "to": to, "repeat": repeat(numbers),
    });
    if numbers.below(6) == 0 {
        case["cycle"] = json!([1 + numbers.below(21), 1 + numbers.below(7)]);
    }
    case
}

fn ours(case: &Value) -> Vec<i64> {
    let mut repeat = case["repeat"].clone();
    if let Some(cycle) = case.get("cycle") {
        repeat["extension"] = json!([{"url": CYCLE, "extension": [
            {"url": "on", "valuePositiveInt": cycle[0]},
            {"url": "off", "valuePositiveInt": cycle[1]},
        ]}]);
    }
    let text = json!({"timing": {"repeat": repeat}}).to_string();
    let document = Document::parse(text.into_bytes(), &Limits::default()).unwrap();
    let dosage = Dosage::read(document.root()).unwrap();
    let second = |name: &str| Timestamp::from_millis(case[name].as_i64().unwrap() * 1000);
    let zone: ZoneName = case["zone"].as_str().unwrap().parse().unwrap();
    let setting = Setting {
        zone: zone.zone(),
        rounds: Rounds::default(),
        start: second("anchor"),
        stop: None,
        window: Window::default(),
    };
    due(&[dosage], &setting, second("from"), second("to"))
        .unwrap_or_else(|error| panic!("{case}: {error}"))
        .iter()
        .map(|slot| slot.at.as_millis() / 1000)
        .collect()
}

#[test]
fn due_times_are_those_of_python_dateutil() {
    let Some(python) = required(python()) else {
        return;
    };
    let mut numbers = Numbers(7);
    let cases: Vec<Value> = (0..CASES).map(|_| case(&mut numbers)).collect();
    let mut child = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/schedule.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = cases.iter().map(|case| format!("{case}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Vec<i64>> = answers
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), CASES);
    let mut slots = 0;
    let mut wrong = Vec::new();
    for (case, theirs) in cases.iter().zip(&answers) {
        let mine = ours(case);
        slots += mine.len();
        if mine != *theirs {
            wrong.push(format!("{case}\n ours   {mine:?}\n theirs {theirs:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {CASES} differ:\n{}",
        wrong.len(),
        wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n")
    );
    assert!(slots > 20 * CASES, "only {slots} doses compared");
}
