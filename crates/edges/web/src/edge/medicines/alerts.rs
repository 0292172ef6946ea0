//! Alerts and overrides: what was shown, followed and overridden by rule, for which reasons and by whom, in a
//! time. Must not judge a rule: it proposes those that people should look at.

use app::AppError;
use app::medicines::analytics::{LEAST, PERCENT, Report, Rule, report};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use identity::{Class, Interaction};
use jiff::ToSpan as _;
use jiff::civil::Date;

use super::shown::{code, reason};
use crate::clinical::{When, Zone, date};
use crate::components::{Cell, ErrorSummary, Field, Notice, Piece, Table, Tone};
use crate::edge::answer::sentence;
use crate::edge::today::figure;
use crate::edge::visit::Visit;
use crate::edge::{Web, answer};
use crate::pages::medicines::report::{AlertsPage, Bar};
use crate::pages::today::Figure;

/// Bars of the plot.
const BARS: usize = 12;

pub(super) fn routes() -> Router<Web> {
    Router::new().route("/medicines/alerts", get(page))
}

async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

fn words(date: Date) -> String {
    date.strftime("%d-%b-%Y").to_string()
}

/// The days asked for: the first and the last, or what is wrong with them.
fn days(visit: &Visit, today: Date) -> Result<(Date, Date), String> {
    let read = |name: &str, usual: Date| {
        let typed = visit.query.text(name);
        if typed.is_empty() {
            return Ok(usual);
        }
        date::typed(typed).ok_or_else(|| {
            format!("{typed} is no date that reads in one way: write the month in letters, as 05-Mar-2026.")
        })
    };
    let until = read("until", today)?;
    let from = read("from", until.checked_sub(89.days()).unwrap_or(until))?;
    if from > until {
        return Err("The last day is before the first: correct one of them.".to_owned());
    }
    Ok((from, until))
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    if !visit.may(Interaction::Update, Class::Prescriptions) {
        return Err(AppError::NotFound {
            what: "page".to_owned(),
        });
    }
    let zone = visit.zone();
    let today = zone.date_at(visit.app().now());
    let asked = days(visit, today);
    let (from, until) = asked.clone().unwrap_or((today, today));
    let here = visit.href("/medicines/alerts");
    let span = |label: &str, days: i64| {
        let from = today.checked_sub((days - 1).days()).unwrap_or(today);
        let (from, until) = (words(from), words(today));
        let pairs = [("from", from.as_str()), ("until", until.as_str())];
        (
            format!("{here}?{}", app::record::query_string::print(pairs)),
            label.to_owned(),
        )
    };
    let mut page = AlertsPage {
        shell: visit.shell("Alerts and overrides"),
        back: (visit.href("/medicines"), "Back to medicines".to_owned()),
        lead: "What became of the alerts that held up an order. A rule is changed by a clinical safety officer, never by this report.".to_owned(),
        problem: asked.as_ref().err().map(|text| ErrorSummary::whole(text)),
        action: here.clone(),
        fields: vec![
            Field::date("from", "First day").value(&words(from)),
            Field::date("until", "Last day").value(&words(until)),
        ],
        periods: vec![
            span("Last 30 days", 30),
            span("Last 90 days", 90),
            span("Last 365 days", 365),
        ],
        figures: Vec::new(),
        bars: Vec::new(),
        gap: None,
        sections: Vec::new(),
    };
    if asked.is_err() {
        return Ok(answer::page(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let bounds = until
        .tomorrow()
        .ok()
        .and_then(|next| Some((zone.start_of(from)?, zone.start_of(next)?)));
    let bounds = bounds.ok_or_else(|| AppError::Invalid("the days are out of range".to_owned()))?;
    fill(
        &mut page,
        &report(visit.app(), &visit.caller, bounds).await?,
        zone,
    );
    Ok(answer::page(StatusCode::OK, &page))
}

fn figures(report: &Report) -> Vec<Figure> {
    let sum = |of: fn(&Rule) -> u64| report.rules.iter().map(of).sum::<u64>().to_string();
    let plain = |value: String, label: &str| figure(&value, label, String::new(), false);
    vec![
        plain(report.orders.to_string(), "Orders written"),
        plain(sum(|own| own.counts.overridden), "Overrides, by rule"),
        plain(sum(|own| own.counts.accepted), "Followed, by rule"),
        figure(
            &report
                .unchecked
                .values()
                .map(|own| own.orders)
                .sum::<u64>()
                .to_string(),
            "Orders not fully checked, by source",
            "#not-checked".to_owned(),
            !report.unchecked.is_empty(),
        ),
        figure(
            &report.review.len().to_string(),
            "Rules to look at",
            "#review".to_owned(),
            !report.review.is_empty(),
        ),
    ]
}

fn fill(page: &mut AlertsPage, report: &Report, zone: &Zone) {
    page.figures = figures(report);
    page.bars = report
        .rules
        .iter()
        .take(BARS)
        .map(|rule| Bar {
            label: rule.name.chars().take(52).collect(),
            overridden: rule.counts.overridden,
            accepted: rule.counts.accepted,
        })
        .collect();
    if report.unread > 0 {
        page.gap = Some(Notice::new(
            Tone::Warn,
            "Not everything is counted",
            &format!("{} alerts of the record cannot be read.", report.unread),
        ));
    }
    let section = |id: &str, title: &str, lead: String, table: Table| {
        (id.to_owned(), title.to_owned(), lead, table)
    };
    page.sections = vec![
        section("rules", "By rule", String::new(), rules(report)),
        section(
            "review",
            "Proposed for review",
            format!(
                "Rules decided at least {LEAST} times of which at least {PERCENT} in 100 were overridden."
            ),
            review(report),
        ),
        section(
            "not-checked",
            "Not checked",
            "Sources of knowledge that did not answer when an order was written. Each is kept with its order.".to_owned(),
            unchecked(report, zone),
        ),
        section("who", "Overrides by person", String::new(), people(report)),
    ];
}

fn unchecked(report: &Report, zone: &Zone) -> Table {
    let columns = ["Source", "#Orders", "Last", "What it said"];
    let empty = "Every source answered whenever an order was written.";
    let mut table = Table::new("Not checked", &columns, empty);
    for (source, own) in &report.unchecked {
        let (at, why) = &own.last;
        table = table.raised_row(vec![
            Cell::text(source),
            Cell::text(&own.orders.to_string()),
            Cell::text(&When::fhir(at, zone).text),
            Cell::text(&sentence(why)),
        ]);
    }
    table
}

fn rules(report: &Report) -> Table {
    let columns = [
        "Rule",
        "Tier",
        "#Shown",
        "#Followed",
        "#Overridden",
        "#Per 1,000 orders",
        "Reasons",
    ];
    let empty = "No alert held up an order in this time.";
    let mut table = Table::new("By rule", &columns, empty).filtered("rules-table");
    for rule in &report.rules {
        let counts = &rule.counts;
        let reasons = counts.reasons.iter();
        let reasons: Vec<Piece> = reasons
            .map(|(own, count)| Piece::Text(format!("{count} × {}", reason(&code(*own)))))
            .collect();
        let per = rule.per_thousand(report.orders);
        table = table.row(vec![
            Cell::text(&rule.name).minor(&rule.about),
            Cell::tag(tone(&rule.tier), &crate::clinical::code::words(&rule.tier)),
            Cell::text(&counts.shown.to_string()),
            Cell::text(&counts.accepted.to_string()),
            Cell::text(&counts.overridden.to_string()),
            Cell::text(&per.map_or_else(|| "No orders".to_owned(), |per| per.to_string())),
            if reasons.is_empty() {
                Cell::text("None")
            } else {
                Cell(reasons)
            },
        ]);
    }
    table
}

fn tone(tier: &str) -> Tone {
    match tier {
        "contraindicated" => Tone::Bad,
        "high" => Tone::Warn,
        "moderate" => Tone::Info,
        _ => Tone::Plain,
    }
}

fn review(report: &Report) -> Table {
    let columns = ["Rule", "#Overridden", "#Followed"];
    let mut table = Table::new(
        "Proposed for review",
        &columns,
        "No rule reaches these figures.",
    );
    for name in &report.review {
        let own = report.rules.iter().find(|rule| rule.name == *name);
        let counts = own.map(|rule| rule.counts.clone()).unwrap_or_default();
        table = table.raised_row(vec![
            Cell::text(name),
            Cell::text(&counts.overridden.to_string()),
            Cell::text(&counts.accepted.to_string()),
        ]);
    }
    table
}

fn people(report: &Report) -> Table {
    let columns = ["Person", "Rule", "#Overrides"];
    let mut table = Table::new(
        "Overrides by person",
        &columns,
        "Nobody overrode an alert in this time.",
    );
    for rule in &report.rules {
        for (who, count) in &rule.who {
            table = table.row(vec![
                Cell::text(who),
                Cell::text(&rule.name),
                Cell::text(&count.to_string()),
            ]);
        }
    }
    table
}
