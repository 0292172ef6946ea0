//! Tests of packages: a whole one is read, each wrong field is named, signatures and names hold.

use super::*;
use crate::intake::Given;
use crate::outside::Check;

pub(crate) const SEED: [u8; 32] = [7; 32];

/// A small package of everything a tabular classifier declares.
pub(crate) fn sample() -> String {
    let key = PublicKey::of_seed(&SEED);
    include_str!("sample.toml").replace("KEY", &key.to_string())
}

fn error(text: &str) -> String {
    match read::manifest(text) {
        Ok(_) => panic!("was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_whole_package_is_read() {
    let limits = Limits::default();
    let bytes = seal(&sample(), b"model bytes", Some(&SEED), &limits).unwrap();
    let package = open(&bytes, &limits).unwrap();
    let manifest = package.manifest();
    assert_eq!(manifest.identity.version.to_string(), "1.2.0");
    assert_eq!(package.model(), b"model bytes");
    let given = |creatinine: f64| {
        vec![
            (
                "creatinine".to_owned(),
                Given::Number(creatinine, Some("umol/L".into())),
            ),
            ("sex".to_owned(), Given::Word("male".into())),
            ("diuretic".to_owned(), Given::Flag(true)),
        ]
    };
    let known = manifest.gate().admit(&given(110.0)).unwrap();
    assert_eq!(known.row(), [110.0, 60.0, 1.0, 1.0]);
    assert_eq!(known.absent(), ["age"]);
    assert!(matches!(known.checks(), [Check::Passed { .. }]));
    assert!(manifest.gate().admit(&given(1_000.0)).is_err());
    let Inputs::Features { steps, .. } = &manifest.inputs else {
        panic!("features")
    };
    let row = steps
        .iter()
        .try_fold(known.row().to_vec(), |row, step| step.apply(row))
        .unwrap();
    assert_eq!(row[1..], [60.0, 0.0, 1.0, 1.0]);
    assert!((row[0] - 111_f64.ln()).abs() < 1e-12);
    assert_eq!(manifest.attributes.absent().count(), 30);
}

/// What is right in the sample, what it is changed to, and what is said of it.
const WRONG: &[(&str, &str, &str)] = &[
    ("schema = 1", "schema = 2", "schema is not 1"),
    (
        "name = \"kidney-risk\"",
        "name = \"Kidney Risk\"",
        "model.name is no name",
    ),
    (
        "version = \"1.2.0\"",
        "version = \"1.2\"",
        "model.version is refused",
    ),
    ("\"2026-03-01\"", "\"March\"", "model.released is no day"),
    (
        "licence = \"Apache-2.0\"",
        "licence = \"\"",
        "model.licence is empty",
    ),
    ("licence = \"Apache-2.0\"", "", "missing field `licence`"),
    (
        "licence = \"Apache-2.0\"",
        "licence = \"MIT\"\nprice = 3",
        "unknown field `price`",
    ),
    (
        "[card]\n",
        "[card]\ncolour = \"red\"\n",
        "card.colour is no part",
    ),
    (
        "funding = \"none\"",
        "money = \"none\"",
        "attributes.money is no source attribute",
    ),
    (
        "role = \"informs\"",
        "role = \"rules\"",
        "intended.role is no role",
    ),
    (
        "users = [\"doctors\", \"nurses\"]",
        "users = []",
        "intended.users is empty",
    ),
    (
        "kind = \"FP32\"\nshape = [-1, 5]",
        "kind = \"FP8\"\nshape = [-1, 5]",
        "input.kind is no type",
    ),
    (
        "shape = [-1, 5]",
        "shape = [-1, 4]",
        "input.shape has 4 elements for a row of Some(5)",
    ),
    (
        "shape = [-1, 5]",
        "shape = [-1, 0]",
        "input.shape has a side that is not positive",
    ),
    (
        "shape = [-1, 5]",
        "shape = [5, -1]",
        "input.shape leaves a side open",
    ),
    (
        "shape = [-1, 5]",
        "shape = [99999999, 99999999]",
        "input.shape has too many elements",
    ),
    (
        "unit = \"umol/L\"",
        "unit = \"lots\"",
        "input.feature[0].unit is refused",
    ),
    (
        "low = 10\n",
        "low = 10000\n",
        "input.feature[0] has an empty range",
    ),
    (
        "low = 10\n",
        "low = nan\n",
        "input.feature[0].low is not a finite number",
    ),
    ("low = 10\n", "low = \"ten\"\n", "invalid type: string"),
    (
        "missing = \"fill\"\nfill = 60.0",
        "missing = \"fill\"",
        "input.feature[1].missing is no policy",
    ),
    (
        "fill = 60.0",
        "fill = 7.0",
        "input.feature[1].fill is outside",
    ),
    (
        "name = \"age\"",
        "name = \"creatinine\"",
        "input.feature holds 'creatinine' twice",
    ),
    (
        "choices = [\"female\", \"male\"]",
        "choices = [\"female\"]",
        "input.feature[2] has fewer than two choices",
    ),
    (
        "kind = \"flag\"",
        "kind = \"flag\"\nlow = 1.0",
        "input.feature[3] mixes fields",
    ),
    (
        "path = \"value.ofType(Quantity)\"",
        "path = \"value..\"",
        "input.feature[0].source.path is refused",
    ),
    (
        "code = \"14682-9\"\n",
        "",
        "input.feature[0].source has half a code",
    ),
    (
        "resource = \"Observation\"",
        "resource = \"obs\"",
        "source.resource is no resource type",
    ),
    (
        "within_days = 2",
        "within_days = 0",
        "source.within_days is 0",
    ),
    (
        "step = \"one_hot\"\nfeature = \"sex\"",
        "step = \"one_hot\"\nfeature = \"age\"",
        "before[1] is of no choice",
    ),
    (
        "step = \"log1p\"",
        "step = \"log2\"",
        "before[0].step is no step here",
    ),
    (
        "step = \"log1p\"",
        "step = \"log1p\"\nlow = 1.0",
        "before[0].low is not a field of step log1p",
    ),
    (
        "event = \"injury\"",
        "event = \"harm\"",
        "output.event is no label",
    ),
    (
        "gives = \"classes\"",
        "gives = \"number\"",
        "output mixes fields",
    ),
    (
        "step = \"softmax\"",
        "step = \"sigmoid\"",
        "output.shape gives 2 numbers, after its steps None",
    ),
    (
        "step = \"softmax\"",
        "step = \"magic\"",
        "after[0] is no step here",
    ),
    (
        "from = 0.3",
        "from = 3.0",
        "stratum 'high' from is no probability",
    ),
    ("from = 0.3\n", "", "stratum is refused"),
    (
        "guidelines = [\"nice-ng148\"]",
        "guidelines = [\"who\"]",
        "stratum 'high' guidelines names no",
    ),
    (
        "url = \"https:",
        "url = \"http:",
        "guideline 'nice-ng148' url is no https",
    ),
    (
        "temperature = 1.5",
        "temperature = -1.5",
        "calibration is refused",
    ),
    (
        "method = \"temperature\"",
        "method = \"platt\"",
        "calibration.method does not fit",
    ),
    ("error_after = 0.02\n", "", "calibration.error is no pair"),
    (
        "method = \"lac\"",
        "method = \"split\"",
        "conformal.method does not fit",
    ),
    ("alpha = 0.1\n", "alpha = 1.0\n", "conformal is refused"),
    (
        "group_by = \"sex\"",
        "group_by = \"age\"",
        "conformal.group_by names no input",
    ),
    (
        "scores = [0.1,",
        "scores = [inf,",
        "conformal.scores[0] is not a finite number",
    ),
    (
        "precision = [[1.0,",
        "precision = [[-1.0,",
        "reference is refused",
    ),
    ("scale = [30.0,", "scale = [0.0,", "reference is refused"),
    (
        "background = [[90.0,",
        "background = [[90.0, 1.0,",
        "reference.background is no table",
    ),
    (
        "edges = [80.0, 120.0]",
        "edges = [120.0, 80.0]",
        "reference.bins of 'creatinine' is no histogram",
    ),
    (
        "counts = [100, 200, 100]",
        "counts = [100, 0, 100]",
        "has an empty bin",
    ),
    ("low = 0.78", "low = 0.82", "evidence[0] has an interval"),
    (
        "threshold_shift = 0.05",
        "threshold_shift = -1.0",
        "change_control.threshold_shift is negative",
    ),
    (
        "most_canary_percent = 20",
        "most_canary_percent = 101",
        "most_canary_percent is over 100",
    ),
    (
        "[signer]\nkey = \"",
        "[signer]\nkey = \"0",
        "signer.key is no Ed25519",
    ),
    (
        "released = \"2026-03-01\"",
        "released = 2026-03-01",
        "model.released is a date",
    ),
    (
        "schema = 1",
        "schema = 1\n[[",
        "manifest.toml cannot be read",
    ),
    (
        "alpha = 0.25\ncenter",
        "alpha = 0.1\ncenter",
        "reference has 4 cases of mahalanobis, too few ever to alarm; give at least 9",
    ),
    (
        "alpha = 0.25\ntemperature",
        "alpha = 0.2\ntemperature",
        "reference.energy has 3 cases of energy, too few ever to alarm; give at least 4",
    ),
];

#[test]
fn each_wrong_field_is_named() {
    for (right, changed, said) in WRONG {
        let text = sample();
        assert!(text.contains(right), "the sample has no {right}");
        let found = error(&text.replacen(right, changed, 1));
        assert!(found.contains(said), "{changed}: {found}");
    }
    let long = format!("{}\nx = \"{}\"", sample(), "y".repeat(17 << 20));
    assert!(error(&long).contains("bytes"));
}

#[test]
fn signatures_are_of_the_content_by_the_named_key() {
    let limits = Limits::default();
    let ours = PublicKey::of_seed(&SEED);
    let bytes = seal(&sample(), b"model", Some(&SEED), &limits).unwrap();
    let package = open(&bytes, &limits).unwrap();
    assert_eq!(package.verify(&[ours]), Ok(ours));
    let untrusted = package.verify(&[PublicKey::of_seed(&[8; 32])]);
    assert_eq!(untrusted, Err(PackageError::Untrusted(ours.to_string())));

    let unsigned = open(&seal(&sample(), b"model", None, &limits).unwrap(), &limits).unwrap();
    assert_eq!(unsigned.verify(&[ours]), Err(PackageError::Unsigned));
    assert_eq!(
        unsigned.hash(),
        package.hash(),
        "a signature does not change the name"
    );

    let other = seal(&sample(), b"model", Some(&[8; 32]), &limits);
    assert!(matches!(other, Err(PackageError::OtherSigner { .. })));

    // The signature of one model under another.
    let members = |bytes: &[u8]| archive::read(bytes, &limits).unwrap();
    let mut swapped = members(&bytes);
    swapped[1].bytes = b"another model".to_vec();
    let swapped = open(&archive::write(&swapped, &limits).unwrap(), &limits).unwrap();
    assert_ne!(swapped.hash(), package.hash());
    assert_eq!(swapped.verify(&[ours]), Err(PackageError::Mismatch));
    let mut broken = members(&bytes);
    broken[2].bytes = b"signed, honestly".to_vec();
    let broken = open(&archive::write(&broken, &limits).unwrap(), &limits);
    assert_eq!(broken, Err(PackageError::Mismatch));
}

#[test]
fn members_are_the_three_and_no_other() {
    let limits = Limits::default();
    let bytes = seal(&sample(), b"model", None, &limits).unwrap();
    let mut members = archive::read(&bytes, &limits).unwrap();
    let lacking = archive::write(&members[..1], &limits).unwrap();
    assert_eq!(
        open(&lacking, &limits),
        Err(PackageError::Lacks("model.onnx"))
    );
    let lacking = archive::write(&members[1..], &limits).unwrap();
    assert_eq!(
        open(&lacking, &limits),
        Err(PackageError::Lacks("manifest.toml"))
    );
    members[0].name = "weights.bin".to_owned();
    let extra = archive::write(&members, &limits).unwrap();
    let unknown = PackageError::Unknown("weights.bin".to_owned());
    assert_eq!(open(&extra, &limits), Err(unknown));
}

#[test]
fn the_name_is_that_of_sha256sum() {
    // printf 'theriac model package 1\n' plus the lines of `sha256sum manifest.toml model.onnx`.
    use sha2::{Digest, Sha256};
    let line = |name: &str, bytes: &[u8]| {
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
        format!("{hash}  {name}\n")
    };
    let manifest = sample();
    let list = format!(
        "theriac model package 1\n{}{}",
        line("manifest.toml", manifest.as_bytes()),
        line("model.onnx", b"model"),
    );
    let expected = data_encoding::HEXLOWER.encode(&Sha256::digest(list.as_bytes()));
    let limits = Limits::default();
    let package = open(&seal(&manifest, b"model", None, &limits).unwrap(), &limits).unwrap();
    assert_eq!(package.hash().to_string(), expected);
    assert_eq!(ContentHash::parse(&expected), Some(package.hash()));
    assert_eq!(ContentHash::parse("00"), None);
}

#[test]
fn versions_are_ordered_numbers() {
    for wrong in [
        "1", "1.2", "1.2.3.4", "1.2.x", "01.2.3", "1.2.-3", "", "1.2.3-rc",
    ] {
        assert!(wrong.parse::<Version>().is_err(), "{wrong}");
    }
    let version = |text: &str| text.parse::<Version>().unwrap();
    assert!(version("1.10.0") > version("1.9.9"));
}

#[test]
fn the_card_has_the_sections_of_its_layout() {
    let manifest = read::manifest(&sample()).unwrap();
    let card = manifest.card();
    let mut text = format!("{}\n", card.title);
    for section in &card.sections {
        text += &["\n", section.heading, "\n"].concat();
        for (what, said) in &section.lines {
            text += &["- ", what, ": ", said, "\n"].concat();
        }
    }
    insta::assert_snapshot!("card", text);
}

#[test]
fn nests_and_noise_are_refused_without_harm() {
    let deep = format!("x = {}", "[".repeat(200_000));
    assert!(error(&deep).contains("cannot be read"));
    let tables = format!("[{}]\n", vec!["a"; 100_000].join("."));
    assert!(!error(&tables).is_empty());
    // Any line of the sample left out, doubled or cut short is read or refused, never worse.
    let sample = sample();
    let lines: Vec<&str> = sample.lines().collect();
    let mut refused = 0;
    for place in 0..lines.len() {
        for change in 0..3 {
            let mut lines: Vec<&str> = lines.clone();
            match change {
                0 => drop(lines.remove(place)),
                1 => lines.insert(place, lines[place]),
                _ => lines[place] = &lines[place][..lines[place].len() / 2],
            }
            refused += usize::from(read::manifest(&lines.join("\n")).is_err());
        }
    }
    assert!(
        refused > lines.len(),
        "only {refused} of {} changes refused",
        3 * lines.len()
    );
}
