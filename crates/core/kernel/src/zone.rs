//! Names of time zones (IANA), such as `Europe/London`: a tenant's times are shown in its zone. The zones
//! are those built in, so that a name means the same on every machine.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::category::{Categorised, Category};
use crate::time::Timestamp;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A name that no zone has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time zone: give an IANA name such as Europe/London, Asia/Kolkata or UTC")]
pub struct ZoneError(String);

impl Categorised for ZoneError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// A time zone by its IANA name; only names of known zones exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ZoneName(String);

impl ZoneName {
    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Its rules.
    #[must_use]
    pub fn zone(&self) -> TimeZone {
        ZONES.get(&self.0).unwrap_or(TimeZone::UTC)
    }
    /// An instant for people there, as clinical displays write it: `05-Mar-2026 08:09 GMT` (NHS common user
    /// interface, date and time display).
    #[must_use]
    pub fn words(&self, at: Timestamp) -> String {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        let there = instant.to_zoned(self.zone());
        there.strftime("%d-%b-%Y %H:%M %Z").to_string()
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<ZoneName> for String {
    fn from(value: ZoneName) -> Self {
        value.0
    }
}
impl TryFrom<String> for ZoneName {
    type Error = ZoneError;
    fn try_from(value: String) -> Result<Self, ZoneError> {
        value.parse()
    }
}
impl FromStr for ZoneName {
    type Err = ZoneError;
    /// Reads a name without regard to case and keeps the zone's own spelling.
    fn from_str(value: &str) -> Result<Self, ZoneError> {
        let refused = || ZoneError(value.chars().take(64).collect());
        let zone = ZONES.get(value).map_err(|_| refused())?;
        let name = zone.iana_name().ok_or_else(refused)?;
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_known_zones() {
        for (text, name) in [
            ("Europe/London", Some("Europe/London")),
            ("asia/kolkata", Some("Asia/Kolkata")),
            ("UTC", Some("UTC")),
            ("Europe/Atlantis", None),
            ("", None),
            ("../etc/passwd", None),
            ("GMT+25", None),
        ] {
            let read = text.parse::<ZoneName>().ok();
            assert_eq!(read.as_ref().map(ZoneName::as_str), name, "{text}");
        }
        assert_eq!(ZoneName::utc(), "UTC".parse().unwrap());
        assert!(serde_json::from_str::<ZoneName>("\"Mars/Base\"").is_err());
    }
}
