//! `cargo xtask test`: the one command that runs every test on a fresh machine. Installs the peers the
//! integration tests need where they are missing (PostgreSQL, Chromium, axe-core), then runs the tests
//! with every peer required. Must not be needed by the tests themselves: plain `cargo test` runs too and
//! prints which peers it lacked.

use std::path::Path;
use std::process::Command;

/// Installs what is missing and runs the tests; extra arguments go to `cargo test`.
pub fn run(extra: &[String]) -> Result<(), String> {
    install_packages()?;
    install_axe()?;
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
    install_axe()
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
