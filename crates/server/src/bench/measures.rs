//! The measures, one function each: rows of value, ceiling, ratio and latencies. What each ratio is
//! against is said where it is taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use kernel::{Category, Clock};
use store::evidence::{StoreLogs, verify_logs};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Handle;

use crate::bench::ceilings;
use crate::bench::fixture::Fixture;
use crate::bench::load::{self, LoadError, MakeRequest, Measured};
use crate::data_folder;
use crate::failure::Failure;
use crate::import::Loader;

/// Bundles in flight while importing.
const IN_FLIGHT: usize = 32;
/// Narrow index rows of a resource in the raw ceilings.
const INDEX_ROWS: usize = 8;

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which adapter.
    pub store: &'static str,
    /// What was measured.
    pub measure: String,
    /// How much, in `unit`.
    pub value: f64,
    /// The unit of `value` and `ceiling`.
    pub unit: &'static str,
    /// What the ratio is against.
    pub ceiling: Option<f64>,
    /// What it should be.
    pub target: &'static str,
    /// Median and 99th percentile, in milliseconds.
    pub latency: Option<(f64, f64)>,
}

impl Row {
    /// Its cells, in the order of the headings.
    #[must_use]
    pub fn cells(&self) -> Vec<String> {
        let number = |value: f64| {
            if value >= 100.0 {
                format!("{value:.0}")
            } else {
                format!("{value:.1}")
            }
        };
        let ratio = self
            .ceiling
            .filter(|ceiling| *ceiling > 0.0)
            .map(|ceiling| self.value / ceiling * 100.0);
        let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            self.store.to_owned(),
            self.measure.clone(),
            format!("{} {}", number(self.value), self.unit),
            shown(self.ceiling.map(number)),
            shown(ratio.map(|ratio| format!("{ratio:.0} %"))),
            self.target.to_owned(),
            shown(self.latency.map(|(p50, _)| format!("{p50:.2}"))),
            shown(self.latency.map(|(_, p99)| format!("{p99:.2}"))),
        ]
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Category::Fault, error.to_string())
    }
}

pub(super) fn fault(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Category::Fault, error.to_string())
}

pub(super) fn refused(measured: &Measured) -> Result<(), Failure> {
    match &measured.first_refusal {
        None => Ok(()),
        Some(answer) => Err(Failure::new(
            Category::Fault,
            format!("the server refused a measured request: {answer}"),
        )),
    }
}

async fn raw_inserts(fixture: &Fixture, bytes: usize, batch: usize) -> Result<f64, Failure> {
    let (scratch, duration, clock) = (fixture.scratch.clone(), fixture.duration, fixture.clock());
    let measured = tokio::task::spawn_blocking(move || {
        let failed = |error: &dyn std::fmt::Display| {
            let text = format!("the ceiling could not be measured: {error}");
            Failure::new(Category::Fault, text)
        };
        let folder = tempfile::tempdir_in(&scratch).map_err(|error| failed(&error))?;
        ceilings::raw_sqlite(folder.path(), bytes, INDEX_ROWS, batch, duration, &clock)
            .map_err(|error| failed(&error))
    });
    measured.await.map_err(|error| fault(&error))?
}

/// Transaction bundles through the use-case, several in flight; against raw inserts of as many bytes.
pub async fn import(fixture: &mut Fixture, resources: u64) -> Result<Vec<Row>, Failure> {
    let population = fixture.population(resources);
    let bundles = tokio::task::spawn_blocking(move || population.bundles().collect::<Vec<_>>())
        .await
        .map_err(|error| fault(&error))?;
    let total: u64 = bundles
        .iter()
        .map(|bundle| u64::from(bundle.resources))
        .sum();
    let bytes: usize = bundles.iter().map(|bundle| bundle.bytes.len()).sum();
    let count = bundles.len();
    let loader = fixture.loader()?;
    let (seconds, mut latencies_us) =
        load_all(&loader, bundles.into_iter(), fixture.clock()).await?;
    fixture.loaded = total;
    fixture.patients = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    latencies_us.sort_unstable();
    let measured = Measured {
        latencies_us,
        ..Measured::default()
    };
    let each = bytes / usize::try_from(total.max(1)).unwrap_or(1);
    let ceiling = raw_inserts(fixture, each, 400).await?;
    Ok(vec![Row {
        store: fixture.store,
        measure: format!(
            "import of {total} resources in bundles of {}",
            total / (count as u64).max(1)
        ),
        value: total as f64 / seconds,
        unit: "/s",
        ceiling: Some(ceiling),
        target: "10000 /s",
        latency: Some((measured.percentile_ms(0.5), measured.percentile_ms(0.99))),
    }])
}

// Answers seconds, and each bundle's microseconds.
async fn load_all(
    loader: &Loader,
    mut bundles: impl Iterator<Item = population::Written>,
    clock: Arc<dyn Clock>,
) -> Result<(f64, Vec<u32>), Failure> {
    let mut latencies_us = Vec::new();
    if let Some(first) = bundles.next() {
        loader.bundle(first.bytes).await?;
    }
    let begun = clock.monotonic_ns();
    let work = bundles.map(|bundle| {
        let (loader, clock) = (loader.clone(), Arc::clone(&clock));
        async move {
            let begun = clock.monotonic_ns();
            let task = tokio::spawn(async move { loader.bundle(bundle.bytes).await });
            task.await.map_err(|error| fault(&error))??;
            let took = (clock.monotonic_ns() - begun) / 1000;
            Ok::<_, Failure>(u32::try_from(took).unwrap_or(u32::MAX))
        }
    });
    let mut done = futures_util::stream::iter(work).buffer_unordered(IN_FLIGHT);
    while let Some(took) = done.next().await {
        latencies_us.push(took?);
    }
    let seconds = clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
    Ok((seconds, latencies_us))
}

fn observation(patient: &str, number: u64) -> Vec<u8> {
    format!(
        r#"{{"resourceType":"Observation","status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}}]}},"subject":{{"reference":"Patient/{patient}"}},"effectiveDateTime":"2026-03-05T08:09:10Z","valueQuantity":{{"value":{},"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}}}"#,
        50 + number % 60
    )
    .into_bytes()
}

fn patient_id(number: u64, patients: u32) -> String {
    format!("hc-p-{:04}", number % u64::from(patients.max(1)) + 1)
}

async fn measure(fixture: &Fixture, make: MakeRequest) -> Result<Measured, Failure> {
    // A short run before, so that caches and connections are warm.
    let (address, connections, clock) = (fixture.address, fixture.connections, fixture.clock());
    let warm = Duration::from_millis(500).min(fixture.duration);
    load::run(
        address,
        connections,
        warm,
        Arc::clone(&clock),
        Arc::clone(&make),
    )
    .await?;
    let measured = load::run(address, connections, fixture.duration, clock, make).await?;
    refused(&measured)?;
    Ok(measured)
}

async fn creates(fixture: &Fixture) -> Result<(Measured, usize), Failure> {
    let patients = fixture.patients;
    let head = fixture.request("POST", "Observation", b"");
    let marker = b"Content-Length: 0";
    let split = head
        .windows(marker.len())
        .position(|window| window == marker)
        .unwrap_or(head.len());
    let before = head.get(..split).unwrap_or_default().to_vec();
    let bytes = observation("hc-p-0001", 1).len() + 90;
    let make: MakeRequest = Arc::new(move |connection, number| {
        let patient = patient_id(number.wrapping_mul(31) + connection as u64, patients);
        let body = observation(&patient, number);
        let mut request = before.clone();
        request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        request.extend_from_slice(&body);
        request
    });
    Ok((measure(fixture, make).await?, bytes))
}

/// Single creates over HTTP; against raw inserts committed in groups of as many as there are connections.
pub async fn create(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let (measured, bytes) = creates(fixture).await?;
    let ceiling = raw_inserts(fixture, bytes, fixture.connections).await?;
    Ok(vec![row(
        fixture,
        format!("create, {} connections", fixture.connections),
        &measured,
        Some(ceiling),
        "40 %, p99 20 ms",
    )])
}

pub(super) fn row(
    fixture: &Fixture,
    measure: String,
    measured: &Measured,
    ceiling: Option<f64>,
    target: &'static str,
) -> Row {
    Row {
        store: fixture.store,
        measure,
        value: measured.per_second(),
        unit: "/s",
        ceiling,
        target,
        latency: Some((measured.percentile_ms(0.5), measured.percentile_ms(0.99))),
    }
}

fn gets(fixture: &Fixture, path: fn(&str) -> String) -> MakeRequest {
    let patients = fixture.patients;
    // Prepared once: the generator must cost little.
    let ready: Vec<Vec<u8>> = (0..u64::from(patients.clamp(1, 2000)))
        .map(|number| fixture.request("GET", &path(&patient_id(number, patients)), b""))
        .collect();
    Arc::new(move |connection, number| {
        let place =
            (number.wrapping_mul(7919) + connection as u64 * 104_729) as usize % ready.len().max(1);
        ready.get(place).cloned().unwrap_or_default()
    })
}

async fn answer_body(fixture: &Fixture, path: &str) -> Result<Bytes, Failure> {
    let failed = |error: std::io::Error| Failure::new(Category::Fault, error.to_string());
    let mut stream = tokio::net::TcpStream::connect(fixture.address)
        .await
        .map_err(failed)?;
    let request = fixture.request("GET", path, b"");
    let text =
        String::from_utf8_lossy(&request).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(failed)?;
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map_or(answer.len(), |at| at + 4);
    Ok(Bytes::from(answer.split_off(end)))
}

async fn against_bare(
    fixture: &Fixture,
    name: &str,
    path: fn(&str) -> String,
    target: &'static str,
) -> Result<Row, Failure> {
    let measured = measure(fixture, gets(fixture, path)).await?;
    let body = answer_body(fixture, &path(&patient_id(0, fixture.patients))).await?;
    let bare = ceilings::bare_hyper(body)
        .await
        .map_err(|error| fault(&error))?;
    let ceiling = load::run(
        bare,
        fixture.connections,
        fixture.duration,
        fixture.clock(),
        gets(fixture, path),
    )
    .await?;
    let name = format!("{name}, {} connections", fixture.connections);
    Ok(row(
        fixture,
        name,
        &measured,
        Some(ceiling.per_second()),
        target,
    ))
}

/// Reads by id with their access entries; against a bare hyper server that answers the same bytes.
pub async fn read(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    Ok(vec![
        against_bare(
            fixture,
            "read by id",
            |id| format!("Patient/{id}"),
            "50 %, p99 20 ms",
        )
        .await?,
    ])
}

/// Searches by an indexed token with their access entries; against the same.
pub async fn search(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let path = |id: &str| format!("Patient?_id={id}&active=true");
    let by_token = |id: &str| {
        let number = id.rsplit('-').next().unwrap_or_default();
        format!("Encounter?patient=hc-p-{number}&status=finished&_count=5")
    };
    Ok(vec![
        against_bare(fixture, "search by _id and token", path, "20 %, p99 20 ms").await?,
        against_bare(
            fixture,
            "search by patient and token",
            by_token,
            "20 %, p99 20 ms",
        )
        .await?,
    ])
}

/// One request after another on one connection: how long each takes by itself.
pub(super) async fn one_at_a_time(
    fixture: &Fixture,
    measure: String,
    path: fn(&str) -> String,
    target: &'static str,
) -> Result<Row, Failure> {
    let (address, clock) = (fixture.address, fixture.clock());
    let make = gets(fixture, path);
    let warm = Duration::from_millis(300).min(fixture.duration);
    load::run(address, 1, warm, Arc::clone(&clock), Arc::clone(&make)).await?;
    let measured = load::run(address, 1, fixture.duration, clock, make).await?;
    refused(&measured)?;
    Ok(row(fixture, measure, &measured, None, target))
}

/// The offline verifier over everything recorded so far.
pub async fn verify(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let (store, data, clock) = (
        Arc::clone(&fixture.instance.store),
        fixture.instance.config.data_folder(),
        fixture.clock(),
    );
    let tenants = store.tenants().await?;
    for tenant in tenants {
        store
            .settle(&identity::system_scope(
                tenant,
                identity::SystemTask::Ledger,
            ))
            .await?;
    }
    let handle = Handle::current();
    let task = tokio::task::spawn_blocking(move || {
        let policy = data_folder::own_policy(&*store)?;
        let mut logs = StoreLogs::new(store, handle, Some(&data), |_, _, _| {});
        let begun = clock.monotonic_ns();
        let report = verify_logs(&mut logs, &policy, &[])?;
        Ok::<_, Failure>((
            report,
            clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9,
        ))
    });
    let (report, seconds) = task.await.map_err(|error| fault(&error))??;
    if let Some(finding) = report.findings.first() {
        return Err(Failure::new(
            Category::Altered,
            format!("the measured ledger does not verify: {finding}"),
        ));
    }
    let entries: u64 = report.logs.iter().map(|log| log.entries).sum();
    Ok(vec![Row {
        store: fixture.store,
        measure: format!("verify {entries} entries in the store, one core"),
        value: entries as f64 / seconds.max(1e-9),
        unit: "/s",
        ceiling: None,
        target: "500000 /s",
        latency: None,
    }])
}

/// Rate per request at the size loaded, and each time the record is ten times larger, up to `to`; the
/// ceiling is the rate at the first size.
pub async fn growth(fixture: &mut Fixture, from: u64, to: u64) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut first: Vec<f64> = Vec::new();
    let mut size = from;
    loop {
        if size > from {
            rows.push(grow(fixture, size).await?);
        }
        let by_id = |id: &str| format!("Patient/{id}");
        let found = |id: &str| format!("Encounter?patient={id}&status=finished&_count=5");
        let (create, _) = creates(fixture).await?;
        let measured = [
            ("read", measure(fixture, gets(fixture, by_id)).await?),
            ("search", measure(fixture, gets(fixture, found)).await?),
            ("create", create),
        ];
        for (place, (name, measured)) in measured.iter().enumerate() {
            let ceiling = first.get(place).copied();
            let name = format!("{name} at {} resources", fixture.loaded);
            rows.push(row(fixture, name, measured, ceiling, "flat"));
        }
        if first.is_empty() {
            first.extend(measured.iter().map(|(_, measured)| measured.per_second()));
        }
        size = size.saturating_mul(10);
        if size > to {
            rows.extend(super::shapes::shapes(fixture).await?);
            return Ok(rows);
        }
    }
}

// Loads up to a size; bundles are made while loading, so that memory does not grow with the size.
async fn grow(fixture: &mut Fixture, size: u64) -> Result<Row, Failure> {
    let population = fixture.population(size);
    let loader = fixture.loader()?;
    let before = fixture.loaded;
    let known = fixture.patients;
    let (mut total, mut patients) = (0u64, 0u32);
    let bundles = (0..population.len())
        .filter(|number| *number == 0 || *number > known)
        .filter_map(|number| population.bundle(number))
        .inspect(|bundle| {
            total += u64::from(bundle.resources);
            patients += 1;
        });
    let (seconds, _) = load_all(&loader, bundles, fixture.clock()).await?;
    fixture.loaded = before + total;
    fixture.patients = known + patients.saturating_sub(1);
    Ok(Row {
        store: fixture.store,
        measure: format!("import from {before} to {} resources", fixture.loaded),
        value: total as f64 / seconds,
        unit: "/s",
        ceiling: None,
        target: "flat",
        latency: None,
    })
}
