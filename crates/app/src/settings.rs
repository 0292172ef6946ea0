//! What the use-cases may be told from outside: limits, times, switches and the instance secret.
//! Must not read the environment or a file: `server` fills it in.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// Sizes that bound a request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body of a single resource, in bytes.
    pub resource_bytes: usize,
    /// Largest bundle, in bytes.
    pub bundle_bytes: usize,
    /// Most entries of a bundle.
    pub bundle_entries: usize,
    /// Matches per page where `_count` is not given.
    pub page_default: u32,
    /// Most matches per page; a greater `_count` is cut to it.
    pub page_max: u32,
    /// Bytes of resources in one answer: a page of a search or history ends early there and links to the
    /// next; further GET entries of a bundle fail.
    pub answer_bytes: usize,
    /// Most alternatives (comma values) of one search parameter.
    pub alternatives: usize,
    /// Most repetitions of parameters in one search.
    pub clauses: usize,
    /// Most references followed one after another by a chain, `_has` or `_filter`.
    pub chain_depth: usize,
    /// Most types looked at by all chains of one search: an untyped step counts each type it may lead to.
    pub chain_steps: usize,
    /// Most resources that one conditional delete takes away, where the tenant allows several.
    pub deletions: usize,
    /// Most resources that one commit of `$merge` points to another patient.
    pub referrers: u32,
    /// Deepest nesting of a `_filter`.
    pub filter_depth: usize,
    /// Most tests of one `_filter`.
    pub filter_tests: usize,
    /// Most codes that a value set or a branch of a hierarchy may stand for in a search.
    pub concepts: usize,
    /// Rows that a search may walk, by estimate: one that would walk more is refused before it is run.
    pub search_rows: u64,
    /// Most keys of `_sort`.
    pub sort_keys: usize,
    /// Most `_include` and `_revinclude` of one search.
    pub include_directives: usize,
    /// Most resources brought in beside the matches of one page; the answer says where it was cut.
    pub included: usize,
    /// Most searches made to bring them in; the answer says where it was cut.
    pub include_searches: usize,
    /// Most steps of `_include:iterate`; the answer says where it was cut.
    pub include_rounds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resource_bytes: 8 << 20,
            bundle_bytes: 64 << 20,
            bundle_entries: 50_000,
            page_default: 20,
            page_max: 1000,
            answer_bytes: 32 << 20,
            alternatives: 500,
            clauses: 50,
            chain_depth: 5,
            chain_steps: 300,
            deletions: 1000,
            referrers: 5000,
            filter_depth: 6,
            filter_tests: 100,
            concepts: 5000,
            search_rows: 10_000_000,
            sort_keys: 4,
            include_directives: 30,
            included: 1000,
            include_searches: 1_000,
            include_rounds: 8,
        }
    }
}

/// Times of sign-in, in seconds.
#[derive(Debug, Clone)]
pub struct SessionTimes {
    /// A session ends after this long without use.
    pub idle_s: i64,
    /// A session ends after this long in any case.
    pub absolute_s: i64,
    /// A session's last use is written down at most this often.
    pub touch_s: i64,
    /// How long the second step of a sign-in may wait for its code.
    pub second_step_s: i64,
    /// Life of an access token given to an API client.
    pub access_token_s: i64,
    /// How long a verified token or session is believed before it is looked up again.
    pub staleness_s: i64,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            idle_s: 15 * 60,
            absolute_s: 12 * 3600,
            touch_s: 60,
            second_step_s: 5 * 60,
            access_token_s: 5 * 60,
            staleness_s: 5,
        }
    }
}

/// Bounds of bulk exports and imports.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Jobs of a tenant in progress at a time.
    pub jobs: usize,
    /// How long an export waits after its moment before it reads, in milliseconds: longer than a write
    /// takes from its first step to its commit. Slower writes are refused and can be repeated.
    pub settle_ms: i64,
    /// Plain bytes that are sealed and written at a time; what a job needs in memory.
    pub chunk_bytes: usize,
    /// Plain bytes of a file, about.
    pub file_bytes: u64,
    /// Plain bytes of a whole export at most.
    pub most_bytes: u64,
    /// Seconds that a job may take.
    pub most_seconds: i64,
    /// Seconds that files are kept after the end of their job.
    pub keep_s: i64,
    /// Seconds that a link to a file holds; a new one comes with each look at the manifest.
    pub link_s: i64,
    /// Whether a link needs a token beside its signature.
    pub links_need_token: bool,
    /// The folder with a folder per tenant, by its name in addresses, of files that may be imported.
    pub import_folder: Option<PathBuf>,
}

impl Default for Bulk {
    fn default() -> Self {
        Self {
            jobs: 4,
            settle_ms: 1_000,
            chunk_bytes: 4 << 20,
            file_bytes: 256 << 20,
            most_bytes: 1 << 40,
            most_seconds: 24 * 3600,
            keep_s: 24 * 3600,
            link_s: 3600,
            links_need_token: false,
            import_folder: None,
        }
    }
}

/// Everything the use-cases are told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sizes.
    pub limits: Limits,
    /// Sign-in times.
    pub session: SessionTimes,
    /// Bulk exports and imports.
    pub bulk: Bulk,
    /// Refuse resources that break R4 structure.
    pub validate: bool,
    /// Whether writes are held to profiles, where the tenant does not say.
    pub validation: identity::ValidationMode,
    /// Ignore unknown search parameters also without `Prefer: handling=lenient`.
    pub lenient: bool,
    /// The zone of tenants that have none of their own.
    pub time_zone: kernel::ZoneName,
    /// Keys of cursors and anti-forgery tokens are derived from it; 32 bytes from the instance's key
    /// ring, the same on every replica.
    pub secret: Zeroizing<[u8; 32]>,
    /// The addresses a client assertion may name as its audience (the token endpoint's URL), with
    /// `{tenant}` where the tenant's name stands.
    pub token_audience: String,
    /// How long the answer to an idempotency key is kept, in seconds.
    pub idempotency_s: i64,
    /// How subscriptions are served.
    pub subscriptions: crate::subscriptions::SubscriptionSettings,
    /// How long a commit may be under way, in milliseconds: a new search parameter is built for stored
    /// versions only when nothing can be under way that does not know it.
    pub reindex_grace_ms: i64,
    /// The folder with a folder per tenant, by its id, of files that hold partners' secrets.
    pub partner_secrets: Option<PathBuf>,
}

impl Settings {
    /// The defaults with a secret.
    #[must_use]
    pub fn with_secret(secret: [u8; 32]) -> Self {
        Self {
            limits: Limits::default(),
            session: SessionTimes::default(),
            bulk: Bulk::default(),
            validate: true,
            validation: identity::ValidationMode::Off,
            lenient: false,
            time_zone: kernel::ZoneName::utc(),
            secret: Zeroizing::new(secret),
            token_audience: "http://127.0.0.1:8090/t/{tenant}/token".to_owned(),
            idempotency_s: 24 * 3600,
            subscriptions: crate::subscriptions::SubscriptionSettings::default(),
            reindex_grace_ms: 10_000,
            partner_secrets: None,
        }
    }
}
