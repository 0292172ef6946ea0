//! Other people's FHIR clients drive a served instance: one of the npm registry, one of PyPI. What they do
//! stands in `tests/clients`; here the instance is made and served, and their verdict read.

use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::peers::{PeerMissing, required};

use crate::place::{Place, Server, ok};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A file of an installed client; `cargo xtask peers` installs them.
fn installed(peer: &'static str, file: &str) -> Result<PathBuf, PeerMissing> {
    let path = folder().join(file);
    if path.exists() {
        return Ok(path);
    }
    let detail = format!("{} does not exist: run `cargo xtask peers`", path.display());
    Err(PeerMissing::new(peer, detail))
}

fn drive(program: &Path, script: &str) {
    let place = Place::new();
    let data = place.at("data");
    let base = ["--data", &data, "-o", "json"];
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
    let server = Server::start(&data);
    let output = Command::new(program)
        .current_dir(folder())
        .arg(script)
        .arg(format!("http://{}/t/rosewood/fhir", server.address()))
        .arg(token["token"].as_str().unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_client_of_npm_is_served() {
    let client = installed(
        "fhir-kit-client",
        "node_modules/fhir-kit-client/package.json",
    );
    if required(client).is_some() {
        drive(Path::new("node"), "fhir_kit.mjs");
    }
}

#[test]
fn the_client_of_pypi_is_served() {
    if let Some(python) = required(installed("fhirpy", ".venv/bin/python")) {
        drive(&python, "fhirpy_client.py");
    }
}
