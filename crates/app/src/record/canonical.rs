//! Canonical references: which resources a URL, perhaps with a version, names, and the one
//! that a resource has. Must not search.

use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Limits};
use fhir::search::{ParamId, ParamKind, SearchParam};
use store::{KeyForm, Predicate, StoredVersion};

use crate::record::clauses::any_of;

/// Parameter `url` of a type that has canonical URLs.
fn url_of(definitions: &Definitions, ty: TypeId) -> Option<&'static SearchParam> {
    let param = definitions.search_param(ty, "url")?;
    (param.kind == ParamKind::Uri).then_some(param)
}

/// The types that a canonical value of a reference parameter may name.
pub(crate) fn types(
    definitions: &Definitions,
    param: ParamId,
    only: Option<TypeId>,
) -> Vec<TypeId> {
    let targets: Vec<TypeId> = match (only, definitions.search_param_by_id(param)) {
        (Some(only), _) => vec![only],
        (None, Some(param)) if !param.targets.is_empty() => param.targets.to_vec(),
        (None, _) => definitions.resource_types().collect(),
    };
    let canonical = targets.into_iter();
    canonical
        .filter(|ty| url_of(definitions, *ty).is_some())
        .collect()
}

/// The resources of a type that a canonical names: with `|version` that version of the definition, without
/// one every version that is here.
pub(crate) fn names(definitions: &Definitions, ty: TypeId, canonical: &str) -> Option<Predicate> {
    let (url, version) = match canonical.split_once('|') {
        Some((url, version)) => (url, Some(version)),
        None => (canonical, None),
    };
    let by_url = Predicate::Key {
        param: url_of(definitions, ty)?.id,
        form: KeyForm::Url(url.to_owned()),
    };
    let param = definitions.search_param(ty, "version");
    let (Some(version), Some(param)) = (version, param) else {
        return Some(by_url);
    };
    let by_version = Predicate::Key {
        param: param.id,
        form: KeyForm::Code(version.to_owned()),
    };
    Some(Predicate::All(vec![
        any_of(vec![by_url]),
        any_of(vec![by_version]),
    ]))
}

/// The URL by which others may name a version. References that name another version of the definition are
/// found by it, too, as chains find them.
pub(crate) fn url(definitions: &Definitions, source: &StoredVersion) -> Option<String> {
    url_of(definitions, source.key.ty)?;
    let body = source.body.as_ref()?;
    let document = Document::parse(body.to_vec(), &Limits::default()).ok()?;
    let url = document.root().get("url")?.as_str()?;
    Some(url.into_owned())
}
