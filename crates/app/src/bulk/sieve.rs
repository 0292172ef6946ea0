//! What of a snapshot belongs to an export, and how it is shown: by compartment, by query, cut to
//! elements. Pure; whether the caller may see it is decided elsewhere.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Limits};
use fhir::search::extract;
use kernel::{LogicalId, Timestamp};
use store::StoredVersion;

use crate::bulk::filter::{self, Filter};
use crate::bulk::job::ExportSpec;
use crate::bulk::mentions;
use crate::error::AppError;
use crate::record::project::Projection;

/// What an export asks for, ready to be applied.
pub(super) struct Sieve {
    definitions: &'static Definitions,
    of_patients: bool,
    listed: Option<HashSet<LogicalId>>,
    filters: HashMap<TypeId, Vec<Filter>>,
    projections: HashMap<TypeId, Projection>,
}

/// A resource that belongs to the export.
pub(super) struct Kept {
    pub version: StoredVersion,
    /// As it is shown.
    pub body: Bytes,
    /// The patients in whose compartments it lies; `None` where nobody asked.
    pub patients: Option<Vec<LogicalId>>,
    /// The patients it mentions.
    pub mentioned: Vec<LogicalId>,
}

impl Sieve {
    pub(super) fn new(
        definitions: &'static Definitions,
        spec: &ExportSpec,
        listed: Option<HashSet<LogicalId>>,
        base: &str,
        now: Timestamp,
    ) -> Result<Self, AppError> {
        let mut filters: HashMap<TypeId, Vec<Filter>> = HashMap::new();
        for (name, query) in &spec.filters {
            let (ty, filter) = filter::parse(definitions, &format!("{name}?{query}"), base, now)?;
            filters.entry(ty).or_default().push(filter);
        }
        let mut projections = HashMap::new();
        for name in &spec.types {
            if let Some(ty) = definitions.resource(name)
                && let Some(projection) = projection(name, &spec.elements)?
            {
                projections.insert(ty, projection);
            }
        }
        Ok(Self {
            definitions,
            of_patients: spec.of_patients,
            listed,
            filters,
            projections,
        })
    }

    /// Whether deletions must be traced to their patients.
    pub(super) fn is_of_patients(&self) -> bool {
        self.of_patients
    }

    /// Whether something about these patients belongs to the export.
    pub(super) fn wants(&self, patients: &[LogicalId]) -> bool {
        match &self.listed {
            _ if !self.of_patients => true,
            Some(listed) => patients.iter().any(|patient| listed.contains(patient)),
            None => !patients.is_empty(),
        }
    }

    /// Keeps what belongs to the export. `exact` asks for the patients of each.
    pub(super) fn page(
        &self,
        versions: Vec<StoredVersion>,
        exact: bool,
    ) -> Result<Vec<Kept>, AppError> {
        let mut kept = Vec::with_capacity(versions.len());
        for version in versions {
            if let Some(found) = self.one(version, exact)? {
                kept.push(found);
            }
        }
        Ok(kept)
    }

    fn one(&self, version: StoredVersion, exact: bool) -> Result<Option<Kept>, AppError> {
        let Some(body) = version.body.clone() else {
            return Ok(None);
        };
        let ty = version.key.ty;
        let filters = self.filters.get(&ty);
        let mut patients = None;
        if self.of_patients || exact || filters.is_some() {
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            let found = extract(self.definitions, ty, document.root());
            let wanted = self.wants(&found.patients)
                && filters.is_none_or(|any| any.iter().any(|filter| filter.matches(&found)));
            if !wanted {
                return Ok(None);
            }
            patients = Some(found.patients);
        }
        let body = match self.projections.get(&ty) {
            Some(projection) => projection.apply(self.definitions, ty, &body)?,
            None => body,
        };
        let mut mentioned = Vec::new();
        mentions::mentions(&body, &mut |id| mentioned.extend(mentions::id(id)))?;
        if self.definitions.resource("Patient") == Some(ty) {
            mentioned.push(version.key.id.clone());
        }
        mentioned.extend(patients.iter().flatten().cloned());
        mentioned.sort_unstable();
        mentioned.dedup();
        Ok(Some(Kept {
            version,
            body,
            patients,
            mentioned,
        }))
    }
}

/// `_elements` for one type: those named for it and those for every type.
pub(super) fn projection(name: &str, elements: &[String]) -> Result<Option<Projection>, AppError> {
    let mut projection = Projection::default();
    for element in elements {
        match element.split_once('.') {
            None => projection.set_elements(element)?,
            Some((ty, element)) if ty == name => projection.set_elements(element)?,
            Some(_) => {}
        }
    }
    Ok((!projection.elements.is_empty()).then_some(projection))
}

/// Whether resources of a type can lie in a patient's compartment.
pub(super) fn is_of_patients(definitions: &Definitions, ty: TypeId) -> bool {
    definitions.resource("Patient") == Some(ty)
        || definitions
            .search_params(ty)
            .iter()
            .any(|param| param.compartment)
}
