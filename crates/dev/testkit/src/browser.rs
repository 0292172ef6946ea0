//! A real browser that a test drives: Chromium over its DevTools protocol. Several devices, each with
//! cookies and storage of its own, that can be taken off the network and whose clock can be wrong; pages
//! that are clicked and filled as a person would. What a page writes to the console as an error is kept,
//! and [`Page::clean`] fails on it. Must not reach anything but this machine, and must not wait for a
//! fixed time: it waits for what the test names.
//!
//! ```ignore
//! let Some(browser) = required(Browser::start().await) else { return };
//! let phone = browser.device(390, 844).await;
//! let page = phone.open(&address).await;
//! page.fill("input[name=user]", "nurse").await;
//! page.follow("button[type=submit]").await;
//! page.wait_for_text("Round").await;
//! phone.offline(true).await;
//! page.click("#given").await;
//! page.clean();
//! ```
//! Every function waits up to [`PATIENCE`] and fails the test with what it waited for.

mod page;
mod wire;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use page::Page;
use wire::Wire;

use crate::chromium::Chromium;
use crate::peers::PeerMissing;

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How often something is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(40);

/// A running browser; it ends when this is dropped.
pub struct Browser {
    wire: Arc<Wire>,
    process: Process,
}

struct Process {
    child: Child,
    profile: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.profile.take());
    }
}

/// A device: a browser window with cookies, storage and service workers of its own.
pub struct Device {
    wire: Arc<Wire>,
    context: String,
    size: (u32, u32),
}

impl Browser {
    /// Starts it, without a window.
    ///
    /// # Errors
    /// [`PeerMissing`] where no Chromium is installed.
    ///
    /// # Panics
    /// Where it is installed and does not start.
    pub async fn start() -> Result<Self, PeerMissing> {
        let program = Chromium::find()?;
        let profile = tempfile::tempdir().map_err(|error| {
            PeerMissing::new("Chromium", format!("no folder for its profile: {error}"))
        })?;
        let port = profile.path().join("DevToolsActivePort");
        let child = Command::new(program.program())
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| PeerMissing::new("Chromium", error.to_string()))?;
        let process = Process {
            child,
            profile: Some(profile),
        };
        let address = listening(port).await;
        let wire = Wire::connect(&address).await;
        Ok(Self { wire, process })
    }

    /// A new device with a window of a size in CSS pixels.
    ///
    /// # Panics
    /// Where the browser refuses.
    pub async fn device(&self, width: u32, height: u32) -> Device {
        assert!(
            self.process.profile.is_some(),
            "the browser has ended already"
        );
        let made = self
            .wire
            .call(None, "Target.createBrowserContext", json!({}))
            .await;
        Device {
            wire: Arc::clone(&self.wire),
            context: text(&made, "/browserContextId"),
            size: (width, height),
        }
    }
}

/// Where the browser listens, once it has said so.
async fn listening(file: PathBuf) -> String {
    let found = within("Chromium to listen", async || {
        let written = std::fs::read_to_string(&file).ok()?;
        let mut lines = written.lines();
        let (port, path) = (lines.next()?, lines.next()?);
        Some(format!("127.0.0.1:{port}{path}"))
    });
    found.await
}

/// Looks again and again until there is something to see.
pub(crate) async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => fail(&format!("waited in vain for {what}")),
    }
}

/// Fails the test.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub(crate) fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// A text in an answer of the browser.
pub(crate) fn text(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer).and_then(Value::as_str) {
        Some(own) => own.to_owned(),
        None => fail(&format!("the browser answered without {pointer}: {answer}")),
    }
}

impl Device {
    /// Opens an address in a new window and waits until it has loaded.
    ///
    /// # Panics
    /// Where it does not load.
    pub async fn open(&self, address: &str) -> Page {
        let asked = json!({ "url": "about:blank", "browserContextId": self.context });
        let made = self.wire.call(None, "Target.createTarget", asked).await;
        let target = text(&made, "/targetId");
        let session = within("a window", async || self.wire.session(&target)).await;
        let page = Page::new(
            Arc::clone(&self.wire),
            session,
            self.context.clone(),
            self.size,
        );
        page.begin().await;
        page.go(address).await;
        page
    }

    /// Takes the device off the network, its service workers included, or back on it.
    ///
    /// # Panics
    /// Where the browser refuses.
    pub async fn offline(&self, offline: bool) {
        self.wire.set_offline(&self.context, offline).await;
    }

    /// Sets the clock of pages that are opened from now on wrong by so many milliseconds; service workers
    /// keep the right one.
    pub fn clock_ahead(&self, millis: i64) {
        self.wire.set_clock(&self.context, millis);
    }

    /// What pages and workers of this device wrote to the console as errors.
    pub fn errors(&self) -> Vec<String> {
        self.wire.errors(&self.context)
    }
}
