//! What a movement of a controlled drug writes in the register of the premises. Must not let such a movement
//! pass without an entry: what has none is refused, with the way that has one.

use medication::ids::{MovementId, PremisesId, ResidentId};
use medication::register::{Draft, Leaving, Party, RegisterError, What as Entry};
use medication::stock::{Account, Kind, Line, Meta, Units, What};
use rust_decimal::Decimal;

use super::places::{belongs, place_name, premises, resident_name, supplier};
use super::shelf::{Shelf, Staged, With, fresh};
use super::{Entered, Moved, refuse, ruled};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::register::{Folio, Signers, Source};

/// What an entry is written with.
pub(super) struct Entering<'a> {
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

/// Makes a movement, with its entry where the register has one for it.
pub(super) async fn record(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (meta, what, lines): (Meta, What, Vec<Line>),
    (mut with, entering): (With, Entering<'_>),
) -> Result<(Moved, Staged), AppError> {
    if !shelf.item.has_register() {
        return shelf.record(app, caller, meta, (what, lines), with);
    }
    let writing = Writing {
        app,
        caller,
        meta: meta.clone(),
        entering,
    };
    let entered = Box::pin(writing.enter(shelf, &what, &lines)).await?;
    with.entered.clone_from(&entered.entered);
    let mut staged = entered.staged;
    // What comes back is put back first, so that nothing is below nothing on the way.
    let (first, last): (Vec<&Moved>, Vec<&Moved>) = entered.also.iter().partition(|own| took(own));
    for moved in first {
        staged.and(writing.also(shelf, (moved, &with)).await?)?;
    }
    let kind = what.kind();
    let (moved, own) = shelf.record(app, caller, meta, (what, lines), with.clone())?;
    staged.and(own)?;
    for moved in last {
        staged.and(writing.also(shelf, (moved, &with)).await?)?;
    }
    if !matches!(kind, Kind::Count | Kind::Adjust | Kind::Correction) {
        covered(shelf, &moved)?;
    }
    Ok((moved, staged))
}

/// Whether a movement took from what the house holds.
fn took(moved: &Moved) -> bool {
    let mut lines = moved.movement.lines.iter();
    lines.any(|line| line.from.is_held())
}

/// Refuses what takes from a place more than its book has: the page has the whole, and would say less than
/// the shelf.
fn covered(shelf: &Shelf, moved: &Moved) -> Result<(), AppError> {
    let mut lines = moved.movement.lines.iter();
    if lines.any(|line| line.from == Account::Difference) {
        return Err(AppError::Ruled {
            category: kernel::Category::Conflict,
            text: format!(
                "the book of this place has less of {} than was taken, and the register has no entry for the gap: say from where it was taken, or count in the register first",
                shelf.item.name
            ),
        });
    }
    Ok(())
}

/// What an entry comes to.
#[derive(Default)]
struct Wrote {
    entered: Option<Entered>,
    staged: Staged,
    /// Movements that put the shelf right after the entry, and are undone with it.
    also: Vec<Moved>,
}

struct Writing<'a> {
    app: &'a App,
    caller: &'a Caller,
    meta: Meta,
    entering: Entering<'a>,
}

impl Writing<'_> {
    /// Writes the entry of a movement, where the register has one for it.
    async fn enter(
        &self,
        shelf: &mut Shelf,
        what: &What,
        lines: &[Line],
    ) -> Result<Wrote, AppError> {
        if let What::Correction { of, note } = what {
            return self.undo(shelf, (of, note)).await;
        }
        let Some(account) = held(what, lines) else {
            return refuse("nothing of the house moves: name a place");
        };
        let folio = self.page(shelf, &account).await?;
        if what.kind() == Kind::Transfer {
            self.within(shelf, (&folio, lines)).await?;
            return self.unwritten();
        }
        if let What::Count { of, .. } = what
            && !self.is_all(shelf, (&folio, of)).await?
        {
            agrees(shelf, what)?;
            return self.unwritten();
        }
        let entry = self.entry(shelf, (what, lines, &account), &folio).await?;
        self.write(shelf, folio, entry)
    }

    /// No entry; two people see it all the same.
    fn unwritten(&self) -> Result<Wrote, AppError> {
        self.entering.signers.two(self.meta.recorded)?;
        Ok(Wrote::default())
    }

    /// The page on which this place's movements are written.
    async fn page(&self, shelf: &Shelf, account: &Account) -> Result<Folio, AppError> {
        let Some(location) = account.location() else {
            return refuse("nothing of the house moves: name a place");
        };
        let found = Folio::of_item(self.app, self.caller, &shelf.item.id, location).await?;
        let Some(folio) = found else {
            return refuse(format!(
                "{} is a controlled drug and Location/{location} belongs to no premises with a page for it: begin the page first",
                shelf.item.name
            ));
        };
        self.own(shelf, folio).await
    }

    /// A page of premises that everybody belongs to who writes on it, as what is written in the same commit
    /// leaves it.
    async fn own(&self, shelf: &Shelf, folio: Folio) -> Result<Folio, AppError> {
        let signers = self.entering.signers;
        of_house(self.app, self.caller, (signers, &folio.head.premises)).await?;
        let mut left = shelf.folios.iter();
        let left = left.find(|own| own.head.id == folio.head.id);
        Ok(left.cloned().unwrap_or(folio))
    }

    fn write(&self, shelf: &mut Shelf, mut folio: Folio, what: Entry) -> Result<Wrote, AppError> {
        let (meta, entering) = (&self.meta, &self.entering);
        let draft = Draft {
            what,
            happened: meta.happened,
            entered: meta.recorded,
            signed: entering.signers.two(meta.recorded)?,
            late: entering.late.clone(),
        };
        let source = Source {
            item: Some(shelf.item.id.clone()),
            movement: Some(meta.id.clone()),
            order: entering.dose.as_ref().map(|own| own.order.clone()),
            sent: None,
        };
        let (written, staged) = folio.write(self.app, self.caller, draft, source)?;
        let entered = Entered {
            page: folio.head.id.clone(),
            entry: written.entry.number,
        };
        shelf.leave(folio);
        Ok(Wrote {
            entered: Some(entered),
            staged,
            also: Vec::new(),
        })
    }

    /// What moves inside the premises leaves the register as it is; what leaves them is no transfer.
    async fn within(
        &self,
        shelf: &Shelf,
        (folio, lines): (&Folio, &[Line]),
    ) -> Result<(), AppError> {
        for line in lines {
            let other = self.page(shelf, &line.to).await?;
            if other.head.id != folio.head.id {
                return refuse(
                    "a controlled drug that leaves its premises is given back there and received here: both registers have an entry",
                );
            }
        }
        Ok(())
    }

    /// Whether an account has everything that a page has. A page with nothing is counted in the register:
    /// an empty place says nothing of the others.
    async fn is_all(
        &self,
        shelf: &Shelf,
        (folio, of): (&Folio, &Account),
    ) -> Result<bool, AppError> {
        let balance = folio.page.balance();
        if balance.is_zero() || shelf.book.balance(of) != balance {
            return Ok(false);
        }
        for item in &folio.head.items {
            let other = if *item == shelf.item.id {
                shelf.clone()
            } else {
                Shelf::open(self.app, self.caller, item).await?
            };
            let held = other.book.accounts().filter(|own| own.is_held());
            for account in held.filter(|own| !other.book.balance(own).is_zero()) {
                if *item == shelf.item.id && account == of {
                    continue;
                }
                let Some(location) = account.location() else {
                    continue;
                };
                let within = premises(self.app, self.caller, location).await?;
                if within.contains(&folio.head.premises) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn entry(
        &self,
        shelf: &Shelf,
        (what, lines, account): (&What, &[Line], &Account),
        folio: &Folio,
    ) -> Result<Entry, AppError> {
        match what {
            What::Receipt { .. } | What::Return { .. } => {
                let Some(Account::Supplier { party }) = outside(lines) else {
                    return refuse("no supplier is named: say who brings it or takes it back");
                };
                let party = supplier(self.app, self.caller, party).await?;
                let quantity = sum(lines)?;
                if what.kind() == Kind::Receipt {
                    return Ok(Entry::Obtained {
                        from: party,
                        quantity,
                    });
                }
                let (authority, resident) = (party.name.clone(), account.resident().cloned());
                let why = Leaving::Returned;
                Ok(left(why, party, authority, resident, quantity))
            }
            What::Waste { .. } | What::Given => self.leaves((what, lines, account)).await,
            What::Count { .. } => {
                agrees(shelf, what)?;
                let found = folio.page.balance();
                Ok(Entry::Counted { found })
            }
            What::Adjust { .. } => refuse(
                "a controlled drug's book is put right in its register: by a correction of the entry, or by a count whose discrepancy is settled",
            ),
            What::Transfer | What::Correction { .. } => Err(AppError::Fault("no entry".to_owned())),
        }
    }

    /// What was given or destroyed.
    async fn leaves(
        &self,
        (what, lines, account): (&What, &[Line], &Account),
    ) -> Result<Entry, AppError> {
        let (app, caller) = (self.app, self.caller);
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
        let (Some(taker), Some(dose)) = (taker, &self.entering.dose) else {
            return refuse("a controlled drug is given with the record of its dose: use $give");
        };
        let to = resident_name(app, caller, &taker, location).await?;
        let authority = dose.authority.clone();
        let why = Leaving::Administered;
        Ok(left(why, to, authority, Some(taker), quantity))
    }

    /// A movement is undone: its entry should not have been made, and what put the shelf right after it is
    /// undone too.
    async fn undo(
        &self,
        shelf: &mut Shelf,
        (of, note): (&MovementId, &str),
    ) -> Result<Wrote, AppError> {
        let moved = shelf.moved(self.app, self.caller, of).await?;
        let Some(entered) = moved.and_then(|own| own.entered) else {
            // What moved inside the premises has no entry to be corrected.
            return self.unwritten();
        };
        let folio = Folio::open(self.app, self.caller, &entered.page).await?;
        let folio = self.own(shelf, folio).await?;
        if folio.page.effective(entered.entry).is_none() {
            return Err(ruled(RegisterError::NoSuchEntry(entered.entry)));
        }
        let also = self.corrections(shelf, (&folio, entered.entry)).await?;
        let what = Entry::Correction {
            of: entered.entry,
            should_be: Decimal::ZERO,
            note: note.to_owned(),
        };
        let wrote = self.write(shelf, folio, what)?;
        Ok(Wrote { also, ..wrote })
    }

    /// The movements by which the shelf followed the corrections of an entry.
    async fn corrections(
        &self,
        shelf: &Shelf,
        (folio, entry): (&Folio, u32),
    ) -> Result<Vec<Moved>, AppError> {
        let mut found = Vec::new();
        for line in &folio.lines {
            let (Entry::Correction { of, .. }, Some(movement)) = (&line.entry.what, &line.movement)
            else {
                continue;
            };
            if *of != entry || line.item.as_ref() != Some(&shelf.item.id) {
                continue;
            }
            let moved = shelf.moved(self.app, self.caller, movement).await?;
            found.extend(moved.filter(|own| own.movement.what.kind() == Kind::Adjust));
        }
        Ok(found)
    }

    /// Undoes a movement together with the one that is asked for.
    async fn also(
        &self,
        shelf: &mut Shelf,
        (moved, with): (&Moved, &With),
    ) -> Result<Staged, AppError> {
        let of = moved.id().clone();
        shelf.note(self.app, self.caller, &of).await?;
        let what = What::Correction {
            note: format!("undone with movement {}", self.meta.id),
            of,
        };
        let meta = Meta {
            id: fresh(self.app)?,
            ..self.meta.clone()
        };
        let made = shelf.record(
            self.app,
            self.caller,
            meta,
            (what, Vec::new()),
            with.clone(),
        );
        Ok(made?.1)
    }
}

/// Refuses an entry of whoever does not belong to the premises of its page.
pub(crate) async fn of_house(
    app: &App,
    caller: &Caller,
    (signers, premises): (&Signers, &PremisesId),
) -> Result<(), AppError> {
    for who in signers.everybody(caller) {
        if !belongs(app, caller, (who, premises)).await? {
            return refuse(
                "these premises are of another branch: somebody who belongs to them writes in their register",
            );
        }
    }
    Ok(())
}

/// Refuses a count that differs from the book.
fn agrees(shelf: &Shelf, what: &What) -> Result<(), AppError> {
    let What::Count { of, counted, .. } = what else {
        return Ok(());
    };
    let found: Decimal = counted.iter().map(|own| own.found).sum();
    if found == shelf.book.balance(of) {
        return Ok(());
    }
    refuse(
        "the count differs from the book: count in the register, so that the discrepancy is looked into and settled there",
    )
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
