//! What a page of stock shows: what is there by place and batch, for how long it lasts, what moved. Must not
//! show an id where there is a name.

use app::medicines::stock::{Item, Moved, forecast, look};
use medication::Quantity;
use medication::stock::{Account, Lasts, What};

use super::choices::Names;
use crate::clinical::{When, date};
use crate::components::{Cell, Piece, Table, Tone};
use crate::edge::answer::sentence;
use crate::edge::visit::Visit;

pub(super) fn amount(units: rust_decimal::Decimal, item: &Item) -> String {
    Quantity::new(units.normalize(), item.unit.clone()).words()
}

/// Until when something may be used: the last whole day, or the minute where an opened pack ends within one.
pub(super) fn last_use(visit: &Visit, until: kernel::Timestamp) -> Cell {
    let zone = visit.zone();
    if zone.clock_at(until) != "00:00" {
        return Cell::when(When::at(until, zone));
    }
    let last = kernel::Timestamp::from_micros(until.as_micros().saturating_sub(1));
    Cell::text(&date::short_date(zone.date_at(last)))
}

pub(super) fn there_table(visit: &Visit, names: &Names, seen: &look::Seen) -> Table {
    let columns = ["Place", "Batch", "Held", "To be used by"];
    let mut table = Table::new("By place and batch", &columns, "Nothing is there.");
    for own in &seen.there {
        let until = own.until.map(|own| last_use(visit, own));
        let mut until = until.unwrap_or_else(|| Cell::text("Not known: read the pack"));
        if let Some(why) = own.unusable {
            until = until.and(Piece::Tag(Tone::Bad, sentence(&why.to_string())));
        }
        table = table.row(vec![
            Cell::text(&names.account(&own.place.account())),
            Cell::text(own.batch.lot.as_deref().unwrap_or("No lot read")),
            Cell::text(&amount(own.units, &seen.item)),
            until,
        ]);
    }
    table
}

const fn what_words(what: &What) -> &'static str {
    match what {
        What::Receipt { .. } => "Received",
        What::Given => "Given",
        What::Waste { .. } => "Destroyed",
        What::Return { .. } => "Returned",
        What::Transfer => "Moved",
        What::Count { .. } => "Counted",
        What::Adjust { .. } => "Put right",
        What::Correction { .. } => "Correction",
    }
}

pub(super) fn moves_table(visit: &Visit, names: &Names, (item, moves): (&Item, &[Moved])) -> Table {
    let columns = ["No.", "What", "How much", "From", "To"];
    let mut table = Table::new("Movements", &columns, "Nothing moved yet.");
    for moved in moves {
        let own = &moved.movement;
        let when = When::at(own.meta.happened, visit.zone());
        let mut what = Cell::text(what_words(&own.what)).and(Piece::When(when));
        if own.meta.discrepancy.is_some() {
            what = what.and(Piece::Tag(Tone::Warn, "Discrepancy".to_owned()));
        }
        if let Some(why) = &moved.unchecked {
            what = what.and(Piece::Tag(Tone::Warn, "Pack not checked".to_owned()));
            what = what.minor(why);
        }
        if let Some(entered) = &moved.entered {
            let href = visit.href(&format!("/medicines/register/{}", entered.page));
            let words = format!("Register No. {}", entered.entry);
            what = what.and(Piece::Link(href, words));
        }
        let line = own.lines.first();
        let sum = own.lines.iter().map(|own| own.units.get()).sum();
        let side = |of: fn(&medication::stock::Line) -> &Account| {
            Cell::text(&line.map(|own| names.account(of(own))).unwrap_or_default())
        };
        table = table.row(vec![
            Cell::text(&moved.number.to_string()),
            what,
            Cell::text(&amount(sum, item)),
            side(|own| &own.from),
            side(|own| &own.to),
        ]);
    }
    table
}

fn lasts(own: Lasts) -> String {
    match own {
        Lasts::Until { days, .. } => format!("{days} days"),
        Lasts::Throughout => "a year or longer".to_owned(),
    }
}

pub(super) fn days_table(names: &Names, found: &[forecast::Lasting]) -> Table {
    let columns = ["Place", "Lasts", "Orders"];
    let mut table = Table::new("Days left", &columns, "Nothing is there.");
    for own in found {
        let place = names.account(&own.place.account());
        let orders = match own.orders.len() {
            1 => "1 order".to_owned(),
            count => format!("{count} orders"),
        };
        let text = own.days.map_or_else(
            || "Not known".to_owned(),
            |days| {
                let (soonest, latest) = (lasts(days.soonest), lasts(days.latest));
                if soonest == latest {
                    soonest
                } else {
                    format!("{soonest} to {latest}")
                }
            },
        );
        table = table.row(vec![
            Cell::text(&place),
            Cell::text(&text).minor(&own.unknown.join("; ")),
            match own.beyond {
                0 => Cell::text(&orders),
                count => Cell::text(&orders)
                    .minor(&format!("and {count} of residents out of your reach")),
            },
        ]);
    }
    table
}
