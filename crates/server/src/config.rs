//! Configuration: one TOML file, then `THERIAC__SECTION__KEY` variables, later ones winning; every value
//! remembers where it came from (`theriac config show --origin`). Secrets are never values: only the
//! names of files or variables that hold them. The only reader of the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kernel::{Categorised, Category};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "configuration file {path} cannot be read ({detail}): check the path and its permissions"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        detail: String,
    },
    /// The text is no TOML.
    #[error("configuration file {path} is not valid TOML: {detail}")]
    Syntax {
        /// The file.
        path: String,
        /// Line and reason.
        detail: String,
    },
    /// No such key.
    #[error("unknown setting {key} in {origin}: `theriac config show` lists the settings")]
    Unknown {
        /// The dotted key.
        key: String,
        /// Where it was given.
        origin: String,
    },
    /// A value of the wrong type or out of range.
    #[error("setting {key} from {origin} is {value:?}: give {expected}")]
    Value {
        /// The dotted key.
        key: String,
        /// Where it was given.
        origin: String,
        /// What was given.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
}

impl Categorised for ConfigError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// A setting's type and range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number { least: i64, most: i64 },
    Switch,
}

/// One setting: its key, default, shape and sentence.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Dotted key.
    pub key: &'static str,
    /// Default, as text.
    pub default: &'static str,
    shape: Shape,
    /// What it does, with its unit.
    pub about: &'static str,
}

const fn text(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        default,
        shape: Shape::Text,
        about,
    }
}
const fn number(
    key: &'static str,
    default: &'static str,
    least: i64,
    most: i64,
    about: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        shape: Shape::Number { least, most },
        about,
    }
}
const fn switch(key: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting {
        key,
        default,
        shape: Shape::Switch,
        about,
    }
}

/// Every setting there is; the reference page is generated from this table.
pub const SETTINGS: &[Setting] = &[
    text(
        "data.folder",
        "theriac-data",
        "folder of databases, blobs, keys and head files",
    ),
    text(
        "http.listen",
        "127.0.0.1:8090",
        "address and port to listen on",
    ),
    text(
        "http.public_url",
        "",
        "address clients use, such as https://theriac.example.org; empty: http:// and http.listen",
    ),
    number(
        "http.body_limit_mib",
        "64",
        1,
        1024,
        "largest request body, in MiB",
    ),
    number(
        "http.request_timeout_s",
        "60",
        1,
        3600,
        "longest time for one request, in seconds",
    ),
    number(
        "http.max_connections",
        "1024",
        1,
        100_000,
        "connections served at a time; further ones wait",
    ),
    text(
        "instance.name",
        "theriac.local",
        "name of this instance, the first part of every ledger origin",
    ),
    number(
        "instance.node",
        "0",
        0,
        1023,
        "number of this replica among those sharing a PostgreSQL database",
    ),
    text(
        "instance.time_zone",
        "UTC",
        "zone times are shown in where a tenant has none of its own: an IANA name such as Europe/London",
    ),
    text("store.kind", "sqlite", "`sqlite` or `postgres`"),
    text(
        "store.postgres_file",
        "",
        "file holding the PostgreSQL connection string of the application role",
    ),
    text(
        "store.postgres_owner_file",
        "",
        "file holding the connection string of the owner role, for migrations",
    ),
    text(
        "store.postgres_root_certificate",
        "",
        "PEM file of the certificate authority that PostgreSQL's certificate is checked against; needed for sslmode=verify-ca and verify-full",
    ),
    number(
        "ledger.access_window_ms",
        "200",
        0,
        5000,
        "longest time an access entry may wait in its crash-safe journal, in milliseconds; 0: strict",
    ),
    number(
        "bulk.jobs",
        "4",
        1,
        100,
        "bulk exports and imports of a tenant in progress at a time; further ones are refused with 429",
    ),
    number(
        "bulk.chunk_kib",
        "4096",
        16,
        65_536,
        "KiB that a bulk job holds in memory and writes at a time",
    ),
    text(
        "bulk.import_folder",
        "",
        "folder with a folder per tenant, by its name in addresses, of .ndjson files that $import may name; empty: none",
    ),
    number(
        "bulk.keep_hours",
        "24",
        1,
        720,
        "how long the files of a bulk job are kept after it is done, in hours",
    ),
    number(
        "bulk.link_minutes",
        "60",
        1,
        1440,
        "how long a signed link to a file holds, in minutes",
    ),
    switch(
        "bulk.links_need_token",
        "false",
        "ask for a bearer token beside a link's signature",
    ),
    number(
        "search.reindex_grace_s",
        "10",
        0,
        600,
        "longest time a commit may be under way, in seconds; a new search parameter is built for stored resources after it",
    ),
    switch(
        "record.validate",
        "true",
        "refuse resources that break R4 structure",
    ),
    text(
        "record.profiles",
        "off",
        "hold writes to profiles and to R4's own rules beyond structure, where the tenant does not say: off, warn or enforce",
    ),
    number(
        "search.default_count",
        "20",
        1,
        1000,
        "matches per page where `_count` is not given",
    ),
    number(
        "search.max_count",
        "1000",
        1,
        10_000,
        "most matches per page",
    ),
    number(
        "search.answer_mib",
        "32",
        1,
        1024,
        "MiB of resources in one answer; a page of a search or history ends early there, further GET entries of a bundle fail",
    ),
    number(
        "search.time_limit_ms",
        "10000",
        10,
        600_000,
        "longest time for one search, in milliseconds",
    ),
    number(
        "search.row_limit",
        "10000000",
        1000,
        1_000_000_000_000,
        "index rows that one search may walk, by estimate; one that would walk more is refused before it is run, with what to add",
    ),
    text(
        "search.full_text",
        "narrative",
        "words that are indexed: `off`, `narrative` (`_text`) or `all` (`_text`, `_content`, and phrases in both); what was written before a change keeps the index it has",
    ),
    number(
        "session.idle_minutes",
        "15",
        1,
        720,
        "a session ends after this many minutes without use",
    ),
    number(
        "session.absolute_hours",
        "12",
        1,
        72,
        "a session ends after this many hours",
    ),
    switch(
        "session.secure_cookie",
        "false",
        "send the session cookie over TLS only; turn on behind TLS",
    ),
    text(
        "egress.allow",
        "",
        "what may be called, a list of `scheme://host[:port] [private] [import] [pin=sha256/BASE64]`; empty: nothing. See the reference on webhooks",
    ),
    text(
        "egress.root_certificates",
        "",
        "PEM file of authorities that outbound calls trust; empty: the system's",
    ),
    text(
        "knowledge.sources",
        "",
        "sources of drug knowledge, a list of `NAME KIND URL [word=value]`, of the kinds `openfda`, `drugbank` and `formulary`, whose addresses egress.allow must list; empty: the built-in knowledge alone. See the guide on drug knowledge",
    ),
    text(
        "knowledge.severity_file",
        "",
        "file that says how the words of sources are shown, in the form of the built-in one; empty: that one",
    ),
    text(
        "mail.server",
        "",
        "`host` or `host:port` of the mail submission server, which egress.allow must list as smtp:// or smtps://; empty: no mail",
    ),
    text(
        "mail.security",
        "starttls",
        "`starttls`, `tls` (from the first byte) or `clear` (only where the egress entry says so)",
    ),
    text("mail.from", "", "address that mail is sent from"),
    text("mail.user", "", "user name at the mail server; empty: none"),
    text(
        "mail.password_file",
        "",
        "file holding the password at the mail server",
    ),
    text(
        "mail.recipients",
        "",
        "who may be written to, a list of `name@domain` or `*@domain`; empty: nobody",
    ),
    number(
        "subscriptions.give_up_minutes",
        "1440",
        1,
        43_200,
        "how long a notification is tried before it becomes a dead letter, in minutes",
    ),
    number(
        "subscriptions.keep_days",
        "7",
        1,
        365,
        "how long notifications are kept after they ended, for `$events` and sending again, in days",
    ),
    number(
        "subscriptions.waiting",
        "100000",
        10,
        10_000_000,
        "notifications that may wait for one subscription before it is given up",
    ),
    number(
        "subscriptions.senders",
        "64",
        1,
        1024,
        "subscriptions sent for at a time by one process",
    ),
    number(
        "subscriptions.websockets",
        "256",
        0,
        100_000,
        "WebSockets of subscriptions open at a time in one process",
    ),
    text(
        "log.level",
        "info",
        "`error`, `warn`, `info`, `debug` or a tracing filter",
    ),
    text("log.format", "json", "`json` or `text`"),
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The file.
    File(PathBuf),
    /// A variable.
    Variable(String),
    /// A command-line flag.
    Flag(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    values: BTreeMap<&'static str, (String, Origin)>,
}

impl Config {
    /// Reads defaults, then the file (a missing default file is fine, a missing named one is not), then
    /// the variables given.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self {
            values: SETTINGS
                .iter()
                .map(|s| (s.key, (s.default.to_owned(), Origin::Default)))
                .collect(),
        };
        let default_file = Path::new("theriac.toml");
        let path = file.or_else(|| default_file.exists().then_some(default_file));
        if let Some(path) = path {
            config.read_file(path)?;
        }
        let mut variables: Vec<(String, String)> = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with("THERIAC__"))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let key = name
                .trim_start_matches("THERIAC__")
                .replace("__", ".")
                .to_ascii_lowercase();
            config.set(&key, value, Origin::Variable(name))?;
        }
        Ok(config)
    }

    /// The process's variables.
    pub fn environment() -> Vec<(String, String)> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one reader of the environment"
        )]
        let variables = std::env::vars();
        variables.collect()
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let content = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: shown.clone(),
            detail: error.to_string(),
        })?;
        let table: toml::Table =
            content
                .parse()
                .map_err(|error: toml::de::Error| ConfigError::Syntax {
                    path: shown,
                    detail: error.to_string(),
                })?;
        for (section, value) in table {
            let Some(section_table) = value.as_table() else {
                return Err(ConfigError::Unknown {
                    key: section,
                    origin: path.display().to_string(),
                });
            };
            for (name, value) in section_table {
                let value = match value {
                    toml::Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                self.set(
                    &format!("{section}.{name}"),
                    value,
                    Origin::File(path.to_path_buf()),
                )?;
            }
        }
        Ok(())
    }

    /// Sets one value.
    pub fn set(&mut self, key: &str, value: String, origin: Origin) -> Result<(), ConfigError> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else {
            return Err(ConfigError::Unknown {
                key: key.to_owned(),
                origin: origin.to_string(),
            });
        };
        let expected = match setting.shape {
            Shape::Text => None,
            Shape::Switch => {
                (!matches!(value.as_str(), "true" | "false")).then_some("true or false")
            }
            Shape::Number { least, most } => match value.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => None,
                _ => Some("a whole number in the range that `theriac config show` prints"),
            },
        };
        if let Some(expected) = expected {
            return Err(ConfigError::Value {
                key: key.to_owned(),
                origin: origin.to_string(),
                value,
                expected,
            });
        }
        self.values.insert(setting.key, (value, origin));
        Ok(())
    }

    /// A text; empty where unset.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value.as_str())
    }
    /// A list: of a TOML array, or of a text with commas.
    pub fn list(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let value = self.text(key).trim();
        if !value.starts_with('[') {
            let items = value.split(',').map(str::trim);
            return Ok(items
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect());
        }
        let wrong = || ConfigError::Value {
            key: key.to_owned(),
            origin: self
                .values
                .get(key)
                .map_or_else(String::new, |(_, origin)| origin.to_string()),
            value: value.to_owned(),
            expected: "a list of texts",
        };
        let table: toml::Table = format!("list = {value}").parse().map_err(|_| wrong())?;
        let items = table.get("list").and_then(toml::Value::as_array);
        let items = items.ok_or_else(wrong)?.iter();
        items
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect()
    }
    /// A number, within its range.
    #[must_use]
    pub fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or_default()
    }
    /// A switch.
    #[must_use]
    pub fn switch(&self, key: &str) -> bool {
        self.text(key) == "true"
    }
    /// A value as JSON: numbers and switches are what they are.
    #[must_use]
    pub fn value(&self, key: &str) -> serde_json::Value {
        let found = SETTINGS.iter().find(|setting| setting.key == key);
        match found.map(|setting| setting.shape) {
            Some(Shape::Number { .. }) => self.number(key).into(),
            Some(Shape::Switch) => self.switch(key).into(),
            _ => self.text(key).into(),
        }
    }
    /// What a setting does; empty for one that is none.
    #[must_use]
    pub fn about(key: &str) -> &'static str {
        let found = SETTINGS.iter().find(|setting| setting.key == key);
        found.map_or("", |setting| setting.about)
    }
    /// Whether a value is the built-in one.
    #[must_use]
    pub fn is_default(&self, key: &str) -> bool {
        self.values
            .get(key)
            .is_none_or(|(_, origin)| *origin == Origin::Default)
    }
    /// The data folder.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        PathBuf::from(self.text("data.folder"))
    }
    /// Every setting with value and origin, by key.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        self.values
            .iter()
            .map(|(key, (value, origin))| (*key, value.as_str(), origin))
    }
}

/// The reference page of the settings, generated.
#[cfg(test)]
fn reference() -> String {
    let mut page = String::from(
        "# Configuration\nOne TOML file (`theriac.toml` in the working folder, or `--config FILE`), then variables `THERIAC__SECTION__KEY`, later ones winning. `theriac config show --origin` prints what is in force and why. Secrets are given as files.\n\n| setting | variable | default | accepted | what it does |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let accepted = match setting.shape {
            Shape::Text => "text".to_owned(),
            Shape::Switch => "true, false".to_owned(),
            Shape::Number { least, most } => format!("{least} to {most}"),
        };
        let variable = format!(
            "THERIAC__{}",
            setting.key.replace('.', "__").to_ascii_uppercase()
        );
        let row = format!(
            "| `{}` | `{variable}` | `{}` | {accepted} | {} |\n",
            setting.key, setting.default, setting.about
        );
        page.push_str(&row);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn later_sources_win_and_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        std::fs::write(
            &file,
            "[http]\nlisten = \"0.0.0.0:1\"\nbody_limit_mib = 8\n",
        )
        .unwrap();
        let config = Config::load(
            Some(&file),
            variables(&[("THERIAC__HTTP__LISTEN", "127.0.0.1:2"), ("PATH", "x")]),
        )
        .unwrap();
        assert_eq!(config.text("http.listen"), "127.0.0.1:2");
        assert_eq!(config.number("http.body_limit_mib"), 8);
        let origins: Vec<String> = config
            .rows()
            .filter(|(key, _, _)| key.starts_with("http.l") || key.starts_with("http.b"))
            .map(|(_, _, o)| o.to_string())
            .collect();
        assert_eq!(
            origins,
            [
                file.display().to_string(),
                "THERIAC__HTTP__LISTEN".to_owned()
            ]
        );
    }

    #[test]
    fn lists_are_arrays_or_texts_with_commas() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.toml");
        let allow = "[egress]\nallow = [\"https://a.test\", \"http://b.test:9 private\"]\n";
        std::fs::write(&file, allow).unwrap();
        let config = Config::load(Some(&file), vec![]).unwrap();
        let expected = ["https://a.test", "http://b.test:9 private"];
        assert_eq!(config.list("egress.allow").unwrap(), expected);
        let given = variables(&[(
            "THERIAC__EGRESS__ALLOW",
            "https://a.test, http://b.test:9 private",
        )]);
        let config = Config::load(None, given).unwrap();
        assert_eq!(config.list("egress.allow").unwrap(), expected);
        assert!(config.list("mail.recipients").unwrap().is_empty());
        let config = Config::load(None, variables(&[("THERIAC__EGRESS__ALLOW", "[1]")])).unwrap();
        assert!(config.list("egress.allow").is_err());
    }

    #[test]
    fn unknown_and_wrong_values_are_named() {
        let wrong = |pairs: &[(&str, &str)]| {
            Config::load(None, variables(pairs))
                .unwrap_err()
                .to_string()
        };
        assert!(wrong(&[("THERIAC__HTTP__LISTN", "x")]).contains("http.listn"));
        assert!(wrong(&[("THERIAC__HTTP__BODY_LIMIT_MIB", "0")]).contains("whole number"));
        assert!(wrong(&[("THERIAC__RECORD__VALIDATE", "yes")]).contains("true or false"));
        assert!(Config::load(Some(Path::new("/nonexistent.toml")), vec![]).is_err());
    }

    #[test]
    fn the_reference_page_is_fresh() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/configuration.md");
        let page = reference();
        if std::fs::read_to_string(&path).ok().as_deref() != Some(page.as_str()) {
            std::fs::write(&path, &page).unwrap();
            panic!(
                "{} was stale and has been rewritten: commit it",
                path.display()
            );
        }
    }
}
