//! Headless Chromium for tests: finds the system's browser and runs it on a file or address. Must not
//! reach anything but this machine: background networking is off.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::peers::PeerMissing;

/// The system's Chromium.
#[derive(Debug, Clone)]
pub struct Chromium {
    program: PathBuf,
}

impl Chromium {
    /// Finds it.
    ///
    /// # Errors
    /// [`PeerMissing`] where none is installed.
    pub fn find() -> Result<Self, PeerMissing> {
        [
            "/usr/bin/chromium",
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
        ]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .map(|program| Self { program })
        .ok_or_else(|| PeerMissing::new("Chromium", "none of the usual paths has it".to_owned()))
    }

    /// Where it lies.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    fn command(&self, profile: &Path, width: u32, height: u32, dark: bool) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--virtual-time-budget=8000",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={width},{height}"))
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        if dark {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        command
    }

    /// The document after its scripts ran, as HTML.
    ///
    /// # Errors
    /// What went wrong starting the browser.
    pub fn dump_dom(&self, address: &str, width: u32, dark: bool) -> Result<String, String> {
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let output = self
            .command(profile.path(), width, 1200, dark)
            .args(["--dump-dom", address])
            .output()
            .map_err(|error| error.to_string())?;
        String::from_utf8(output.stdout).map_err(|error| error.to_string())
    }

    /// Writes a screenshot of the page as PNG.
    ///
    /// # Errors
    /// What went wrong starting the browser.
    pub fn screenshot(
        &self,
        address: &str,
        size: (u32, u32),
        dark: bool,
        into: &Path,
    ) -> Result<(), String> {
        let profile = tempfile::tempdir().map_err(|error| error.to_string())?;
        let status = self
            .command(profile.path(), size.0, size.1, dark)
            .arg(format!("--screenshot={}", into.display()))
            .arg(address)
            .stdout(Stdio::null())
            .status()
            .map_err(|error| error.to_string())?;
        if status.success() && into.exists() {
            Ok(())
        } else {
            Err(format!("chromium ended with {status}"))
        }
    }
}
