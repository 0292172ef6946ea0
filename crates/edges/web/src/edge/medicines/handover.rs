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
            words: counted(own.unreadable.iter().chain(&own.words)),
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

/// What is said, each thing once with how often: the same of several doses is one line.
fn counted<'a>(said: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut lines: Vec<(&String, usize)> = Vec::new();
    for own in said {
        match lines.iter_mut().find(|(known, _)| *known == own) {
            Some((_, times)) => *times += 1,
            None => lines.push((own, 1)),
        }
    }
    let words = |(own, times): (&String, usize)| match times {
        1 => sentence(own),
        _ => sentence(&format!("{}, {times} times", own.trim_end_matches('.'))),
    };
    lines.into_iter().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_of_several_doses_is_one_line() {
        let said = ["no effect asked for: senna", "refused: amlodipine"];
        let said = [said[0], said[1], said[0]].map(str::to_owned);
        assert_eq!(
            counted(said.iter()),
            [
                "No effect asked for: senna, 2 times.",
                "Refused: amlodipine."
            ]
        );
    }
}
