//! Signing in: organisation, name and password, then a one-time code where one is set up. Must not say
//! which of them was wrong.

use askama::Template;

use super::shell::Shell;
use crate::components::{ErrorSummary, Field};

/// The first step.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// Shell.
    pub shell: Shell,
    /// What went wrong.
    pub problem: Option<ErrorSummary>,
    /// Organisation, user name, password; or the one-time code.
    pub fields: Vec<Field>,
    /// Hidden fields: where to go afterwards, the pending sign-in.
    pub hidden: Vec<(String, String)>,
    /// Where it posts.
    pub action: String,
    /// The words of the button.
    pub button: &'static str,
    /// A sentence above the form; may be empty.
    pub lead: String,
    /// Whether this is an operator's sign-in.
    pub operator: bool,
}

impl SignInPage {
    /// The fields of the first step.
    #[must_use]
    pub fn fields(tenant: &str, user: &str) -> Vec<Field> {
        vec![
            Field::text("tenant", "Organisation")
                .hint("Its short name, such as rosewood-house")
                .value(tenant)
                .autocomplete("organization"),
            Field::text("user", "User name")
                .value(user)
                .autocomplete("username"),
            Field::password("password", "Password", "current-password"),
        ]
    }
    /// The field of the second step.
    #[must_use]
    pub fn code_field() -> Vec<Field> {
        vec![
            Field::code("code", "Six-digit code")
                .hint("From your authenticator app; it changes every 30 seconds"),
        ]
    }
}
