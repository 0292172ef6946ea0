//! Discrepancies of the register: who was told, that it is looked into, how it ended. The settlement is an
//! entry, and what it changes is moved in the stock in the same commit. Must not end one without a finding.

use identity::Interaction;
use medication::ids::{ItemId, MovementId};
use medication::register::{Draft, Incident, Notified, RegisterError, What as Entry};
use medication::stock::{Batch, VarianceReason, What as Moving};
use rust_decimal::Decimal;

use super::pages::{Open, incident, meta, own};
use super::{Folio, Signers, Signing, Source};
use crate::App;
use crate::admin::{allow, changed};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::stock::moves::{adjusted, is_race};
use crate::medicines::stock::{
    Entered, Place, Shelf, Staged, With, committed, of_house, refuse, ruled,
};
use crate::retry::Retry;

/// What is noted on a discrepancy.
#[derive(Debug, Clone, Copy)]
pub enum Note {
    /// Somebody was told.
    Told(Notified),
    /// Somebody looks into it.
    Investigated,
}

/// Notes that somebody was told, or that it is looked into.
pub async fn note(
    app: &App,
    caller: &Caller,
    (page, id): (&str, &str),
    note: Note,
) -> Result<Incident, AppError> {
    allow(app, caller, Interaction::SignRegister).await?;
    let id = incident(id)?;
    own(app, caller, page).await?;
    let mut retry = Retry::busy();
    loop {
        let mut folio = Folio::open(app, caller, page).await?;
        let now = app.now();
        let own = folio.page.incident(&id);
        let own = own.ok_or_else(|| ruled(RegisterError::NoIncident(id.clone())))?;
        let detail = match note {
            Note::Told(whom) => {
                own.tell(whom, now);
                format!("discrepancy {id} of page {page}: told {whom:?}")
            }
            Note::Investigated => {
                own.investigate().map_err(ruled)?;
                format!("discrepancy {id} of page {page}: looked into")
            }
        };
        let own = own.clone();
        let word = ledger::leaf::Class::Register;
        let staged = Staged {
            docs: vec![folio.incident(app, &own)?],
            entries: vec![changed(app, caller, word, "register-incident", detail)],
        };
        match committed(app, caller, staged).await? {
            Ok(()) => return Ok(own),
            Err(error) if is_race(&error) && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// How a discrepancy ended.
#[derive(Debug, Clone)]
pub struct Settle {
    /// What is there.
    pub found: Decimal,
    /// What was found out.
    pub finding: String,
    /// Which stock is put right, where the balance changes.
    pub adjust: Option<Adjusted>,
    /// Who signs.
    pub signing: Signing,
}

/// Where the stock is put right.
#[derive(Debug, Clone)]
pub struct Adjusted {
    /// The id of the movement, made by its sender.
    pub movement: MovementId,
    /// The medicine.
    pub item: ItemId,
    /// Where.
    pub place: Place,
    /// Which batch.
    pub batch: Batch,
}

/// Settles a discrepancy by an entry that states the finding.
pub async fn settle(
    app: &App,
    caller: &Caller,
    (page, id): (&str, &str),
    settle: &Settle,
) -> Result<Open, AppError> {
    allow(app, caller, Interaction::SignRegister).await?;
    let head = own(app, caller, page).await?.head;
    let why = format!("settlement of discrepancy {id} on register page {page}");
    let signers = Signers::prove(app, caller, &settle.signing, &why).await?;
    of_house(app, caller, (&signers, &head.premises)).await?;
    let mut retry = Retry::busy();
    loop {
        let (folio, staged) = settled(app, caller, (page, id), (settle, &signers)).await?;
        match committed(app, caller, staged).await? {
            Ok(()) => return Ok(Open::of(folio)),
            Err(error) if is_race(&error) && retry.again().await => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn settled(
    app: &App,
    caller: &Caller,
    (page, id): (&str, &str),
    (settle, signers): (&Settle, &Signers),
) -> Result<(Folio, Staged), AppError> {
    let now = app.now();
    let mut folio = Folio::open(app, caller, page).await?;
    let by = settle.found - folio.page.balance();
    let draft = Draft {
        what: Entry::Settled {
            incident: incident(id)?,
            found: settle.found,
            finding: settle.finding.clone(),
        },
        happened: now,
        entered: now,
        signed: signers.two(now)?,
        late: None,
    };
    let adjust = settle.adjust.as_ref().filter(|_| !by.is_zero());
    let source = Source {
        item: adjust.map(|own| own.item.clone()),
        movement: adjust.map(|own| own.movement.clone()),
        order: None,
        sent: None,
    };
    let (written, mut staged) = folio.write(app, caller, draft, source)?;
    let Some(adjust) = adjust else {
        if by.is_zero() {
            return Ok((folio, staged));
        }
        return refuse("the balance changes: say which medicine, place and batch is put right");
    };
    if !folio.head.items.contains(&adjust.item) {
        return refuse("this medicine is on another page: name one of this page");
    }
    let account = adjust.place.account();
    let own = Folio::of_item(app, caller, &adjust.item, &adjust.place.location).await?;
    if own.is_none_or(|own| own.head.id != folio.head.id) {
        return refuse("the place is not of these premises: name a place that is part of them");
    }
    let mut shelf = Shelf::open(app, caller, &adjust.item).await?;
    let what = Moving::Adjust {
        reason: VarianceReason::Unexplained,
        note: settle.finding.clone(),
    };
    let with = With {
        asked: format!("settlement of {id} on page {page}"),
        entered: Some(Entered {
            page: page.to_owned(),
            entry: written.entry.number,
        }),
        order: None,
        unchecked: None,
    };
    let lines = vec![adjusted(&account, &adjust.batch, by)?];
    let meta = meta(&adjust.movement, caller, signers, now);
    let (_, more) = shelf.record(app, caller, meta, (what, lines), with)?;
    staged.and(more)?;
    Ok((folio, staged))
}
