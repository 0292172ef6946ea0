//! Topics: SubscriptionTopic of R5, carried in an R4 Basic resource whose code is `SubscriptionTopic` of
//! `http://hl7.org/fhir/fhir-types` and whose elements are the cross-version extensions
//! `http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.*`.

use std::sync::Arc;

use fhir::definitions::TypeId;
use fhir::search::ParamKind;
use identity::SystemTask;
use kernel::TenantId;
use serde_json::Value;

use super::criteria::Criteria;
use super::documents::Happened;
use crate::App;
use crate::error::AppError;
use crate::init::system_caller;
use crate::record::search::{self, SearchRequest};

const ELEMENT: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.";
/// The code of a Basic that is a topic.
const CODE: &str = "http://hl7.org/fhir/fhir-types|SubscriptionTopic";
/// Topics of one tenant.
const MOST: u32 = 500;

/// Which of two tests a trigger needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryCriteria {
    pub previous: Option<Criteria>,
    pub current: Option<Criteria>,
    /// What the previous test counts as at a creation.
    pub on_create: bool,
    /// What the current test counts as at a deletion.
    pub on_delete: bool,
    pub both: bool,
}

/// What makes an event.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub ty: TypeId,
    pub interactions: Vec<Happened>,
    pub query: Option<QueryCriteria>,
    /// FHIRPath with `%previous` and `%current`.
    pub path: Option<Arc<fhirpath::Expression>>,
}

/// A topic.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub url: String,
    pub triggers: Vec<Trigger>,
    /// Type and parameter; the type is empty where the topic names none.
    pub filters: Vec<(String, String)>,
    /// `Type:parameter`, and perhaps a type, of what goes along with a focus.
    pub includes: Vec<(String, String, Option<TypeId>)>,
    /// `Type:parameter` of what refers to a focus and goes along with it.
    pub referring: Vec<(TypeId, String)>,
}

/// The topics of a tenant. Those that cannot be served are left out, with a line in the log.
pub(crate) async fn all(app: &App, tenant: TenantId) -> Result<Vec<Topic>, AppError> {
    let mut topics = Vec::new();
    for (id, _, found) in stored(app, tenant).await? {
        match found {
            Ok(topic) => topics.extend(topic),
            Err(reason) => tracing::warn!(topic = id, reason, "a topic is not served"),
        }
    }
    Ok(topics)
}

/// Why the topic of a canonical URL is not served, where it is stored.
pub(crate) async fn why_not(
    app: &App,
    tenant: TenantId,
    url: &str,
) -> Result<Option<String>, AppError> {
    let bare = url.split('|').next().unwrap_or(url);
    let found = stored(app, tenant).await?.into_iter();
    let mut found = found.filter(|(_, url, _)| url.as_deref() == Some(bare));
    Ok(found.find_map(|(_, _, topic)| match topic {
        Ok(Some(_)) => None,
        Ok(None) => Some("it is not active".to_owned()),
        Err(reason) => Some(reason),
    }))
}

/// A stored topic: the Basic's id, its URL, and the topic where it is served.
type Stored = (String, Option<String>, Result<Option<Topic>, String>);

async fn stored(app: &App, tenant: TenantId) -> Result<Vec<Stored>, AppError> {
    let caller = system_caller(app, tenant, SystemTask::Consumers)?;
    let ty = app
        .definitions()
        .resource("Basic")
        .ok_or_else(|| AppError::Fault("the definitions lack Basic".to_owned()))?;
    let request = SearchRequest {
        ty,
        params: vec![("code".to_owned(), CODE.to_owned())],
        lenient: false,
    };
    let found = search::peek(app, &caller, &request, None, MOST).await?;
    let bodies = found.iter().filter_map(|version| {
        let id = version.key.id.as_str().to_owned();
        Some((id, version.body.as_ref()?))
    });
    Ok(bodies
        .map(|(id, body)| {
            let root: Option<Value> = serde_json::from_slice(body).ok();
            let url = root.and_then(|root| one(&root, "url").and_then(text).map(str::to_owned));
            (id, url, read(app, body))
        })
        .collect())
}

/// The topic of a canonical URL, whose version part is not compared.
pub(crate) fn by_url<'t>(topics: &'t [Topic], url: &str) -> Option<&'t Topic> {
    let bare = url.split('|').next().unwrap_or(url);
    topics.iter().find(|topic| topic.url == bare)
}

/// Reads a topic; `None` for one that is retired or a draft.
pub(crate) fn read(app: &App, body: &[u8]) -> Result<Option<Topic>, String> {
    let root: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let status = one(&root, "status").and_then(text);
    if status.is_some_and(|status| status != "active") {
        return Ok(None);
    }
    let url = one(&root, "url").and_then(text).ok_or("it has no url")?;
    let mut topic = Topic {
        url: url.to_owned(),
        triggers: Vec::new(),
        filters: Vec::new(),
        includes: Vec::new(),
        referring: Vec::new(),
    };
    for found in many(&root, "resourceTrigger") {
        topic.triggers.push(trigger(app, found)?);
    }
    if many(&root, "eventTrigger").next().is_some() {
        return Err(
            "eventTrigger is not served, since nothing happens here but changes of resources: describe the change in a resourceTrigger"
                .to_owned(),
        );
    }
    if topic.triggers.is_empty() {
        return Err("it has no resourceTrigger".to_owned());
    }
    for found in many(&root, "canFilterBy") {
        let parameter = one(found, "filterParameter").and_then(text);
        let parameter = parameter.ok_or("a filter has no filterParameter")?;
        let of = one(found, "resource").and_then(text).map_or("", type_name);
        topic.filters.push((of.to_owned(), parameter.to_owned()));
    }
    for found in many(&root, "notificationShape") {
        shape(app, found, &mut topic)?;
    }
    Ok(Some(topic))
}

// What goes along: `include=Type:parameter` or `_include=Type:parameter`, several joined by `&`.
fn shape(app: &App, found: &Value, topic: &mut Topic) -> Result<(), String> {
    let of = one(found, "resource").and_then(text).map_or("", type_name);
    for (element, name) in [("include", "_include="), ("revInclude", "_revinclude=")] {
        let texts = many(found, element).filter_map(text);
        for text in texts.flat_map(|text| text.split('&')) {
            let bare = name.trim_start_matches('_');
            let text = text.strip_prefix(name).unwrap_or(text);
            let text = text.strip_prefix(bare).unwrap_or(text);
            let wrong = || {
                format!(
                    "{element} {text:?} is not of the form Type:parameter with a parameter that refers"
                )
            };
            let (source, rest) = text.split_once(':').ok_or_else(wrong)?;
            let (code, target) = rest.split_once(':').unwrap_or((rest, ""));
            let ty = app.definitions().resource(source).ok_or_else(wrong)?;
            let known = app.definitions().search_param(ty, code);
            if known.is_none_or(|known| known.kind != ParamKind::Reference) {
                return Err(wrong());
            }
            if element == "include" {
                let to = match target {
                    "" => None,
                    name => Some(app.definitions().resource(name).ok_or_else(wrong)?),
                };
                topic
                    .includes
                    .push((source.to_owned(), code.to_owned(), to));
            } else if target.is_empty() || of.is_empty() || target == of {
                topic.referring.push((ty, code.to_owned()));
            }
        }
    }
    Ok(())
}

fn trigger(app: &App, found: &Value) -> Result<Trigger, String> {
    let name = one(found, "resource").and_then(text).map_or("", type_name);
    let ty = app
        .definitions()
        .resource(name)
        .ok_or_else(|| format!("trigger resource {name:?} is none of R4"))?;
    let path = one(found, "fhirPathCriteria").and_then(text);
    let path = path.map(fhirpath::compile).transpose();
    let path = path.map_err(|error| format!("fhirPathCriteria cannot be read: {error}"))?;
    let mut interactions = Vec::new();
    for code in many(found, "supportedInteraction").filter_map(text) {
        interactions.push(match code {
            "create" => Happened::Create,
            "update" => Happened::Update,
            "delete" => Happened::Delete,
            other => return Err(format!("interaction {other:?} is none")),
        });
    }
    if interactions.is_empty() {
        interactions = vec![Happened::Create, Happened::Update, Happened::Delete];
    }
    let query = one(found, "queryCriteria")
        .map(|query| query_criteria(app, name, ty, query))
        .transpose()?;
    Ok(Trigger {
        ty,
        interactions,
        query,
        path: path.map(Arc::new),
    })
}

fn query_criteria(
    app: &App,
    name: &str,
    ty: TypeId,
    found: &Value,
) -> Result<QueryCriteria, String> {
    let criteria = |which: &str| -> Result<Option<Criteria>, String> {
        let Some(query) = one(found, which).and_then(text) else {
            return Ok(None);
        };
        let whole = if query.starts_with(&format!("{name}?")) {
            query.to_owned()
        } else {
            format!("{name}?{query}")
        };
        let criteria = Criteria::parse(app, &whole)?;
        debug_assert_eq!(criteria.ty, ty, "the query begins with the type");
        Ok(Some(criteria))
    };
    let passes = |which: &str| one(found, which).and_then(text) != Some("test-fails");
    let both = one(found, "requireBoth");
    Ok(QueryCriteria {
        previous: criteria("previous")?,
        current: criteria("current")?,
        on_create: passes("resultForCreate"),
        on_delete: passes("resultForDelete"),
        both: both.and_then(|both| both.get("valueBoolean")?.as_bool()) == Some(true),
    })
}

fn type_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

fn many<'a>(of: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    of.get("extension")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(move |found| {
            let url = found.get("url").and_then(Value::as_str).unwrap_or_default();
            url.strip_prefix(ELEMENT).unwrap_or(url) == name
        })
}

fn one<'a>(of: &'a Value, name: &'a str) -> Option<&'a Value> {
    many(of, name).next()
}

fn text(found: &Value) -> Option<&str> {
    let members = found.as_object()?;
    let (_, value) = members.iter().find(|(key, _)| key.starts_with("value"))?;
    value.as_str()
}
