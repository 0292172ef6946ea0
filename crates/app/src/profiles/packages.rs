//! Packages of profiles installed for the instance. A package is a governed document of facts and
//! governed documents of its content in parts, so that every replica has it and a change is a ledger
//! entry; see `docs/decisions/0014-packages-are-documents.md`.

use identity::{Interaction, SystemTask, system_scope};
use kernel::{TenantId, TenantScope, Timestamp};
use ledger::leaf::Class;
use profiles::ProfileError;
use profiles::library::Library;
use profiles::package::{Manifest, Package, check_dependencies};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{DocExpected, DocKind, DocWrite};

use crate::App;
use crate::admin::{Versioned, all, allow, changed};
use crate::context::Caller;
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// Bytes of one part.
const PART: usize = 256 << 10;
/// Most bytes of a package's content, unpacked.
const UNPACKED: usize = 512 << 20;
/// Most bytes of a package's content, packed.
const PACKED: usize = 64 << 20;
/// Most packages of an instance.
const MAX_PACKAGES: usize = 64;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// What it says about itself.
    pub manifest: Manifest,
    /// SHA-256 of the archive, in hex.
    pub sha256: String,
    /// When it was installed.
    pub added: Timestamp,
    /// Definitions in it.
    pub definitions: usize,
    /// Value sets and code systems in it.
    pub terms: usize,
    /// Documents its content is in.
    pub parts: usize,
}

/// What installing a package came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// The package.
    pub installed: Installed,
    /// Packages it needs that are not installed, with versions.
    pub missing: Vec<String>,
    /// Definitions that cannot be used, and why.
    pub unusable: Vec<(String, String)>,
    /// Files that were left out, and why.
    pub left_out: Vec<(String, String)>,
}

impl From<ProfileError> for AppError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            _ => Self::Unprocessable(error.to_string()),
        }
    }
}

/// The packages, by name and version.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Installed>, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let found: Vec<Versioned<Installed>> = all(app, &instance(), DocKind::Package).await?;
    Ok(found.into_iter().map(|found| found.value).collect())
}

/// Installs a package that was read from an archive of this hash. The same version again replaces it.
pub async fn add(
    app: &App,
    caller: &Caller,
    package: Package,
    archive: [u8; 32],
) -> Result<Added, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let id = package.id();
    let known: Vec<Versioned<Installed>> = all(app, &instance(), DocKind::Package).await?;
    let others = || {
        known
            .iter()
            .filter(|one| document(&one.value.manifest) != id)
    };
    if others().count() >= MAX_PACKAGES {
        return Err(AppError::Conflict(format!(
            "{MAX_PACKAGES} packages are installed: remove one first"
        )));
    }
    check_dependencies(
        others()
            .map(|one| &one.value.manifest)
            .chain([&package.manifest]),
    )?;
    let missing = missing(&package.manifest, &known);
    let before = known.iter().find(|one| document(&one.value.manifest) == id);
    let installed = store(app, caller, &package, archive, before).await?;
    app.caches().profiles.forget_packages();
    let library = super::shelf::instance(app).await?.library;
    let left_out = package.left_out.clone();
    let unusable = tokio::task::spawn_blocking(move || unusable(&library, &package)).await?;
    Ok(Added {
        installed,
        missing,
        unusable,
        left_out,
    })
}

/// Writes a package's documents, over those of the same version before.
async fn store(
    app: &App,
    caller: &Caller,
    package: &Package,
    archive: [u8; 32],
    before: Option<&Versioned<Installed>>,
) -> Result<Installed, AppError> {
    let id = package.id();
    let content = package.encode()?;
    if content.len() > PACKED {
        return Err(AppError::TooLarge(format!(
            "the package has {} bytes packed, the limit is {PACKED}: install a smaller one",
            content.len()
        )));
    }
    let parts: Vec<&[u8]> = content.chunks(PART).collect();
    let installed = Installed {
        manifest: package.manifest.clone(),
        sha256: data_encoding::HEXLOWER.encode(&archive),
        added: app.now(),
        definitions: package.definitions.len(),
        terms: package.terms.len(),
        parts: parts.len(),
    };
    let expected = before.map_or(DocExpected::Absent, |one| DocExpected::Version(one.version));
    let facts = Some(serde_json::to_vec(&installed)?);
    let facts = doc(app, DocKind::Package, id.clone(), expected, facts);
    let mut unit = UnitOfWork::begin(app, &caller.scope).doc(facts);
    let most = parts.len().max(before.map_or(0, |one| one.value.parts));
    for at in 0..most {
        let part = parts.get(at).map(|part| part.to_vec());
        let place = part_id(&id, at);
        unit = unit.doc(doc(
            app,
            DocKind::PackagePart,
            place,
            DocExpected::Any,
            part,
        ));
    }
    let detail = format!("{id}, sha256 {}", installed.sha256);
    let entry = changed(app, caller, Class::Config, "package-add", detail);
    unit.entry(entry).commit().await?;
    Ok(installed)
}

/// Takes a package out: every version of it, or the one after `#`.
pub async fn remove(app: &App, caller: &Caller, name: &str) -> Result<Vec<String>, AppError> {
    allow(app, caller, Interaction::ManageTenants).await?;
    let known: Vec<Versioned<Installed>> = all(app, &instance(), DocKind::Package).await?;
    let is_it = |one: &&Versioned<Installed>| {
        one.value.manifest.name == name || document(&one.value.manifest) == name
    };
    let mut removed = Vec::new();
    for one in known.iter().filter(is_it) {
        let id = document(&one.value.manifest);
        let expected = DocExpected::Version(one.version);
        let write = doc(app, DocKind::Package, id.clone(), expected, None);
        let mut unit = UnitOfWork::begin(app, &caller.scope).doc(write);
        for at in 0..one.value.parts {
            let part = part_id(&id, at);
            unit = unit.doc(doc(app, DocKind::PackagePart, part, DocExpected::Any, None));
        }
        let entry = changed(app, caller, Class::Config, "package-remove", id.clone());
        unit.entry(entry).commit().await?;
        removed.push(id);
    }
    if removed.is_empty() {
        return Err(AppError::not_found(format!("package {name}")));
    }
    app.caches().profiles.forget_packages();
    Ok(removed)
}

/// Id and version of every package's document.
pub(crate) async fn stamp(app: &App, scope: &TenantScope) -> Result<Vec<(String, u32)>, AppError> {
    let limit = MAX_PACKAGES as u32 * 2;
    let docs = app
        .store()
        .docs(scope, DocKind::Package, None, limit)
        .await?;
    Ok(docs.into_iter().map(|doc| (doc.id, doc.version)).collect())
}

/// Every package.
pub(crate) async fn contents(app: &App, scope: &TenantScope) -> Result<Vec<Package>, AppError> {
    let known: Vec<Versioned<Installed>> = all(app, scope, DocKind::Package).await?;
    let mut found = Vec::new();
    for one in known {
        let id = document(&one.value.manifest);
        let mut content = Vec::new();
        for at in 0..one.value.parts {
            let part = app
                .store()
                .doc(scope, DocKind::PackagePart, &part_id(&id, at))
                .await?
                .ok_or_else(|| AppError::Fault(format!("part {at} of package {id} is gone")))?;
            content.extend_from_slice(&part.body);
        }
        let package =
            tokio::task::spawn_blocking(move || Package::decode(&content, UNPACKED)).await??;
        found.push(package);
    }
    Ok(found)
}

fn instance() -> TenantScope {
    system_scope(TenantId::INSTANCE, SystemTask::Setup)
}

fn document(manifest: &Manifest) -> String {
    format!("{}#{}", manifest.name, manifest.version)
}

/// Hashed: names may be longer than a document's id.
fn part_id(id: &str, at: usize) -> String {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(id.as_bytes()));
    format!("{hash}-{at:04}")
}

fn doc(
    app: &App,
    kind: DocKind,
    id: String,
    expected: DocExpected,
    body: Option<Vec<u8>>,
) -> DocWrite {
    DocWrite {
        kind,
        id,
        expected,
        body,
        time: app.now(),
        expires: None,
        lookups: Vec::new(),
    }
}

/// The packages a package needs beside R4 itself that are not there.
fn missing(manifest: &Manifest, known: &[Versioned<Installed>]) -> Vec<String> {
    let of_core = ["hl7.fhir.r4.core", "hl7.fhir.core", "hl7.fhir.r4.examples"];
    let is_there = |name: &str| known.iter().any(|one| one.value.manifest.name == name);
    let needed = manifest.dependencies.iter();
    needed
        .filter(|(name, _)| !of_core.contains(&name.as_str()) && !is_there(name))
        .map(|(name, version)| format!("{name}#{version}"))
        .collect()
}

/// The definitions of a package that no profile can be made from.
fn unusable(library: &Library, package: &Package) -> Vec<(String, String)> {
    package
        .definitions
        .iter()
        .filter_map(|definition| {
            let canonical = definition.canonical();
            match library.profile(&canonical) {
                Some(Err(error)) => Some((canonical, error.to_string())),
                _ => None,
            }
        })
        .collect()
}
