//! The search parameters an organisation defines, and how far they are built. Must not change them: that is
//! done by SearchParameter resources.

use app::AppError;
use app::search_parameters::status::{Parameter, Progress, status};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::tools::{Tool, check, empty};
use super::visit::Visit;
use crate::clinical::quantity::dose_number;
use crate::components::{Cell, Table, Tone};

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    check(visit, Tool::Parameters)?;
    let found = status(visit.app(), &visit.caller).await?;
    let mut page = empty(visit, "Search parameters", "/tools/parameters", "");
    page.lead = String::from(
        "Defined by SearchParameter resources. A parameter is offered to searches when it is built for everything stored.",
    );
    page.sections = vec![
        (
            "parameters".to_owned(),
            "Parameters".to_owned(),
            parameters(&found.parameters),
        ),
        (
            "passes".to_owned(),
            "Being built".to_owned(),
            passes(&found.passes),
        ),
    ];
    Ok(answer::page(StatusCode::OK, &page))
}

fn parameters(found: &[Parameter]) -> Table {
    let columns = ["Parameter", "State", "Definition"];
    let mut table = Table::new("Parameters", &columns, "No parameters of its own.");
    for one in found {
        let (tone, words) = match one.state {
            "ready" => (Tone::Good, "Ready"),
            "incomplete" => (Tone::Warn, "Ready, incomplete"),
            "building" => (Tone::Info, "Being built"),
            "announced" => (Tone::Info, "About to be built"),
            _ => (Tone::Bad, "Refused"),
        };
        let reason = one
            .reason
            .as_deref()
            .map(answer::sentence)
            .unwrap_or_default();
        table = table.row(vec![
            Cell::text(&format!("{} of {}", one.code, one.base)),
            Cell::tag(tone, words).minor(&reason),
            Cell::code(&one.url),
        ]);
    }
    table
}

fn passes(found: &[Progress]) -> Table {
    let columns = ["Resource type", "#Done", "#Of", "#Not evaluated"];
    let mut table = Table::new("Being built", &columns, "Nothing is being built.");
    for pass in found {
        let number = |number: u64| Cell::text(&dose_number(&number.to_string()));
        table = table.row(vec![
            Cell::text(&pass.base),
            number(pass.done),
            number(pass.of),
            number(pass.failed),
        ]);
    }
    table
}
