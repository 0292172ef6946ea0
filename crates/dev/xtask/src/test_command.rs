//! `cargo xtask test`: the one command that runs every test on a fresh machine. Installs the peers the
//! integration tests need where they are missing (PostgreSQL, Chromium, axe-core, two FHIR clients,
//! python-dateutil, the Python libraries clinical AI is compared with), then runs the tests with every peer
//! required. Must not be needed by the tests themselves: plain `cargo test` runs too and prints which peers
//! it lacked.

use std::path::Path;
use std::process::Command;

/// Installs what is missing and runs the tests; extra arguments go to `cargo test`.
pub fn run(extra: &[String]) -> Result<(), String> {
    install_packages()?;
    install_axe()?;
    install_clients()?;
    install_oracle()?;
    install_models_oracle()?;
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(extra)
        .env("THERIAC_REQUIRE_PEERS", "1");
    succeed(&mut command)
}

/// `cargo xtask peers`: installs only.
pub fn peers() -> Result<(), String> {
    install_packages()?;
    install_axe()?;
    install_clients()?;
    install_oracle()?;
    install_models_oracle()
}

fn install_packages() -> Result<(), String> {
    let postgres = Path::new("/usr/lib/postgresql").exists() || on_path("initdb");
    let chromium = on_path("chromium") || on_path("chromium-browser") || on_path("google-chrome");
    let npm = on_path("npm");
    let mut wanted = Vec::new();
    if !postgres {
        wanted.push("postgresql");
    }
    if !chromium {
        wanted.extend(["chromium", "fonts-liberation"]);
    }
    if !npm {
        wanted.push("npm");
    }
    if !succeeds("python3", &["-c", "import ensurepip"]) {
        wanted.extend(["python3", "python3-venv"]);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err(format!(
            "install {} with this system's package manager, then repeat",
            wanted.join(", ")
        ));
    }
    let apt = |arguments: &[&str]| {
        let mut command = if is_root() {
            Command::new("apt-get")
        } else {
            let mut c = Command::new("sudo");
            c.arg("apt-get");
            c
        };
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        succeed(&mut command)
    };
    apt(&["update", "-q"])?;
    let mut install = vec!["install", "-y", "-q", "--no-install-recommends"];
    install.extend(wanted);
    apt(&install)
}

fn install_axe() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../edges/web/ui-check");
    if folder.join("node_modules/axe-core/axe.min.js").exists() {
        return Ok(());
    }
    succeed(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )
}

/// The FHIR clients that drive the program, by their lock files.
fn install_clients() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../server/tests/clients");
    if !folder.join("node_modules/fhir-kit-client").exists() {
        succeed(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&folder),
        )?;
    }
    install_python(&folder, "fhirpy")
}

/// The oracle of due times, by its lock file.
fn install_oracle() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../domain/medication/tests/oracle");
    install_python(&folder, "dateutil")
}

/// What the execution of models and the statistics of clinical AI are compared with, by its lock file.
fn install_models_oracle() -> Result<(), String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../sdk/python");
    install_listed(&folder, "requirements-test.txt", "mapie, onnxruntime, shap")
}

fn install_python(folder: &Path, module: &str) -> Result<(), String> {
    install_listed(folder, "requirements.txt", module)
}

/// A virtual environment in the folder with what its requirements name, unless the modules are there.
fn install_listed(folder: &Path, requirements: &str, module: &str) -> Result<(), String> {
    let probe = format!("import {module}");
    if succeeds_in(folder, ".venv/bin/python", &["-c", &probe]) {
        return Ok(());
    }
    succeed(
        Command::new("python3")
            .args(["-m", "venv", ".venv"])
            .current_dir(folder),
    )?;
    succeed(
        Command::new(folder.join(".venv/bin/pip"))
            .args(["install", "-q", "-r", requirements])
            .current_dir(folder),
    )
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    succeeds_in(Path::new("."), program, arguments)
}

fn succeeds_in(folder: &Path, program: &str, arguments: &[&str]) -> bool {
    let program = if program.contains('/') {
        folder.join(program)
    } else {
        program.into()
    };
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn on_path(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("{command:?} did not start: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} ended with {status}"))
    }
}
