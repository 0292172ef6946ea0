//! Patient `$merge` (the operation of FHIR R5 on R4 patients): two records of one person become one. In one
//! commit every reference to the source points to the target, the source is inactive and says who replaced
//! it, the target says whom it replaced, and a Provenance lists every version before and after, which is
//! what an undo needs. The commit fails when anything refers to the source that was not seen.
//!
//! Where more refers to the source than one commit may change, the patients are linked with the first part
//! of it, and the same call again does the next part, until one says that nothing remains: how far it is
//! stands in the record alone, so that nothing is lost when a process ends in between.

use std::collections::HashMap;

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use fhir::print::{compact, write_string};
use identity::Interaction;
use kernel::{LogicalId, VersionId};
use store::{Change, ChangeKind, CommitError, Guard, ResourceKey, SearchPlan, StoredVersion};

use super::everything::local;
use crate::App;
use crate::authorise::{Ask, Organizations, authorise, would_allow};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::integrity::referring;
use crate::record::patch::{Patch, current};
use crate::record::prepare::{self, Slot};
use crate::record::render::string;
use crate::record::{WriteReceipt, name_of, read};
use crate::retry::Retry;
use crate::unit::UnitOfWork;

/// What is asked for.
#[derive(Debug)]
pub struct MergeRequest {
    /// The record that ends.
    pub source: ResourceKey,
    /// The record that goes on.
    pub target: ResourceKey,
    /// The target as it shall be; made of both where none is given.
    pub result: Option<Bytes>,
    /// Say what would be done, and do nothing.
    pub preview: bool,
}

/// What was done, or would be.
#[derive(Debug)]
pub struct Merged {
    /// The target with the source merged into it.
    pub result: Bytes,
    /// Resources that referred to the source.
    pub referrers: usize,
    /// The Provenance's address; none for a preview.
    pub provenance: Option<String>,
    /// The receipt of the commit; none for a preview.
    pub receipt: Option<WriteReceipt>,
    /// Whether more refers to the source: the same call again goes on.
    pub remains: bool,
}

/// Merges one patient into another.
pub async fn merge(app: &App, caller: &Caller, request: &MergeRequest) -> Result<Merged, AppError> {
    check(app, caller).await?;
    let is_patients = app.is_patient(request.source.ty) && app.is_patient(request.target.ty);
    if !is_patients || request.source == request.target {
        return Err(AppError::Invalid(
            "source-patient and target-patient must name two different patients".to_owned(),
        ));
    }
    let mut retry = Retry::new();
    loop {
        match attempt(app, caller, request).await? {
            Ok(merged) => return Ok(merged),
            Err(_) if retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn attempt(
    app: &App,
    caller: &Caller,
    request: &MergeRequest,
) -> Result<Result<Merged, CommitError>, AppError> {
    let source = current(app, caller, &request.source).await?;
    let target = current(app, caller, &request.target).await?;
    refuse_replaced(app, caller, &target, None)?;
    let goes_on = refuse_replaced(app, caller, &source, Some(&request.target))?;
    // Whoever may see it: a merge that left some of it behind would split the record. Each is authorised
    // before it is changed.
    let mut work = Work::new(app, caller, request);
    let found = work.part().await?;
    if goes_on {
        if found.referrers.is_empty() {
            return Err(AppError::Unprocessable(format!(
                "{} was merged into {} already, and nothing refers to it any more",
                name_of(&request.source),
                name_of(&request.target)
            )));
        }
        work.result = target.body.as_deref().map(<[u8]>::to_vec);
    } else {
        if found.remains {
            work.may_change_all().await?;
        }
        work.patients(&source, &target)?;
    }
    for version in &found.referrers {
        work.referrer(version)?;
    }
    let (referrers, remains) = (found.referrers.len(), found.remains);
    let result = Bytes::copy_from_slice(work.result.as_deref().unwrap_or_default());
    let (changes, provenance) = work.changes().await?;
    if request.preview {
        return Ok(Ok(Merged {
            result,
            referrers,
            provenance: None,
            receipt: None,
            remains,
        }));
    }
    let unit = UnitOfWork::begin(app, &caller.scope).guards(found.guard);
    let Some(unit) = unit.changes(changes) else {
        return Err(AppError::Fault("a merge without changes".to_owned()));
    };
    match unit.commit().await {
        Ok(receipt) => Ok(Ok(Merged {
            result,
            referrers,
            provenance: Some(provenance),
            receipt: crate::record::first_receipt(receipt),
            remains,
        })),
        Err(error @ (CommitError::Stale { .. } | CommitError::GuardChanged { .. })) => {
            Ok(Err(error))
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(version: &StoredVersion) -> Result<Document, AppError> {
    let body = version.body.as_deref().unwrap_or(b"{}");
    Ok(Document::parse(body.to_vec(), &Limits::default())?)
}

fn links(patient: Value<'_>) -> impl Iterator<Item = Value<'_>> {
    patient.get("link").into_iter().flat_map(Value::items)
}

/// Refuses a patient who was replaced, but by `allowed`; whether they were by that one.
fn refuse_replaced(
    app: &App,
    caller: &Caller,
    version: &StoredVersion,
    allowed: Option<&ResourceKey>,
) -> Result<bool, AppError> {
    let document = parse(version)?;
    let mut replaced = false;
    for link in links(document.root()) {
        if link.get_str("type").as_deref() != Some("replaced-by") {
            continue;
        }
        let other = link.get("other");
        let other = other.and_then(|other| other.get_str("reference"));
        let other = other.and_then(|other| local(app, caller, &other));
        if other.is_none() || other.as_ref() != allowed {
            return Err(AppError::Unprocessable(format!(
                "{} was replaced by another patient already: merge that one",
                name_of(&version.key)
            )));
        }
        replaced = true;
    }
    Ok(replaced)
}

/// What refers to the source, as much of it as one commit may change.
struct Part {
    referrers: Vec<StoredVersion>,
    remains: bool,
    /// That nothing else refers to the source; none where more remains.
    guard: Option<Guard>,
}

/// A change that is ready but for the decision, and the version it goes over.
struct Ready {
    prepared: prepare::Prepared,
    before: Option<VersionId>,
    key: ResourceKey,
    after: VersionId,
}

struct Work<'a> {
    app: &'a App,
    caller: &'a Caller,
    request: &'a MergeRequest,
    prepared: Vec<Ready>,
    /// The target as it is stored.
    result: Option<Vec<u8>>,
}

impl<'a> Work<'a> {
    fn new(app: &'a App, caller: &'a Caller, request: &'a MergeRequest) -> Self {
        Self {
            app,
            caller,
            request,
            prepared: Vec::new(),
            result: None,
        }
    }

    /// What a reference to the source becomes. One to a certain version stays: that version is there.
    fn rewrite(&self, reference: &str) -> Option<String> {
        if reference.contains("/_history/") {
            return None;
        }
        let key = local(self.app, self.caller, reference)?;
        (key == self.request.source).then(|| name_of(&self.request.target))
    }

    /// Whether a resource has a reference that is to point to the target. Others are found, too: those to
    /// versions of the source, which stay.
    fn is_concerned(&self, version: &StoredVersion) -> Result<bool, AppError> {
        if version.key == self.request.source || version.key == self.request.target {
            return Ok(false);
        }
        let document = parse(version)?;
        let mut references = fhir::print::references(document.root()).into_iter();
        Ok(references.any(|(_, reference)| self.rewrite(&reference).is_some()))
    }

    /// The next part of what refers to the source.
    async fn part(&self) -> Result<Part, AppError> {
        let most = self.app.settings().limits.referrers;
        let mut plan = SearchPlan {
            count: most,
            ..referring(self.app, &self.request.source)
        };
        let mut part = Part {
            referrers: Vec::new(),
            remains: false,
            guard: None,
        };
        let mut seen = Vec::new();
        loop {
            let page = self.app.store().search(&self.caller.scope, &plan).await?;
            for version in page.matches {
                seen.push(version.row);
                if !self.is_concerned(&version)? {
                    continue;
                }
                if part.referrers.len() >= most as usize {
                    part.remains = true;
                    return Ok(part);
                }
                part.referrers.push(version);
            }
            if page.next.is_none() {
                break;
            }
            plan.after = page.next;
        }
        plan.after = None;
        plan.count = u32::try_from(seen.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        part.guard = Some(Guard { plan, seen });
        Ok(part)
    }

    /// Refuses to begin what could not be brought to its end.
    async fn may_change_all(&self) -> Result<(), AppError> {
        let mut plan = SearchPlan {
            count: self.app.settings().limits.referrers,
            ..referring(self.app, &self.request.source)
        };
        loop {
            let page = self.app.store().search(&self.caller.scope, &plan).await?;
            for version in &page.matches {
                if !self.is_concerned(version)? {
                    continue;
                }
                let patients = self.app.patients_of(self.caller, version)?;
                let ask = Ask::record(Interaction::Update, &version.key, &patients);
                if !would_allow(self.app, self.caller, &ask).await? {
                    return Err(out_of_reach());
                }
            }
            if page.next.is_none() {
                return Ok(());
            }
            plan.after = page.next;
        }
    }

    fn push(
        &mut self,
        over: &StoredVersion,
        document: &Document,
        rewrites: bool,
    ) -> Result<(), AppError> {
        let head = read::head_of(over);
        let slot = Slot::over(self.app, over.key.clone(), &head, ChangeKind::Update);
        let after = slot.version;
        let rewrite = |reference: &str| self.rewrite(reference);
        let rewrite: Option<prepare::Rewrite<'_>> = if rewrites { Some(&rewrite) } else { None };
        let prepared = prepare::change(self.app, self.caller, slot, document.root(), rewrite)?;
        self.prepared.push(Ready {
            prepared,
            before: Some(over.version),
            key: over.key.clone(),
            after,
        });
        Ok(())
    }

    fn referrer(&mut self, version: &StoredVersion) -> Result<(), AppError> {
        let document = parse(version)?;
        self.push(version, &document, true)
    }

    /// Source and target with their links, inactive and complete.
    fn patients(&mut self, source: &StoredVersion, target: &StoredVersion) -> Result<(), AppError> {
        let (app, request) = (self.app, self.request);
        let (old, new) = (parse(source)?, parse(target)?);
        let mut ended = Operations::default();
        ended.add("/active", b"false");
        ended.link(old.root(), &request.target, "replaced-by");
        let ended = ended.patch(app)?.apply(app, source)?;
        let result = if let Some(body) = &request.result {
            self.given(body)?
        } else {
            let mut both = Operations::default();
            both.link(new.root(), &request.source, "replaces");
            both.identifiers(new.root(), old.root());
            both.patch(app)?.apply(app, target)?
        };
        let mut bytes = Vec::new();
        compact(result.root(), &mut bytes);
        self.result = Some(bytes);
        self.push(source, &ended, false)?;
        self.push(target, &result, false)
    }

    /// The target as the caller wants it: a valid Patient under the target's id that names the source.
    fn given(&self, body: &Bytes) -> Result<Document, AppError> {
        let (app, request) = (self.app, self.request);
        let document = prepare::parse(app, body.clone())?;
        prepare::check(app, document.root(), request.target.ty)?;
        prepare::check_id(document.root(), &request.target.id)?;
        let names_source = links(document.root()).any(|link| {
            let other = link
                .get("other")
                .and_then(|other| other.get_str("reference"));
            link.get_str("type").as_deref() == Some("replaces")
                && other
                    .and_then(|other| local(app, self.caller, &other))
                    .as_ref()
                    == Some(&request.source)
        });
        if !names_source {
            return Err(AppError::Unprocessable(format!(
                "result-patient has no link of type replaces to {}: add it",
                name_of(&request.source)
            )));
        }
        Ok(document)
    }

    /// Every change, authorised, and the Provenance's address.
    async fn changes(self) -> Result<(Vec<Change>, String), AppError> {
        let (app, caller) = (self.app, self.caller);
        let provenance = self.provenance()?;
        let known: Organizations = self
            .prepared
            .iter()
            .filter_map(|ready| ready.prepared.patient(app))
            .collect::<HashMap<LogicalId, _>>();
        let mut changes = Vec::with_capacity(self.prepared.len() + 1);
        for ready in self.prepared {
            let asked = ready.prepared.allow(app, caller, Some(&known), false).await;
            changes.push(asked.map_err(|error| match error {
                AppError::NotFound { .. } | AppError::Denied { .. } => out_of_reach(),
                other => other,
            })?);
        }
        let name = provenance.1;
        changes.push(provenance.0.allow(app, caller, Some(&known), false).await?);
        Ok((changes, name))
    }

    fn provenance(&self) -> Result<(prepare::Prepared, String), AppError> {
        let (app, caller) = (self.app, self.caller);
        let ty = provenance_type(app)?;
        let key = ResourceKey {
            ty,
            id: LogicalId::from_uuid(app.ids().uuid()),
        };
        let name = name_of(&key);
        let source = self.provenance_source();
        let document = Document::parse(source, &Limits::default())?;
        prepare::check(app, document.root(), ty)?;
        let slot = Slot::first(app, key);
        let prepared = prepare::change(app, caller, slot, document.root(), None)?;
        Ok((prepared, name))
    }

    fn provenance_source(&self) -> Vec<u8> {
        let mut out = br#"{"resourceType":"Provenance","target":["#.to_vec();
        for (place, ready) in self.prepared.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            reference(&ready.key, ready.after, &mut out);
        }
        out.extend_from_slice(b"],\"recorded\":");
        string(&mut out, &self.app.now().to_fhir_instant());
        out.extend_from_slice(
            br#","activity":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle","code":"merge","display":"Merge Record Lifecycle Event"}]},"agent":[{"who":{"identifier":{"system":"urn:ietf:rfc:3986","value":"#,
        );
        let actor = self.caller.subject.actor();
        string(&mut out, &format!("urn:uuid:{}", actor.id.as_uuid()));
        out.extend_from_slice(b"}}}],\"entity\":[");
        let before = self
            .prepared
            .iter()
            .filter_map(|ready| Some((&ready.key, ready.before?)));
        for (place, (key, version)) in before.enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"role":"revision","what":"#);
            reference(key, version, &mut out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
        out
    }
}

fn reference(key: &ResourceKey, version: VersionId, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"reference\":");
    string(out, &format!("{}/_history/{version}", name_of(key)));
    out.push(b'}');
}

fn out_of_reach() -> AppError {
    AppError::Denied {
        reason: "you may not change everything that refers to the source patient".to_owned(),
        code: "out-of-reach".to_owned(),
    }
}

fn provenance_type(app: &App) -> Result<TypeId, AppError> {
    app.definitions()
        .resource("Provenance")
        .ok_or_else(|| AppError::Fault("the definitions lack Provenance".to_owned()))
}

/// A JSON Patch in the making.
#[derive(Default)]
struct Operations {
    source: Vec<u8>,
}

impl Operations {
    fn add(&mut self, path: &str, value: &[u8]) {
        self.source
            .extend_from_slice(if self.source.is_empty() { b"[" } else { b"," });
        self.source.extend_from_slice(b"{\"op\":\"add\",\"path\":");
        write_string(path, &mut self.source);
        self.source.extend_from_slice(b",\"value\":");
        self.source.extend_from_slice(value);
        self.source.push(b'}');
    }

    fn append(&mut self, list: &str, is_there: bool, value: &[u8]) {
        if is_there {
            self.add(&format!("/{list}/-"), value);
        } else {
            let whole = [b"[", value, b"]"].concat();
            self.add(&format!("/{list}"), &whole);
        }
    }

    fn link(&mut self, patient: Value<'_>, other: &ResourceKey, kind: &str) {
        let mut value = b"{\"other\":{\"reference\":".to_vec();
        string(&mut value, &name_of(other));
        value.extend_from_slice(b"},\"type\":");
        string(&mut value, kind);
        value.push(b'}');
        self.append("link", patient.get("link").is_some(), &value);
    }

    /// The source's identifiers that the target lacks, as old ones.
    fn identifiers(&mut self, target: Value<'_>, source: Value<'_>) {
        let of = |patient: Value<'_>| -> Vec<(Option<String>, Option<String>)> {
            let list = patient.get("identifier").into_iter().flat_map(Value::items);
            list.map(|one| {
                let text = |name: &str| one.get_str(name).map(std::borrow::Cow::into_owned);
                (text("system"), text("value"))
            })
            .collect()
        };
        let known = of(target);
        let mut count = known.len();
        let list = source.get("identifier").into_iter().flat_map(Value::items);
        for (one, identity) in list.zip(of(source)) {
            if known.contains(&identity) {
                continue;
            }
            let mut value = Vec::new();
            compact(one, &mut value);
            self.append("identifier", count > 0, &value);
            self.add(&format!("/identifier/{count}/use"), b"\"old\"");
            count += 1;
        }
    }

    fn patch(mut self, app: &App) -> Result<Patch, AppError> {
        self.source.push(b']');
        Patch::json(app, self.source)
    }
}

/// Refuses a merge that the role would be refused, whatever is there.
pub async fn check(app: &App, caller: &Caller) -> Result<(), AppError> {
    authorise(app, caller, &Ask::operation(Interaction::Merge)).await?;
    let patient = app.patient_type();
    let provenance = provenance_type(app)?;
    for (interaction, ty) in [
        (Interaction::Update, patient),
        (Interaction::Create, provenance),
    ] {
        authorise(app, caller, &Ask::of_type(interaction, ty)).await?;
    }
    Ok(())
}
