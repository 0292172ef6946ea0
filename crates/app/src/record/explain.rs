//! How a search would be run, for those who run the house: what drives it, what it is estimated to cost,
//! the statement without values, the engine's plan and after how long it is stopped. Runs no search and
//! shows nothing of the record; to people who may not search every type it looks at whole, its numbers are
//! rounded up and everything else follows from the rounded ones, so that it tells of no patient.

use std::time::Duration;

use fhir::definitions::TypeId;
use identity::Interaction;
use serde_json::{Value, json};
use store::{Clause, Counting, Explanation, Predicate, SearchPlan};

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::narrow::{self, Reach};
use crate::record::{plan, query_string};

/// Explains a search of a type, as it would be run for somebody whose role narrows nothing. The asking is
/// in the access ledger.
pub async fn explain(
    app: &App,
    caller: &Caller,
    ty: TypeId,
    params: &[(String, String)],
) -> Result<Vec<u8>, AppError> {
    let allowed = authorise(app, caller, &Ask::operation(Interaction::ViewHealth)).await?;
    let plan = plan::plan_open(app, caller, ty, params).await?.plan;
    let counting = if reaches_all(app, caller, &plan) {
        Counting::Exact
    } else {
        Counting::Coarse
    };
    let explained = app.store().explain(&caller.scope, &plan, counting).await?;
    let pairs = params.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let query = format!(
        "{}/$explain?{}",
        app.definitions().resource_name(ty),
        query_string::print(pairs)
    );
    let look = Look {
        class: ledger::leaf::Class::Search,
        object: None,
        query: Some(&query),
        patients: &[],
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let limit = app.store().search_limit();
    let shown = parameters(&explained, (limit, plan.rows));
    Ok(shown.to_string().into_bytes())
}

/// Whether the caller may search whole every type that a plan looks at, at the end of its chains, too.
fn reaches_all(app: &App, caller: &Caller, plan: &SearchPlan) -> bool {
    let whole = |ty: TypeId| narrow::reach(app, caller, ty) == Reach::All;
    plan.types.iter().all(|ty| whole(*ty)) && looks_only_at(&plan.all_of, &whole)
}

fn looks_only_at(clauses: &[Clause], whole: &dyn Fn(TypeId) -> bool) -> bool {
    let mut predicates = clauses.iter().flat_map(|clause| &clause.any_of);
    predicates.all(|predicate| match predicate {
        Predicate::Chain { targets, .. } => {
            let mut targets = targets.iter();
            targets.all(|(ty, inner)| whole(*ty) && looks_only_at(inner, whole))
        }
        Predicate::Has { ty, all_of, .. } => whole(*ty) && looks_only_at(all_of, whole),
        Predicate::All(inner) => looks_only_at(inner, whole),
        // They tell of patients whatever type is searched.
        Predicate::Compartment(_) | Predicate::PatientOrganization { .. } => false,
        _ => true,
    })
}

fn parameters(explained: &Explanation, (limit, rows): (Duration, u64)) -> Value {
    let mut parts = vec![json!({ "name": "strategy", "valueString": explained.strategy })];
    if let Some(driver) = explained.driver {
        parts.push(json!({ "name": "driver", "valueInteger": driver }));
    }
    for clause in &explained.clauses {
        let mut part = vec![json!({ "name": "tests", "valueString": clause.tests })];
        if let Some(rows) = clause.rows {
            part.push(json!({ "name": "rows", "valueDecimal": rows }));
            part.push(json!({ "name": "more", "valueBoolean": clause.more }));
        }
        parts.push(json!({ "name": "clause", "part": part }));
    }
    parts.push(json!({ "name": "walked", "valueDecimal": explained.walked }));
    parts.push(json!({ "name": "row-limit", "valueDecimal": rows }));
    if let Some(refused) = &explained.refused {
        parts.push(json!({ "name": "refused", "valueString": refused }));
    }
    parts.push(json!({ "name": "statement", "valueString": explained.statement }));
    for line in &explained.engine {
        parts.push(json!({ "name": "engine", "valueString": line }));
    }
    let limit = json!({
        "value": u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), "unit": "ms", "system": "http://unitsofmeasure.org", "code": "ms",
    });
    parts.push(json!({ "name": "limit", "valueQuantity": limit }));
    json!({ "resourceType": "Parameters", "parameter": parts })
}
