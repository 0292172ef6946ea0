//! What each entry comes to: conditions searched, heads looked up, patches applied, references resolved.
//! Must not write.

use std::collections::HashMap;
use std::sync::Arc;

use fhir::definitions::TypeId;
use futures_util::future::try_join_all;
use kernel::LogicalId;
use store::{Guard, Head, ResourceKey, StoredVersion};

use super::{Step, Transaction};
use crate::error::AppError;
use crate::record::bundle::address::{Address, Item, Method, Request};
use crate::record::bundle::links::{self, Links};
use crate::record::condition::{Condition, Matched};
use crate::record::patch::{self, Patch};
use crate::record::prepare::Slot;
use crate::record::{create, delete, name_of, read, render, update};

/// Where an entry points before heads are known.
pub(super) enum Target {
    New(TypeId),
    Key(ResourceKey),
    /// Everything that a conditional delete matches, where the tenant allows several.
    Each(Vec<ResourceKey>),
    Existing(Box<StoredVersion>),
    Same(usize),
    Nothing,
    Look,
}

impl Transaction<'_> {
    /// Resolves conditions. A criterion that two creates share makes one resource; what conditional deletes
    /// take away counts against one limit.
    pub(super) async fn targets(&self, guards: &mut Vec<Guard>) -> Result<Vec<Target>, AppError> {
        let mut same: HashMap<(TypeId, &str), usize> = HashMap::new();
        let mut targets = Vec::with_capacity(self.parsed.items.len());
        let sent = self.sent_ids();
        let limit = self.app.settings().limits.deletions;
        let mut gone = 0_usize;
        for item in &self.parsed.items {
            let request = item.asked()?;
            if let (Address::Type(ty, _), Some(criteria)) =
                (&request.address, &request.if_none_exist)
            {
                if let Some(first) = same.get(&(*ty, criteria.as_str())) {
                    targets.push(Target::Same(*first));
                    continue;
                }
                same.insert((*ty, criteria.as_str()), item.index);
            }
            let sent = sent.get(&item.index).map(String::as_str);
            let target = self.target(request, sent, guards).await;
            let target = target.map_err(|error| item.error(error))?;
            if let Target::Each(keys) = &target {
                gone = gone.saturating_add(keys.len());
                if gone > limit {
                    return Err(item.error(AppError::TooCostly(format!(
                        "the conditions of the bundle's deletions match more than {limit} resources in all, so none was deleted: send them as several bundles"
                    ))));
                }
            }
            targets.push(target);
        }
        Ok(targets)
    }

    async fn target(
        &self,
        request: &Request,
        sent: Option<&str>,
        guards: &mut Vec<Guard>,
    ) -> Result<Target, AppError> {
        let (app, caller) = (self.app, self.caller);
        match (request.method, &request.address) {
            (Method::Get, _) => Ok(Target::Look),
            (Method::Post, Address::Type(ty, _)) => {
                let Some(criteria) = &request.if_none_exist else {
                    return Ok(Target::New(*ty));
                };
                let condition = Condition::parse(app, caller, *ty, criteria).await?;
                Ok(match create::matched(app, caller, &condition).await? {
                    Ok(version) => Target::Existing(Box::new(version)),
                    Err(guard) => {
                        guards.push(guard);
                        Target::New(*ty)
                    }
                })
            }
            (_, Address::Instance(key)) => Ok(Target::Key(key.clone())),
            (method, Address::Type(ty, query)) => {
                let condition = Condition::parse(app, caller, *ty, query).await?;
                if method == Method::Delete && Condition::takes_several(caller) {
                    let (keys, guard) = condition.all(app, caller).await?;
                    guards.push(guard);
                    return Ok(Target::Each(keys));
                }
                let matched = condition.find(app, caller).await?;
                guards.push(condition.guard(app, caller, &matched));
                if method == Method::Delete {
                    return match matched {
                        Matched::None => Ok(Target::Nothing),
                        Matched::One(found) => Ok(Target::Key(found.key)),
                        Matched::Several => Err(condition.ambiguous(app)),
                    };
                }
                if method == Method::Patch {
                    let name = app.definitions().resource_name(*ty);
                    return match matched {
                        Matched::None => Err(AppError::not_found(format!("a {name} that matches"))),
                        Matched::One(found) => Ok(Target::Key(found.key)),
                        Matched::Several => Err(condition.ambiguous(app)),
                    };
                }
                let sent = sent
                    .map(str::parse)
                    .transpose()
                    .map_err(|error: kernel::IdError| AppError::Invalid(error.to_string()))?;
                update::target_of(app, *ty, sent, &matched)
                    .ok_or_else(|| condition.ambiguous(app))?
                    .map(Target::Key)
            }
            _ => Err(AppError::Invalid(
                "request.url does not fit request.method".to_owned(),
            )),
        }
    }

    /// The ids in the bodies of conditional updates, by the index of their entries; one walk for all.
    fn sent_ids(&self) -> HashMap<usize, String> {
        let by_condition = |item: &&Item| {
            matches!(&item.request, Ok(request)
                if request.method == Method::Put && matches!(request.address, Address::Type(..)))
        };
        let wanted: Vec<usize> = self
            .parsed
            .items
            .iter()
            .filter(by_condition)
            .map(|item| item.index)
            .collect();
        if wanted.is_empty() {
            return HashMap::new();
        }
        let resources = self.parsed.resources();
        wanted
            .into_iter()
            .filter_map(|index| {
                let id = resources.get(index).copied().flatten()?.get("id")?;
                Some((index, id.as_str()?.into_owned()))
            })
            .collect()
    }

    /// Looks up all heads at once, checks versions, and gives rows.
    pub(super) async fn steps(&self, targets: Vec<Target>) -> Result<Vec<Step>, AppError> {
        let keys: Vec<ResourceKey> = targets
            .iter()
            .flat_map(|target| match target {
                Target::Key(key) => std::slice::from_ref(key),
                Target::Each(keys) => keys,
                _ => &[],
            })
            .cloned()
            .collect();
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        if let Some(twice) = keys.iter().find(|key| !seen.insert(*key)) {
            return Err(AppError::Invalid(format!(
                "{} is changed by more than one entry: send them as two bundles",
                name_of(twice)
            )));
        }
        let heads = if keys.is_empty() {
            Vec::new()
        } else {
            self.app.store().heads(&self.caller.scope, &keys).await?
        };
        let mut heads = heads.into_iter();
        let mut steps: Vec<Step> = Vec::with_capacity(targets.len());
        for (item, target) in self.parsed.items.iter().zip(targets) {
            let step = match target {
                Target::New(ty) => {
                    let id = LogicalId::from_uuid(self.app.ids().uuid());
                    Step::Write(Slot::first(self.app, ResourceKey { ty, id }), None)
                }
                Target::Key(key) => {
                    let head = heads.next().flatten();
                    let step = self.step(item, key, head.as_ref()).await;
                    step.map_err(|error| item.error(error))?
                }
                Target::Each(keys) => {
                    let heads = heads.by_ref().take(keys.len()).collect();
                    self.each(item, keys, heads).await?
                }
                Target::Existing(version) => Step::Existing(version),
                Target::Same(first) => same_as(steps.get(first)),
                Target::Nothing => Step::Absent,
                Target::Look => Step::Look,
            };
            steps.push(step);
        }
        Ok(steps)
    }

    /// The deletions of one entry.
    async fn each(
        &self,
        item: &Item,
        keys: Vec<ResourceKey>,
        heads: Vec<Option<Head>>,
    ) -> Result<Step, AppError> {
        let mut gone = Vec::with_capacity(keys.len());
        for (key, head) in keys.into_iter().zip(heads) {
            let step = self.step(item, key, head.as_ref()).await;
            gone.push(step.map_err(|error| item.error(error))?);
        }
        Ok(Step::Each(gone))
    }

    async fn step(
        &self,
        item: &Item,
        key: ResourceKey,
        head: Option<&Head>,
    ) -> Result<Step, AppError> {
        let request = item.asked()?;
        let (app, caller) = (self.app, self.caller);
        if request.method == Method::Delete {
            let found = delete::found(app, caller, &key).await?;
            // The row may have changed since the heads were looked up: what was decided on counts.
            let head = found.as_ref().map(|(found, _, _)| read::head_of(found));
            update::expect(&key, head.as_ref(), request.if_match)?;
            return Ok(match (found, head) {
                (Some((_, patients, allowed)), Some(head)) if !head.is_deleted() => {
                    Step::Delete(key, head, patients, allowed)
                }
                _ => Step::Absent,
            });
        }
        if request.method == Method::Patch {
            return self.patched(item, key, request).await;
        }
        update::allow_over(app, caller, &key, head, request.if_match).await?;
        update::expect(&key, head, request.if_match)?;
        let slot = Slot::upsert(self.app, key, head)?;
        Ok(Step::Write(slot, None))
    }

    /// What a patch makes of the version that is there; the commit fails when there is another by then.
    async fn patched(
        &self,
        item: &Item,
        key: ResourceKey,
        request: &Request,
    ) -> Result<Step, AppError> {
        let (app, caller) = (self.app, self.caller);
        let found = patch::current(app, caller, &key).await?;
        let head = read::head_of(&found);
        update::expect(&key, Some(&head), request.if_match)?;
        let patch = {
            let resources = self.parsed.resources();
            let sent = resources.get(item.index).copied().flatten();
            let sent =
                sent.ok_or_else(|| AppError::Invalid("the entry has no patch".to_owned()))?;
            Patch::of_entry(app, sent)?
        };
        let patched = Arc::new(patch.apply(app, &found)?);
        let slot = Slot::over(app, key, &head, store::ChangeKind::Update);
        Ok(Step::Write(slot, Some(patched)))
    }

    /// What references become: entries by `fullUrl`, conditional references by search.
    pub(super) async fn links(&self, steps: &[Step]) -> Result<Links, AppError> {
        let mut links = Links::default();
        for (item, step) in self.parsed.items.iter().zip(steps) {
            let key = match step {
                Step::Write(slot, _) => &slot.key,
                Step::Existing(version) => &version.key,
                _ => continue,
            };
            if let Some(full_url) = &item.full_url {
                let stored = name_of(key);
                if *full_url != stored && !links.add(full_url, render::type_name(key.ty), &stored) {
                    let text = "another entry has the same fullUrl: give each its own";
                    return Err(item.error(AppError::Invalid(text.to_owned())));
                }
            }
        }
        let conditional = {
            let resources = self.parsed.resources();
            links::conditional_references(self.app, &resources)
        };
        let found = try_join_all(conditional.into_iter().map(
            |(reference, (index, ty))| async move {
                match links::find(self.app, self.caller, &reference, ty).await {
                    Ok(stored) => Ok((reference, stored)),
                    Err(error) => Err(self.entry_error(index, error)),
                }
            },
        ))
        .await?;
        for (reference, stored) in found {
            links.resolve(reference, stored);
        }
        Ok(links)
    }
}

/// What a create comes to whose criteria an entry before has, too.
fn same_as(first: Option<&Step>) -> Step {
    match first {
        Some(Step::Write(slot, _)) => Step::Existing(Box::new(StoredVersion {
            key: slot.key.clone(),
            row: slot.row,
            version: slot.version,
            version_row: slot.version_row,
            kind: slot.kind,
            body: None,
            erased: false,
        })),
        Some(Step::Existing(version)) => Step::Existing(version.clone()),
        _ => Step::Absent,
    }
}
