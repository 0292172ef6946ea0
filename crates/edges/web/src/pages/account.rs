//! A person's own account: password and one-time codes. Must not show the secret of an
//! enrolled code again.

use askama::Template;

use super::shell::Shell;
use crate::components::{ErrorSummary, Field};

/// The page.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "account.html")]
pub struct AccountPage {
    /// Shell.
    pub shell: Shell,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// Name, user name, role, branches: label, text.
    pub facts: Vec<(String, String)>,
    /// The address the forms post below.
    pub base: String,
    /// The fields of the password form.
    pub password_fields: Vec<Field>,
    /// How one-time codes stand.
    pub codes: Codes,
}

/// How one-time codes stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codes {
    /// Not set up.
    Off,
    /// Being set up.
    Enrolling {
        /// The picture to scan.
        qr: Qr,
        /// `otpauth://...`.
        uri: String,
        /// The secret for typing.
        secret: String,
        /// The field of the first code.
        fields: Vec<Field>,
        /// Hidden fields.
        hidden: Vec<(String, String)>,
    },
    /// Set up just now: the recovery codes, shown this once.
    Recovery(Vec<String>),
    /// Set up.
    On,
}

/// A QR code as SVG path data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    /// Modules along an edge, with the quiet zone.
    pub size: i32,
    /// `M4,4h1v1h-1z...`.
    pub path: String,
}

impl Qr {
    /// Draws a text; `None` where it is too long (about 2,900 bytes).
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        use core::fmt::Write as _;
        const QUIET: i32 = 4;
        let code = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium).ok()?;
        let mut path = String::new();
        for y in 0..code.size() {
            for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
                let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
        Some(Self {
            size: code.size() + 2 * QUIET,
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_quiet_zone() {
        let qr =
            Qr::of("otpauth://totp/Theriac:jane?secret=JBSWY3DPEHPK3PXP&issuer=Theriac").unwrap();
        assert!(qr.size >= 29 && qr.path.starts_with("M4,4h1v1h-1z"));
        assert_eq!(Qr::of(&"x".repeat(5000)), None);
    }
}
