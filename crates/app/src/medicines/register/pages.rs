//! Pages of the register: begun, read, printed, counted, corrected. Must not change an entry.

use identity::Interaction;
use kernel::Timestamp;
use medication::dictionary::Dictionary;
use medication::ids::{IncidentId, ItemId, MovementId, PremisesId};
use medication::register::{
    Draft, Heading, Incident, Printed, RegisterError, What as Entry, print,
};
use medication::stock::{Account, Counted, Meta, VarianceReason, What as Moving};
use rust_decimal::Decimal;
use store::DocKind;

use super::{Folio, Line, PageHead, Signers, Signing, Source};
use crate::App;
use crate::admin::{all, allow};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::stock::moves::{adjusted, is_race};
use crate::medicines::stock::{
    Entered, Moved, Place, Shelf, Staged, With, belongs, committed, known_premises, of_house,
    refuse, ruled,
};
use crate::retry::Retry;

/// A page to be begun.
#[derive(Debug, Clone)]
pub struct Begin {
    /// The medicine.
    pub item: ItemId,
    /// Of which premises: a Location or an Organization.
    pub premises: PremisesId,
    /// What was there before the register, counted.
    pub opening: Option<Opening>,
    /// Who signs what was there before.
    pub signing: Signing,
}

/// What was there before the register.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The count's id, made by its sender.
    pub id: MovementId,
    /// Where it is.
    pub place: Place,
    /// Every batch as it was counted.
    pub counted: Vec<Counted>,
    /// Where it is brought forward from: the book before.
    pub from: String,
}

/// A page with everything on it.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its head.
    pub head: PageHead,
    /// Its entries in the order they were written.
    pub lines: Vec<Line>,
    /// Its discrepancies.
    pub incidents: Vec<Incident>,
}

impl Open {
    pub(super) fn of(folio: Folio) -> Self {
        Self {
            incidents: folio.page.incidents().cloned().collect(),
            head: folio.head,
            lines: folio.lines,
        }
    }
}

/// Begins a page for a medicine at a premises, or takes the medicine onto the page of the same drug, form
/// and strength that is there.
pub async fn begin(app: &App, caller: &Caller, begin: &Begin) -> Result<Open, AppError> {
    allow(app, caller, Interaction::SignRegister).await?;
    known_premises(app, caller, &begin.premises).await?;
    if !belongs(app, caller, (&caller.subject, &begin.premises)).await? {
        return refuse("these premises are of another branch: begin pages of your own");
    }
    let why = format!("register page of {}", begin.item);
    let signers = Signers::prove(app, caller, &begin.signing, &why).await?;
    of_house(app, caller, (&signers, &begin.premises)).await?;
    let mut retry = Retry::busy();
    loop {
        let mut shelf = Shelf::open(app, caller, &begin.item).await?;
        let mut folio = opened(app, caller, &shelf, &begin.premises).await?;
        let staged = match &begin.opening {
            None => begun(app, caller, &folio)?,
            Some(opening) => {
                open_with(app, caller, (&mut shelf, &mut folio), (opening, &signers)).await?
            }
        };
        match committed(app, caller, staged).await? {
            Ok(()) => return Ok(Open::of(folio)),
            Err(error) if is_race(&error) && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The page as it will be.
pub(crate) async fn opened(
    app: &App,
    caller: &Caller,
    shelf: &Shelf,
    premises: &PremisesId,
) -> Result<Folio, AppError> {
    let item = &shelf.item;
    let class = item.control.filter(|own| own.demands().register);
    let Some(class) = class else {
        return refuse(format!(
            "{} needs no register: its class does not ask for one",
            item.name
        ));
    };
    let texts = [(&item.form, "the form"), (&item.strength, "the strength")];
    for (text, what) in texts {
        if text.trim().is_empty() {
            return Err(ruled(RegisterError::Words(what)));
        }
    }
    let known = crate::medicines::sources(app).await?;
    let drug = item
        .product
        .as_deref()
        .and_then(|product| drug(&known.dictionary, product))
        .unwrap_or_else(|| item.name.clone());
    let head = PageHead {
        id: app.ids().uuid().to_string(),
        premises: premises.clone(),
        heading: Heading {
            class,
            drug,
            form: item.form.clone(),
            strength: item.strength.clone(),
        },
        unit: item.unit.clone(),
        items: vec![item.id.clone()],
        entries: 0,
        balance: Decimal::ZERO,
        open: Vec::new(),
        begun: app.now(),
        counted: None,
    };
    match Folio::of_heading(app, caller, &head).await? {
        None => Ok(Folio::new(app, caller, head)),
        Some(there) if there.head.items.contains(&item.id) => Err(ruled(RegisterError::PageExists)),
        Some(there) if there.head.unit != item.unit => refuse(format!(
            "the page counts in {}, this medicine in {}: keep it in the same unit",
            there.head.unit.words(),
            item.unit.words()
        )),
        Some(mut there) => {
            there.head.items.push(item.id.clone());
            Ok(there)
        }
    }
}

/// The drug of a product: its ingredients.
fn drug(dictionary: &Dictionary, product: &str) -> Option<String> {
    let product = dictionary.by_name(product)?;
    let names = product.components.iter().map(|own| own.name.as_str());
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| names.join(" + "))
}

fn begun(app: &App, caller: &Caller, folio: &Folio) -> Result<Staged, AppError> {
    let own = &folio.head.heading;
    let detail = format!(
        "page {}: {} {} {}, premises {}",
        folio.head.id, own.drug, own.strength, own.form, folio.head.premises
    );
    Ok(Staged {
        docs: vec![folio.head(app)?],
        entries: vec![entered(app, caller, "register-begin", detail)],
    })
}

fn entered(app: &App, caller: &Caller, what: &'static str, detail: String) -> store::Entry {
    let class = ledger::leaf::Class::Register;
    house_entry(app, caller, store::Log::Changes, class, what, Some(detail))
}

/// What was there before the register: counted, and brought forward.
async fn open_with(
    app: &App,
    caller: &Caller,
    (shelf, folio): (&mut Shelf, &mut Folio),
    (opening, signers): (&Opening, &Signers),
) -> Result<Staged, AppError> {
    let now = app.now();
    let account = opening.place.account();
    crate::medicines::stock::known(app, caller, &account).await?;
    let within = crate::medicines::stock::premises(app, caller, &opening.place.location).await?;
    if !within.contains(&folio.head.premises) {
        return refuse("the place is not of these premises: name a place that is part of them");
    }
    let found: Decimal = opening.counted.iter().map(|own| own.found).sum();
    let draft = Draft {
        what: Entry::BroughtForward {
            balance: found,
            from: opening.from.clone(),
        },
        happened: now,
        entered: now,
        signed: signers.two(now)?,
        late: None,
    };
    let source = Source {
        item: Some(shelf.item.id.clone()),
        movement: Some(opening.id.clone()),
        order: None,
        sent: None,
    };
    let (written, mut staged) = folio.write(app, caller, draft, source)?;
    let count = Moving::Count {
        of: account,
        counted: opening.counted.clone(),
        reason: Some(VarianceReason::Opening),
    };
    let with = With {
        asked: format!("opening of page {}", folio.head.id),
        entered: Some(Entered {
            page: folio.head.id.clone(),
            entry: written.entry.number,
        }),
        order: None,
        unchecked: None,
    };
    let meta = meta(&opening.id, caller, signers, now);
    let (_, moved) = shelf.record(app, caller, meta, (count, Vec::new()), with)?;
    staged.and(moved)?;
    Ok(staged)
}

pub(super) fn meta(id: &MovementId, caller: &Caller, signers: &Signers, now: Timestamp) -> Meta {
    Meta {
        id: id.clone(),
        happened: now,
        recorded: now,
        by: signers.by(caller),
        witness: signers.witness(),
        discrepancy: None,
    }
}

/// A page of premises that the caller belongs to; any other is as if it were not there.
pub(super) async fn own(app: &App, caller: &Caller, id: &str) -> Result<Folio, AppError> {
    let folio = Folio::open(app, caller, id).await?;
    if belongs(app, caller, (&caller.subject, &folio.head.premises)).await? {
        Ok(folio)
    } else {
        Err(AppError::not_found(format!("register page {id}")))
    }
}

/// The pages of all premises that the caller belongs to, those of one class together.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<PageHead>, AppError> {
    allow(app, caller, Interaction::ViewRegister).await?;
    let found = all::<PageHead>(app, &caller.scope, DocKind::RegisterPage).await?;
    let mut pages: Vec<PageHead> = Vec::new();
    for page in found {
        if belongs(app, caller, (&caller.subject, &page.value.premises)).await? {
            pages.push(page.value);
        }
    }
    pages.sort_by(|a, b| (&a.premises, &a.heading).cmp(&(&b.premises, &b.heading)));
    Ok(pages)
}

/// A page with its entries: a look at everybody who is named on it.
pub async fn read(app: &App, caller: &Caller, id: &str) -> Result<Open, AppError> {
    looked(app, caller, id, "register-read").await.map(Open::of)
}

async fn looked(
    app: &App,
    caller: &Caller,
    id: &str,
    what: &'static str,
) -> Result<Folio, AppError> {
    allow(app, caller, Interaction::ViewRegister).await?;
    let folio = own(app, caller, id).await?;
    let mut named: Vec<_> = folio
        .lines
        .iter()
        .filter_map(|line| match &line.entry.what {
            Entry::Left {
                resident: Some(resident),
                ..
            } => Some(resident.0.clone()),
            _ => None,
        })
        .collect();
    named.sort();
    named.dedup();
    let detail = format!("page {id}");
    let class = ledger::leaf::Class::Read;
    let one = |patient: Option<kernel::LogicalId>| {
        let log = store::Log::Access;
        let mut entry = house_entry(app, caller, log, class, what, Some(detail.clone()));
        entry.payload.patient = patient.as_ref().map(|own| own.as_str().to_owned());
        entry.subject = patient;
        entry
    };
    let entries = if named.is_empty() {
        vec![one(None)]
    } else {
        named.into_iter().map(|own| one(Some(own))).collect()
    };
    app.store().record_access(&caller.scope, entries).await?;
    Ok(folio)
}

/// A page as the bound book looks, on sheets of so many lines.
pub async fn sheets(
    app: &App,
    caller: &Caller,
    id: &str,
    lines: usize,
) -> Result<(PageHead, Vec<Printed>), AppError> {
    let folio = looked(app, caller, id, "register-print").await?;
    let sheets = print(&folio.page, lines.clamp(5, 200));
    Ok((folio.head, sheets))
}

/// A count of everything that the page has.
#[derive(Debug, Clone)]
pub struct Count {
    /// Made by its sender: the same id twice is the same count.
    pub id: MovementId,
    /// What was found.
    pub found: Decimal,
    /// How many entries the page had when it was counted.
    pub seen: u32,
    /// When; now.
    pub happened: Option<Timestamp>,
    /// Why it is late, where it is.
    pub late: Option<String>,
    /// Who counted and who saw it.
    pub signing: Signing,
}

/// Writes a count: what differs opens a discrepancy, and the balance stays until that is settled.
pub async fn count(
    app: &App,
    caller: &Caller,
    id: &str,
    count: &Count,
) -> Result<(Line, Option<Incident>), AppError> {
    allow(app, caller, Interaction::SignRegister).await?;
    let page = own(app, caller, id).await?.head;
    let why = format!("count of register page {id}");
    let signers = Signers::prove(app, caller, &count.signing, &why).await?;
    of_house(app, caller, (&signers, &page.premises)).await?;
    let mut retry = Retry::busy();
    loop {
        let now = app.now();
        let mut folio = Folio::open(app, caller, id).await?;
        if let Some(before) = before(&folio, count)? {
            return Ok(before);
        }
        if folio.head.entries != count.seen {
            return Err(ruled(RegisterError::Outdated));
        }
        let draft = Draft {
            what: Entry::Counted { found: count.found },
            happened: count.happened.unwrap_or(now),
            entered: now,
            signed: signers.two(now)?,
            late: count.late.clone(),
        };
        let source = Source {
            sent: Some(count.id.clone()),
            ..Source::default()
        };
        let (written, staged) = folio.write(app, caller, draft, source)?;
        match committed(app, caller, staged).await? {
            Ok(()) => {
                let line = folio.lines.last().cloned();
                let line = line.ok_or_else(|| AppError::Fault("no entry".to_owned()))?;
                return Ok((line, written.incident));
            }
            Err(error) if is_race(&error) && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The count of this id, where it was written before; another one under it is refused.
fn before(folio: &Folio, count: &Count) -> Result<Option<(Line, Option<Incident>)>, AppError> {
    let mut lines = folio.lines.iter();
    let Some(line) = lines.find(|own| own.sent.as_ref() == Some(&count.id)) else {
        return Ok(None);
    };
    if line.entry.what != (Entry::Counted { found: count.found }) {
        return Err(AppError::Conflict(format!(
            "count {} is another one: give this one an id of its own",
            count.id
        )));
    }
    let mut incidents = folio.page.incidents();
    let incident = incidents.find(|own| own.entry == line.entry.number);
    Ok(Some((line.clone(), incident.cloned())))
}

/// A correction of an entry's quantity.
#[derive(Debug, Clone)]
pub struct Correct {
    /// The entry's number.
    pub of: u32,
    /// What it should have said; none where it should not have been made.
    pub should_be: Decimal,
    /// Why.
    pub note: String,
    /// The id of the movement that puts the shelf right, made by its sender.
    pub movement: MovementId,
    /// Who signs.
    pub signing: Signing,
}

/// Corrects what an entry says and puts the stock right with it, in one commit.
pub async fn correct(
    app: &App,
    caller: &Caller,
    id: &str,
    correct: &Correct,
) -> Result<Line, AppError> {
    allow(app, caller, Interaction::SignRegister).await?;
    let page = own(app, caller, id).await?.head;
    let why = format!("correction of No. {} on register page {id}", correct.of);
    let signers = Signers::prove(app, caller, &correct.signing, &why).await?;
    of_house(app, caller, (&signers, &page.premises)).await?;
    let mut retry = Retry::busy();
    loop {
        let (folio, staged) = corrected(app, caller, id, (correct, &signers)).await?;
        match committed(app, caller, staged).await? {
            Ok(()) => {
                let line = folio.lines.last().cloned();
                return line.ok_or_else(|| AppError::Fault("no entry".to_owned()));
            }
            Err(error) if is_race(&error) && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn corrected(
    app: &App,
    caller: &Caller,
    id: &str,
    (correct, signers): (&Correct, &Signers),
) -> Result<(Folio, Staged), AppError> {
    let now = app.now();
    let mut folio = Folio::open(app, caller, id).await?;
    let none = || ruled(RegisterError::NoSuchEntry(correct.of));
    let before = folio.page.effective(correct.of).ok_or_else(none)?;
    let at = usize::try_from(correct.of).unwrap_or_default();
    let line = folio.lines.get(at.wrapping_sub(1)).cloned();
    let line = line.ok_or_else(none)?;
    let (Some(item), Some(movement)) = (&line.item, &line.movement) else {
        return Err(none());
    };
    let mut shelf = Shelf::open(app, caller, item).await?;
    let moved = shelf.moved(app, caller, movement).await?.ok_or_else(none)?;
    let draft = Draft {
        what: Entry::Correction {
            of: correct.of,
            should_be: correct.should_be,
            note: correct.note.clone(),
        },
        happened: now,
        entered: now,
        signed: signers.two(now)?,
        late: None,
    };
    let source = Source {
        item: Some(item.clone()),
        movement: Some(correct.movement.clone()),
        order: None,
        sent: None,
    };
    let (written, mut staged) = folio.write(app, caller, draft, source)?;
    let after = folio.page.effective(correct.of).ok_or_else(none)?;
    let (of, batch) = held(&moved).ok_or_else(none)?;
    let adjust = Moving::Adjust {
        reason: VarianceReason::Miscounted,
        note: format!("correction of No. {} in the register", correct.of),
    };
    let with = With {
        asked: format!("correction {} of page {id}", written.entry.number),
        entered: Some(Entered {
            page: id.to_owned(),
            entry: written.entry.number,
        }),
        order: None,
        unchecked: None,
    };
    let lines = vec![adjusted(&of, &batch, after - before)?];
    let meta = meta(&correct.movement, caller, signers, now);
    let (_, more) = shelf.record(app, caller, meta, (adjust, lines), with)?;
    staged.and(more)?;
    Ok((folio, staged))
}

/// The account and batch of the house that a movement touched.
fn held(moved: &Moved) -> Option<(Account, medication::stock::Batch)> {
    let lines = moved.movement.lines.iter();
    let mut sides = lines.flat_map(|line| [(&line.from, &line.batch), (&line.to, &line.batch)]);
    let (account, batch) = sides.find(|(account, _)| account.is_held())?;
    Some((account.clone(), batch.clone()))
}

/// A discrepancy of a page.
pub(super) fn incident(text: &str) -> Result<IncidentId, AppError> {
    text.parse()
        .map_err(|_| AppError::not_found(format!("discrepancy {text}")))
}
