//! From settings to a running instance: store, use-cases, routers, background jobs. Nothing else knows
//! which store there is. Must not parse the command line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use app::medicines::elsewhere::Elsewhere;
use app::{App, Settings};
use axum::Router;
use connect::knowledge::{KnowledgeSource, SourceSetting};
use connect::{
    Client, ClientSettings, EgressPolicy, Limits, MailSecurity, MailSettings, Outbound,
    SystemResolver,
};
use http_edge::{Edge, EdgeSettings, Metrics};
use kernel::{Category, Clock, Ids};
use medication::checks::elsewhere::Severities;
use sha2::{Digest, Sha256};
use store::blob::Blobs;
use store::keys::{FileKeyRing, KeyRing};
use store::postgres::{PostgresSettings, PostgresStore};
use store::sqlite::{SqliteSettings, SqliteStore};
use store::{FullText, Store};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::failure::Failure;
use crate::ports::{SystemClock, SystemIds};

/// The folder of files below the data folder.
pub const BLOBS: &str = "blobs";

/// An instance with everything it stands on.
#[derive(Clone)]
pub struct Instance {
    /// The use-cases.
    pub app: App,
    /// The store, for what is no use-case: copies, offline verification.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The id source.
    pub ids: Arc<dyn Ids>,
    /// The settings.
    pub config: Config,
    /// The instance's name, the first part of every ledger origin.
    pub name: String,
}

/// Whether an instance must be there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// It must; a folder without one is an error with its remedy.
    Existing,
    /// It may be made.
    OrNew,
}

/// The file of the root key below a data folder.
pub const ROOT_KEY: &str = "keys/root.key";

/// The file that says what the instance of a folder is called, below the data folder.
pub const NAME: &str = "instance-name";

/// Whether another process holds a data folder.
#[must_use]
pub fn is_held(data: &Path) -> bool {
    let held =
        |file: std::fs::File| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock));
    std::fs::File::open(data.join("lock")).is_ok_and(held)
}

// A folder keeps the name it was made with: another one would make its ledger another ledger.
fn name(config: &Config, data: &Path) -> Result<String, Failure> {
    let path = data.join(NAME);
    let configured = config.text("instance.name");
    match std::fs::read_to_string(&path) {
        Ok(kept) => {
            let kept = kept.trim();
            if config.is_default("instance.name") || kept == configured {
                return Ok(kept.to_owned());
            }
            Err(Failure::new(
                Category::Conflict,
                format!(
                    "setting instance.name is {configured:?}, but this instance was made as {kept:?}: set it back"
                ),
            ))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let written =
                std::fs::create_dir_all(data).and_then(|()| std::fs::write(&path, configured));
            written.map_err(|error| Failure::file(&path, &error))?;
            Ok(configured.to_owned())
        }
        Err(error) => Err(Failure::file(&path, &error)),
    }
}

/// Opens the instance that the settings name.
pub async fn open(config: &Config, opening: Opening) -> Result<Instance, Failure> {
    let key = config.data_folder().join(ROOT_KEY);
    let is_postgres = is_postgres(config)?;
    let had_key = key.exists();
    let opened = open_store(config, opening, is_postgres).await;
    if opened.is_err() && is_postgres && !had_key {
        // Made for a database that turned out to have another one: it must not pass for that one's.
        let _ = std::fs::remove_file(&key);
    }
    opened
}

/// Opens the store alone, to look at it: a data folder is not written to, whatever is in it.
pub async fn open_to_examine(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let data = config.data_folder();
    let ids: Arc<dyn Ids> = Arc::new(SystemIds::new(0));
    let name = if data.join(NAME).exists() {
        name(config, &data)?
    } else {
        config.text("instance.name").to_owned()
    };
    if is_postgres(config)? {
        let (store, _) = postgres(config, &name, &ids, Opening::Existing).await?;
        return Ok(store);
    }
    if !data.join("tenants").is_dir() {
        return Err(no_instance(&data));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = SqliteSettings::new(data, name);
    Ok(Arc::new(SqliteStore::examine(settings, clock, ids)?))
}

fn no_instance(data: &Path) -> Failure {
    Failure::missing(format!(
        "there is no instance in {}: make one with `theriac init`, or name its folder with --data",
        data.display()
    ))
}

async fn open_store(
    config: &Config,
    opening: Opening,
    is_postgres: bool,
) -> Result<Instance, Failure> {
    let data = config.data_folder();
    if opening == Opening::Existing && !is_postgres && !data.join("tenants").is_dir() {
        return Err(no_instance(&data));
    }
    if opening == Opening::Existing && is_postgres && !data.join("keys").is_dir() {
        return Err(Failure::missing(format!(
            "{} holds no keys: make an instance with `theriac init`, or put the folder keys of the one in the database there",
            data.display()
        )));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids: Arc<dyn Ids> = Arc::new(SystemIds::new(
        u16::try_from(config.number("instance.node")).unwrap_or(0),
    ));
    let name = name(config, &data)?;
    let (store, ring) = if is_postgres {
        postgres(config, &name, &ids, opening).await?
    } else {
        sqlite(config, &name, &clock, &ids)?
    };
    let settings = settings(config, ring.as_ref())?;
    let app = App::new(
        Arc::clone(&store),
        Arc::clone(&clock),
        Arc::clone(&ids),
        settings,
    )?
    .with_files(Blobs::in_folder(&data.join(BLOBS))?);
    // A data folder is locked by one process; a database is shared.
    let app = if is_postgres { app } else { app.alone() };
    let app = match outside(config, &clock)? {
        Some(outside) => app.reaching_out(outside),
        None => app,
    };
    let app = match elsewhere(config)? {
        Some(elsewhere) => app.consulting(elsewhere),
        None => app,
    };
    let instance = Instance {
        app,
        store,
        clock,
        ids,
        config: config.clone(),
        name,
    };
    if opening == Opening::Existing && !app::init::is_initialised(&instance.app).await? {
        return Err(Failure::missing(
            "the store holds no instance: make one with `theriac init`",
        ));
    }
    app::init::raise_row_floor(&instance.app).await?;
    Ok(instance)
}

/// Whether the settings name PostgreSQL.
pub fn is_postgres(config: &Config) -> Result<bool, Failure> {
    match config.text("store.kind") {
        "sqlite" => Ok(false),
        "postgres" => Ok(true),
        other => Err(Failure::new(
            Category::Invalid,
            format!("setting store.kind is {other:?}: give sqlite or postgres"),
        )),
    }
}

fn access_window(config: &Config) -> Duration {
    Duration::from_millis(config.number("ledger.access_window_ms").unsigned_abs())
}

type Parts = (Arc<dyn Store>, Arc<dyn KeyRing>);

fn sqlite(
    config: &Config,
    name: &str,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
) -> Result<Parts, Failure> {
    let data = config.data_folder();
    let mut settings = SqliteSettings::new(data.clone(), name);
    settings.access_window = access_window(config);
    settings.search_limit =
        Duration::from_millis(config.number("search.time_limit_ms").unsigned_abs());
    settings.full_text = full_text(config)?;
    let store = SqliteStore::open(settings, Arc::clone(clock), Arc::clone(ids))?;
    let ring = FileKeyRing::open(&data.join(ROOT_KEY), false, Arc::clone(ids))?;
    Ok((Arc::new(store), Arc::new(ring)))
}

fn full_text(config: &Config) -> Result<FullText, Failure> {
    match config.text("search.full_text") {
        "off" => Ok(FullText::Off),
        "narrative" => Ok(FullText::Narrative),
        "all" => Ok(FullText::All),
        other => Err(Failure::new(
            Category::Invalid,
            format!("setting search.full_text is {other}: give off, narrative or all"),
        )),
    }
}

/// A connection string from the file that a setting names, with the root certificate of the settings;
/// `None` where the setting is empty.
pub fn connection(config: &Config, key: &str) -> Result<Option<String>, Failure> {
    let file = config.text(key);
    if file.is_empty() {
        return Ok(None);
    }
    let connection = crate::commands::secret_file(Path::new(file))?;
    Ok(Some(match config.text("store.postgres_root_certificate") {
        "" => connection.to_string(),
        root => store::postgres::with_root_certificate(&connection, Path::new(root)),
    }))
}

async fn postgres(
    config: &Config,
    name: &str,
    ids: &Arc<dyn Ids>,
    opening: Opening,
) -> Result<Parts, Failure> {
    let data = config.data_folder();
    let application = connection(config, "store.postgres_file")?.ok_or_else(|| {
        Failure::new(
            Category::Invalid,
            "setting store.postgres_file is empty: name the file with the connection string",
        )
    })?;
    let mut settings = PostgresSettings::new(
        connection(config, "store.postgres_owner_file")?,
        application,
        data.clone(),
        name,
    );
    settings.access_window = access_window(config);
    settings.search_limit =
        Duration::from_millis(config.number("search.time_limit_ms").unsigned_abs());
    settings.full_text = full_text(config)?;
    let ring: Arc<dyn KeyRing> = Arc::new(FileKeyRing::open(
        &data.join(ROOT_KEY),
        opening == Opening::OrNew,
        Arc::clone(ids),
    )?);
    let store = PostgresStore::open(settings, Arc::clone(&ring), Arc::clone(ids)).await?;
    Ok((Arc::new(store), ring))
}

fn settings(config: &Config, ring: &dyn KeyRing) -> Result<Settings, Failure> {
    let seed = ring.signing_seed()?;
    let mut hasher = Sha256::new();
    hasher.update(b"theriac cursors and forms v1\0");
    hasher.update(seed.as_slice());
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(hasher.finalize().into());
    let mut settings = Settings::with_secret(*secret);
    let number = |key: &str| config.number(key);
    settings.validate = config.switch("record.validate");
    settings.validation = validation(config)?;
    settings.time_zone = time_zone(config)?;
    settings.reindex_grace_ms = config.number("search.reindex_grace_s") * 1000;
    settings.limits.bundle_bytes =
        usize::try_from(number("http.body_limit_mib")).unwrap_or(64) << 20;
    settings.limits.page_default = u32::try_from(number("search.default_count")).unwrap_or(20);
    settings.limits.page_max = u32::try_from(number("search.max_count")).unwrap_or(1000);
    settings.limits.answer_bytes = usize::try_from(number("search.answer_mib")).unwrap_or(32) << 20;
    settings.limits.search_rows = config.number("search.row_limit").unsigned_abs();
    settings.bulk.keep_s = number("bulk.keep_hours") * 3600;
    settings.bulk.link_s = number("bulk.link_minutes") * 60;
    settings.bulk.links_need_token = config.switch("bulk.links_need_token");
    settings.bulk.import_folder = match config.text("bulk.import_folder") {
        "" => None,
        folder => Some(folder.into()),
    };
    settings.bulk.chunk_bytes = usize::try_from(number("bulk.chunk_kib")).unwrap_or(4096) << 10;
    settings.bulk.jobs = usize::try_from(number("bulk.jobs")).unwrap_or(4);
    settings.session.idle_s = number("session.idle_minutes") * 60;
    settings.session.absolute_s = number("session.absolute_hours") * 3600;
    settings.subscriptions.give_up_s = number("subscriptions.give_up_minutes") * 60;
    settings.subscriptions.keep_s = number("subscriptions.keep_days") * 24 * 3600;
    settings.subscriptions.waiting = number("subscriptions.waiting").unsigned_abs();
    settings.subscriptions.senders = usize::try_from(number("subscriptions.senders")).unwrap_or(64);
    settings.subscriptions.sockets =
        usize::try_from(number("subscriptions.websockets")).unwrap_or(256);
    settings.token_audience = format!("{}/t/{{tenant}}/token", public_url(config));
    Ok(settings)
}

fn validation(config: &Config) -> Result<identity::ValidationMode, Failure> {
    let word = config.text("record.profiles");
    identity::ValidationMode::of_word(word).ok_or_else(|| {
        Failure::new(
            kernel::Category::Invalid,
            format!("record.profiles is {word:?}: set it to off, warn or enforce"),
        )
    })
}

// Sources of drug knowledge, where any are named, with their keys.
fn elsewhere(config: &Config) -> Result<Option<Arc<Elsewhere>>, Failure> {
    let entries = config.list("knowledge.sources")?;
    let severities = match config.text("knowledge.severity_file") {
        "" => Severities::built_in().cloned().map_err(Clone::clone),
        file => {
            let path = Path::new(file);
            let text = std::fs::read_to_string(path);
            Severities::read(&text.map_err(|error| Failure::file(path, &error))?)
        }
    };
    let severities = severities.map_err(|error| Failure::from_error(&error))?;
    let mut sources: Vec<Box<dyn KnowledgeSource>> = Vec::new();
    for entry in &entries {
        let mut setting =
            SourceSetting::parse(entry).map_err(|error| Failure::from_error(&error))?;
        let mut names = sources.iter().map(|own| own.setting().name.as_str());
        if names.any(|own| own == setting.name) {
            return Err(Failure::new(
                Category::Invalid,
                format!("setting knowledge.sources names {} twice", setting.name),
            ));
        }
        if let Some(file) = &setting.key_file {
            let key = crate::commands::secret_file(file)?;
            setting.key = Some(Zeroizing::new(key.to_string()));
        }
        sources.push(connect::knowledge::source(setting));
    }
    let any = !sources.is_empty();
    Ok(any.then(|| Arc::new(Elsewhere::new(sources, severities))))
}

// The way out, where anything may be called.
fn outside(config: &Config, clock: &Arc<dyn Clock>) -> Result<Option<Arc<dyn Outbound>>, Failure> {
    let allowed = config.list("egress.allow")?;
    let policy = EgressPolicy::parse(allowed.iter().map(String::as_str))
        .map_err(|error| Failure::from_error(&error))?;
    if policy.is_empty() {
        return Ok(None);
    }
    let roots = config.text("egress.root_certificates");
    let settings = ClientSettings {
        policy,
        limits: Limits::default(),
        root_certificates: (!roots.is_empty()).then(|| roots.into()),
        mail: mail(config)?,
    };
    let client = Client::new(settings, Arc::new(SystemResolver), Arc::clone(clock));
    let client = client.map_err(|error| Failure::from_error(&error))?;
    Ok(Some(Arc::new(client)))
}

fn mail(config: &Config) -> Result<Option<MailSettings>, Failure> {
    let server = config.text("mail.server");
    if server.is_empty() {
        return Ok(None);
    }
    let security = MailSecurity::parse(config.text("mail.security")).ok_or_else(|| {
        Failure::new(
            Category::Invalid,
            "setting mail.security is none of starttls, tls, clear",
        )
    })?;
    let user = config.text("mail.user");
    let credentials = if user.is_empty() {
        None
    } else {
        let password = crate::commands::secret_file(Path::new(config.text("mail.password_file")))?;
        Some((user.to_owned(), Zeroizing::new(password.to_string())))
    };
    Ok(Some(MailSettings {
        server: server.to_owned(),
        security,
        from: config.text("mail.from").to_owned(),
        credentials,
        recipients: config.list("mail.recipients")?,
    }))
}

/// The name this replica holds leases of subscriptions under. A folder has one process at a time, which
/// finds its own leases again after a kill; replicas of a database have a name for each life.
pub fn holder(instance: &Instance) -> uuid::Uuid {
    if is_postgres(&instance.config).unwrap_or(true) {
        return instance.ids.uuid();
    }
    let digest = Sha256::digest(format!("theriac subscriptions {}", instance.name));
    let mut bytes = [0; 16];
    for (target, byte) in bytes.iter_mut().zip(digest) {
        *target = byte;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The address clients use.
pub fn public_url(config: &Config) -> String {
    match config.text("http.public_url").trim_end_matches('/') {
        "" => format!("http://{}", config.text("http.listen")),
        url => url.to_owned(),
    }
}

/// The zone times are shown in where a tenant has none of its own.
pub fn time_zone(config: &Config) -> Result<kernel::ZoneName, Failure> {
    config
        .text("instance.time_zone")
        .parse()
        .map_err(|error| Failure::from_error(&error))
}

/// Every route of the instance.
pub fn routes(instance: &Instance) -> Result<Router, Failure> {
    let metrics = Metrics::new().map_err(|error| {
        Failure::new(
            Category::Fault,
            format!("metrics could not be registered: {error}"),
        )
    })?;
    let settings = EdgeSettings {
        public_url: public_url(&instance.config),
        trust_forwarded: false,
    };
    let edge = Edge::new(instance.app.clone(), metrics, settings);
    let pages = web_edge::router_with(
        instance.app.clone(),
        web_edge::WebSettings {
            public_url: public_url(&instance.config),
            trust_forwarded: false,
            zone: time_zone(&instance.config)?,
        },
    );
    Ok(http_edge::router(edge).merge(pages))
}

/// Finishes what was acknowledged, in every tenant, and closes the store.
pub async fn close(instance: &Instance) {
    if let Ok(tenants) = instance.store.tenants().await {
        for tenant in tenants {
            let scope = identity::system_scope(tenant, identity::SystemTask::Ledger);
            if let Err(error) = instance.store.settle(&scope).await {
                tracing::warn!(%error, "a log was not settled before stopping; it is at the next start");
            }
        }
    }
    instance.app.close().await;
}
