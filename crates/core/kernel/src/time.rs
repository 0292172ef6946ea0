//! Points in time in UTC with microseconds. Must not read a clock: see [`crate::ports::Clock`].

use core::fmt;

/// A point in time: microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }
    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }
    /// Milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// This time plus a number of seconds.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
    /// Seconds from `earlier` to this time, rounded down.
    #[must_use]
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1_000_000)
    }

    fn zoned(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_microsecond(self.0).ok()
    }

    /// RFC 3339 in UTC with milliseconds, as `meta.lastUpdated` is written: `2026-03-05T08:09:10.123Z`.
    #[must_use]
    pub fn to_fhir_instant(self) -> String {
        self.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    }
    /// An HTTP date (RFC 9110 section 5.6.7): `Thu, 05 Mar 2026 08:09:10 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        self.strftime("%a, %d %b %Y %H:%M:%S GMT")
    }
    /// Reads an HTTP date in the preferred form of RFC 9110.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let text = text.strip_suffix("GMT")?.trim_end();
        let civil = jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S", text).ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(zoned.timestamp().as_microsecond()))
    }
    /// Reads RFC 3339 with a zone.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|t| Self(t.as_microsecond()))
    }

    fn strftime(self, format: &str) -> String {
        self.zoned()
            .map_or_else(|| self.0.to_string(), |t| t.strftime(format).to_string())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    }
}
impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_three_forms() {
        let time = Timestamp::from_micros(1_772_698_150_123_456);
        assert_eq!(time.to_fhir_instant(), "2026-03-05T08:09:10.123Z");
        assert_eq!(time.to_string(), "2026-03-05T08:09:10.123456Z");
        assert_eq!(time.to_http_date(), "Thu, 05 Mar 2026 08:09:10 GMT");
        assert_eq!(
            Timestamp::from_http_date("Thu, 05 Mar 2026 08:09:10 GMT")
                .unwrap()
                .as_millis(),
            1_772_698_150_000
        );
        assert_eq!(
            Timestamp::from_rfc3339("2026-03-05T09:09:10.123456+01:00"),
            Some(time)
        );
        assert_eq!(
            Timestamp::from_http_date("Thu, 31 Feb 2026 08:09:10 GMT"),
            None
        );
    }
}
