//! How a search would be run, for those who run the house: what drives it, what it is estimated to cost,
//! the statement without values and the engine's plan. Runs no search and shows nothing of the record; to
//! people who may not search a type whole, its numbers are rounded up, so that they tell of no patient.

use fhir::definitions::TypeId;
use identity::Interaction;
use serde_json::{Value, json};
use store::Explanation;

use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::narrow::{self, Reach};
use crate::record::{plan, query_string};

/// Numbers below it are shown as it, to people who may not search the type whole.
const COARSE: u64 = 1000;

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
    let mut explained = app.store().explain(&caller.scope, &plan).await?;
    if narrow::reach(app, caller, ty) != Reach::All {
        for clause in &mut explained.clauses {
            clause.rows = clause.rows.map(coarse);
        }
    }
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
    Ok(parameters(&explained).to_string().into_bytes())
}

/// Rounded up to a power of ten, from [`COARSE`].
fn coarse(rows: u64) -> u64 {
    let mut bound = COARSE;
    while bound < rows {
        bound = bound.saturating_mul(10);
    }
    bound
}

fn parameters(explained: &Explanation) -> Value {
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
    parts.push(json!({ "name": "statement", "valueString": explained.statement }));
    for line in &explained.engine {
        parts.push(json!({ "name": "engine", "valueString": line }));
    }
    json!({ "resourceType": "Parameters", "parameter": parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_up_to_powers_of_ten() {
        for (rows, shown) in [(0, 1000), (1000, 1000), (1001, 10_000), (99_999, 100_000)] {
            assert_eq!(coarse(rows), shown);
        }
    }
}
