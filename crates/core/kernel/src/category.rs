//! The one table of error categories: what a failure means over HTTP, as an OperationOutcome, as an
//! HL7 v2 acknowledgement and as a process exit code. Every error type of the house maps to a row of
//! it; the golden test below locks the table. Must not carry texts: those belong to the errors.

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// The request itself is malformed; the caller must change it.
    Invalid,
    /// The content breaks a rule of the record (structure, cardinality, business rule).
    Unprocessable,
    /// Nobody is signed in, or the credential is not accepted.
    Unauthenticated,
    /// Known caller, not allowed, and existence is no secret.
    Forbidden,
    /// No such thing, or one whose existence is secret to the caller.
    NotFound,
    /// It existed and was deleted.
    Gone,
    /// The interaction is not offered.
    Unsupported,
    /// A duplicate, or a state that does not allow the step.
    Conflict,
    /// The caller's version is not the current one.
    Stale,
    /// Larger or deeper than the limits.
    TooLarge,
    /// A search that would cost more than the limits.
    TooCostly,
    /// Too many requests; retry later.
    Throttled,
    /// A part the work needs is down, full or read-only; nothing was acknowledged.
    Unavailable,
    /// Stored data or a proof is not what it should be.
    Altered,
    /// A defect of ours.
    Fault,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// HTTP status (RFC 9110; FHIR R4 http.html).
    pub http_status: u16,
    /// OperationOutcome.issue.code (FHIR R4 value set issue-type).
    pub issue_type: &'static str,
    /// HL7 v2 acknowledgement code in original mode (MSA-1, table 0008).
    pub hl7_ack: &'static str,
    /// Process exit code of the command line.
    pub exit_code: u8,
}

impl Category {
    /// Every category, in table order.
    pub const ALL: [Self; 15] = [
        Self::Invalid,
        Self::Unprocessable,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Gone,
        Self::Unsupported,
        Self::Conflict,
        Self::Stale,
        Self::TooLarge,
        Self::TooCostly,
        Self::Throttled,
        Self::Unavailable,
        Self::Altered,
        Self::Fault,
    ];

    /// The row of the table.
    #[must_use]
    pub const fn mapping(self) -> Mapping {
        let (http_status, issue_type, hl7_ack, exit_code) = match self {
            Self::Invalid => (400, "invalid", "AR", 2),
            Self::Unprocessable => (422, "processing", "AE", 2),
            Self::Unauthenticated => (401, "login", "AR", 4),
            Self::Forbidden => (403, "forbidden", "AR", 4),
            Self::NotFound => (404, "not-found", "AE", 3),
            Self::Gone => (410, "deleted", "AE", 3),
            Self::Unsupported => (405, "not-supported", "AR", 2),
            Self::Conflict => (409, "conflict", "AE", 5),
            Self::Stale => (412, "conflict", "AE", 5),
            Self::TooLarge => (413, "too-long", "AR", 2),
            Self::TooCostly => (403, "too-costly", "AR", 2),
            Self::Throttled => (429, "throttled", "AE", 6),
            Self::Unavailable => (503, "transient", "AE", 6),
            Self::Altered => (500, "security", "AE", 7),
            Self::Fault => (500, "exception", "AE", 1),
        };
        Mapping {
            http_status,
            issue_type,
            hl7_ack,
            exit_code,
        }
    }

    /// Whether the same request may succeed later without being changed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

/// Implemented by every error type: which row of the table it belongs to.
pub trait Categorised: core::error::Error {
    /// The category.
    fn category(&self) -> Category;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_locked() {
        let table: Vec<String> = Category::ALL
            .iter()
            .map(|category| {
                let row = category.mapping();
                format!(
                    "{category:?} {} {} {} {}",
                    row.http_status, row.issue_type, row.hl7_ack, row.exit_code
                )
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        Invalid 400 invalid AR 2
        Unprocessable 422 processing AE 2
        Unauthenticated 401 login AR 4
        Forbidden 403 forbidden AR 4
        NotFound 404 not-found AE 3
        Gone 410 deleted AE 3
        Unsupported 405 not-supported AR 2
        Conflict 409 conflict AE 5
        Stale 412 conflict AE 5
        TooLarge 413 too-long AR 2
        TooCostly 403 too-costly AR 2
        Throttled 429 throttled AE 6
        Unavailable 503 transient AE 6
        Altered 500 security AE 7
        Fault 500 exception AE 1
        ");
    }
}
