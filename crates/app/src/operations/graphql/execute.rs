//! A query being executed. Every resource it touches comes through the use-cases `read` and `search`, so
//! that policy and ledger hold as over REST. What it costs is counted: values, resources loaded, bytes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fhir::definitions::Definitions;
use fhir::definitions::navigate::{Holds, ShapeId};
use fhir::json::{Document, Limits, Value};
use futures_util::future::BoxFuture;
use kernel::{Categorised as _, Category};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use store::ResourceKey;

use super::elements::{self, Found, Part, Paths};
use super::introspect::View;
use super::output::{Manner, Out};
use super::plan::Planned;
use super::schema::{QUERY, type_name};
use super::syntax::{Directive, Field, Selection};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::read;

/// Values in an answer at most.
const VALUES: u64 = 200_000;
/// Reads and searches of a query at most.
const LOADS: u64 = 500;
/// What one FHIRPath evaluation counts as, in values.
const EVALUATION: u64 = 50;
/// What a field of an answer counts as in bytes, beside its name and value.
const ENTRY: u64 = 48;
/// Notes about what could not be had, at most.
const NOTES: usize = 200;

/// One execution.
pub(super) struct Execution<'q> {
    pub app: &'q App,
    pub caller: &'q Caller,
    pub planned: &'q Planned,
    pub paths: Paths,
    pub errors: Mutex<Vec<Json>>,
    values: AtomicU64,
    loads: AtomicU64,
    bytes: AtomicU64,
    /// The schema as the caller may see it, where it was asked for.
    pub view: OnceLock<View>,
}

/// An object that fields are selected of.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub value: Value<'a>,
    pub shape: ShapeId,
    /// The resource it stands in, which contained ones are found in.
    pub root: Value<'a>,
    /// What the resource is called, where the node is a resource of the record.
    pub key: Option<&'a ResourceKey>,
}

/// A field with everything that is selected of it under its name.
struct Group<'q> {
    field: &'q Field,
    selections: Vec<&'q Selection>,
}

fn invalid(text: impl Into<String>) -> AppError {
    AppError::Invalid(text.into())
}

fn directive<'d>(field: &'d Field, name: &str) -> Option<&'d Directive> {
    field
        .directives
        .iter()
        .find(|directive| directive.name == name)
}

/// A resource that was loaded, parsed.
pub(super) struct Loaded {
    pub key: ResourceKey,
    pub document: Document,
}

impl Loaded {
    pub(super) fn new(key: ResourceKey, body: &Bytes) -> Result<Self, AppError> {
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        Ok(Self { key, document })
    }

    /// The resource as a node.
    pub(super) fn node(&self) -> Result<Node<'_>, AppError> {
        let shape = Definitions::r4().resource_shape(self.key.ty);
        let root = self.document.root();
        Ok(Node {
            value: root,
            shape: shape.ok_or_else(|| AppError::Fault("a type has no shape".to_owned()))?,
            root,
            key: Some(&self.key),
        })
    }
}

impl<'q> Execution<'q> {
    pub(super) fn new(app: &'q App, caller: &'q Caller, planned: &'q Planned) -> Self {
        Self {
            app,
            caller,
            planned,
            paths: Paths::default(),
            errors: Mutex::new(Vec::new()),
            values: AtomicU64::new(VALUES),
            loads: AtomicU64::new(LOADS),
            bytes: AtomicU64::new(app.settings().limits.answer_bytes as u64),
            view: OnceLock::new(),
        }
    }

    fn take(budget: &AtomicU64, much: u64, what: &str) -> Result<(), AppError> {
        let taken = budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(much)
        });
        taken.map(drop).map_err(|_| {
            AppError::TooCostly(format!(
                "the query needs more {what} than the limit: ask for fewer with _count, or in several queries"
            ))
        })
    }

    /// Counts a resource that is about to be loaded, or a search.
    pub(super) fn load(&self) -> Result<(), AppError> {
        Self::take(&self.loads, 1, "reads and searches")
    }

    pub(super) fn charge(&self, values: u64) -> Result<(), AppError> {
        Self::take(&self.values, values, "values")
    }

    pub(super) fn room(&self, bytes: usize) -> Result<(), AppError> {
        Self::take(&self.bytes, bytes as u64, "bytes")
    }

    /// Counts a field of an object, with its name.
    fn charge_field(&self, name: usize) -> Result<(), AppError> {
        self.charge(1)?;
        Self::take(&self.bytes, ENTRY.saturating_add(name as u64), "bytes")
    }

    /// Says in the answer what could not be had; of very much, the beginning.
    pub(super) fn note(&self, field: &Field, error: &AppError) {
        let code = error.category().mapping().issue_type;
        self.add_note(json!({
            "message": error.public_text(),
            "path": [field.key()],
            "extensions": { "code": code },
        }));
    }

    fn add_note(&self, note: Json) {
        let mut errors = self.errors.lock();
        if errors.len() < NOTES {
            errors.push(note);
        } else if errors.len() == NOTES {
            errors.push(json!({ "message": "there is more of this kind, which is not said" }));
        }
    }

    /// What is selected of a node, as an answer's object.
    pub(super) async fn answer(
        &self,
        node: Node<'_>,
        selections: Vec<&Selection>,
    ) -> Result<Json, AppError> {
        let out = self.object(node, selections).await?;
        Ok(self.finish(out))
    }

    /// Finishes an object; notes what was to be single and is not.
    pub(super) fn finish(&self, out: Out) -> Json {
        let mut several = Vec::new();
        let made = out.finish(&mut several);
        for name in several {
            let text =
                format!("{name} is marked @singleton and has several values: the first is shown");
            self.add_note(json!({ "message": text, "path": [name] }));
        }
        made
    }

    fn object<'t>(
        &'t self,
        node: Node<'t>,
        selections: Vec<&'t Selection>,
    ) -> BoxFuture<'t, Result<Out, AppError>> {
        Box::pin(async move {
            let name = Definitions::r4().shape_name(node.shape);
            let mut out = Out::default();
            for group in self.collect(name, &selections)? {
                self.charge_field(group.field.key().len())?;
                self.field(node, name, group, &mut out).await?;
            }
            Ok(out)
        })
    }

    /// The fields that are selected of what is no FHIR type, each with what is selected of it.
    pub(super) fn fields<'t>(
        &'t self,
        selections: &[&'t Selection],
    ) -> Result<Vec<(&'t Field, Vec<&'t Selection>)>, AppError> {
        let groups = self.collect("", selections)?;
        for group in &groups {
            self.charge_field(group.field.key().len())?;
        }
        let groups = groups.into_iter();
        Ok(groups
            .map(|group| (group.field, group.selections))
            .collect())
    }

    /// The same of a type of the schema; counted by who asks.
    pub(super) fn fields_of<'t>(
        &'t self,
        name: &str,
        selections: &[&'t Selection],
    ) -> Result<Vec<(&'t Field, Vec<&'t Selection>)>, AppError> {
        let groups = self.collect(name, selections)?.into_iter();
        Ok(groups
            .map(|group| (group.field, group.selections))
            .collect())
    }

    /// The fields that are selected of a type, each once, with fragments written out.
    fn collect<'t>(
        &'t self,
        name: &str,
        selections: &[&'t Selection],
    ) -> Result<Vec<Group<'t>>, AppError> {
        let mut groups: Vec<Group<'t>> = Vec::new();
        self.gather(name, selections.iter().copied(), &mut groups)?;
        Ok(groups)
    }

    fn gather<'t>(
        &'t self,
        name: &str,
        selections: impl Iterator<Item = &'t Selection>,
        groups: &mut Vec<Group<'t>>,
    ) -> Result<(), AppError> {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    if self.planned.is_included(&field.directives)? {
                        group(field, groups)?;
                    } else {
                        self.charge(1)?;
                    }
                }
                Selection::Inline {
                    on,
                    directives,
                    selections,
                } => {
                    self.charge(1)?;
                    if self.planned.is_included(directives)? && applies(name, on.as_deref())? {
                        self.gather(name, selections.iter(), groups)?;
                    }
                }
                Selection::Spread {
                    name: fragment,
                    directives,
                } => {
                    self.charge(1)?;
                    let fragment = self.planned.query.fragments.get(fragment);
                    if let Some(fragment) = fragment
                        && self.planned.is_included(directives)?
                        && applies(name, Some(&fragment.on))?
                    {
                        self.gather(name, fragment.selections.iter(), groups)?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn field<'t>(
        &'t self,
        node: Node<'t>,
        name: &str,
        group: Group<'t>,
        out: &mut Out,
    ) -> Result<(), AppError> {
        let field = group.field;
        let one = Manner {
            list: false,
            singleton: false,
        };
        let is_resource = Definitions::r4().resource(name).is_some();
        match field.name.as_str() {
            "__typename" => {
                self.room(name.len())?;
                out.add(field.key(), vec![Json::from(type_name(name))], one);
            }
            "__schema" | "__type" if is_resource => {
                let value = self.introspected(name, field, &group.selections)?;
                out.add(field.key(), vec![value], one);
            }
            "resourceType" if is_resource => {
                self.room(name.len())?;
                out.add(field.key(), vec![Json::from(name)], one);
            }
            "resource" if name == "Reference" => {
                let value = self.referenced(node, field, group.selections).await?;
                out.add(field.key(), vec![value], one);
            }
            _ => match elements::element(node.value, node.shape, &field.name) {
                Some(found) => self.element(node, found, group, out).await?,
                None if is_resource => {
                    let value = self.searched(field, &group.selections, Some(node)).await?;
                    out.add(field.key(), vec![value], one);
                }
                None => return Err(invalid(format!("{name} has no element {}", field.name))),
            },
        }
        Ok(())
    }

    async fn element<'t>(
        &'t self,
        node: Node<'t>,
        mut found: Found<'t>,
        group: Group<'t>,
        out: &mut Out,
    ) -> Result<(), AppError> {
        let field = group.field;
        let slice = directive(field, "slice");
        if slice.is_some() || field.arguments.iter().any(|(name, _)| name == "fhirpath") {
            self.charge(EVALUATION * found.parts.len() as u64)?;
        }
        elements::narrow(&mut found, field, self.planned, (&self.paths, node.root))?;
        if directive(field, "first").is_some() {
            found.parts.truncate(1);
            found.list = false;
        }
        let singleton = directive(field, "singleton").is_some();
        let manner = Manner {
            list: found.list,
            singleton,
        };
        let mut values = Vec::with_capacity(found.parts.len());
        for (index, part) in found.parts.iter().enumerate() {
            self.charge(1)?;
            let suffix = match slice {
                None => None,
                Some(slice) => Some(self.slice(slice, index, node, *part)?),
            };
            if let Some(slice) = &suffix {
                self.charge_field(field.key().len().saturating_add(slice.len()))?;
            }
            let Some(inner) = inner(node, *part, field)? else {
                let text = elements::leaf(part.value);
                self.room(part.value.raw().len())?;
                match suffix {
                    None => values.push(text),
                    Some(slice) => out.add(&format!("{}.{slice}", field.key()), vec![text], manner),
                }
                continue;
            };
            let made = self.object(inner, group.selections.clone()).await?;
            match (directive(field, "flatten"), suffix) {
                (Some(_), suffix) => {
                    let longer = suffix.as_deref().map_or(0, str::len);
                    self.room(longer.saturating_mul(made.len()))?;
                    out.flatten(made, suffix.as_deref());
                }
                (None, Some(slice)) => {
                    let value = self.finish(made);
                    let manner = Manner {
                        list: false,
                        singleton,
                    };
                    out.add(&format!("{}.{slice}", field.key()), vec![value], manner);
                }
                (None, None) => values.push(self.finish(made)),
            }
        }
        // What is not there is null, or no item.
        let stands = directive(field, "flatten").is_none() && slice.is_none();
        if stands || !values.is_empty() {
            out.add(field.key(), values, manner);
        }
        Ok(())
    }

    /// What stands behind the name of a sliced element.
    fn slice(
        &self,
        slice: &Directive,
        index: usize,
        node: Node<'_>,
        part: Part<'_>,
    ) -> Result<String, AppError> {
        let path = self
            .planned
            .argument(&slice.arguments, "path")
            .or_else(|| self.planned.argument(&slice.arguments, "fhirpath"))
            .ok_or_else(|| invalid("@slice needs the argument path"))?;
        if path == "$index" {
            return Ok(index.to_string());
        }
        let text = self.paths.text(&path, node.root, part)?;
        Ok(text.unwrap_or_default())
    }

    /// `resource` of a reference.
    async fn referenced<'t>(
        &'t self,
        node: Node<'t>,
        field: &'t Field,
        selections: Vec<&'t Selection>,
    ) -> Result<Json, AppError> {
        if selections.is_empty() {
            return Err(invalid("resource has fields: say which"));
        }
        let argument = |name: &str| self.planned.argument(&field.arguments, name);
        let optional = argument("optional").as_deref() == Some("true");
        let wanted = argument("type");
        let Some(reference) = node.value.get_str("reference") else {
            return Ok(Json::Null);
        };
        if let Some(id) = reference.strip_prefix('#') {
            return self
                .contained(node, id, wanted.as_deref(), selections)
                .await;
        }
        let Some(key) = self.local(&reference) else {
            if !optional {
                let shown: String = reference.chars().take(200).collect();
                let text = format!("{shown:?} points to nothing here");
                self.note(field, &AppError::NotFound { what: text });
            }
            return Ok(Json::Null);
        };
        let name = Definitions::r4().resource_name(key.ty);
        if wanted.is_some_and(|wanted| wanted != name) {
            return Ok(Json::Null);
        }
        self.load()?;
        match read::read(self.app, self.caller, &key).await {
            Ok(version) => {
                let loaded = Loaded::new(key, &version.body.unwrap_or_default())?;
                self.answer(loaded.node()?, selections).await
            }
            Err(error) if is_of_one(&error) => {
                if !optional {
                    self.note(field, &error);
                }
                Ok(Json::Null)
            }
            Err(error) => Err(error),
        }
    }

    async fn contained<'t>(
        &'t self,
        node: Node<'t>,
        id: &str,
        wanted: Option<&str>,
        selections: Vec<&'t Selection>,
    ) -> Result<Json, AppError> {
        let inside = node.root.get("contained");
        let found = inside
            .into_iter()
            .flat_map(Value::items)
            .find(|resource| resource.get_str("id").as_deref() == Some(id));
        let Some(value) = found else {
            return Ok(Json::Null);
        };
        let shape = elements::shape_of(Part {
            value,
            holds: Holds::Resource,
        });
        let right =
            wanted.is_none_or(|wanted| value.get_str("resourceType").as_deref() == Some(wanted));
        match shape {
            Some(shape) if right => {
                let node = Node {
                    value,
                    shape,
                    root: node.root,
                    key: None,
                };
                self.answer(node, selections).await
            }
            _ => Ok(Json::Null),
        }
    }

    /// The resource of this record that a reference names.
    fn local(&self, reference: &str) -> Option<ResourceKey> {
        let base = &*self.caller.context.base;
        let local = reference
            .strip_prefix(base)
            .map_or(reference, |rest| rest.trim_start_matches('/'));
        let mut pieces = local.split('/');
        let (ty, id) = (pieces.next()?, pieces.next()?);
        if !matches!(pieces.next(), None | Some("_history")) {
            return None;
        }
        Some(ResourceKey {
            ty: Definitions::r4().resource(ty)?,
            id: id.parse().ok()?,
        })
    }

    /// The fields of the whole system.
    pub(super) async fn system(&self) -> Result<Json, AppError> {
        let selections: Vec<&Selection> = self.planned.selections().iter().collect();
        let mut out = Out::default();
        let one = Manner {
            list: false,
            singleton: false,
        };
        for group in self.collect("Query", &selections)? {
            let field = group.field;
            self.charge_field(field.key().len())?;
            let value = match field.name.as_str() {
                "__typename" => Json::from(QUERY),
                "__schema" | "__type" => self.introspected(QUERY, field, &group.selections)?,
                _ => self.searched(field, &group.selections, None).await?,
            };
            out.add(field.key(), vec![value], one);
        }
        Ok(self.finish(out))
    }
}

/// A part as an object, `None` for a primitive; checks that fields are selected of objects only.
fn inner<'t>(node: Node<'t>, part: Part<'t>, field: &Field) -> Result<Option<Node<'t>>, AppError> {
    let shape = elements::shape_of(part);
    let Some(shape) = shape else {
        if field.selections.is_empty() {
            return Ok(None);
        }
        return Err(invalid(format!(
            "{} has no fields: select nothing of it",
            field.name
        )));
    };
    if field.selections.is_empty() {
        return Err(invalid(format!("{} has fields: say which", field.name)));
    }
    let own_root = part.holds == Holds::Resource && field.name != "contained";
    Ok(Some(Node {
        value: part.value,
        shape,
        root: if own_root { part.value } else { node.root },
        key: None,
    }))
}

/// Whether an error is about one resource and leaves the rest of the answer alone.
pub(super) fn is_of_one(error: &AppError) -> bool {
    matches!(
        error.category(),
        Category::NotFound | Category::Gone | Category::Forbidden
    )
}

fn applies(name: &str, on: Option<&str>) -> Result<bool, AppError> {
    let Some(on) = on else { return Ok(true) };
    if !elements::is_type(on) {
        let shown: String = on.chars().take(64).collect();
        return Err(invalid(format!("there is no type {shown}")));
    }
    Ok(elements::is_a(name, on))
}

/// Puts a field beside those of the same name in the answer.
fn group<'t>(field: &'t Field, groups: &mut Vec<Group<'t>>) -> Result<(), AppError> {
    match groups
        .iter_mut()
        .find(|group| group.field.key() == field.key())
    {
        None => groups.push(Group {
            field,
            selections: field.selections.iter().collect(),
        }),
        Some(group) => {
            let same = group.field.name == field.name
                && group.field.arguments == field.arguments
                && group.field.directives == field.directives;
            if !same {
                return Err(invalid(format!(
                    "{} stands for different fields: give one an alias",
                    field.key()
                )));
            }
            group.selections.extend(field.selections.iter());
        }
    }
    Ok(())
}
