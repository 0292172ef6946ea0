//! What kinds of entries there are, and how they can end. The words are stored for ever: add, never rename.

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The word in the leaf.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
            /// Reads the word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// What happened.
    Class {
        /// A resource's first version.
        Create = "create",
        /// A later version.
        Update = "update",
        /// A deletion.
        Delete = "delete",
        /// A subject's key was destroyed; the leaf's `erased` names it.
        Erase = "erase",
        /// A read of the current version.
        Read = "read",
        /// A read of one version.
        Vread = "vread",
        /// A search.
        Search = "search",
        /// A look at earlier versions.
        History = "history",
        /// Data left: export, backup, print.
        Export = "export",
        /// Data came in as a set.
        Import = "import",
        /// The audit log itself was read or exported.
        AuditRead = "audit-read",
        /// Somebody signed in.
        Login = "login",
        /// Somebody signed out.
        Logout = "logout",
        /// A sign-in was refused.
        LoginFailed = "login-failed",
        /// Emergency access was taken.
        BreakGlass = "break-glass",
        /// Emergency access was reviewed.
        BreakGlassReview = "break-glass-review",
        /// A setting changed.
        Config = "config",
        /// A tenant was made or changed.
        Tenant = "tenant",
        /// A branch was made or changed.
        Branch = "branch",
        /// A user was made or changed.
        User = "user",
        /// An API client was made or changed.
        Client = "client",
        /// A long-lived token was made or withdrawn.
        Token = "token",
        /// An order of medicines was drafted, or took a step.
        Supply = "supply",
        /// A relationship between staff and patients was made or changed.
        Relationship = "relationship",
        /// A key was made, rotated or withdrawn.
        Key = "key",
        /// A job of the platform ran.
        Job = "job",
        /// A backup was taken.
        Backup = "backup",
        /// A backup was put back.
        Restore = "restore",
        /// A legal hold was set or lifted.
        Hold = "hold",
        /// Data was purged after its retention.
        Purge = "purge",
        /// The instance started or stopped.
        Lifecycle = "lifecycle",
        /// The clock jumped or was found wrong.
        Clock = "clock",
        /// A tenant's checkpoint, in the instance log; the leaf's `of` names it.
        Checkpoint = "checkpoint",
        /// The first leaf of an epoch; `of` names the last checkpoint of the epoch before.
        Epoch = "epoch",
        /// Counters of a writer that never arrived; `gap_*` names them.
        Discontinuity = "discontinuity",
    }
}

words! {
    /// How it ended.
    Outcome {
        /// As asked.
        Success = "success",
        /// Refused by policy.
        Denied = "denied",
        /// Not done, for another reason.
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_need_no_escape() {
        for class in Class::ALL {
            assert_eq!(Class::from_word(class.as_str()), Some(*class));
            assert!(
                class
                    .as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-')
            );
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_word(outcome.as_str()), Some(*outcome));
        }
        assert_eq!(Class::from_word("Create"), None);
    }

    #[test]
    fn every_word_is_documented() {
        let page = include_str!("../../../../../docs/reference/ledger-format.md");
        let words = Class::ALL.iter().map(|class| class.as_str());
        for word in words.chain(Outcome::ALL.iter().map(|outcome| outcome.as_str())) {
            assert!(
                page.contains(&format!("`{word}`")),
                "{word} is not on the page"
            );
        }
    }
}
