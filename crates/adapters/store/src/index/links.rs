//! Which parameters lead from one resource to another: their keys are also kept by resource, in `ix_ref`, so
//! that a chain can be followed from its beginning. Must not change for a parameter once it is stored.

use std::sync::LazyLock;

use fhir::Definitions;
use fhir::search::{ParamKind, SearchParam};

static LINKS: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let definitions = Definitions::r4();
    let mut links = Vec::new();
    for ty in definitions.resource_types() {
        for param in definitions.search_params(ty).iter().filter(|p| leads(p)) {
            let at = usize::from(param.id.0);
            if links.len() <= at {
                links.resize(at + 1, false);
            }
            if let Some(link) = links.get_mut(at) {
                *link = true;
            }
        }
    }
    links
});

/// References, and the canonical URL by which a resource is referred to.
fn leads(param: &SearchParam) -> bool {
    param.kind == ParamKind::Reference || (param.kind == ParamKind::Uri && param.code == "url")
}

/// Whether the keys of a parameter lead to other resources, or are what such keys lead to.
#[must_use]
pub fn is_link(p: u16) -> bool {
    LINKS.get(usize::from(p)).copied().unwrap_or_default()
}

/// The numbers of all such parameters, as a list for a statement.
#[must_use]
pub(crate) fn link_list() -> String {
    let all = LINKS.iter().enumerate().filter(|(_, link)| **link);
    let all: Vec<String> = all.map(|(p, _)| p.to_string()).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_canonical_urls_are_links() {
        let definitions = Definitions::r4();
        let id = |ty: &str, code: &str| {
            let ty = definitions.resource(ty).unwrap();
            definitions.search_param(ty, code).unwrap().id.0
        };
        assert!(is_link(id("Observation", "subject")));
        assert!(is_link(id("Questionnaire", "url")));
        assert!(!is_link(id("Observation", "code")));
        assert!(!is_link(crate::index::COMPARTMENT) && !is_link(u16::MAX));
        assert!(link_list().contains(&id("Observation", "subject").to_string()));
    }
}
