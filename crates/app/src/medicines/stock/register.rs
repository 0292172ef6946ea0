//! What a movement of a controlled drug writes in the register of the premises. Must not let such a movement
//! pass without an entry: what has none is refused, with the way that has one.

use medication::ids::ResidentId;
use medication::register::{Draft, Leaving, Party, RegisterError, What as Entry};
use medication::stock::{Account, Kind, Line, Meta, Units, What};
use rust_decimal::Decimal;

use super::places::{place_name, resident_name, supplier};
use super::shelf::{Shelf, Staged};
use super::{Entered, refuse, ruled};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::register::{Folio, Signers, Source};

/// What an entry is written with.
pub(super) struct Entering<'a> {
    pub meta: &'a Meta,
    pub signers: &'a Signers,
    pub late: Option<String>,
    /// The dose: who prescribed it, and its record.
    pub dose: Option<Given>,
}

/// A dose as the register names it.
#[derive(Clone)]
pub(super) struct Given {
    /// Authority to possess: the prescriber.
    pub authority: String,
    /// `MedicationRequest/1`.
    pub order: String,
}

/// The account of the house that a movement touches.
fn held(what: &What, lines: &[Line]) -> Option<Account> {
    if let What::Count { of, .. } = what {
        return Some(of.clone());
    }
    let sides = lines.iter().flat_map(|line| [&line.from, &line.to]);
    let mut sides = sides;
    sides.find(|own| own.is_held()).cloned()
}

/// Writes the entry of a movement, where the register has one for it.
pub(super) async fn enter(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    what: &What,
    lines: &[Line],
    entering: Entering<'_>,
) -> Result<(Option<Entered>, Staged), AppError> {
    if let What::Correction { of, note } = what {
        return undo(app, caller, shelf, (of, note), entering).await;
    }
    let Some(account) = held(what, lines) else {
        return refuse("nothing of the house moves: name a place");
    };
    let folio = page(app, caller, shelf, &account).await?;
    if what.kind() == Kind::Transfer {
        return within(app, caller, shelf, (&folio, lines), entering).await;
    }
    let entry = entry(
        app,
        caller,
        shelf,
        (what, lines, &account),
        (&folio, &entering),
    )
    .await?;
    let written = write(app, caller, shelf, folio, (entry, entering))?;
    Ok((Some(written.0), written.1))
}

/// The page on which this place's movements are written.
pub(super) async fn page(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    account: &Account,
) -> Result<Folio, AppError> {
    let Some(location) = account.location() else {
        return refuse("nothing of the house moves: name a place");
    };
    match Folio::of_item(app, caller, &shelf.item.id, location).await? {
        Some(folio) => Ok(as_left(shelf, folio)),
        None => refuse(format!(
            "{} is a controlled drug and Location/{location} belongs to no premises with a page for it: begin the page first",
            shelf.item.name
        )),
    }
}

/// The page as what is written in the same commit leaves it.
fn as_left(shelf: &Shelf, folio: Folio) -> Folio {
    let own = shelf.folio.as_ref();
    let own = own.filter(|own| own.head.id == folio.head.id);
    own.cloned().unwrap_or(folio)
}

fn write(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    mut folio: Folio,
    (what, entering): (Entry, Entering<'_>),
) -> Result<(Entered, Staged), AppError> {
    let meta = entering.meta;
    let draft = Draft {
        what,
        happened: meta.happened,
        entered: meta.recorded,
        signed: entering.signers.two(meta.recorded)?,
        late: entering.late,
    };
    let source = Source {
        item: Some(shelf.item.id.clone()),
        movement: Some(meta.id.clone()),
        order: entering.dose.map(|own| own.order),
    };
    let (written, staged) = folio.write(app, caller, draft, source)?;
    let entered = Entered {
        page: folio.head.id.clone(),
        entry: written.entry.number,
    };
    shelf.folio = Some(folio);
    Ok((entered, staged))
}

/// What moves inside the premises leaves the register as it is; what leaves them is no transfer.
async fn within(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    (folio, lines): (&Folio, &[Line]),
    entering: Entering<'_>,
) -> Result<(Option<Entered>, Staged), AppError> {
    for line in lines {
        let other = page(app, caller, shelf, &line.to).await?;
        if other.head.id != folio.head.id {
            return refuse(
                "a controlled drug that leaves its premises is given back there and received here: both registers have an entry",
            );
        }
    }
    // Two people see it all the same.
    entering.signers.two(entering.meta.recorded)?;
    Ok((None, Staged::default()))
}

fn sum(lines: &[Line]) -> Result<Units, AppError> {
    let sum: Decimal = lines.iter().map(|line| line.units.get()).sum();
    Units::new(sum).map_err(ruled)
}

/// Who is on the other side of a movement.
fn outside(lines: &[Line]) -> Option<&Account> {
    let line = lines.first()?;
    if line.from.is_held() {
        Some(&line.to)
    } else {
        Some(&line.from)
    }
}

async fn entry(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    (what, lines, account): (&What, &[Line], &Account),
    (folio, entering): (&Folio, &Entering<'_>),
) -> Result<Entry, AppError> {
    match what {
        What::Receipt { .. } | What::Return { .. } => {
            let Some(Account::Supplier { party }) = outside(lines) else {
                return refuse("no supplier is named: say who brings it or takes it back");
            };
            let party = supplier(app, caller, party).await?;
            let quantity = sum(lines)?;
            if what.kind() == Kind::Receipt {
                return Ok(Entry::Obtained {
                    from: party,
                    quantity,
                });
            }
            let (authority, resident) = (party.name.clone(), account.resident().cloned());
            Ok(left(
                Leaving::Returned,
                party,
                authority,
                resident,
                quantity,
            ))
        }
        What::Waste { .. } | What::Given => {
            leaves(app, caller, (what, lines, account), entering).await
        }
        What::Count { of, counted, .. } => {
            let found: Decimal = counted.iter().map(|own| own.found).sum();
            if found == shelf.book.balance(of) {
                let found = folio.page.balance();
                return Ok(Entry::Counted { found });
            }
            refuse(
                "the count differs from the book: count in the register, so that the discrepancy is looked into and settled there",
            )
        }
        What::Adjust { .. } => refuse(
            "a controlled drug's book is put right in its register: by a correction of the entry, or by a count whose discrepancy is settled",
        ),
        What::Transfer | What::Correction { .. } => Err(AppError::Fault("no entry".to_owned())),
    }
}

fn left(
    why: Leaving,
    to: Party,
    authority: String,
    resident: Option<ResidentId>,
    quantity: Units,
) -> Entry {
    Entry::Left {
        why,
        to,
        resident,
        authority,
        quantity,
        collected: None,
    }
}

/// What was given or destroyed.
async fn leaves(
    app: &App,
    caller: &Caller,
    (what, lines, account): (&What, &[Line], &Account),
    entering: &Entering<'_>,
) -> Result<Entry, AppError> {
    let Some(location) = account.location() else {
        return refuse("nothing of the house moves: name a place");
    };
    let quantity = sum(lines)?;
    if let What::Waste { method, .. } = what {
        let place = place_name(app, caller, location).await?;
        let to = Party {
            name: format!("Destroyed: {method}"),
            address: place.address,
        };
        let authority = "destruction before a witness".to_owned();
        let resident = account.resident().cloned();
        return Ok(left(Leaving::Destroyed, to, authority, resident, quantity));
    }
    let taker = outside(lines).and_then(Account::resident).cloned();
    let (Some(taker), Some(dose)) = (taker, &entering.dose) else {
        return refuse("a controlled drug is given with the record of its dose: use $give");
    };
    let to = resident_name(app, caller, &taker, location).await?;
    let authority = dose.authority.clone();
    let why = Leaving::Administered;
    Ok(left(why, to, authority, Some(taker), quantity))
}

/// A movement is undone: its entry should not have been made.
async fn undo(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (of, note): (&medication::ids::MovementId, &str),
    entering: Entering<'_>,
) -> Result<(Option<Entered>, Staged), AppError> {
    let moved = shelf.moved(app, caller, of).await?;
    let Some(entered) = moved.and_then(|own| own.entered) else {
        // What moved inside the premises has no entry to be corrected.
        entering.signers.two(entering.meta.recorded)?;
        return Ok((None, Staged::default()));
    };
    let folio = Folio::open(app, caller, &entered.page).await?;
    let folio = as_left(shelf, folio);
    if folio.page.effective(entered.entry).is_none() {
        return Err(ruled(RegisterError::NoSuchEntry(entered.entry)));
    }
    let what = Entry::Correction {
        of: entered.entry,
        should_be: Decimal::ZERO,
        note: note.to_owned(),
    };
    let (entered, staged) = write(app, caller, shelf, folio, (what, entering))?;
    Ok((Some(entered), staged))
}
