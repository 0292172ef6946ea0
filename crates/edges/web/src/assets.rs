//! The embedded stylesheet, script and icon, served under an address that holds their hash, so that
//! they may be kept for a year. Must not serve anything from a folder.

use std::sync::LazyLock;

/// An embedded file.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// `theriac.css`.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// Every asset.
pub const ASSETS: [Asset; 10] = [
    Asset {
        name: "theriac.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/theriac.css"),
    },
    Asset {
        name: "theriac.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/theriac.js"),
    },
    Asset {
        name: "prescribe.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/prescribe.js"),
    },
    Asset {
        name: "round.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/round.js"),
    },
    Asset {
        name: "round-decide.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/round-decide.js"),
    },
    Asset {
        name: "round-limits.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/round-limits.js"),
    },
    Asset {
        name: "round-store.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/round-store.js"),
    },
    Asset {
        name: "pack-scan.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/pack-scan.js"),
    },
    Asset {
        name: "scan.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/scan.js"),
    },
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../assets/icon.svg"),
    },
];

/// The service worker of rounds, without what it keeps: it is served where it works.
pub const WORKER: &str = include_str!("../assets/round-worker.js");

/// FNV-1a over all assets: enough to tell builds apart, in 16 hex digits.
static FINGERPRINT: LazyLock<String> = LazyLock::new(|| {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in ASSETS.iter().flat_map(|asset| asset.bytes) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
});

/// The address of an asset.
#[must_use]
pub fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *FINGERPRINT)
}

/// The asset behind an address; `None` for another build's hash or an unknown name.
#[must_use]
pub fn find(fingerprint: &str, name: &str) -> Option<Asset> {
    (fingerprint == *FINGERPRINT)
        .then(|| ASSETS.into_iter().find(|asset| asset.name == name))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_hash_alone() {
        let address = address("theriac.css");
        let fingerprint = address.split('/').nth(2).unwrap();
        assert!(find(fingerprint, "theriac.css").is_some());
        assert!(find("0000000000000000", "theriac.css").is_none());
        assert!(find(fingerprint, "../Cargo.toml").is_none());
    }
}
