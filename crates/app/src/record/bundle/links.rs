//! References inside a transaction: entries name each other by `fullUrl`, and resources elsewhere by a
//! condition (`Practitioner?identifier=..`). Both become `Type/id` before anything is stored.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use fhir::definitions::TypeId;
use fhir::json::{Kind, Value};

use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::record::condition::{Condition, Matched};
use crate::record::name_of;

/// What references become.
#[derive(Debug, Default)]
pub(super) struct Links {
    map: HashMap<String, String>,
}

impl Links {
    /// An entry's `fullUrl` and where its resource is stored. A `fullUrl` that ends in `Type/id` also
    /// answers to that relative form. False when another resource has the same `fullUrl`: a reference to
    /// it would mean either.
    pub(super) fn add(&mut self, full_url: &str, type_name: &str, stored: &str) -> bool {
        let before = self.map.insert(full_url.to_owned(), stored.to_owned());
        if let Some((rest, id)) = full_url.rsplit_once('/')
            && rest.rsplit('/').next() == Some(type_name)
        {
            self.map
                .insert(format!("{type_name}/{id}"), stored.to_owned());
        }
        before.is_none_or(|before| before == stored)
    }

    /// A conditional reference and what it resolved to.
    pub(super) fn resolve(&mut self, reference: String, stored: String) {
        self.map.insert(reference, stored);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// What a reference becomes; `None` leaves it. A `urn:` that no entry has is put into `dangling`.
    pub(super) fn target(
        &self,
        reference: &str,
        dangling: &RefCell<Option<String>>,
    ) -> Option<String> {
        if let Some(stored) = self.map.get(reference) {
            return Some(stored.clone());
        }
        if reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:") {
            dangling
                .borrow_mut()
                .get_or_insert_with(|| reference.to_owned());
        }
        None
    }
}

/// The type a conditional reference asks for, if it is one.
fn conditional(app: &App, reference: &str) -> Option<TypeId> {
    let (name, query) = reference.split_once('?')?;
    if query.is_empty() {
        return None;
    }
    app.definitions().resource(name)
}

/// The conditional references of resources, each once, with the index of the first entry that has it.
pub(super) fn conditional_references(
    app: &App,
    resources: &[Option<Value<'_>>],
) -> BTreeMap<String, (usize, TypeId)> {
    let mut found = BTreeMap::new();
    for (index, resource) in resources.iter().enumerate() {
        if let Some(resource) = resource
            && resource.raw().contains(&b'?')
        {
            collect(app, *resource, index, &mut found);
        }
    }
    found
}

fn collect(
    app: &App,
    value: Value<'_>,
    index: usize,
    found: &mut BTreeMap<String, (usize, TypeId)>,
) {
    match value.kind() {
        Kind::Array => {
            for item in value.items() {
                collect(app, item, index, found);
            }
        }
        Kind::Object => {
            for (name, member) in value.members() {
                if name == "reference"
                    && let Some(text) = member.as_str()
                {
                    if let Some(ty) = conditional(app, &text) {
                        found.entry(text.into_owned()).or_insert((index, ty));
                    }
                } else {
                    collect(app, member, index, found);
                }
            }
        }
        _ => {}
    }
}

/// Finds the one resource a conditional reference means, among those the caller may see.
pub(super) async fn find(
    app: &App,
    caller: &Caller,
    reference: &str,
    ty: TypeId,
) -> Result<String, AppError> {
    let condition = Condition::parse(app, caller, ty, reference).await?;
    match condition.find(app, caller).await? {
        Matched::One(found) => Ok(name_of(&found.key)),
        Matched::None => Err(AppError::Unprocessable(format!(
            "the reference {reference:?} matches no resource: store it first"
        ))),
        Matched::Several => Err(condition.ambiguous(app)),
    }
}
