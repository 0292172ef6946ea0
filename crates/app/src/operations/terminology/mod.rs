//! Terminology operations (FHIR R4, section 4.7). They tell nothing about patients: who may search code
//! systems, value sets or concept maps may ask, and each question is in the access ledger.

pub mod browse;
pub mod closure;
pub mod expand;
pub mod lookup;
mod parameters;
pub mod subsumes;
pub mod translate;
pub mod validate_code;

use std::sync::Arc;

use fhir::json::{Document, Limits};
use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use store::ResourceKey;
use terminology::validate::Asked;
use terminology::value_set::ValueSet;
use terminology::{Compiled, Engine, Pins};

use super::input::{GivenCoding, Input};
use crate::App;
use crate::authorise::{Allowed, Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::query_string;

/// What every operation begins with: the decision, and the terminology to ask.
struct Begun {
    engine: Arc<Engine>,
    allowed: Allowed,
}

async fn begin(app: &App, caller: &Caller, ty: &str) -> Result<Begun, AppError> {
    let ty = app
        .definitions()
        .resource(ty)
        .ok_or_else(|| AppError::Fault(format!("the definitions lack {ty}")))?;
    let allowed = authorise(app, caller, &Ask::of_type(Interaction::Search, ty)).await?;
    let engine = app.terminology(&caller.scope).await?;
    Ok(Begun { engine, allowed })
}

impl Begun {
    /// Records the question; its texts only, not resources that came with it.
    async fn record(
        &self,
        app: &App,
        caller: &Caller,
        operation: &str,
        input: &Input,
    ) -> Result<(), AppError> {
        let texts = input
            .parameters
            .iter()
            .filter_map(|(name, value)| match value {
                super::input::Given::Text(text) => Some((name.as_str(), text.as_str())),
                _ => None,
            });
        let query = format!("{operation}?{}", query_string::print(texts));
        let entries = look_entries(
            app,
            caller,
            &Look {
                class: Class::Search,
                object: None,
                query: Some(&query),
                patients: &[],
                allowed: &self.allowed,
            },
        );
        app.store().record_access(&caller.scope, entries).await?;
        Ok(())
    }
}

/// Work that may take long, away from the threads that serve.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await?
}

/// A stored resource that an operation is asked of.
async fn instance(
    app: &App,
    caller: &Caller,
    ty: &str,
    id: &LogicalId,
) -> Result<Document, AppError> {
    let ty = app
        .definitions()
        .resource(ty)
        .ok_or_else(|| AppError::Fault(format!("the definitions lack {ty}")))?;
    let key = ResourceKey { ty, id: id.clone() };
    let version = crate::record::read::read(app, caller, &key).await?;
    let body = version
        .body
        .ok_or_else(|| AppError::not_found(crate::record::name_of(&key)))?;
    Ok(Document::parse(body.to_vec(), &Limits::default())?)
}

/// The URL and version of a stored resource that an operation is asked of.
async fn url_of(
    app: &App,
    caller: &Caller,
    ty: &str,
    id: &LogicalId,
) -> Result<(String, Option<String>), AppError> {
    let document = instance(app, caller, ty, id).await?;
    let root = document.root();
    let url = root.get_str("url").ok_or_else(|| {
        AppError::Unprocessable(format!("{ty}/{} has no url: give it one", id.as_str()))
    })?;
    let version = root.get_str("version").map(std::borrow::Cow::into_owned);
    Ok((url.into_owned(), version))
}

/// A resource that came with the request.
fn given(bytes: &[u8], ty: &str) -> Result<Document, AppError> {
    let document = Document::parse(bytes.to_vec(), &Limits::default())?;
    if document.root().get_str("resourceType").as_deref() == Some(ty) {
        return Ok(document);
    }
    Err(AppError::Invalid(format!(
        "the resource given is no {ty}: give one"
    )))
}

/// Which value set is asked about.
enum WhichSet {
    Canonical(String),
    Given(Arc<ValueSet>),
}

async fn which_set(
    app: &App,
    caller: &Caller,
    input: &Input,
    id: Option<&LogicalId>,
) -> Result<Option<WhichSet>, AppError> {
    let read = |document: &Document| {
        ValueSet::from_resource(document.root()).map(|set| WhichSet::Given(Arc::new(set)))
    };
    if let Some(id) = id {
        let document = instance(app, caller, "ValueSet", id).await?;
        return Ok(Some(read(&document)?));
    }
    if let Some(bytes) = input.resource("valueSet").or(input.resource("resource")) {
        let document = given(bytes, "ValueSet")?;
        return Ok(Some(read(&document)?));
    }
    let Some(url) = input.text("url") else {
        return Ok(None);
    };
    Ok(Some(WhichSet::Canonical(
        match input.text("valueSetVersion") {
            Some(version) if !url.contains('|') => format!("{url}|{version}"),
            _ => url.to_owned(),
        },
    )))
}

fn compiled(engine: &Engine, which: WhichSet, pins: &Pins) -> Result<Arc<Compiled>, AppError> {
    Ok(match which {
        WhichSet::Canonical(url) if pins.is_empty() => engine.value_set(&url)?,
        WhichSet::Canonical(url) => {
            let set = terminology::value_set::compile::resolve(engine.library(), &url)?;
            Arc::new(engine.compile(set, pins)?)
        }
        WhichSet::Given(set) => Arc::new(engine.compile(set, pins)?),
    })
}

/// A coding with its parts, code first.
fn asked(coding: &GivenCoding) -> Result<Asked<'_>, AppError> {
    Ok(Asked {
        system: coding.system.as_deref(),
        version: coding.version.as_deref(),
        code: coding
            .code
            .as_deref()
            .ok_or_else(|| AppError::Invalid("the coding has no code: give it one".to_owned()))?,
        display: coding.display.as_deref(),
    })
}

/// `code` with `system`, or `coding`: one of them.
fn code_or_coding(input: &Input) -> Result<GivenCoding, AppError> {
    if let Some(coding) = input.coding("coding") {
        return Ok(coding.clone());
    }
    let text = |name: &str| input.text(name).map(str::to_owned);
    Ok(GivenCoding {
        system: text("system"),
        version: text("version"),
        code: Some(text("code").ok_or_else(|| {
            AppError::Invalid("neither code nor coding is given: give one".to_owned())
        })?),
        display: text("display"),
    })
}
