//! Real peers of integration tests: what to do when one is not installed. A developer's machine may
//! lack one (the test prints why it did not run); the test command sets `THERIAC_REQUIRE_PEERS=1`, and
//! then a missing peer is a failure.

#![expect(clippy::print_stderr, reason = "a test says why it did not run")]

/// A peer that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerMissing {
    peer: &'static str,
    detail: String,
}

impl PeerMissing {
    /// Names the peer and what was tried.
    #[must_use]
    pub fn new(peer: &'static str, detail: String) -> Self {
        Self { peer, detail }
    }
}

impl core::fmt::Display for PeerMissing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is missing: {}", self.peer, self.detail)
    }
}

/// The peer, or `None` with the reason printed, or a failed test where peers are required.
///
/// # Panics
/// When the peer is missing and `THERIAC_REQUIRE_PEERS` is `1`.
pub fn required<T>(peer: Result<T, PeerMissing>) -> Option<T> {
    match peer {
        Ok(peer) => Some(peer),
        Err(missing) => {
            assert!(!peers_required(), "{missing} (THERIAC_REQUIRE_PEERS=1)");
            eprintln!("not run: {missing}");
            None
        }
    }
}

/// Whether the test command demands every peer.
#[must_use]
pub fn peers_required() -> bool {
    setting("THERIAC_REQUIRE_PEERS").is_some_and(|value| value == "1")
}

/// A setting of the test run.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "test settings come from the environment, here alone"
    )]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
