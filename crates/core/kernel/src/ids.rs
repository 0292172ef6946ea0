//! Typed ids: one type per thing, so that a user id cannot be passed where a tenant id is meant.
//! Must not mint ids: randomness comes through [`crate::ports::Ids`].

use core::fmt;
use core::str::FromStr;

use uuid::Uuid;

/// An id that could not be parsed; names the kind of id and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {kind}: {remedy}")]
pub struct IdError {
    /// Which id was expected.
    pub kind: &'static str,
    /// What was given, cut to 80 characters.
    pub value: String,
    /// What would be accepted.
    pub remedy: &'static str,
}

impl IdError {
    fn new(kind: &'static str, value: &str, remedy: &'static str) -> Self {
        Self {
            kind,
            value: value.chars().take(80).collect(),
            remedy,
        }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that the id port made or storage returned.
            #[must_use]
            pub const fn from_uuid(value: Uuid) -> Self {
                Self(value)
            }
            /// The UUID inside.
            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, ":{}"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(value: &str) -> Result<Self, IdError> {
                Uuid::try_parse(value)
                    .map(Self)
                    .map_err(|_| IdError::new($kind, value, "give a UUID such as 018f2c3e-7b1a-7c3d-9e4f-0123456789ab"))
            }
        }
    };
}

uuid_id!(
    /// A tenant: an organisation whose data nobody else sees.
    TenantId,
    "tenant id"
);
uuid_id!(
    /// A branch of a tenant: a site, a ward group, a home.
    BranchId,
    "branch id"
);
uuid_id!(
    /// A person who signs in.
    UserId,
    "user id"
);
uuid_id!(
    /// An API client.
    ClientId,
    "client id"
);
uuid_id!(
    /// A browser session.
    SessionId,
    "session id"
);
uuid_id!(
    /// One request as it travels through logs, audit and error texts.
    RequestId,
    "request id"
);
uuid_id!(
    /// Whoever acts: the user's, client's or system job's id, as the ledger knows it.
    ActorId,
    "actor id"
);

impl From<UserId> for ActorId {
    fn from(value: UserId) -> Self {
        Self(value.0)
    }
}
impl From<ClientId> for ActorId {
    fn from(value: ClientId) -> Self {
        Self(value.0)
    }
}

impl TenantId {
    /// The instance itself: its registry of tenants, its operators and the instance log live under
    /// this reserved id, in the same schema as any tenant.
    pub const INSTANCE: Self = Self(Uuid::nil());

    /// Whether this is the reserved instance id.
    #[must_use]
    pub fn is_instance(&self) -> bool {
        self.0.is_nil()
    }
}

/// The readable name of a tenant in addresses (`/t/{slug}/fhir`): 1 to 40 characters of `a-z 0-9 -`,
/// beginning and ending with a letter or digit.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct TenantSlug(String);

impl TenantSlug {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl fmt::Display for TenantSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<TenantSlug> for String {
    fn from(value: TenantSlug) -> Self {
        value.0
    }
}
impl TryFrom<String> for TenantSlug {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        value.parse()
    }
}
impl FromStr for TenantSlug {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        let bytes = value.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if bytes.len() <= 40 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
        {
            Ok(Self(value.to_owned()))
        } else {
            Err(IdError::new(
                "tenant name",
                value,
                "use 1 to 40 characters of a-z, 0-9 and '-', beginning and ending with a letter or digit",
            ))
        }
    }
}

/// A FHIR logical id: 1 to 64 characters of `A-Z a-z 0-9 - .` (FHIR R4, datatype `id`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogicalId(String);

impl LogicalId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The id the server gives a new resource, from a UUID of the id port.
    #[must_use]
    pub fn from_uuid(value: Uuid) -> Self {
        Self(value.hyphenated().to_string())
    }
}
impl fmt::Display for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for LogicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id:{}", self.0)
    }
}
impl From<LogicalId> for String {
    fn from(value: LogicalId) -> Self {
        value.0
    }
}
impl TryFrom<String> for LogicalId {
    type Error = IdError;
    fn try_from(value: String) -> Result<Self, IdError> {
        value.parse()
    }
}
impl FromStr for LogicalId {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if (1..=64).contains(&value.len()) && value.bytes().all(allowed) {
            Ok(Self(value.to_owned()))
        } else {
            Err(IdError::new(
                "resource id",
                value,
                "use 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'",
            ))
        }
    }
}

/// The version of a resource: 1 for the first, one more for each change (also for a deletion).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct VersionId(pub u32);

impl VersionId {
    /// The first version.
    pub const FIRST: Self = Self(1);
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl FromStr for VersionId {
    type Err = IdError;
    fn from_str(value: &str) -> Result<Self, IdError> {
        match value.parse::<u32>() {
            Ok(number) if number > 0 && !value.starts_with(['+', '0']) => Ok(Self(number)),
            _ => Err(IdError::new(
                "version id",
                value,
                "give a whole number from 1, as in an ETag W/\"3\"",
            )),
        }
    }
}

/// A time-ordered 63-bit id of a stored row: milliseconds since 2020-01-01T00:00Z (41 bits), the
/// writer's node (10 bits), a counter (12 bits). Greater means later, so that newest-first is a
/// descending key walk, and the time of a version needs no column of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct RowId(pub i64);

impl RowId {
    /// Milliseconds between the Unix epoch and 2020-01-01T00:00Z.
    pub const EPOCH_MS: i64 = 1_577_836_800_000;
    const LOW_BITS: u32 = 22;

    /// The smallest row id of a millisecond (Unix epoch), for time ranges; clamps to the range.
    #[must_use]
    pub fn floor_of_ms(unix_ms: i64) -> Self {
        let ms = unix_ms
            .saturating_sub(Self::EPOCH_MS)
            .clamp(0, (1 << 41) - 1);
        Self(ms << Self::LOW_BITS)
    }
    /// Builds an id from its parts; `node` below 1024, `counter` below 4096.
    #[must_use]
    pub fn from_parts(unix_ms: i64, node: u16, counter: u16) -> Self {
        let low = (i64::from(node & 0x3ff) << 12) | i64::from(counter & 0xfff);
        Self(Self::floor_of_ms(unix_ms).0 | low)
    }
    /// Milliseconds since the Unix epoch at which the row was made.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        (self.0 >> Self::LOW_BITS) + Self::EPOCH_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_ids_follow_the_fhir_rule() {
        for good in ["a", "A-1.b", &"x".repeat(64)] {
            assert_eq!(good.parse::<LogicalId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ä", "a/b", "a_b", &"x".repeat(65)] {
            assert!(bad.parse::<LogicalId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tenant_names_are_address_safe() {
        for good in ["a", "rosewood-house", "9"] {
            assert!(good.parse::<TenantSlug>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", &"x".repeat(41)] {
            assert!(bad.parse::<TenantSlug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_refuse_signs_zeroes_and_overflow() {
        assert_eq!("7".parse::<VersionId>().unwrap(), VersionId(7));
        for bad in ["", "0", "01", "+1", "-1", "4294967296", "1 "] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn row_ids_keep_their_time_and_order(ms in RowId::EPOCH_MS..RowId::EPOCH_MS + (1i64 << 40), node in 0u16..1024, counter in 0u16..4096) {
            let id = RowId::from_parts(ms, node, counter);
            assert_eq!(id.unix_ms(), ms);
            assert!(id >= RowId::floor_of_ms(ms) && id < RowId::floor_of_ms(ms + 1));
        }
    }
}
