//! `theriac export`: a tenant's resources as NDJSON with a manifest, or its ledger as a folder for
//! `theriac verify` and other people's tools.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use app::audit::ExportSink;
use app::{AppError, Log};
use fhir::definitions::{Definitions, TypeId};
use identity::{SystemTask, Tenant};
use kernel::{Category, TenantId};
use serde_json::json;

use crate::cli::Export;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{Printer, Progress};
use crate::wiring::Instance;
use crate::{console, tenancy};

/// Resources of a page.
const PAGE: u32 = 1000;
/// The manifest's file name.
const MANIFEST: &str = "manifest.json";

/// Runs it.
pub async fn run(config: &Config, arguments: &Export, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| {
        empty(&arguments.into)?;
        if arguments.ledger {
            ledger(&instance, arguments, printer).await
        } else {
            let tenant = tenancy::tenant(&instance, arguments.tenant.as_deref()).await?;
            resources(&instance, &tenant, arguments, printer).await
        }
    })
    .await
}

fn empty(folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(folder, &error);
    std::fs::create_dir_all(folder).map_err(failed)?;
    if std::fs::read_dir(folder).map_err(failed)?.next().is_some() {
        let text = format!("{} is not empty: name a new folder", folder.display());
        return Err(Failure::new(Category::Conflict, text));
    }
    Ok(())
}

fn types(named: &[String]) -> Result<Vec<TypeId>, Failure> {
    let definitions = Definitions::r4();
    if named.is_empty() {
        return Ok(definitions.resource_types().collect());
    }
    let found = named.iter().map(|name| {
        definitions.resource(name).ok_or_else(|| {
            Failure::new(
                Category::Invalid,
                format!("{name:?} is not an R4 resource type"),
            )
        })
    });
    found.collect()
}

async fn resources(
    instance: &Instance,
    tenant: &Tenant,
    arguments: &Export,
    printer: Printer,
) -> Result<(), Failure> {
    let caller = console::task(&instance.app, tenant.id, SystemTask::Jobs)?;
    let types = types(&arguments.types)?;
    let detail = if arguments.types.is_empty() {
        "every type".to_owned()
    } else {
        arguments.types.join(",")
    };
    let export = app::export::begin(&instance.app, &caller, detail).await?;
    let mut counts = Vec::new();
    for ty in types {
        let count = export.count(ty).await?;
        if count > 0 {
            counts.push((ty, count));
        }
    }
    let total = counts.iter().map(|(_, count)| count).sum();
    let mut progress = printer.progress("resources", total, Arc::clone(&instance.clock));
    let (mut rows, mut files) = (Vec::new(), Vec::new());
    for (ty, _) in counts {
        let name = Definitions::r4().resource_name(ty);
        let path = arguments.into.join(format!("{name}.ndjson"));
        let written = one_type(&export, ty, &path, &mut progress).await?;
        rows.push(vec![
            name.into(),
            written.into(),
            path.display().to_string().into(),
        ]);
        files.push(json!({ "type": name, "url": format!("{name}.ndjson"), "count": written }));
    }
    progress.finish();
    let manifest = json!({
        "transactionTime": instance.clock.now().to_fhir_instant(),
        "request": format!("theriac export --tenant {}", tenant.slug),
        "requiresAccessToken": false,
        "output": files,
        "error": [],
    });
    let path = arguments.into.join(MANIFEST);
    std::fs::write(&path, format!("{manifest:#}\n"))
        .map_err(|error| Failure::file(&path, &error))?;
    printer.cells(&["type", "resources", "file"], &rows);
    Ok(())
}

async fn one_type(
    export: &app::export::Export<'_>,
    ty: TypeId,
    path: &Path,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    let (mut written, mut after) = (0u64, None);
    loop {
        let page = export.page(ty, PAGE, after).await?;
        for body in &page.bodies {
            file.write_all(body)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(failed)?;
        }
        written += page.bodies.len() as u64;
        progress.advance(page.bodies.len() as u64);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    file.flush()
        .and_then(|()| file.get_ref().sync_all())
        .map_err(failed)?;
    Ok(written)
}

/// Writes an export's files below a folder.
struct Folder {
    root: PathBuf,
}

impl ExportSink for Folder {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<(), AppError> {
        let target = self.root.join(path);
        let folder = target.parent().unwrap_or(&self.root);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&target, bytes))
            .map_err(|error| AppError::Store(store::files::io_error(&target, &error)))
    }
}

/// A row of what was written: tenant, log, entries.
pub(crate) type Row = Vec<serde_json::Value>;

/// Writes the ledger of one tenant, or of all, below a folder; answers what was written and whether tenants
/// were left out.
pub(crate) async fn write_ledger(
    instance: &Instance,
    into: &Path,
    tenant: Option<&str>,
) -> Result<(Vec<Row>, bool), Failure> {
    let all = tenancy::tenants(instance).await?;
    let tenants = match tenant {
        None => all.clone(),
        named => vec![tenancy::tenant(instance, named).await?],
    };
    // The tenants' newest checkpoints go into the instance log first, so that it vouches for them.
    app::jobs::fix_checkpoints(&instance.app, instance.ids.uuid()).await?;
    let mut rows = Vec::new();
    let mut parts = Vec::new();
    // The instance first, its own changes before all: while others write, logs may be ahead of what it names,
    // never behind.
    let instance_and_tenants = std::iter::once((TenantId::INSTANCE, "instance")).chain(
        tenants
            .iter()
            .map(|tenant| (tenant.id, tenant.slug.as_str())),
    );
    for (id, name) in instance_and_tenants {
        parts.extend([Log::Changes, Log::Access].map(|log| (id, name, log)));
    }
    for (id, name, log) in parts {
        let caller = console::task(&instance.app, id, SystemTask::Backup)?;
        let mut folder = Folder {
            root: into.join(name),
        };
        let entries = app::audit::export(&instance.app, &caller, log, &mut folder).await?;
        rows.push(vec![name.into(), log.as_str().into(), entries.into()]);
    }
    let policy = app::audit::export::policy(&instance.app)?;
    let path = into.join(ledger::export::KEYS);
    std::fs::write(&path, policy.to_string()).map_err(|error| Failure::file(&path, &error))?;
    Ok((rows, tenants.len() < all.len()))
}

async fn ledger(instance: &Instance, arguments: &Export, printer: Printer) -> Result<(), Failure> {
    let into = arguments.into.as_path();
    let (rows, partial) = write_ledger(instance, into, arguments.tenant.as_deref()).await?;
    printer.cells(&["tenant", "log", "entries"], &rows);
    let partial = if partial { " --partial" } else { "" };
    printer.note(&format!(
        "\nhint: theriac verify {}{partial}",
        into.display()
    ));
    Ok(())
}
