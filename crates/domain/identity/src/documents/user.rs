//! People who sign in.

use core::fmt;
use core::str::FromStr;

use kernel::{BranchId, Categorised, Category, LogicalId, TenantId, Timestamp, UserId};
use unicode_normalization::UnicodeNormalization;

use super::Schema;
use crate::lockout::LockOut;
use crate::role::Role;
use crate::totp::Totp;

/// The name somebody signs in with, in its folded form: NFKC, lower case, no white space around. Unique
/// in a tenant.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct SignInName(String);

/// A sign-in name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this sign-in name cannot be used: give 2 to 100 letters, digits or any of . _ - + @ without spaces"
)]
pub struct SignInNameError;

impl Categorised for SignInNameError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

impl SignInName {
    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SignInName {
    type Err = SignInNameError;
    fn from_str(value: &str) -> Result<Self, SignInNameError> {
        // Far longer than any name that folds to 100 characters: keeps folding cheap.
        if value.len() > 1024 {
            return Err(SignInNameError);
        }
        let folded: String = value
            .trim()
            .nfkc()
            .flat_map(char::to_lowercase)
            .nfkc()
            .collect();
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@');
        let length = folded.chars().count();
        if (2..=100).contains(&length) && folded.chars().all(allowed) {
            Ok(Self(folded))
        } else {
            Err(SignInNameError)
        }
    }
}
impl TryFrom<String> for SignInName {
    type Error = SignInNameError;
    fn try_from(value: String) -> Result<Self, SignInNameError> {
        value.parse()
    }
}
impl From<SignInName> for String {
    fn from(value: SignInName) -> Self {
        value.0
    }
}
impl fmt::Display for SignInName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserState {
    /// May sign in.
    Active,
    /// May not sign in for now.
    Suspended,
    /// Left; kept because the ledger names the id, which is never given again.
    Left,
}

/// A role that a user or client holds, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RoleAssignment {
    /// The role.
    pub role: Role,
    /// Where: `None` is the role's default reach ([`Role::default_reach`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Vec<BranchId>>,
}

impl RoleAssignment {
    /// A role with its default reach.
    #[must_use]
    pub const fn of(role: Role) -> Self {
        Self {
            role,
            branches: None,
        }
    }
    /// A role at some branches.
    #[must_use]
    pub const fn at(role: Role, branches: Vec<BranchId>) -> Self {
        Self {
            role,
            branches: Some(branches),
        }
    }
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct User {
    /// Schema of this document.
    pub schema: Schema<1>,
    /// The tenant the user belongs to; checked whenever a subject is made.
    pub tenant: TenantId,
    /// The id; never given again.
    pub id: UserId,
    /// The sign-in name.
    pub sign_in_name: SignInName,
    /// The name shown to people.
    pub display_name: String,
    /// Roles; a role stands at most once.
    pub roles: Vec<RoleAssignment>,
    /// argon2id hash in PHC form; `None` when the user has no password here.
    pub password: Option<String>,
    /// When the password was set.
    pub password_changed: Option<Timestamp>,
    /// Whether the password must be changed before anything else.
    pub must_change: bool,
    /// The second step.
    pub totp: Totp,
    /// Failed attempts.
    pub lock_out: LockOut,
    /// The Practitioner resource of this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practitioner: Option<LogicalId>,
    /// The Patient resources that the role `patient` may see: one's own, and those one speaks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<LogicalId>,
    /// Whether the user may sign in.
    pub state: UserState,
    /// When it was made.
    pub created: Timestamp,
}

impl User {
    /// Whether the user holds a role.
    #[must_use]
    pub fn has_role(&self, role: Role) -> bool {
        self.roles.iter().any(|assignment| assignment.role == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_names_fold_to_one_form() {
        for written in ["Ana.Maria", " ana.maria ", "ＡＮＡ.maria", "ANA.MARIA"] {
            assert_eq!(
                written.parse::<SignInName>().unwrap().as_str(),
                "ana.maria",
                "{written}"
            );
        }
        for bad in [
            "",
            "a",
            "a b",
            "a\u{0}b",
            "a/b",
            "<a>",
            "a:b",
            &"x".repeat(101),
        ] {
            assert!(bad.parse::<SignInName>().is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            if let Ok(name) = text.parse::<SignInName>() {
                let again: SignInName = name.as_str().parse().unwrap();
                assert_eq!(again, name);
            }
        }
    }
}
