//! Views that are kept in the record. R4 has no type for them: a view is the JSON content of a Library, named
//! by its address or its canonical, or of a Binary. It is read like anything else, by who may.

use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{Document, Limits, Value};
use store::ResourceKey;

use super::everything::local;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::search::{SearchRequest, search};
use crate::record::{name_of, read};

/// The ViewDefinition that a reference or a canonical names.
///
/// # Errors
/// Nothing there, or nothing that the caller may see; content that is no view; several libraries of one
/// canonical.
pub async fn stored_view(app: &App, caller: &Caller, named: &str) -> Result<Bytes, AppError> {
    let body = match local(app, caller, named) {
        Some(key) => of_reference(app, caller, &key).await?,
        None if named.contains(':') => of_canonical(app, caller, named).await?,
        None => {
            let shown: String = named.chars().take(200).collect();
            return Err(AppError::Invalid(format!(
                "viewReference {shown:?} is no reference and no canonical: send Library/id, Binary/id or the url of a Library"
            )));
        }
    };
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    view_in(document.root())
}

async fn of_reference(app: &App, caller: &Caller, key: &ResourceKey) -> Result<Bytes, AppError> {
    if !matches!(
        app.definitions().resource_name(key.ty),
        "Library" | "Binary"
    ) {
        return Err(AppError::Invalid(format!(
            "{} holds no view: views are kept in Library and Binary",
            name_of(key)
        )));
    }
    let version = read::read(app, caller, key).await?;
    version
        .body
        .ok_or_else(|| AppError::not_found(name_of(key)))
}

async fn of_canonical(app: &App, caller: &Caller, named: &str) -> Result<Bytes, AppError> {
    let (url, version) = named
        .split_once('|')
        .map_or((named, None), |(url, version)| (url, Some(version)));
    // What stands for itself in a search value.
    let escaped = |text: &str| {
        let text = text.replace('\\', "\\\\");
        text.replace(',', "\\,")
            .replace('|', "\\|")
            .replace('$', "\\$")
    };
    let mut params = vec![
        ("url".to_owned(), escaped(url)),
        ("_count".to_owned(), "2".to_owned()),
    ];
    if let Some(version) = version {
        params.push(("version".to_owned(), escaped(version)));
    }
    let request = SearchRequest {
        ty: library(app)?,
        params,
        lenient: false,
    };
    let mut found = search(app, caller, &request).await?.matches.into_iter();
    let shown: String = named.chars().take(200).collect();
    match (found.next(), found.next()) {
        (Some(one), None) => one
            .body
            .ok_or_else(|| AppError::not_found(format!("the view {shown}"))),
        (None, _) => Err(AppError::not_found(format!("the view {shown}"))),
        (Some(_), Some(_)) => Err(AppError::Conflict(format!(
            "several libraries are named {shown}: name one with url|version, or by its address"
        ))),
    }
}

fn library(app: &App) -> Result<TypeId, AppError> {
    let found = app.definitions().resource("Library");
    found.ok_or_else(|| AppError::Fault("the definitions lack Library".to_owned()))
}

/// The view that a Library or Binary holds.
fn view_in(resource: Value<'_>) -> Result<Bytes, AppError> {
    let is_library = resource.get_str("resourceType").as_deref() == Some("Library");
    let contents: Vec<Value<'_>> = if is_library {
        let contents = resource.get("content");
        contents.into_iter().flat_map(Value::items).collect()
    } else {
        vec![resource]
    };
    for content in contents {
        let media_type = content.get_str("contentType").unwrap_or_default();
        let bare = media_type.split(';').next().unwrap_or_default().trim();
        if !matches!(bare, "application/json" | "application/fhir+json") {
            continue;
        }
        let data = content.get_str("data").unwrap_or_default();
        let data: String = data.split_ascii_whitespace().collect();
        let bytes = data_encoding::BASE64.decode(data.as_bytes());
        let bytes = bytes.map_err(|_| unfit("its data is not base64"))?;
        let view = Document::parse(bytes, &Limits::default())?;
        if view.root().get_str("resourceType").as_deref() == Some("ViewDefinition") {
            return Ok(Bytes::copy_from_slice(view.root().raw()));
        }
    }
    Err(unfit(
        "it has no content of application/json that is a ViewDefinition",
    ))
}

fn unfit(why: &str) -> AppError {
    AppError::Unprocessable(format!("what viewReference names holds no view: {why}"))
}
