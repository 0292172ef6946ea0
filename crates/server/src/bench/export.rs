//! How fast a bulk export is, and what memory it takes beside what the process had. Must be taken after
//! something was loaded.

use std::time::Duration;

use app::bulk::{ExportLevel, ExportRequest, Status, begin_export, list, status};
use app::context::{Advice, RequestContext};
use kernel::{Category, PurposeOfUse, RequestId};

use crate::bench::fixture::Fixture;
use crate::bench::measures::Row;
use crate::bench::start::resident_mib;
use crate::failure::Failure;

/// The whole tenant, looks at its patients included; without the time that an export waits before it reads.
pub async fn export(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let (app, clock) = (&fixture.instance.app, &fixture.instance.clock);
    let context = RequestContext {
        id: RequestId::from_uuid(fixture.instance.ids.uuid()),
        client_address: None,
        received: clock.now(),
        purpose: PurposeOfUse::Operations,
        base: format!("http://localhost/t/{}/fhir", fixture.slug).into(),
        idempotency: None,
        advice: Advice::default(),
    };
    let token = &fixture.token;
    let caller = app::sign_in::bearer::bearer(app, fixture.slug, token, context).await?;
    let request = ExportRequest {
        level: ExportLevel::System,
        params: Vec::new(),
        lenient: false,
        url: "bench".to_owned(),
    };
    let process = std::process::id();
    let before = resident_mib(process).unwrap_or_default();
    let mut most = before;
    let begun = clock.monotonic_ns();
    let id = begin_export(app, &caller, &request).await?.to_string();
    loop {
        most = most.max(resident_mib(process).unwrap_or_default());
        match status(app, &caller, &id).await? {
            Status::Going { .. } => tokio::time::sleep(Duration::from_millis(5)).await,
            Status::Done(_) => break,
            Status::Failed(why) => return Err(Failure::new(Category::Fault, why)),
        }
    }
    let seconds = clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
    let waited = app.settings().bulk.settle_ms as f64 / 1e3;
    let bytes = list(app, &caller).await?.first().map_or(0, |job| job.bytes);
    let row = |measure: &str, value: f64, unit: &'static str, target: &'static str| Row {
        store: fixture.store,
        measure: measure.to_owned(),
        value,
        unit,
        ceiling: None,
        target,
        latency: None,
    };
    let speed = bytes as f64 / 1e6 / (seconds - waited).max(0.001);
    Ok(vec![
        row("export of everything", speed, "MB/s", "50 MB/s"),
        row("memory it took", most - before, "MiB", "flat"),
    ])
}
