//! Documents: everything kept that is not a FHIR resource (users, branches, tokens, sessions, leases).
//! Bodies are sealed under the tenant's key; look-ups are unique per kind and kept as keyed hashes.

use kernel::Timestamp;

/// The kinds of documents; the numbers are storage and never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DocKind {
    /// A tenant (in the instance's own store).
    Tenant = 1,
    /// A branch.
    Branch = 2,
    /// A user.
    User = 3,
    /// An API client.
    ApiClient = 4,
    /// A long-lived token.
    Token = 5,
    /// A break-glass grant.
    BreakGlass = 6,
    /// An explicit relationship between staff and patients.
    Relationship = 7,
    /// A tenant setting.
    Setting = 8,
    /// A medicine that is kept: its heading and what the movements folded so far come to.
    StockItem = 10,
    /// A movement of stock, its id below its item's.
    StockMovement = 11,
    /// A page of a controlled-drug register: its heading and where it stands.
    RegisterPage = 12,
    /// An entry of a register, its id below its page's.
    RegisterEntry = 13,
    /// A discrepancy of a register that is looked into.
    RegisterIncident = 14,
    /// How a pharmacy or a source of drug knowledge is reached.
    Partner = 15,
    /// The signatures of two people: of an order that overrides something contraindicated, of a dose.
    MedicineSignature = 16,
    /// A client of CDS Hooks: whose calls are believed.
    HookClient = 40,
    /// A service of CDS Hooks elsewhere.
    HookService = 41,
    /// What became of a card.
    HookFeedback = 42,
    /// A package of profiles (in the instance's own store).
    Package = 20,
    /// A part of a package's content.
    PackagePart = 21,
    /// An installed code system (in the instance's own store).
    Terminology = 30,
    /// An installed dictionary of products (in the instance's own store).
    Products = 31,
    /// A browser session.
    Session = 64,
    /// A short-lived access token.
    AccessToken = 65,
    /// A job.
    Job = 66,
    /// A consumer's cursor on the change ledger.
    Cursor = 67,
    /// A lease.
    Lease = 68,
    /// The answer kept for an idempotency key.
    Idempotency = 69,
    /// A client assertion's `jti`, kept until it expires.
    Assertion = 70,
    /// An import's progress.
    Import = 71,
    /// When a long-lived token was last used.
    TokenUse = 72,
    /// A part of a job: a file that it made or reads.
    JobPart = 90,
    /// A client's closure table.
    Closure = 95,
    /// A subscription as the engine that serves it knows it.
    Subscription = 80,
    /// How far a subscription's notifications have come.
    SubscriptionProgress = 81,
    /// Something a subscription notifies of.
    Delivery = 82,
    /// A notification that somebody asked to be sent again.
    Replay = 83,
    /// With whose authority a version of a Subscription was written.
    SubscriptionOwner = 84,
    /// The table of a tenant's own search parameters.
    SearchParameters = 96,
    /// Which place the files of the instance lie in.
    FilesPlace = 98,
    /// A round that a device took along.
    RoundPack = 100,
    /// What a source of drug knowledge answered.
    KnowledgeAnswer = 101,
    /// What was sent to a pharmacy, or came from one.
    PharmacyMessage = 102,
    /// A dose of which somebody is to say what it brought about.
    EffectQuestion = 103,
    /// A call of a service of CDS Hooks, as it was answered.
    HookCall = 110,
}

impl DocKind {
    /// Whether a change of such a document needs a ledger entry.
    #[must_use]
    pub const fn is_governed(self) -> bool {
        (self as u8) < 64
    }
    /// The storage number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doc {
    /// Its kind.
    pub kind: DocKind,
    /// Its id, unique in its kind; at most 200 bytes.
    pub id: String,
    /// 1 for the first version.
    pub version: u32,
    /// When this version was written.
    pub updated: Timestamp,
    /// When it may be swept (operational kinds); reads do not hide expired documents.
    pub expires: Option<Timestamp>,
    /// JSON.
    pub body: Vec<u8>,
}

/// What a document must be for a write to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocExpected {
    /// There is none.
    Absent,
    /// It has this version.
    Version(u32),
    /// Whatever is there.
    Any,
}

/// A write of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocWrite {
    /// Its kind.
    pub kind: DocKind,
    /// Its id.
    pub id: String,
    /// What must be there.
    pub expected: DocExpected,
    /// The new body; `None` deletes.
    pub body: Option<Vec<u8>>,
    /// When written.
    pub time: Timestamp,
    /// When it may be swept.
    pub expires: Option<Timestamp>,
    /// Unique look-ups within the kind, replacing those before: (name, value).
    pub lookups: Vec<(&'static str, String)>,
}
