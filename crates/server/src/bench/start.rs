//! The program's own start: how long until it is ready over a folder that was filled, and its memory
//! then. Runs the program as another process. Must not measure requests.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kernel::{Category, Clock as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::measures::{Row, fault};
use crate::failure::Failure;
use crate::ports::SystemClock;

/// Start of the program itself over the folder that was filled, until it is ready; and its memory then.
pub async fn start(data: &Path, store: &'static str) -> Result<Vec<Row>, Failure> {
    let program = std::env::current_exe().map_err(|error| fault(&error))?;
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| fault(&error))?;
        free.local_addr().map_err(|error| fault(&error))?
    };
    let clock = SystemClock::new();
    let begun = clock.monotonic_ns();
    let mut child = std::process::Command::new(program)
        .args([
            "--quiet",
            "serve",
            "--listen",
            &address.to_string(),
            "--data",
        ])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| fault(&error))?;
    let mut ready = None;
    while ready.is_none() && clock.monotonic_ns() - begun < 30_000_000_000 {
        if is_ready(address).await {
            ready = Some((clock.monotonic_ns() - begun) as f64 / 1e6);
        } else {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let memory = resident_mib(child.id());
    let _ = child.kill();
    let _ = child.wait();
    let Some(ready) = ready else {
        return Err(Failure::new(
            Category::Unavailable,
            "the server did not begin within 30 s",
        ));
    };
    let one = |measure: &str, value, unit, target| Row {
        store,
        measure: measure.to_owned(),
        value,
        unit,
        ceiling: None,
        target,
        latency: None,
    };
    let mut rows = vec![one(
        "start to ready, existing folder",
        ready,
        "ms",
        "200 ms",
    )];
    rows.extend(memory.map(|memory| one("resident memory, idle", memory, "MiB", "100 MiB")));
    Ok(rows)
}

async fn is_ready(address: std::net::SocketAddr) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return false;
    };
    let asked = stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let mut answer = Vec::new();
    asked.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

pub(super) fn resident_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<f64>()
        .ok()
        .map(|kib| kib / 1024.0)
}
