//! Parameters that are the union of two others (`combo-code-value-quantity`: of `code-value-quantity` and
//! `component-code-value-quantity`). As composites they would repeat all rows of both, so they have none
//! of their own: a query asks both parts. Must list composites only; others can be sorted by.

use fhir::Definitions;
use fhir::search::{ParamId, ParamKind, SearchParam};

/// The parts of a composite `combo-*` parameter; `None` for every other parameter.
pub(super) fn union_of(param: ParamId) -> Option<[&'static SearchParam; 2]> {
    let definitions = Definitions::r4();
    let whole = definitions.search_param_by_id(param)?;
    if whole.kind != ParamKind::Composite {
        return None;
    }
    let own = whole.code.strip_prefix("combo-")?;
    let part = definitions.search_param(whole.ty, own)?;
    let component = definitions.search_param(whole.ty, &format!("component-{own}"))?;
    Some([part, component])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unions_are_those_of_observation_and_their_expressions_say_so() {
        let definitions = Definitions::r4();
        let mut found = Vec::new();
        for ty in definitions.resource_types() {
            for param in definitions.search_params(ty) {
                if let Some([part, component]) = union_of(param.id) {
                    assert_eq!(param.components.len(), part.components.len());
                    found.push(format!(
                        "{}: {} ({}) = {} ({}) + {} ({})",
                        definitions.resource_name(ty),
                        param.code,
                        param.expression,
                        part.code,
                        part.expression,
                        component.code,
                        component.expression
                    ));
                }
            }
        }
        insta::assert_snapshot!(found.join("\n"), @r"
        Observation: combo-code-value-concept (Observation | Observation.component) = code-value-concept (Observation) + component-code-value-concept (Observation.component)
        Observation: combo-code-value-quantity (Observation | Observation.component) = code-value-quantity (Observation) + component-code-value-quantity (Observation.component)
        ");
    }
}
