//! `theriac doctor`: a table of checks of this machine and instance, each with its remedy. Must not change
//! anything; opening the store is the last check, and only when nobody else has it open.

use std::path::{Path, PathBuf};

use app::files::Sharing;
use app::medicines::orders::daily;
use kernel::Clock as _;
use serde_json::json;

use crate::cli::{Format, Global};
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::ports::SystemClock;
use crate::wiring::{self, Instance, Opening, ROOT_KEY};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Fine,
    Warn,
    Fail,
}

/// One result: how it ended, and what was found.
type Found = (Health, String);

/// A check: its name, why it matters, what to do when it fails.
struct Check {
    id: &'static str,
    why: &'static str,
    remedy: &'static str,
    run: fn(&Config) -> Found,
}

const CHECKS: [Check; 8] = [
    Check {
        id: "settings",
        why: "wrong settings stop the start",
        remedy: "correct the setting; `theriac config show --origin` says where it is",
        run: settings,
    },
    Check {
        id: "clock",
        why: "times in the record and ledger come from it",
        remedy: "set the clock, and keep it with NTP",
        run: clock,
    },
    Check {
        id: "folder",
        why: "everything is kept there",
        remedy: "give the process's user the folder: chown and chmod 700",
        run: folder,
    },
    Check {
        id: "disk",
        why: "a full disk refuses writes",
        remedy: "free space or enlarge the volume",
        run: disk,
    },
    Check {
        id: "lock",
        why: "one process at a time uses a folder",
        remedy: "none where `theriac serve` runs; otherwise end the process that holds it",
        run: lock,
    },
    Check {
        id: "root key",
        why: "without it no body can be read",
        remedy: "put keys/root.key back from the place it is kept, mode 600",
        run: root_key,
    },
    Check {
        id: "database tls",
        why: "patient data and passwords cross the network",
        remedy: "give sslmode=verify-full in the connection strings and the certificate in store.postgres_root_certificate",
        run: database_tls,
    },
    Check {
        id: "backup",
        why: "disks die",
        remedy: "run `theriac backup` daily",
        run: backup,
    },
];

/// Runs the checks; exit code 0 when none failed, 1 otherwise.
pub async fn run(global: &Global, printer: Printer) -> Result<u8, Failure> {
    let config = super::config(global)?;
    let mut results: Vec<(&str, &str, &str, Found)> = CHECKS
        .iter()
        .map(|check| (check.id, check.why, check.remedy, (check.run)(&config)))
        .collect();
    for (id, why, remedy, found) in store_checks(&config).await {
        results.push((id, why, remedy, found));
    }
    let failed = results
        .iter()
        .any(|(_, _, _, (health, _))| *health == Health::Fail);
    if printer.format() == Format::Json {
        let rows: Vec<_> = results
            .iter()
            .map(|(id, why, remedy, (health, what))| json!({ "check": id, "result": word(*health), "found": what, "why": why, "remedy": remedy }))
            .collect();
        printer.object(&json!({ "healthy": !failed, "checks": rows }));
    } else {
        let rows: Vec<Vec<String>> = results
            .iter()
            .map(|(id, _, remedy, (health, what))| {
                let remedy = if *health == Health::Fine { "" } else { remedy };
                [*id, word(*health), what, remedy]
                    .map(str::to_owned)
                    .to_vec()
            })
            .collect();
        printer.rows(&["check", "result", "found", "remedy"], &rows);
    }
    Ok(u8::from(failed))
}

const fn word(health: Health) -> &'static str {
    match health {
        Health::Fine => "ok",
        Health::Warn => "warn",
        Health::Fail => "fail",
    }
}

fn settings(config: &Config) -> Found {
    let problems = super::settings::problems(config);
    match problems.first() {
        None => (Health::Fine, "in order".to_owned()),
        Some(first) => (Health::Fail, first.text.clone()),
    }
}

fn clock(config: &Config) -> Found {
    // Newer than this program, not absurdly so, and not behind what the folder saw last.
    let now = SystemClock::new().now();
    let written = std::fs::metadata(config.data_folder().join("lock"))
        .and_then(|about| about.modified())
        .ok();
    let seen = written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let behind = seen.is_some_and(|seen| {
        i64::try_from(seen.as_millis()).unwrap_or(0) > now.as_millis() + 60_000
    });
    let year: i32 = now
        .to_fhir_instant()
        .get(..4)
        .and_then(|year| year.parse().ok())
        .unwrap_or(0);
    if behind {
        return (
            Health::Fail,
            format!("{now} is before the folder was last used"),
        );
    }
    match year {
        2025..=2100 => (Health::Fine, now.to_fhir_instant()),
        _ => (Health::Fail, format!("{now} cannot be right")),
    }
}

fn nearest(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|folder| folder.exists())
        .map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn folder(config: &Config) -> Found {
    let data = config.data_folder();
    let there = nearest(&data);
    let there = if there.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        there
    };
    match tempfile::NamedTempFile::new_in(&there) {
        Ok(_) if data.exists() => (Health::Fine, format!("{} can be written", data.display())),
        Ok(_) => (
            Health::Warn,
            format!(
                "{} does not exist yet: `theriac init` makes it",
                data.display()
            ),
        ),
        Err(error) => (Health::Fail, format!("{}: {error}", there.display())),
    }
}

fn disk(config: &Config) -> Found {
    let place = nearest(&config.data_folder());
    let place = if place.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        place
    };
    match rustix::fs::statvfs(&place) {
        Err(error) => (Health::Warn, format!("{}: {error}", place.display())),
        Ok(about) => {
            let free = about.f_bavail.saturating_mul(about.f_frsize);
            let all = about.f_blocks.saturating_mul(about.f_frsize).max(1);
            let text = format!("{} MiB of {} MiB free", free >> 20, all >> 20);
            match free {
                0..268_435_456 => (Health::Fail, text),
                268_435_456..2_147_483_648 => (Health::Warn, text),
                _ => (Health::Fine, text),
            }
        }
    }
}

fn lock(config: &Config) -> Found {
    if wiring::is_held(&config.data_folder()) {
        (Health::Fine, "held by a running process".to_owned())
    } else {
        (Health::Fine, "free".to_owned())
    }
}

fn root_key(config: &Config) -> Found {
    let path = config.data_folder().join(ROOT_KEY);
    let Ok(about) = std::fs::metadata(&path) else {
        let health = if config.data_folder().join("tenants").exists() {
            Health::Fail
        } else {
            Health::Warn
        };
        return (health, format!("{} is not there", path.display()));
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = about.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return (
                Health::Fail,
                format!("{} can be read by others (mode {mode:o})", path.display()),
            );
        }
    }
    let _ = about;
    (
        Health::Fine,
        format!("{} is there, for its owner only", path.display()),
    )
}

fn backup(config: &Config) -> Found {
    const DAY_MS: i64 = 86_400_000;
    if matches!(wiring::is_postgres(config), Ok(true)) {
        return (
            Health::Warn,
            "PostgreSQL's own backups cannot be seen from here".to_owned(),
        );
    }
    if !config.data_folder().join("tenants").exists() {
        return (Health::Fine, "nothing to back up yet".to_owned());
    }
    let path = config.data_folder().join(super::backup::LAST);
    let note: Option<serde_json::Value> = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    let time = note
        .as_ref()
        .and_then(|note| note.get("time_ms"))
        .and_then(serde_json::Value::as_i64);
    let Some(time) = time else {
        return (Health::Warn, "there was no backup yet".to_owned());
    };
    let age = SystemClock::new().now().as_millis() - time;
    let health = if age > 2 * DAY_MS {
        Health::Warn
    } else {
        Health::Fine
    };
    (
        health,
        format!("the last one is {} hours old", age / 3_600_000),
    )
}

fn database_tls(config: &Config) -> Found {
    if !matches!(wiring::is_postgres(config), Ok(true)) {
        return (Health::Fine, "no database over a network".to_owned());
    }
    let mut worst = (Health::Fine, "verified, or on this machine".to_owned());
    for key in ["store.postgres_file", "store.postgres_owner_file"] {
        let read = wiring::connection(config, key).and_then(|connection| {
            let verified = |connection: String| store::postgres::is_verified(&connection);
            Ok(connection.map(verified).transpose()?)
        });
        match read {
            Ok(Some(false)) if worst.0 == Health::Fine => {
                worst = (
                    Health::Warn,
                    format!("{key} does not ask for sslmode=verify-full"),
                );
            }
            Ok(_) => {}
            Err(failure) => worst = (Health::Fail, failure.text),
        }
    }
    worst
}

type Row = (&'static str, &'static str, &'static str, Found);

/// The store: schema, keys, ledger heads against head files, and with PostgreSQL the way to it.
async fn store_checks(config: &Config) -> Vec<Row> {
    const STORE: (&str, &str, &str) = (
        "store",
        "it holds the record",
        "follow the text; `theriac restore` puts a backup back",
    );
    const LEDGER: (&str, &str, &str) = (
        "ledger",
        "a head behind its head file means an older copy was put back",
        "run `theriac verify` on the folder, and put the newer copy back",
    );
    let row = |(id, why, remedy): (&'static str, &'static str, &'static str), found| {
        (id, why, remedy, found)
    };
    if !matches!(wiring::is_postgres(config), Ok(true)) {
        if wiring::is_held(&config.data_folder()) {
            let text = "in use by a running process: ask its /readyz".to_owned();
            return vec![row(STORE, (Health::Fine, text))];
        }
        if !config.data_folder().join("tenants").exists() {
            return vec![row(
                STORE,
                (
                    Health::Warn,
                    "there is no instance yet: `theriac init` makes one".to_owned(),
                ),
            )];
        }
    }
    let instance = match wiring::open(config, Opening::Existing).await {
        Ok(instance) => instance,
        Err(failure) => return vec![row(STORE, (Health::Fail, failure.text))],
    };
    let tenants = instance.store.tenants().await.unwrap_or_default();
    let mut rows = vec![row(
        STORE,
        (
            Health::Fine,
            format!("opens, {} tenants with the instance", tenants.len()),
        ),
    )];
    let mut wrong = Vec::new();
    for tenant in &tenants {
        let scope = identity::system_scope(*tenant, identity::SystemTask::Health);
        if let Err(error) = instance.store.health(&scope).await {
            wrong.push(error.to_string());
        }
    }
    rows.push(row(
        LEDGER,
        match wrong.first() {
            None => (Health::Fine, "heads agree with their head files".to_owned()),
            Some(first) => (Health::Fail, first.clone()),
        },
    ));
    rows.extend(file_checks(config, &instance).await);
    rows.push(ordering_check(&instance).await);
    wiring::close(&instance).await;
    rows
}

/// The runs of what houses need of medicines, where they asked for them by the clock.
async fn ordering_check(instance: &Instance) -> Row {
    let found = match daily::everywhere(&instance.app).await {
        Err(error) => (Health::Fail, error.to_string()),
        Ok(houses) if houses.is_empty() => (Health::Fine, "off: no tenant asked for it".to_owned()),
        Ok(houses) => {
            let failed = |own: &daily::Standing| {
                let last = own.last.as_ref();
                last.is_some_and(|last| last.error.is_some())
            };
            let health = if houses.iter().any(|(_, own)| failed(own)) {
                Health::Warn
            } else {
                Health::Fine
            };
            let said: Vec<String> = houses
                .iter()
                .map(|(slug, own)| ordering(slug, own))
                .collect();
            (health, said.join("; "))
        }
    };
    (
        "daily ordering",
        "what a house needs of its medicines is counted at the time that it set, where it set one",
        "read why: the page \"What would be ordered\" of the tenant says the same; it is tried again after 15 minutes",
        found,
    )
}

/// How the runs of one house stand.
fn ordering(slug: &str, own: &daily::Standing) -> String {
    let at = own.daily.map(String::from).unwrap_or_default();
    let next = own.next.map_or_else(
        || "turned off".to_owned(),
        |next| format!("next {}", next.to_fhir_instant()),
    );
    let last = own.last.as_ref().map_or_else(
        || "not run yet".to_owned(),
        |last| match (&last.counts, &last.error) {
            (Some(counts), _) => format!("last {}: {counts}", last.at.to_fhir_instant()),
            (None, why) => format!("failed: {}", why.as_deref().unwrap_or("nobody knows why")),
        },
    );
    format!("{slug} daily at {at}, {next}, {last}")
}

type Place = (&'static str, &'static str, &'static str);

/// What lies beside the store and belongs to it.
async fn file_checks(config: &Config, instance: &Instance) -> Vec<Row> {
    const SHARED: Place = (
        "shared files",
        "replicas of one database must see the same folder of files",
        "mount the folder blobs that the other replicas use",
    );
    const CONTENT: Place = (
        "installed lists",
        "questions about a code system or a list of products whose content is lost are answered with an error or as not checked",
        "load it again with `theriac terminology load` or `theriac products load`, or put its blob back from a backup",
    );
    let folder = config.data_folder().join(wiring::BLOBS);
    let mut rows = Vec::new();
    if matches!(wiring::is_postgres(config), Ok(true)) {
        let found = match app::files::sharing(&instance.app).await {
            Ok(Sharing::Same) => (
                Health::Fine,
                "the folder that the database knows".to_owned(),
            ),
            Ok(Sharing::New) => (Health::Fine, "not used yet".to_owned()),
            Ok(Sharing::Other { known }) => (
                Health::Fail,
                format!(
                    "{} is another folder than the database knows: that one holds {known} in {}",
                    folder.display(),
                    Sharing::mark()
                ),
            ),
            Err(error) => (Health::Fail, format!("{}: {error}", folder.display())),
        };
        let (id, why, remedy) = SHARED;
        rows.push((id, why, remedy, found));
    }
    let checked = match own_caller(instance) {
        Ok(caller) => app::files::check(&instance.app, &caller, None)
            .await
            .map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let found = match checked {
        Err(failure) => (Health::Fail, failure.text),
        Ok(content) => match content.lost.first() {
            None => (
                Health::Fine,
                format!("{} installed, their content is whole", content.whole),
            ),
            Some((url, why)) => (
                Health::Fail,
                format!(
                    "{} cannot be used, such as {url}: {why}",
                    content.lost.len()
                ),
            ),
        },
    };
    let (id, why, remedy) = CONTENT;
    rows.push((id, why, remedy, found));
    rows
}

fn own_caller(instance: &Instance) -> Result<app::Caller, Failure> {
    let task = identity::SystemTask::Backup;
    crate::console::task(&instance.app, kernel::TenantId::INSTANCE, task)
}
