//! Movements of stock: received, given back, destroyed, moved, counted, put right. A movement of a drug that
//! is kept in a register is an entry of it in the same commit, signed by two people who prove to be there; a
//! movement that was sent before, by its id, is answered and not made again. Must not move one part without
//! the other.

use identity::Interaction;
use jiff::civil::Date;
use kernel::Timestamp;
use medication::administration::PackState;
use medication::content::Article;
use medication::dictionary::pack::{self, Scanned};
use medication::ids::{ItemId, LocationId, MovementId, OrderId, PartyId};
use medication::stock::{
    Account, Batch, Counted, Discrepancy, Line, Meta, ReturnReason, StockError, Units, Unusable,
    VarianceReason, WasteReason, What,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{CommitError, DocKind};

use super::look::between;
use super::places::{self, Place};
use super::register;
use super::shelf::{Shelf, Staged, With, committed};
use super::{Item, Moved, refuse, ruled};
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::register::{Signers, Signing};
use crate::medicines::scan::today;
use crate::medicines::{Sources, sources};
use crate::retry::Retry;

/// What is to happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Wanted {
    /// It arrived.
    Receipt {
        /// Where it is put.
        to: Place,
        /// Who brought it: an Organization.
        from: PartyId,
        /// How much.
        units: Units,
        /// Which batch; what a scan says of it need not be said again.
        #[serde(default)]
        batch: Batch,
        /// The GS1 code of a pack.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        scan: Option<String>,
        /// For which order.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        order: Option<OrderId>,
        /// Why a pack is taken in that no list knows: somebody read its label.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        unchecked: Option<String>,
    },
    /// It goes back.
    Return {
        /// From where.
        from: Place,
        /// To whom: an Organization.
        to: PartyId,
        /// How much.
        units: Units,
        /// Of which batch.
        batch: Batch,
        /// Why.
        reason: ReturnReason,
    },
    /// It is destroyed.
    Waste {
        /// From where.
        from: Place,
        /// How much.
        units: Units,
        /// Of which batch.
        batch: Batch,
        /// Why.
        reason: WasteReason,
        /// How.
        method: String,
    },
    /// It changes its place.
    Transfer {
        /// From where.
        from: Place,
        /// To where.
        to: LocationId,
        /// How much.
        units: Units,
        /// Of which batch; what must be used first, where it is not said.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        batch: Option<Batch>,
    },
    /// It was counted.
    Count {
        /// Where.
        of: Place,
        /// What was found of every batch.
        counted: Vec<Counted>,
        /// How many movements the medicine had when it was counted.
        seen: u32,
        /// Why the book differs, where it does.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<VarianceReason>,
    },
    /// The book is put right without a count.
    Adjust {
        /// Where.
        of: Place,
        /// Which batch.
        batch: Batch,
        /// More, or less where it is negative.
        by: Decimal,
        /// Why.
        reason: VarianceReason,
        /// In words.
        note: String,
    },
    /// An earlier movement is undone.
    Correction {
        /// Which.
        of: MovementId,
        /// Why.
        note: String,
    },
}

/// A movement as it is sent.
#[derive(Debug, Clone)]
pub struct Move {
    /// Made by the sender: the same id twice is the same movement.
    pub id: MovementId,
    /// What.
    pub what: Wanted,
    /// When it happened; now.
    pub happened: Option<Timestamp>,
    /// That book and shelf are known to differ.
    pub discrepancy: Option<Discrepancy>,
    /// Why a register's entry is late.
    pub late: Option<String>,
    /// Who proves to be there.
    pub signing: Signing,
}

impl Move {
    /// What was asked, as a hash; proofs are no part of it.
    fn asked(&self) -> Result<String, AppError> {
        let text = serde_json::to_vec(&(&self.what, &self.happened, &self.discrepancy))?;
        Ok(data_encoding::HEXLOWER.encode(&Sha256::digest(&text)))
    }

    fn interaction(&self) -> Interaction {
        match &self.what {
            Wanted::Adjust { .. } | Wanted::Correction { .. } => Interaction::ManageStock,
            _ => Interaction::MoveStock,
        }
    }

    /// What of the house it touches.
    fn accounts(&self) -> Vec<Account> {
        let supplier = |party: &PartyId| Account::Supplier {
            party: party.clone(),
        };
        match &self.what {
            Wanted::Receipt { to, from, .. } => vec![to.account(), supplier(from)],
            Wanted::Return { from, to, .. } => vec![from.account(), supplier(to)],
            Wanted::Transfer { from, to, .. } => vec![from.account(), moved_to(from, to)],
            Wanted::Waste { from: of, .. }
            | Wanted::Count { of, .. }
            | Wanted::Adjust { of, .. } => vec![of.account()],
            Wanted::Correction { .. } => Vec::new(),
        }
    }
}

fn moved_to(from: &Place, to: &LocationId) -> Account {
    let to = Place {
        location: to.clone(),
        resident: from.resident.clone(),
    };
    to.account()
}

/// What came of a movement.
#[derive(Debug, Clone)]
pub struct Came {
    /// The movement.
    pub moved: Moved,
    /// The medicine after it; as it is now, where the movement was made before.
    pub item: Item,
    /// Whether it was made before.
    pub already: bool,
}

/// Makes a movement.
pub async fn make(
    app: &App,
    caller: &Caller,
    item: &ItemId,
    wanted: &Move,
) -> Result<Came, AppError> {
    allow(app, caller, wanted.interaction()).await?;
    let asked = wanted.asked()?;
    if let Some(came) = before(app, caller, item, (&wanted.id, &asked)).await? {
        return Ok(came);
    }
    for account in wanted.accounts() {
        places::known(app, caller, &account).await?;
    }
    let why = format!("movement {} of {item}", wanted.id);
    let signers = Signers::prove(app, caller, &wanted.signing, &why).await?;
    let mut retry = Retry::busy();
    loop {
        let mut shelf = Shelf::open(app, caller, item).await?;
        let (moved, staged) =
            Box::pin(stage(app, caller, &mut shelf, (wanted, &signers, &asked))).await?;
        let answer = match committed(app, caller, staged).await? {
            Ok(()) => Ok(Came {
                moved,
                item: shelf.item,
                already: false,
            }),
            Err(error) if is_race(&error) => Err(error),
            Err(error) => return Err(error.into()),
        };
        match answer {
            Ok(came) => return Ok(came),
            Err(error) => {
                // The same id may have been written meanwhile.
                if let Some(came) = before(app, caller, item, (&wanted.id, &asked)).await? {
                    return Ok(came);
                }
                if !retry.again().await {
                    return Err(error.into());
                }
            }
        }
    }
}

/// Whether somebody else changed the same stock or page at the same moment.
pub(crate) fn is_race(error: &CommitError) -> bool {
    matches!(
        error,
        CommitError::DocConflict {
            kind: DocKind::StockItem
                | DocKind::StockMovement
                | DocKind::RegisterPage
                | DocKind::RegisterEntry
                | DocKind::RegisterIncident,
            ..
        }
    )
}

/// The movement of this id, where it was made before; another one under it is refused.
async fn before(
    app: &App,
    caller: &Caller,
    item: &ItemId,
    (id, asked): (&MovementId, &str),
) -> Result<Option<Came>, AppError> {
    let shelf = Shelf::open(app, caller, item).await?;
    match shelf.moved(app, caller, id).await? {
        None => Ok(None),
        Some(moved) if moved.asked == asked => Ok(Some(Came {
            moved,
            item: shelf.item,
            already: true,
        })),
        Some(_) => Err(ruled(StockError::Taken(id.clone()))),
    }
}

/// What a movement writes, decided on a medicine as it was read.
async fn stage(
    app: &App,
    caller: &Caller,
    shelf: &mut Shelf,
    (wanted, signers, asked): (&Move, &Signers, &str),
) -> Result<(Moved, Staged), AppError> {
    let now = app.now();
    let meta = Meta {
        id: wanted.id.clone(),
        happened: wanted.happened.unwrap_or(now),
        recorded: now,
        by: signers.by(caller),
        witness: signers.witness(),
        discrepancy: wanted.discrepancy.clone(),
    };
    let making = Making {
        app,
        caller,
        meta: &meta,
    };
    let Made {
        what,
        lines,
        unchecked,
        number,
    } = making.moves(shelf, &wanted.what).await?;
    // By it the shelf knows what a list calls back by number.
    if let Some((batch, gtin)) = number {
        shelf.book.number(batch, gtin);
    }
    let with = With {
        asked: asked.to_owned(),
        unchecked,
        ..With::default()
    };
    let entering = register::Entering {
        signers,
        late: wanted.late.clone(),
        dose: None,
    };
    let movement = (meta, what, lines);
    register::record(app, caller, shelf, movement, (with, entering)).await
}

struct Making<'a> {
    app: &'a App,
    caller: &'a Caller,
    meta: &'a Meta,
}

/// A movement with its lines.
struct Made {
    what: What,
    lines: Vec<Line>,
    /// Why a pack is taken in that nobody could check.
    unchecked: Option<String>,
    /// The number that was read from a pack of a batch.
    number: Option<(Batch, String)>,
}

impl Made {
    const fn of(what: What, lines: Vec<Line>) -> Self {
        Self {
            what,
            lines,
            unchecked: None,
            number: None,
        }
    }
}

/// What is known of a pack that is received.
struct Received {
    batch: Batch,
    checked: bool,
    /// Its number, where it was read.
    number: Option<String>,
}

impl Making<'_> {
    /// The movement with its lines; those of counts and corrections are the book's own.
    async fn moves(&self, shelf: &mut Shelf, wanted: &Wanted) -> Result<Made, AppError> {
        let (what, lines) = match wanted {
            Wanted::Receipt { .. } | Wanted::Return { .. } | Wanted::Waste { .. } => {
                let known = sources(self.app).await?;
                return self.in_and_out(shelf, wanted, &known);
            }
            Wanted::Transfer {
                from,
                to,
                units,
                batch,
            } => {
                let sides = (from.account(), moved_to(from, to));
                let lines = self.transferred(shelf, sides, (*units, batch.as_ref()))?;
                (What::Transfer, lines)
            }
            Wanted::Count {
                of,
                counted,
                seen,
                reason,
            } => {
                self.unmoved(shelf, (&of.account(), *seen)).await?;
                let count = What::Count {
                    of: of.account(),
                    counted: counted.clone(),
                    reason: *reason,
                };
                (count, Vec::new())
            }
            Wanted::Adjust {
                of,
                batch,
                by,
                reason,
                note,
            } => {
                let (reason, note) = (*reason, note.clone());
                let lines = vec![adjusted(&of.account(), batch, *by)?];
                (What::Adjust { reason, note }, lines)
            }
            Wanted::Correction { of, note } => {
                let moved = shelf.note(self.app, self.caller, of).await?;
                let lines = moved.movement.lines.iter();
                let sides = lines.flat_map(|line| [&line.from, &line.to]);
                for account in sides.filter(|own| own.is_held()) {
                    places::known(self.app, self.caller, account).await?;
                }
                let (of, note) = (of.clone(), note.clone());
                (What::Correction { of, note }, Vec::new())
            }
        };
        Ok(Made::of(what, lines))
    }

    /// The lines of a transfer: of the batch that is named, or of what must be used first.
    fn transferred(
        &self,
        shelf: &Shelf,
        (from, to): (Account, Account),
        (units, batch): (Units, Option<&Batch>),
    ) -> Result<Vec<Line>, AppError> {
        let parts = if let Some(batch) = batch {
            vec![(batch.clone(), units)]
        } else {
            let found = shelf.book.allocate(&from, units, self.meta.happened);
            found.map_err(ruled)?.parts
        };
        let parts = parts.iter();
        let lines = parts.map(|(own, units)| line(own, *units, from.clone(), to.clone()));
        Ok(lines.collect())
    }

    /// Refuses a count of a place where something moved since it was counted.
    async fn unmoved(&self, shelf: &Shelf, (of, seen): (&Account, u32)) -> Result<(), AppError> {
        const MOST: u32 = 500;
        let now = shelf.item.movements;
        if seen > now {
            return refuse(format!(
                "the medicine has {now} movements: send how many it had when it was counted"
            ));
        }
        let outdated = || ruled(StockError::Outdated);
        if now - seen > MOST {
            return Err(outdated());
        }
        let since = between(self.app, self.caller, &shelf.item.id, seen, now).await?;
        let mut lines = since.iter().flat_map(|own| &own.movement.lines);
        if lines.any(|line| line.from == *of || line.to == *of) {
            return Err(outdated());
        }
        Ok(())
    }

    /// What comes into the house and what leaves it.
    fn in_and_out(
        &self,
        shelf: &Shelf,
        wanted: &Wanted,
        known: &Sources,
    ) -> Result<Made, AppError> {
        let supplier = |party: &PartyId| Account::Supplier {
            party: party.clone(),
        };
        Ok(match wanted {
            Wanted::Receipt {
                to,
                from,
                units,
                batch,
                scan,
                order,
                unchecked,
            } => {
                let found = self.received(shelf, batch, scan.as_deref(), known)?;
                let why = unchecked.as_deref().map(str::trim);
                let why = why.filter(|own| !own.is_empty() && !found.checked);
                if !found.checked && why.is_none() {
                    return refuse(
                        "no list says what this pack is, so it was not checked: read the label and say why it is taken in (unchecked)",
                    );
                }
                let lines = vec![line(&found.batch, *units, supplier(from), to.account())];
                let order = order.clone();
                let number = found.number.map(|own| (found.batch, own));
                Made {
                    unchecked: why.map(str::to_owned),
                    number,
                    ..Made::of(What::Receipt { order }, lines)
                }
            }
            Wanted::Return {
                from,
                to,
                units,
                batch,
                reason,
            } => {
                let lines = vec![line(batch, *units, from.account(), supplier(to))];
                Made::of(What::Return { reason: *reason }, lines)
            }
            Wanted::Waste {
                from,
                units,
                batch,
                reason,
                method,
            } => {
                let lines = vec![line(batch, *units, from.account(), Account::Waste)];
                let (reason, method) = (*reason, method.clone());
                Made::of(What::Waste { reason, method }, lines)
            }
            _ => return Err(AppError::Fault("a movement of another kind".to_owned())),
        })
    }

    /// The batch that is received: what is said and what the pack says must agree, it must not have been
    /// called back, and its last day must not be over.
    fn received(
        &self,
        shelf: &Shelf,
        said: &Batch,
        scan: Option<&str>,
        known: &Sources,
    ) -> Result<Received, AppError> {
        let mut batch = said.clone();
        let (mut checked, mut number) = (true, None);
        if let Some(scan) = scan {
            let today = today(self.app, self.caller)?;
            let found = pack::scan(&known.dictionary, &known.recalls, scan, today);
            let found = found.map_err(ruled)?;
            checked = is_of(shelf, &found, known)?;
            if let Some(recall) = found.recall {
                return refuse(format!(
                    "this pack was called back ({}): set it aside and send it back",
                    recall.notice
                ));
            }
            agreed(&mut batch, &Batch::of_pack(&found.pack))?;
            number = Some(found.pack.gtin.digits());
        }
        let now = self.meta.happened;
        if let Some((Unusable::Recalled, notice)) = shelf.book.unusable_pack(&batch, now)
            && batch.lot.is_some()
        {
            return refuse(format!(
                "this lot was called back ({}): set it aside and send it back",
                notice.unwrap_or_default()
            ));
        }
        let zone = super::zone(self.app, self.caller).zone();
        if batch.expires(&zone).is_some_and(|end| end <= now) {
            return refuse("this batch is expired: set it aside and send it back");
        }
        Ok(Received {
            batch,
            checked,
            number,
        })
    }
}

/// Whether a pack that was read is this medicine: refused where it is another one, false where no list says
/// what it is.
fn is_of(shelf: &Shelf, found: &Scanned<'_>, known: &Sources) -> Result<bool, AppError> {
    let Some(product) = found.product else {
        return Ok(false);
    };
    let other = || {
        refuse(format!(
            "the pack is {}, not {}: set it aside and send it back",
            product.name, shelf.item.name
        ))
    };
    if let Some(own) = &shelf.item.product {
        return if product.name == *own {
            Ok(true)
        } else {
            other()
        };
    }
    // Kept by hand: by what the name says it holds.
    let own = Article::of_name(&shelf.item.name, known.knowledge);
    let own = Scanned {
        recall: None,
        expired: false,
        ..found.clone()
    }
    .against(&own, known.knowledge);
    match own {
        PackState::Fits => Ok(true),
        PackState::Other | PackState::OtherStrength => other(),
        _ => Ok(false),
    }
}

/// Takes what a pack says into what is said of it.
fn agreed(said: &mut Batch, read: &Batch) -> Result<(), AppError> {
    for (stated, read, what) in [
        (&mut said.lot, &read.lot, "lot"),
        (&mut said.serial, &read.serial, "serial number"),
    ] {
        if let (Some(stated), Some(read)) = (&*stated, read)
            && stated != read
        {
            return refuse(format!("the {what} is {read} on the pack, not {stated}"));
        }
        *stated = stated.take().or_else(|| read.clone());
    }
    let differs = |own: Date| read.expiry.is_some_and(|read| read != own);
    if said.expiry.is_some_and(differs) {
        return refuse("the last day of use is another one on the pack: read it again");
    }
    said.expiry = said.expiry.or(read.expiry);
    Ok(())
}

fn line(batch: &Batch, units: Units, from: Account, to: Account) -> Line {
    Line {
        batch: batch.clone(),
        units,
        from,
        to,
    }
}

/// A line that puts an account right.
pub(crate) fn adjusted(of: &Account, batch: &Batch, by: Decimal) -> Result<Line, AppError> {
    let units = Units::new(by.abs()).map_err(ruled)?;
    let (from, to) = if by.is_sign_positive() {
        (Account::Difference, of.clone())
    } else {
        (of.clone(), Account::Difference)
    };
    Ok(Line {
        batch: batch.clone(),
        units,
        from,
        to,
    })
}
