//! The hazard log: reads `docs/clinical-safety/hazards`, one file per hazard, checks it against the matrix,
//! the code and the tests, and prints it as a page. A hazard without a control that a test shows to work,
//! a test that is not there, a gap in the numbers: each fails the build. Must not judge: severity and
//! likelihood are people's, and a clinical safety officer signs, not a program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

/// Where the hazards lie.
const FOLDER: &str = "docs/clinical-safety/hazards";
/// The page made of them.
const PAGE: &str = "docs/clinical-safety/hazard-log.md";
/// What must be shown as a whole, each through the HTTP API and through a browser.
const SCENARIOS: &str = "docs/clinical-safety/scenarios.md";
/// Where the tests of its columns lie.
const EDGES: [(&str, &str); 2] = [
    ("HTTP", "crates/edges/http/tests/it/"),
    ("Chromium", "crates/edges/web/tests/browser/"),
];

/// How bad it is at worst (DCB0129; columns of its matrix).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Severity {
    Minor,
    Significant,
    Considerable,
    Major,
    Catastrophic,
}

/// How likely that is (DCB0129; rows of its matrix).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Likelihood {
    VeryLow,
    Low,
    Medium,
    High,
    VeryHigh,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Estimate {
    severity: Severity,
    likelihood: Likelihood,
}

/// The matrix of DCB0129's clinical risk: rows from very low to very high likelihood, columns from minor to
/// catastrophic.
const MATRIX: [[u8; 5]; 5] = [
    [1, 1, 2, 2, 3],
    [1, 2, 2, 3, 4],
    [2, 2, 3, 3, 4],
    [2, 3, 3, 4, 5],
    [3, 4, 4, 5, 5],
];

impl Estimate {
    fn risk(self) -> u8 {
        let row = MATRIX.get(self.likelihood as usize);
        let cell = row.and_then(|row| row.get(self.severity as usize));
        cell.copied().unwrap_or(5)
    }
    fn words(self) -> String {
        format!(
            "{:?} severity, {:?} likelihood: risk {}",
            self.severity,
            self.likelihood,
            self.risk()
        )
    }
}

/// What may be said of a hazard's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Transferred,
    Closed,
}

/// What kind of measure a control is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Design,
    Training,
    BusinessProcess,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Control {
    id: String,
    kind: Kind,
    text: String,
    /// Files that hold it.
    #[serde(default)]
    code: Vec<String>,
    /// Tests that show that it does what it says: `file#function`.
    #[serde(default)]
    verified: Vec<String>,
    /// Tests that show that it keeps the harm away.
    #[serde(default)]
    effective: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hazard {
    id: String,
    name: String,
    state: State,
    types: Vec<String>,
    description: String,
    causes: Vec<String>,
    effect: String,
    harm: String,
    initial: Estimate,
    residual: Estimate,
    left: String,
    control: Vec<Control>,
}

/// Checks every hazard and writes the page.
pub fn write(root: &Path) -> Result<String, String> {
    let hazards = read(root)?;
    check(root, &hazards)?;
    let scenarios = scenarios(root)?;
    let path = root.join(PAGE);
    std::fs::write(&path, page(&hazards)).map_err(|error| said(&path, &error))?;
    let controls: usize = hazards.iter().map(|own| own.control.len()).sum();
    Ok(format!(
        "{PAGE}: {} hazards, {controls} controls; {scenarios} scenarios",
        hazards.len()
    ))
}

fn said(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn read(root: &Path) -> Result<Vec<Hazard>, String> {
    let folder = root.join(FOLDER);
    let listed = std::fs::read_dir(&folder).map_err(|error| said(&folder, &error))?;
    let mut paths: Vec<_> = listed.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let one = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| said(path, &error))?;
        let hazard: Hazard = toml::from_str(&text).map_err(|error| said(path, &error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&hazard.id) {
            Ok(hazard)
        } else {
            Err(format!("{name} holds {}", hazard.id))
        }
    };
    paths.iter().map(one).collect()
}

/// What is wrong with the log, all of it.
fn check(root: &Path, hazards: &[Hazard]) -> Result<(), String> {
    let mut faults = Vec::new();
    let mut controls = BTreeSet::new();
    for (place, hazard) in hazards.iter().enumerate() {
        let id = &hazard.id;
        let due = format!("HZ-{:03}", place + 1);
        if *id != due {
            faults.push(format!(
                "{id} stands where {due} belongs: no hazard is deleted"
            ));
        }
        if hazard.residual.risk() > 3 && hazard.state != State::Transferred {
            faults.push(format!("{id} is left with risk {}", hazard.residual.risk()));
        }
        if hazard.residual.risk() > hazard.initial.risk() {
            faults.push(format!("{id} is left with more risk than it began with"));
        }
        let mut ours = hazard.control.iter();
        if !ours.any(|own| own.kind == Kind::Design) {
            faults.push(format!("{id} has no control in the design"));
        }
        for control in &hazard.control {
            if !controls.insert(&control.id) {
                faults.push(format!("{} is there twice", control.id));
            }
            faults.extend(control_faults(root, control));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

fn control_faults(root: &Path, control: &Control) -> Vec<String> {
    let mut faults = Vec::new();
    let id = &control.id;
    if control.kind == Kind::Design {
        for (what, list) in [
            ("code", &control.code),
            ("test of what it does", &control.verified),
            ("test that it works", &control.effective),
        ] {
            if list.is_empty() {
                faults.push(format!("{id} names no {what}"));
            }
        }
    }
    for file in &control.code {
        if !root.join(file).exists() {
            faults.push(format!("{id} names {file}, which is not there"));
        }
    }
    for test in control.verified.iter().chain(&control.effective) {
        if !is_there(root, test) {
            faults.push(format!("{id} names the test {test}, which is not there"));
        }
    }
    faults
}

/// Whether a file has a function of that name: `file#function`.
fn is_there(root: &Path, test: &str) -> bool {
    let Some((file, function)) = test.split_once('#') else {
        return false;
    };
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    text.contains(&format!("fn {function}("))
}

/// Checks the page of scenarios and counts them: each row of its table names a test for every column, and
/// each of those is there and is a test.
fn scenarios(root: &Path) -> Result<usize, String> {
    let path = root.join(SCENARIOS);
    let page = std::fs::read_to_string(&path).map_err(|error| said(&path, &error))?;
    let (count, faults) = scenario_faults(root, &page);
    if faults.is_empty() {
        Ok(count)
    } else {
        Err(faults.join("\n"))
    }
}

fn scenario_faults(root: &Path, page: &str) -> (usize, Vec<String>) {
    let mut faults = Vec::new();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.skip(1).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, columns @ ..] = cells.as_slice() else {
            continue;
        };
        if columns.len() != EDGES.len() {
            faults.push(format!("{name} has {} columns of tests", columns.len()));
        }
        for (cell, (edge, folder)) in columns.iter().zip(EDGES) {
            let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            if tests.is_empty() {
                faults.push(format!("{name} names no test through {edge}"));
            }
            let missing = tests
                .iter()
                .filter(|test| !is_test(root, &format!("{folder}{test}")));
            faults.extend(missing.map(|test| {
                format!("{name} names the {edge} test {test}, which is not in {folder}")
            }));
        }
    }
    if rows.is_empty() {
        faults.push(format!("{SCENARIOS} has no scenarios"));
    }
    (rows.len(), faults)
}

/// Whether a file has a test of that name: `file#function`.
fn is_test(root: &Path, test: &str) -> bool {
    let Some((file, function)) = test.split_once('#') else {
        return false;
    };
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let named = format!("fn {function}(");
    let mut before = "";
    for line in text.lines() {
        if line.contains(&named) {
            return before.starts_with("#[") && before.contains("test");
        }
        before = line.trim();
    }
    false
}

fn page(hazards: &[Hazard]) -> String {
    let mut page = String::from(
        "# Hazard log\n\nMade from `hazards/*.toml` by `cargo xtask safety`; a test keeps it fresh. Draft: no clinical safety officer has approved it.\n\n| Hazard | Name | State | Risk before | Risk left |\n|---|---|---|---|---|\n",
    );
    for hazard in hazards {
        let anchor = hazard.id.to_lowercase();
        let _ = writeln!(
            page,
            "| [{}](#{anchor}) | {} | {:?} | {} | {} |",
            hazard.id,
            hazard.name,
            hazard.state,
            hazard.initial.risk(),
            hazard.residual.risk()
        );
    }
    for hazard in hazards {
        one(&mut page, hazard);
    }
    page
}

fn one(page: &mut String, hazard: &Hazard) {
    let _ = write!(
        page,
        "\n## {}\n**{}** ({})\n\n{}\n\n- Causes: {}\n- Effect: {}\n- Harm: {}\n- Before controls: {}\n- With controls: {}\n- What is left: {}\n\n",
        hazard.id,
        hazard.name,
        hazard.types.join(", "),
        hazard.description,
        hazard.causes.join("; "),
        hazard.effect,
        hazard.harm,
        hazard.initial.words(),
        hazard.residual.words(),
        hazard.left
    );
    for control in &hazard.control {
        let kind = match control.kind {
            Kind::Design => "design",
            Kind::Training => "training, by whoever deploys",
            Kind::BusinessProcess => "business process, by whoever deploys",
        };
        let _ = writeln!(page, "- {} ({kind}): {}", control.id, control.text);
        for (label, list) in [
            ("in", &control.code),
            ("does what it says", &control.verified),
            ("works", &control.effective),
        ] {
            if !list.is_empty() {
                let shown: Vec<String> = list.iter().map(|own| format!("`{own}`")).collect();
                let _ = writeln!(page, "  - {label}: {}", shown.join(", "));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
    }

    #[test]
    fn every_hazard_has_controls_that_tests_show_to_work() {
        let hazards = read(&root()).unwrap();
        assert!(hazards.len() >= 20, "{} hazards", hazards.len());
        check(&root(), &hazards).unwrap();
        let written = std::fs::read_to_string(root().join(PAGE)).unwrap();
        assert!(
            written == page(&hazards),
            "{PAGE} is not fresh: run `cargo xtask safety`"
        );
    }

    #[test]
    fn every_scenario_is_shown_by_tests_at_both_edges() {
        assert!(scenarios(&root()).unwrap() >= 8);
        let page = std::fs::read_to_string(root().join(SCENARIOS)).unwrap();
        for (from, to, expected) in [
            ("#two_devices_bring", "#nobody_brings", "which is not in"),
            (
                "`rounds.rs#two_devices_bring_back_one_dose_twice`",
                "",
                "no test through HTTP",
            ),
            // A function that is there and no test.
            (
                "rounds.rs#two_devices_bring_back_one_dose_twice",
                "rounds.rs#home",
                "which is not in",
            ),
        ] {
            let (_, faults) = scenario_faults(&root(), &page.replace(from, to));
            assert!(
                faults.iter().any(|own| own.contains(expected)),
                "{faults:?}"
            );
        }
        assert!(!scenario_faults(&root(), "# Nothing").1.is_empty());
    }

    #[test]
    fn what_is_missing_is_found() {
        let hazards = read(&root()).unwrap();
        let faulty = |change: fn(&mut Hazard), expected: &str| {
            let mut hazards = hazards.clone();
            change(hazards.first_mut().unwrap());
            let found = check(&root(), &hazards).unwrap_err();
            assert!(found.contains(expected), "{found}");
        };
        faulty(|own| own.control.clear(), "no control in the design");
        faulty(
            |own| {
                own.residual = Estimate {
                    severity: Severity::Catastrophic,
                    likelihood: Likelihood::VeryHigh,
                };
            },
            "left with risk 5",
        );
        faulty(|own| own.id = "HZ-099".to_owned(), "no hazard is deleted");
        faulty(
            |own| own.control[0].effective = vec!["README.md#nothing".to_owned()],
            "which is not there",
        );
        faulty(|own| own.control[0].verified.clear(), "names no test");
    }
}
