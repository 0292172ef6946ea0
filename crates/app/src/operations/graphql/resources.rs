//! Resources by id, lists of them and connections with pages: at the system, and of what refers to a
//! resource (`ObservationList(_reference: subject)`).

use fhir::definitions::{Definitions, TypeId};
use kernel::LogicalId;
use serde_json::{Value as Json, json};
use store::ResourceKey;

use super::execute::{Execution, Loaded, Node, is_of_one};
use super::syntax::{Field, Literal, Selection};
use crate::error::AppError;
use crate::record::search::{CURSOR, SearchAnswer, SearchRequest, search};
use crate::record::{name_of, read};

/// What a field asks for.
enum Asked {
    One(TypeId),
    List(TypeId),
    Connection(TypeId),
}

/// Parameters that would change what a match is.
pub(super) const REFUSED: [&str; 7] = [
    "_summary",
    "_elements",
    "_format",
    "_include",
    "_revinclude",
    "_contained",
    "_total",
];

fn invalid(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

fn asked(name: &str) -> Option<Asked> {
    let definitions = Definitions::r4();
    let of = |suffix: &str| definitions.resource(name.strip_suffix(suffix)?);
    // `List` is a resource type, too.
    definitions
        .resource(name)
        .map(Asked::One)
        .or_else(|| of("List").map(Asked::List))
        .or_else(|| of("Connection").map(Asked::Connection))
}

/// The name of a search parameter: GraphQL has no hyphens.
fn parameter(name: &str) -> String {
    match name.strip_prefix('_') {
        Some(rest) => format!("_{rest}"),
        None => name.replace('_', "-"),
    }
}

impl Execution<'_> {
    /// A resource, a list or a connection; of what refers to `of`, where that is given.
    pub(super) async fn searched<'t>(
        &'t self,
        field: &'t Field,
        selections: &[&'t Selection],
        of: Option<Node<'t>>,
    ) -> Result<Json, AppError> {
        let shown: String = field.name.chars().take(64).collect();
        let Some(asked) = asked(&field.name) else {
            return Err(invalid(format!(
                "there is no field {shown}: use Patient, PatientList, PatientConnection and the like"
            )));
        };
        if selections.is_empty() {
            return Err(invalid(format!("{shown} has fields: say which")));
        }
        let outcome = match asked {
            Asked::One(ty) if of.is_none() => self.one(ty, field, selections).await,
            Asked::One(_) => Err(invalid(format!("a resource has no element {shown}"))),
            Asked::List(ty) => self.list(ty, field, selections, of).await,
            Asked::Connection(ty) => self.connection(ty, field, selections, of).await,
        };
        match outcome {
            Err(error) if is_of_one(&error) => {
                self.note(field, &error);
                Ok(Json::Null)
            }
            outcome => outcome,
        }
    }

    async fn one(
        &self,
        ty: TypeId,
        field: &Field,
        selections: &[&Selection],
    ) -> Result<Json, AppError> {
        let id = self
            .planned
            .argument(&field.arguments, "id")
            .ok_or_else(|| invalid(format!("{} needs the argument id", field.name)))?;
        let id: LogicalId = id
            .parse()
            .map_err(|error: kernel::IdError| invalid(error.to_string()))?;
        let key = ResourceKey { ty, id };
        self.load()?;
        let version = read::read(self.app, self.caller, &key).await?;
        let loaded = Loaded::new(key, &version.body.unwrap_or_default())?;
        self.answer(loaded.node()?, selections.to_vec()).await
    }

    async fn list(
        &self,
        ty: TypeId,
        field: &Field,
        selections: &[&Selection],
        of: Option<Node<'_>>,
    ) -> Result<Json, AppError> {
        let (mut params, offset) = self.params(field, of)?;
        let most = self.app.settings().limits.page_max;
        if offset > 0 {
            let count = params.iter().position(|(name, _)| name == "_count");
            let count = count.map(|at| params.remove(at).1);
            let count = count.map_or(Ok(self.app.settings().limits.page_default), |text| {
                text.parse()
            });
            let count: u32 = count.map_err(|_| invalid("_count is no whole number"))?;
            let all = offset.saturating_add(count);
            if all > most {
                return Err(invalid(format!(
                    "_offset and _count reach beyond {most} matches: page with {}Connection and its cursor",
                    Definitions::r4().resource_name(ty)
                )));
            }
            params.push(("_count".to_owned(), all.to_string()));
        }
        let answer = self.search(ty, params).await?;
        let mut items = Vec::new();
        for version in answer.matches.into_iter().skip(offset as usize) {
            let Some(body) = version.body else { continue };
            let loaded = Loaded::new(version.key, &body)?;
            items.push(self.answer(loaded.node()?, selections.to_vec()).await?);
        }
        Ok(Json::Array(items))
    }

    async fn connection(
        &self,
        ty: TypeId,
        field: &Field,
        selections: &[&Selection],
        of: Option<Node<'_>>,
    ) -> Result<Json, AppError> {
        let (mut params, offset) = self.params(field, of)?;
        if offset > 0 {
            return Err(invalid(
                "a connection is paged with its cursor: leave _offset out",
            ));
        }
        let groups = self.fields(selections)?;
        if groups.iter().any(|(inner, _)| inner.name == "count") {
            params.push(("_total".to_owned(), "accurate".to_owned()));
        }
        let answer = self.search(ty, params).await?;
        let size = answer.matches.len();
        let mut made = serde_json::Map::new();
        let (total, next) = (answer.total, answer.next.clone());
        let mut matches = Some(answer.matches);
        for (inner, chosen) in groups {
            let value = match inner.name.as_str() {
                "__typename" => {
                    Json::from(format!("{}Connection", Definitions::r4().resource_name(ty)))
                }
                "count" => json!(total),
                "offset" | "first" | "previous" | "last" => Json::Null,
                "pagesize" => json!(size),
                "next" => json!(next),
                "edges" => {
                    let matches = matches.take().unwrap_or_default();
                    let mut edges = Vec::with_capacity(matches.len());
                    for version in matches {
                        let Some(body) = version.body else { continue };
                        let loaded = Loaded::new(version.key, &body)?;
                        edges.push(self.edge(&loaded, &chosen).await?);
                    }
                    Json::Array(edges)
                }
                other => {
                    return Err(invalid(format!(
                        "a connection has no field {other}: use count, pagesize, next, edges"
                    )));
                }
            };
            made.insert(inner.key().to_owned(), value);
        }
        Ok(Json::Object(made))
    }

    async fn edge(&self, loaded: &Loaded, selections: &[&Selection]) -> Result<Json, AppError> {
        let mut made = serde_json::Map::new();
        for (field, chosen) in self.fields(selections)? {
            let value = match field.name.as_str() {
                "mode" => Json::from("match"),
                "score" => Json::Null,
                "resource" if !chosen.is_empty() => self.answer(loaded.node()?, chosen).await?,
                other => {
                    return Err(invalid(format!(
                        "an edge has no field {other}: use mode, score, and resource with its fields"
                    )));
                }
            };
            made.insert(field.key().to_owned(), value);
        }
        Ok(Json::Object(made))
    }

    async fn search(
        &self,
        ty: TypeId,
        params: Vec<(String, String)>,
    ) -> Result<SearchAnswer, AppError> {
        self.load()?;
        let request = SearchRequest {
            ty,
            params,
            lenient: false,
        };
        search(self.app, self.caller, &request).await
    }

    /// The search parameters of a field, and its `_offset`.
    fn params(
        &self,
        field: &Field,
        of: Option<Node<'_>>,
    ) -> Result<(Vec<(String, String)>, u32), AppError> {
        let mut params = Vec::new();
        let (mut offset, mut refers) = (0, false);
        for (name, literal) in &field.arguments {
            let Some(text) = self.values(literal) else {
                continue;
            };
            match name.as_str() {
                "_offset" => {
                    offset = text
                        .parse()
                        .map_err(|_| invalid("_offset is no whole number"))?;
                }
                "_reference" => {
                    let key = of.and_then(|node| node.key);
                    let key = key.ok_or_else(|| {
                        invalid("_reference is for lists within a resource of the record")
                    })?;
                    refers = true;
                    params.push((parameter(&text), name_of(key)));
                }
                "_cursor" => params.push((CURSOR.to_owned(), text)),
                refused if REFUSED.contains(&refused) => {
                    return Err(invalid(format!(
                        "{refused} has no meaning here: leave it out"
                    )));
                }
                name => params.push((parameter(name), text)),
            }
        }
        if of.is_some() && !refers {
            return Err(invalid(format!(
                "{} needs the argument _reference: the parameter by which it refers here",
                field.name
            )));
        }
        Ok((params, offset))
    }

    /// An argument's value: a list is alternatives. `None`: not given.
    fn values(&self, literal: &Literal) -> Option<String> {
        match self.planned.value(literal) {
            Json::Array(items) => {
                let texts: Vec<String> = items
                    .iter()
                    .filter_map(|item| match item {
                        Json::String(text) => Some(text.clone()),
                        Json::Number(number) => Some(number.to_string()),
                        Json::Bool(flag) => Some(flag.to_string()),
                        _ => None,
                    })
                    .collect();
                (!texts.is_empty()).then(|| texts.join(","))
            }
            _ => self.planned.text(literal),
        }
    }
}
