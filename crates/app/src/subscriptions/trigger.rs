//! Whether a change concerns a subscription: the criteria or triggers, the filters, and what its creator
//! may see at that moment.

use fhir::json::{Document, Limits};
use fhirpath::{Collection, Environment, Expression, Item};
use identity::Interaction;
use kernel::{TenantScope, Timestamp, VersionId};
use store::{ResourceKey, StoredVersion};

use super::criteria::Criteria;
use super::documents::{Happened, Registration};
use super::resource::Watch;
use super::topic::{self, QueryCriteria, Topic};
use crate::App;
use crate::authorise::{Ask, would_allow};
use crate::context::Caller;
use crate::error::AppError;

/// A change of one resource.
#[derive(Debug)]
pub(crate) struct Changed {
    pub index: u64,
    pub time: Timestamp,
    pub key: ResourceKey,
    pub version: VersionId,
    pub happened: Happened,
    /// What it is now; `None` after a deletion.
    pub current: Option<StoredVersion>,
    /// What it was; `None` where there was nothing.
    pub previous: Option<StoredVersion>,
    /// Whether nothing has changed it since.
    pub newest: bool,
}

impl Changed {
    /// Loads the versions; `None` where nothing of it can be read any more.
    pub(crate) async fn load(
        app: &App,
        scope: &TenantScope,
        (index, time): (u64, Timestamp),
        key: ResourceKey,
        version: VersionId,
    ) -> Result<Option<Self>, AppError> {
        let Some(found) = app.store().vread(scope, &key, version).await? else {
            return Ok(None);
        };
        if found.erased {
            return Ok(None);
        }
        let before = VersionId(version.0.saturating_sub(1));
        let previous = if before.0 == 0 {
            None
        } else {
            app.store().vread(scope, &key, before).await?
        };
        let previous = previous.filter(|version| version.body.is_some());
        let heads = app.store().heads(scope, std::slice::from_ref(&key)).await?;
        let head = heads.into_iter().next().flatten();
        let current = found.body.is_some().then_some(found);
        let happened = match (&current, &previous) {
            (None, _) => Happened::Delete,
            (Some(_), None) => Happened::Create,
            (Some(_), Some(_)) => Happened::Update,
        };
        Ok(Some(Self {
            index,
            time,
            newest: head.is_some_and(|head| head.version == version),
            key,
            version,
            happened,
            current,
            previous,
        }))
    }

    /// The version somebody who is notified would be shown.
    fn shown(&self) -> Option<&StoredVersion> {
        self.current.as_ref().or(self.previous.as_ref())
    }
}

/// Whether a subscription is to be notified of a change.
pub(crate) async fn concerns(
    app: &App,
    caller: &Caller,
    registration: &Registration,
    topics: &[Topic],
    changed: &Changed,
) -> Result<bool, AppError> {
    let told = Told {
        app,
        caller,
        changed,
    };
    let matches = match &registration.spec.watch {
        Watch::Criteria { query, deletions } => {
            let Ok(criteria) = Criteria::parse(app, query) else {
                return Ok(false);
            };
            criteria.ty == changed.key.ty
                && match changed.happened {
                    Happened::Delete => *deletions && told.before(&criteria)?,
                    Happened::Create | Happened::Update => told.now(&criteria).await?,
                }
        }
        Watch::Topic { url, filters } => match topic::by_url(topics, url) {
            Some(topic) => told.by_topic(topic).await? && told.through(filters).await?,
            None => false,
        },
    };
    Ok(matches && told.may_be_seen().await?)
}

/// Whether a subscription could ever be concerned by changes of a type.
pub(crate) fn watches(
    app: &App,
    registration: &Registration,
    topics: &[Topic],
    key: &ResourceKey,
) -> bool {
    match &registration.spec.watch {
        Watch::Criteria { query, .. } => {
            let name = query.split('?').next().unwrap_or_default();
            app.definitions().resource(name) == Some(key.ty)
        }
        Watch::Topic { url, .. } => topic::by_url(topics, url)
            .is_some_and(|topic| topic.triggers.iter().any(|trigger| trigger.ty == key.ty)),
    }
}

struct Told<'a> {
    app: &'a App,
    caller: &'a Caller,
    changed: &'a Changed,
}

impl Told<'_> {
    // Whether the criteria find what the resource is now.
    async fn now(&self, criteria: &Criteria) -> Result<bool, AppError> {
        let Some(body) = self.changed.current.as_ref().and_then(|v| v.body.as_ref()) else {
            return Ok(false);
        };
        let key = &self.changed.key;
        let found = criteria.finds(self.app, self.caller, &key.id).await?;
        if self.changed.newest && found {
            return Ok(true);
        }
        // The index answers for this version only while it is the current one: looked at again after it
        // was asked, since another may have been committed meanwhile.
        let overtaken = !self.changed.newest || !self.is_current().await?;
        if !overtaken {
            return Ok(found);
        }
        // Where that cannot be told any more, a notification too many is better than a lost one.
        let would = criteria.would_find(self.app, self.caller, body)?;
        Ok(would.unwrap_or(true))
    }

    async fn is_current(&self) -> Result<bool, AppError> {
        let scope = &self.caller.scope;
        let keys = std::slice::from_ref(&self.changed.key);
        let heads = self.app.store().heads(scope, keys).await?;
        let head = heads.into_iter().next().flatten();
        Ok(head.is_some_and(|head| head.version == self.changed.version))
    }

    // Whether they found what it was. Where that cannot be told, a notification too many is better.
    fn before(&self, criteria: &Criteria) -> Result<bool, AppError> {
        let Some(body) = self.changed.previous.as_ref().and_then(|v| v.body.as_ref()) else {
            return Ok(false);
        };
        let found = criteria.would_find(self.app, self.caller, body)?;
        Ok(found.unwrap_or(true))
    }

    async fn by_topic(&self, topic: &Topic) -> Result<bool, AppError> {
        for trigger in &topic.triggers {
            let fits = trigger.ty == self.changed.key.ty
                && trigger.interactions.contains(&self.changed.happened);
            if !fits {
                continue;
            }
            let passes = match &trigger.query {
                None => true,
                Some(query) => self.by_query(query).await?,
            };
            let passes = passes
                && match &trigger.path {
                    None => true,
                    Some(path) => self.by_path(path)?,
                };
            if passes {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn by_query(&self, query: &QueryCriteria) -> Result<bool, AppError> {
        let previous = match &query.previous {
            None => None,
            Some(_) if self.changed.happened == Happened::Create => Some(query.on_create),
            Some(criteria) => Some(self.before(criteria)?),
        };
        let current = match &query.current {
            None => None,
            Some(_) if self.changed.happened == Happened::Delete => Some(query.on_delete),
            Some(criteria) => Some(self.now(criteria).await?),
        };
        Ok(match (previous, current) {
            (Some(previous), Some(current)) if query.both => previous && current,
            (Some(previous), Some(current)) => previous || current,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => true,
        })
    }

    // Whether FHIRPath over both versions is true. What is empty, or cannot be evaluated, is not.
    fn by_path(&self, path: &Expression) -> Result<bool, AppError> {
        let parsed = |version: Option<&StoredVersion>| {
            let body = version.and_then(|version| version.body.as_ref());
            body.map(|body| Document::parse(body.to_vec(), &Limits::default()))
                .transpose()
        };
        let current = parsed(self.changed.current.as_ref())?;
        let previous = parsed(self.changed.previous.as_ref())?;
        let current = current.as_ref().map(Document::root).map(Item::resource);
        let previous = previous.as_ref().map(Document::root).map(Item::resource);
        let Some(focus) = current.clone().or_else(|| previous.clone()) else {
            return Ok(false);
        };
        let environment = Environment::new(focus.clone())
            .at(self.app.now(), 0)
            .with_variable("current", Collection::maybe(current))
            .with_variable("previous", Collection::maybe(previous));
        let outcome = path.evaluate_boolean(&environment, focus);
        Ok(matches!(outcome, Ok(Some(true))))
    }

    async fn through(&self, filters: &[String]) -> Result<bool, AppError> {
        let name = self.app.definitions().resource_name(self.changed.key.ty);
        for filter in filters {
            let whole = match filter.split_once('?') {
                Some((of, _)) if !of.is_empty() && of != name => continue,
                Some(("", query)) => format!("{name}?{query}"),
                Some(_) => filter.clone(),
                None => format!("{name}?{filter}"),
            };
            let Ok(criteria) = Criteria::parse(self.app, &whole) else {
                return Ok(false);
            };
            let passes = match self.changed.happened {
                Happened::Delete => self.before(&criteria)?,
                Happened::Create | Happened::Update => self.now(&criteria).await?,
            };
            if !passes {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn may_be_seen(&self) -> Result<bool, AppError> {
        match self.changed.shown() {
            Some(version) => may_see(self.app, self.caller, version).await,
            None => Ok(false),
        }
    }
}

/// Whether somebody may read a version that has a body.
pub(crate) async fn may_see(
    app: &App,
    caller: &Caller,
    version: &StoredVersion,
) -> Result<bool, AppError> {
    let patients = app.patients_of(caller, version)?;
    let ask = Ask::record(Interaction::Read, &version.key, &patients);
    would_allow(app, caller, &ask).await
}
