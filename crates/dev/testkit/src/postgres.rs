//! A real PostgreSQL for tests: one throw-away cluster per test process on a Unix socket, a database
//! per test. The cluster ends with the process, also when the process is killed. Must not be used
//! outside tests: it trusts every local connection.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::peers::PeerMissing;

/// A running throw-away cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    // Held for its standard input: when this process ends, the watchdog shell sees the end of the pipe
    // and stops the server.
    _watchdog: Child,
}

/// The shared cluster's port, which only names its socket.
const PORT: u16 = 5432;

static CLUSTER: OnceLock<Result<Cluster, PeerMissing>> = OnceLock::new();
static NEXT_DATABASE: AtomicU32 = AtomicU32::new(1);

/// A database of its own for one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// The folder of the Unix socket.
    pub socket_folder: PathBuf,
    /// The database's name.
    pub name: String,
}

impl TestDatabase {
    /// A libpq-style connection string as a user; `postgres` is the superuser, others are made by tests.
    #[must_use]
    pub fn connection(&self, user: &str) -> String {
        format!(
            "host={} user={user} dbname={}",
            self.socket_folder.display(),
            self.name
        )
    }

    /// Runs a statement as superuser through `psql`; for adversary tests that go behind the program's
    /// back.
    ///
    /// # Errors
    /// What `psql` printed.
    pub fn execute(&self, sql: &str) -> Result<String, String> {
        psql((&self.socket_folder, PORT), &self.name, sql)
    }
}

/// A cluster of its own that also listens on TCP, with TLS. Unlike the shared one its settings can be changed.
#[derive(Debug)]
pub struct TlsCluster {
    cluster: Cluster,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl TlsCluster {
    /// Starts one with a certificate and its key, both PEM.
    ///
    /// # Errors
    /// [`PeerMissing`] where no PostgreSQL is installed or it did not start.
    pub fn start(certificate: &str, key: &str) -> Result<Self, PeerMissing> {
        let missing = |error: std::io::Error| PeerMissing::new("PostgreSQL", error.to_string());
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(missing)?
            .port();
        let prepare = |data: &Path| -> Result<(), String> {
            let write = |name: &str, text: &str| {
                std::fs::write(data.join(name), text).map_err(|error| error.to_string())
            };
            write("server.crt", certificate)?;
            write("server.key", key)?;
            run(Command::new("chmod")
                .arg("600")
                .arg(data.join("server.key")))?;
            if is_root() {
                let files = ["server.crt", "server.key"].map(|name| data.join(name));
                run(Command::new("chown").arg("postgres").args(files))?;
            }
            let settings = format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\n");
            let path = data.join("postgresql.auto.conf");
            std::fs::write(&path, settings).map_err(|error| error.to_string())
        };
        let cluster = Cluster::start_with(port, prepare)?;
        Ok(Self { cluster, port })
    }

    /// Puts another certificate and key in place; new connections see them.
    ///
    /// # Errors
    /// What the system or `psql` said.
    pub fn replace(&self, certificate: &str, key: &str) -> Result<(), String> {
        let data = self.cluster.folder.path().join("data");
        // Written over: owner and mode stay.
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            std::fs::write(data.join(name), text).map_err(|error| error.to_string())?;
        }
        self.reload()
    }

    /// Changes a setting that a reload is enough for.
    ///
    /// # Errors
    /// What `psql` printed.
    pub fn set(&self, setting: &str, value: &str) -> Result<(), String> {
        self.execute(&format!("ALTER SYSTEM SET {setting} = '{value}'"))?;
        self.reload()
    }

    // Signals take a moment to every process: a new connection is judged by the postmaster's own settings.
    fn reload(&self) -> Result<(), String> {
        self.execute("SELECT pg_reload_conf()")?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    /// Runs a statement as superuser, over the socket.
    ///
    /// # Errors
    /// What `psql` printed.
    pub fn execute(&self, sql: &str) -> Result<String, String> {
        psql(
            (&self.cluster.folder.path().join("socket"), self.port),
            "postgres",
            sql,
        )
    }
}

/// A fresh, empty database on the shared cluster.
///
/// # Errors
/// [`PeerMissing`] where no PostgreSQL is installed or it did not start.
pub fn fresh_database() -> Result<TestDatabase, PeerMissing> {
    let cluster = CLUSTER
        .get_or_init(Cluster::start)
        .as_ref()
        .map_err(Clone::clone)?;
    let number = NEXT_DATABASE.fetch_add(1, Ordering::Relaxed);
    let name = format!("t{}_{number}", std::process::id());
    let socket_folder = cluster.folder.path().join("socket");
    psql(
        (&socket_folder, PORT),
        "postgres",
        &format!("CREATE DATABASE {name}"),
    )
    .map_err(|detail| PeerMissing::new("PostgreSQL", detail))?;
    Ok(TestDatabase {
        socket_folder,
        name,
    })
}

impl Cluster {
    fn start() -> Result<Self, PeerMissing> {
        let quiet = |data: &Path| {
            std::fs::write(data.join("postgresql.auto.conf"), "listen_addresses = ''\n")
                .map_err(|error| error.to_string())
        };
        Self::start_with(PORT, quiet)
    }

    fn start_with(
        port: u16,
        prepare: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<Self, PeerMissing> {
        let missing = |detail: String| PeerMissing::new("PostgreSQL", detail);
        let bin = find_bin().ok_or_else(|| {
            missing("no initdb found on PATH or in /usr/lib/postgresql".to_owned())
        })?;
        let folder = tempfile::Builder::new()
            .prefix("theriac-pg-")
            .tempdir()
            .map_err(|error| missing(format!("no temporary folder: {error}")))?;
        let data = folder.path().join("data");
        let socket = folder.path().join("socket");
        std::fs::create_dir(&socket).map_err(|error| missing(error.to_string()))?;
        let root = is_root();
        if root {
            // initdb refuses to run as root; the package made the user `postgres`.
            run(Command::new("chown")
                .arg("-R")
                .arg("postgres")
                .arg(folder.path()))
            .map_err(missing)?;
        }
        let initdb = format!(
            "{}/initdb -D {} -A trust -U postgres --no-sync -E UTF8 --locale=C >/dev/null",
            bin.display(),
            data.display()
        );
        run(&mut as_postgres(root, &initdb)).map_err(missing)?;
        prepare(&data).map_err(missing)?;
        let serve = format!(
            "{}/postgres -D {} -k {} -c max_connections=200 -c shared_buffers=64MB & pid=$!; cat >/dev/null; kill -QUIT $pid",
            bin.display(),
            data.display(),
            socket.display()
        );
        let watchdog = as_postgres(root, &serve)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing(error.to_string()))?;
        let cluster = Self {
            folder,
            _watchdog: watchdog,
        };
        for _ in 0..300 {
            if psql((&socket, port), "postgres", "SELECT 1").is_ok() {
                return Ok(cluster);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(missing(
            "the server did not answer within 30 seconds".to_owned(),
        ))
    }
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn as_postgres(root: bool, script: &str) -> Command {
    let mut command = if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh", "-c", script]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    command.current_dir("/");
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

fn psql((socket, port): (&Path, u16), database: &str, sql: &str) -> Result<String, String> {
    let mut child = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
        ])
        .arg(socket)
        .args(["-p", &port.to_string(), "-d", database, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("psql: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(sql.as_bytes())
            .map_err(|error| error.to_string())?;
    }
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn find_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders.extend(
        [
            "/usr/local/bin",
            "/usr/bin",
            "/usr/local/pgsql/bin",
            "/opt/homebrew/bin",
        ]
        .map(PathBuf::from),
    );
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists())
}
