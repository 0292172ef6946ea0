//! The name of a log: its origin line, `<instance>/<tenant>/<changes|access>/e<epoch>`. Must not decide
//! which logs exist.

use core::fmt;
use core::str::FromStr;

use kernel::TenantId;

use crate::error::FormatError;

/// Which of a tenant's two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogKind {
    /// Every change.
    Changes,
    /// Every look.
    Access,
}

impl LogKind {
    /// The word in origins and addresses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Access => "access",
        }
    }
}

/// The origin of a log of ours. The instance log is the changes log of [`TenantId::INSTANCE`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The instance's name, such as `records.example.org`; also the name of its signing key.
    pub instance: String,
    /// The tenant.
    pub tenant: TenantId,
    /// Which log.
    pub kind: LogKind,
    /// The epoch, from 1; a recovery after a restore opens the next.
    pub epoch: u32,
}

impl Origin {
    /// Whether this is the instance log.
    #[must_use]
    pub fn is_instance_log(&self) -> bool {
        self.tenant.is_instance() && self.kind == LogKind::Changes
    }
    /// The same log's epoch before; none for the first.
    #[must_use]
    pub fn before(&self) -> Option<Self> {
        (self.epoch > 1).then(|| Self {
            epoch: self.epoch - 1,
            ..self.clone()
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}/e{}",
            self.instance,
            self.tenant,
            self.kind.as_str(),
            self.epoch
        )
    }
}

impl FromStr for Origin {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let refuse = FormatError::new(
            "origin",
            "write <instance>/<tenant uuid>/<changes|access>/e<epoch>",
        );
        let mut parts = text.rsplitn(4, '/');
        let mut next = || parts.next().ok_or(refuse);
        let (epoch, kind, tenant, instance) = (next()?, next()?, next()?, next()?);
        let number = epoch
            .strip_prefix('e')
            .and_then(crate::error::decimal)
            .ok_or(refuse)?;
        let kind = match kind {
            "changes" => LogKind::Changes,
            "access" => LogKind::Access,
            _ => return Err(refuse),
        };
        let origin = Self {
            instance: instance.to_owned(),
            tenant: tenant.parse().map_err(|_| refuse)?,
            kind,
            epoch: u32::try_from(number).map_err(|_| refuse)?,
        };
        let canonical = is_origin(text)
            && !origin.instance.is_empty()
            && origin.epoch > 0
            && origin.to_string() == text;
        if canonical { Ok(origin) } else { Err(refuse) }
    }
}

/// Whether a text can be an origin line here: 1 to 200 printable ASCII characters without space, plus,
/// quote and backslash, so that it needs no escape anywhere it is written.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_graphic() && !matches!(b, b'+' | b'"' | b'\\');
    (1..=200).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_form() {
        let text = "records.example.org/018f2c3e-7b1a-7c3d-9e4f-0123456789ab/access/e3";
        let origin: Origin = text.parse().unwrap();
        assert_eq!(
            (origin.kind, origin.epoch, origin.is_instance_log()),
            (LogKind::Access, 3, false)
        );
        assert_eq!(origin.to_string(), text);
        assert_eq!(
            origin.before().unwrap().to_string(),
            text.replace("e3", "e2")
        );
        let instance = "a/b/00000000-0000-0000-0000-000000000000/changes/e1"
            .parse::<Origin>()
            .unwrap();
        assert!(instance.is_instance_log() && instance.before().is_none());
        for bad in [
            "",
            "x/changes/e1",
            &text.replace("e3", "e0"),
            &text.replace("e3", "e03"),
            &text.replace("access", "Access"),
            &text.to_uppercase(),
            &text.replace("records", "rec ords"),
            &text.replace("records.example.org", ""),
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
