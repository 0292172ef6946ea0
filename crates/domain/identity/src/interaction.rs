//! What somebody wants to do: the interactions with resources, and the operations of running a tenant.
//! Must not say who may: that is [`crate::permissions`].

use core::fmt;

use serde::de::Error as _;

/// An interaction with a resource type, or an operation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Interaction {
    /// Read or version read of one resource.
    Read,
    /// Search of a type.
    Search,
    /// History of a resource or a type.
    History,
    /// Create.
    Create,
    /// Update, and patch.
    Update,
    /// Delete.
    Delete,
    /// Change one's own password, second step and sessions.
    ManageOwnAccount,
    /// Ask for emergency access to a patient.
    BreakGlass,
    /// Review emergency access of others.
    ReviewBreakGlass,
    /// Users, their roles and relationships.
    ManageUsers,
    /// Branches.
    ManageBranches,
    /// API clients and long-lived tokens.
    ManageClients,
    /// Tenant settings.
    ManageSettings,
    /// Tenants of the instance.
    ManageTenants,
    /// Let an operator into the tenant for a while.
    GrantSupport,
    /// The audit trail, readable.
    ViewAudit,
    /// The audit trail as evidence to take away.
    ExportAudit,
    /// Checkpoints, tiles and proofs of the ledger, which name nobody.
    VerifyLedger,
    /// Destroy a patient's key.
    Erase,
    /// Bulk export of the record.
    Export,
    /// Bulk import into the record.
    Import,
    /// Make two patients' records one.
    Merge,
    /// Backup and restore.
    Backup,
    /// Health, metrics, queues.
    ViewHealth,
    /// Start, stop and repeat jobs.
    RunJobs,
    /// Draft, send, follow, call off and book in orders of medicines.
    OrderMedicines,
    /// Approve orders of medicines that somebody else drafted.
    ApproveOrders,
}

impl Interaction {
    /// The interactions with resources, in the order of the letters `rshcud`.
    pub const RESOURCE: [Self; 6] = [
        Self::Read,
        Self::Search,
        Self::History,
        Self::Create,
        Self::Update,
        Self::Delete,
    ];
    /// The operations, in table order.
    pub const OPERATIONS: [Self; 21] = [
        Self::ManageOwnAccount,
        Self::BreakGlass,
        Self::ReviewBreakGlass,
        Self::ManageUsers,
        Self::ManageBranches,
        Self::ManageClients,
        Self::ManageSettings,
        Self::ManageTenants,
        Self::GrantSupport,
        Self::ViewAudit,
        Self::ExportAudit,
        Self::VerifyLedger,
        Self::Erase,
        Self::Export,
        Self::Import,
        Self::Merge,
        Self::Backup,
        Self::ViewHealth,
        Self::RunJobs,
        Self::OrderMedicines,
        Self::ApproveOrders,
    ];

    /// The word in documents, logs and policy ids.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::History => "history",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::ManageOwnAccount => "manage-own-account",
            Self::BreakGlass => "break-glass",
            Self::ReviewBreakGlass => "review-break-glass",
            Self::ManageUsers => "manage-users",
            Self::ManageBranches => "manage-branches",
            Self::ManageClients => "manage-clients",
            Self::ManageSettings => "manage-settings",
            Self::ManageTenants => "manage-tenants",
            Self::GrantSupport => "grant-support",
            Self::ViewAudit => "view-audit",
            Self::ExportAudit => "export-audit",
            Self::VerifyLedger => "verify-ledger",
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Import => "import",
            Self::Merge => "merge",
            Self::Backup => "backup",
            Self::ViewHealth => "view-health",
            Self::RunJobs => "run-jobs",
            Self::OrderMedicines => "order-medicines",
            Self::ApproveOrders => "approve-orders",
        }
    }

    /// What it is called in a sentence, after "may not".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::History => "see the history of",
            Self::Create => "create",
            Self::Update => "change",
            Self::Delete => "delete",
            Self::ManageOwnAccount => "change their own account",
            Self::BreakGlass => "ask for emergency access",
            Self::ReviewBreakGlass => "review emergency access",
            Self::ManageUsers => "manage users",
            Self::ManageBranches => "manage branches",
            Self::ManageClients => "manage API clients",
            Self::ManageSettings => "change settings",
            Self::ManageTenants => "manage tenants",
            Self::GrantSupport => "let an operator in",
            Self::ViewAudit => "see the audit trail",
            Self::ExportAudit => "export the audit trail",
            Self::VerifyLedger => "fetch ledger proofs",
            Self::Erase => "erase a patient",
            Self::Export => "export the record",
            Self::Import => "import into the record",
            Self::Merge => "merge patients",
            Self::Backup => "back up or restore",
            Self::ViewHealth => "see the health of the system",
            Self::RunJobs => "run jobs",
            Self::OrderMedicines => "order medicines",
            Self::ApproveOrders => "approve orders of medicines",
        }
    }

    /// The letter in the permission table; `None` for operations.
    #[must_use]
    pub const fn letter(self) -> Option<char> {
        match self {
            Self::Read => Some('r'),
            Self::Search => Some('s'),
            Self::History => Some('h'),
            Self::Create => Some('c'),
            Self::Update => Some('u'),
            Self::Delete => Some('d'),
            _ => None,
        }
    }

    /// Whether it is an interaction with resources.
    #[must_use]
    pub const fn is_with_resources(self) -> bool {
        self.letter().is_some()
    }

    /// Whether it looks without changing.
    #[must_use]
    pub const fn is_look(self) -> bool {
        matches!(self, Self::Read | Self::Search | Self::History)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Search => 2,
            Self::History => 4,
            Self::Create => 8,
            Self::Update => 16,
            Self::Delete => 32,
            _ => 0,
        }
    }
}

impl fmt::Display for Interaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of interactions with resources, written with the letters `rshcud`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct InteractionSet(u8);

impl InteractionSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self(63);

    /// Reads letters; `None` when one is not of `rshcud` or stands twice.
    #[must_use]
    pub const fn parse(letters: &str) -> Option<Self> {
        let mut rest = letters.as_bytes();
        let mut bits = 0;
        while let [letter, tail @ ..] = rest {
            let bit = match letter {
                b'r' => 1,
                b's' => 2,
                b'h' => 4,
                b'c' => 8,
                b'u' => 16,
                b'd' => 32,
                _ => return None,
            };
            if bits & bit != 0 {
                return None;
            }
            bits |= bit;
            rest = tail;
        }
        Some(Self(bits))
    }

    /// For tables written in the source, which tests read in full: a bad cell grants nothing.
    pub(crate) const fn cell(letters: &str) -> Self {
        match Self::parse(letters) {
            Some(set) => set,
            None => Self::NONE,
        }
    }

    /// Whether the interaction is in the set; operations never are.
    #[must_use]
    pub const fn contains(self, interaction: Interaction) -> bool {
        self.0 & interaction.bit() != 0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every interaction of `other` is in this set.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Display for InteractionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for interaction in Interaction::RESOURCE {
            if let (true, Some(letter)) = (self.contains(interaction), interaction.letter()) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for InteractionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

impl serde::Serialize for InteractionSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for InteractionSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom("interactions are letters of rshcud, each once"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_read_and_write_their_letters() {
        let set = InteractionSet::parse("drs").unwrap();
        assert_eq!(set.to_string(), "rsd");
        assert!(set.contains(Interaction::Delete) && !set.contains(Interaction::Create));
        assert!(!InteractionSet::ALL.contains(Interaction::Erase));
        assert_eq!(InteractionSet::parse("rr"), None);
        assert_eq!(InteractionSet::parse("x"), None);
        let json = serde_json::to_string(&InteractionSet::ALL).unwrap();
        assert_eq!(json, "\"rshcud\"");
        assert_eq!(
            serde_json::from_str::<InteractionSet>(&json).unwrap(),
            InteractionSet::ALL
        );
        assert!(serde_json::from_str::<InteractionSet>("\"w\"").is_err());
    }

    #[test]
    fn the_lists_name_every_interaction_once() {
        let mut words: Vec<&str> = Interaction::RESOURCE
            .iter()
            .chain(&Interaction::OPERATIONS)
            .map(|i| i.as_str())
            .collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 27);
        for interaction in Interaction::OPERATIONS {
            assert!(!interaction.is_with_resources());
        }
    }
}
