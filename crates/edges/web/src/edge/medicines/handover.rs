//! What a shift hands over. Must not leave a patient out of whom there is something to say.

use app::AppError;
use app::medicines::rounds::handover as report;
use axum::http::StatusCode;
use axum::response::Response;

use super::round::place;
use crate::clinical::When;
use crate::components::{Choice, Field};
use crate::edge::answer::{self, sentence};
use crate::edge::visit::Visit;
use crate::pages::rounds::{HandedView, HandoverPage};

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let hours: i64 = visit.query.text("hours").parse().unwrap_or(12);
    let to = visit.app().now();
    let from = to.plus_seconds(-hours.clamp(1, 72) * 3600);
    let organization = visit.query.text("organization").parse().ok();
    let found = report(
        visit.app(),
        &visit.caller,
        organization.as_ref(),
        (from, to),
    )
    .await?;
    let shifts = [8, 12, 24, 72].map(|own: i64| {
        Choice::new(
            &own.to_string(),
            &format!("The last {own} hours"),
            own == hours,
        )
    });
    let all = found.len();
    let people: Vec<HandedView> = found
        .into_iter()
        .filter(|own| !(own.words.is_empty() && own.unreadable.is_empty()))
        .map(|own| HandedView {
            href: visit.href(&format!("/medicines/round/{}", own.patient)),
            place: place(&own.place),
            words: own
                .unreadable
                .iter()
                .chain(&own.words)
                .map(|own| sentence(own))
                .collect(),
            name: own.name,
        })
        .collect();
    let page = HandoverPage {
        span: When::span(from, to, visit.zone()).text,
        fields: vec![Field::select("hours", "Shift", shifts.to_vec())],
        quiet: all - people.len(),
        people,
        shell: visit.shell("Handover of medicines"),
    };
    Ok(answer::page(StatusCode::OK, &page))
}
