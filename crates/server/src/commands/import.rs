//! `theriac import`: loads FHIR into a tenant, resumes where it stopped, and reports what was refused.

use std::sync::Arc;

use app::admin::tenants::{self, NewTenant};
use app::init::{self, NewOperator};
use identity::{SystemTask, Tenant};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::{Format, Import};
use crate::config::Config;
use crate::failure::Failure;
use crate::import::{Loader, Report, load_files, source};
use crate::output::Printer;
use crate::wiring::{self, Instance, Opening};
use crate::{console, tenancy, words};

/// Runs it. The exit code is 0 also when resources were refused: the report says which.
pub async fn run(config: &Config, arguments: &Import, printer: Printer) -> Result<u8, Failure> {
    let found = source::find(&arguments.source)?;
    if found.sources.is_empty() {
        let text = format!(
            "{} holds no .json or .ndjson file (also with .gz)",
            arguments.source.display()
        );
        return Err(Failure::missing(text));
    }
    let instance = wiring::open(config, Opening::OrNew).await?;
    let mut made = Vec::new();
    let outcome = load(&instance, arguments, found, &mut made, printer).await;
    wiring::close(&instance).await;
    if outcome.is_err() && printer.format() == Format::Json && !made.is_empty() {
        // They are told once, also when nothing could be loaded.
        printer.object(&json!({ "made": made }));
    }
    outcome.map(|()| 0)
}

async fn load(
    instance: &Instance,
    arguments: &Import,
    found: source::Found,
    made: &mut Vec<Made>,
    printer: Printer,
) -> Result<(), Failure> {
    let tenant = tenant_or_new(instance, arguments.tenant.as_deref(), made, printer).await?;
    let caller = console::task(&instance.app, tenant.id, SystemTask::Jobs)?;
    let loader = Loader::new(instance.app.clone(), caller);
    let count = found.sources.len() as u64;
    let mut progress = printer.progress("files", count, Arc::clone(&instance.clock));
    let begun = instance.clock.monotonic_ns();
    let report = load_files(&loader, found.sources, arguments.restart, &mut progress).await;
    progress.finish();
    let report = report?;
    let seconds = instance.clock.monotonic_ns().saturating_sub(begun) as f64 / 1e9;
    let whole = report.json(&found.foreign);
    if let Some(path) = &arguments.report {
        let text = serde_json::to_vec_pretty(&whole)
            .map_err(|error| Failure::new(kernel::Category::Fault, error.to_string()))?;
        std::fs::write(path, text).map_err(|error| Failure::file(path, &error))?;
    }
    print((&report, &whole), &found.foreign, made, seconds, printer);
    Ok(())
}

/// What an import made for itself, with the password that is told once.
#[derive(Debug, serde::Serialize)]
struct Made {
    /// `instance` or the tenant's name in addresses.
    tenant: String,
    sign_in: &'static str,
    password: String,
}

impl Made {
    // On a terminal at once: an import may be stopped before its end.
    fn told(self, to: &mut Vec<Self>, printer: Printer) {
        let what = match self.tenant.as_str() {
            init::INSTANCE_SLUG => "an instance".to_owned(),
            slug => format!("tenant {slug}"),
        };
        printer.text(&format!(
            "made {what}: sign in as {:?} with the password {} (told once)",
            self.sign_in, self.password
        ));
        to.push(self);
    }
}

fn print(
    (report, whole): (&Report, &serde_json::Value),
    foreign: &[String],
    made: &[Made],
    seconds: f64,
    printer: Printer,
) {
    if printer.format() == Format::Json {
        let mut whole = whole.clone();
        if let Some(members) = whole.as_object_mut() {
            members.insert("made".to_owned(), json!(made));
        }
        printer.object(&whole);
        return;
    }
    if !made.is_empty() {
        printer.text("");
    }
    printer.rows(
        &["type", "read", "stored", "unchanged", "refused"],
        &report.rows(),
    );
    for refusal in report.refused().iter().take(20) {
        printer.note(&format!(
            "refused: {} {} {}: {}",
            refusal.file, refusal.place, refusal.name, refusal.why
        ));
    }
    if report.refused().len() > 20 {
        printer.note(&format!(
            "and {} more; --report FILE writes them all",
            report.refused().len() - 20
        ));
    }
    if report.skipped() > 0 {
        printer.note(&format!(
            "{} files were finished by an earlier run; --restart loads them again",
            report.skipped()
        ));
    }
    if !foreign.is_empty() {
        printer.note(&format!(
            "{} files are neither JSON nor NDJSON and were left alone",
            foreign.len()
        ));
    }
    let rate = report.total().read as f64 / seconds.max(0.001);
    printer.note(&format!(
        "{} resources in {seconds:.1} s, {rate:.0} a second",
        report.total().read
    ));
}

// Somebody with a folder of FHIR and nothing else gets an instance and a tenant to look at it with.
async fn tenant_or_new(
    instance: &Instance,
    named: Option<&str>,
    told: &mut Vec<Made>,
    printer: Printer,
) -> Result<Tenant, Failure> {
    if !init::is_initialised(&instance.app).await? {
        let password = words::pass_phrase(&*instance.ids);
        let operator = NewOperator {
            sign_in_name: "operator".to_owned(),
            display_name: "operator".to_owned(),
            password: Some(Zeroizing::new(password.clone())),
        };
        init::instance(&instance.app, operator).await?;
        let made = Made {
            tenant: init::INSTANCE_SLUG.to_owned(),
            sign_in: "operator",
            password,
        };
        made.told(told, printer);
    }
    let tenants = tenancy::tenants(instance).await?;
    if !tenants.is_empty() {
        return tenancy::tenant(instance, named).await;
    }
    let slug = named.unwrap_or("main");
    let password = words::pass_phrase(&*instance.ids);
    let new = NewTenant {
        slug: slug.parse().map_err(Failure::of_id)?,
        name: slug.to_owned(),
        placement: super::tenant::placement(instance, None)?,
        region: "on-premises".to_owned(),
        administrator: ("administrator".to_owned(), "administrator".to_owned()),
        password: Some(Zeroizing::new(password.clone())),
    };
    let caller = console::operator(&instance.app)?;
    let made = tenants::create(&instance.app, &caller, new).await?;
    let administrator = Made {
        tenant: slug.to_owned(),
        sign_in: "administrator",
        password,
    };
    administrator.told(told, printer);
    Ok(made.tenant)
}
