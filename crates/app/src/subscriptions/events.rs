//! From deliveries to what may leave: read again, judged again by what the creator may see now, and
//! entered in the access ledger before it goes. What was erased, or is out of reach by now, is left out.

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{Document, Limits};
use fhir::search::{IndexValue, RefTarget};
use kernel::{Categorised as _, Category, TenantScope, VersionId};
use ledger::leaf::Class;
use store::{ResourceKey, StoredVersion};

use super::documents::{Delivery, Happened, Registration};
use super::resource::{Content, Watch};
use super::topic::{self, Topic};
use super::trigger::may_see;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::search::{self, SearchRequest};

/// A resource that goes along.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub name: String,
    /// `None` for one that was deleted, and where ids alone are sent.
    pub body: Option<Bytes>,
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub delivery: Delivery,
    /// `None` where the content is empty.
    pub focus: Option<Shown>,
    pub along: Vec<Shown>,
}

/// Most resources that go along with one event.
const ALONG: usize = 50;

/// Who looks, at what, for whom.
pub(crate) struct Reader<'a> {
    pub app: &'a App,
    pub scope: &'a TenantScope,
    /// With whose authority.
    pub caller: &'a Caller,
    /// The subscription, as the agent of the look; `None` where the caller looks.
    pub agent: Option<&'a str>,
    pub content: Content,
    pub topics: &'a [Topic],
}

impl Reader<'_> {
    /// The item of a delivery; `None` where nothing of it may be sent.
    pub(crate) async fn item(
        &self,
        registration: &Registration,
        delivery: &Delivery,
    ) -> Result<Option<Item>, AppError> {
        let Some((key, version)) = delivery.key(self.app) else {
            return Ok(None);
        };
        let Some(seen) = self.seen(&key, version, delivery.happened).await? else {
            return Ok(None);
        };
        let mut item = Item {
            delivery: delivery.clone(),
            focus: None,
            along: Vec::new(),
        };
        if self.content == Content::Empty {
            return Ok(Some(item));
        }
        self.record(&seen, &key, version, delivery).await?;
        item.focus = Some(self.shown(&seen, delivery.happened != Happened::Delete));
        if let Watch::Topic { url, .. } = &registration.spec.watch
            && let Some(topic) = topic::by_url(self.topics, url)
            && delivery.happened != Happened::Delete
        {
            item.along = self.along(topic, &seen, delivery).await?;
        }
        Ok(Some(item))
    }

    fn shown(&self, version: &StoredVersion, with_body: bool) -> Shown {
        let full = with_body && self.content == Content::FullResource;
        Shown {
            name: crate::record::name_of(&version.key),
            body: version.body.clone().filter(|_| full),
        }
    }

    // The version to judge by: the one before for a deletion.
    async fn seen(
        &self,
        key: &ResourceKey,
        version: VersionId,
        happened: Happened,
    ) -> Result<Option<StoredVersion>, AppError> {
        let version = match happened {
            Happened::Delete => VersionId(version.0.saturating_sub(1)),
            Happened::Create | Happened::Update => version,
        };
        let found = self.app.store().vread(self.scope, key, version).await?;
        let Some(found) = found.filter(|found| found.body.is_some()) else {
            return Ok(None);
        };
        let visible = may_see(self.app, self.caller, &found).await?;
        Ok(visible.then_some(found))
    }

    async fn record(
        &self,
        seen: &StoredVersion,
        key: &ResourceKey,
        version: VersionId,
        delivery: &Delivery,
    ) -> Result<(), AppError> {
        let patients = self.app.patients_of(self.caller, seen)?;
        let ask = Ask::record(identity::Interaction::Read, key, &patients);
        let allowed = authorise(self.app, self.caller, &ask).await?;
        let query = format!(
            "Subscription/{} event {}",
            delivery.subscription, delivery.number
        );
        let mut entries = look_entries(
            self.app,
            self.caller,
            &Look {
                class: Class::Vread,
                object: Some((key, Some(version))),
                query: Some(&query),
                patients: &patients,
                allowed: &allowed,
            },
        );
        if let Some(agent) = self.agent {
            for entry in &mut entries {
                let actor = &mut entry.payload.actor;
                actor.name = format!("Subscription/{agent} of {}", actor.name);
                "subscription".clone_into(&mut actor.role);
            }
        }
        self.app.store().record_access(self.scope, entries).await?;
        Ok(())
    }

    async fn along(
        &self,
        topic: &Topic,
        seen: &StoredVersion,
        delivery: &Delivery,
    ) -> Result<Vec<Shown>, AppError> {
        let mut found = Vec::new();
        for key in self.referred(topic, seen)? {
            found.extend(self.app.store().read(self.scope, &key).await?);
        }
        for (ty, code) in &topic.referring {
            found.extend(self.referring(*ty, code, seen).await?);
        }
        let mut shown: Vec<Shown> = Vec::new();
        for found in found {
            let key = found.key.clone();
            let name = crate::record::name_of(&key);
            if shown.iter().any(|shown| shown.name == name) {
                continue;
            }
            if found.body.is_none() || !may_see(self.app, self.caller, &found).await? {
                continue;
            }
            self.record(&found, &key, found.version, delivery).await?;
            shown.push(self.shown(&found, true));
            if shown.len() >= ALONG {
                break;
            }
        }
        Ok(shown)
    }

    // What refers to it now, as a search by the creator finds it.
    async fn referring(
        &self,
        ty: TypeId,
        code: &str,
        seen: &StoredVersion,
    ) -> Result<Vec<StoredVersion>, AppError> {
        let of = crate::record::name_of(&seen.key);
        let request = SearchRequest {
            ty,
            params: vec![(code.to_owned(), of)],
            lenient: false,
        };
        let most = u32::try_from(ALONG).unwrap_or(u32::MAX);
        let found = search::peek(self.app, self.caller, &request, None, most).await;
        match found {
            Ok(found) => Ok(found),
            // Of a type that the creator may not search: it has nothing of it.
            Err(error) if error.category() == Category::Forbidden => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    // What the topic's includes point to from a version.
    fn referred(&self, topic: &Topic, seen: &StoredVersion) -> Result<Vec<ResourceKey>, AppError> {
        let definitions = self.app.definitions();
        let name = definitions.resource_name(seen.key.ty);
        let mut keys: Vec<ResourceKey> = Vec::new();
        let Some(body) = &seen.body else {
            return Ok(keys);
        };
        let includes = topic.includes.iter().filter(|(of, _, _)| of == name);
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let values = fhir::search::extract(definitions, seen.key.ty, document.root());
        for (_, code, to) in includes {
            let Some(param) = definitions.search_param(seen.key.ty, code) else {
                continue;
            };
            for (id, value) in &values.values {
                if *id == param.id
                    && let IndexValue::Reference { target } = value
                    && let Some(key) = local(target)
                    && to.is_none_or(|to| to == key.ty)
                    && !keys.contains(&key)
                {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }
}

fn local(target: &RefTarget<'_>) -> Option<ResourceKey> {
    let RefTarget::Local { ty, id } = target else {
        return None;
    };
    let ty: TypeId = *ty;
    Some(ResourceKey {
        ty,
        id: id.parse().ok()?,
    })
}
