//! A medicine's head with its book, and what a movement writes: the head over the version it was read at,
//! the movement below it, the register's entry, the ledger's. Must not be committed in parts.

use kernel::{LogicalId, ZoneName};
use ledger::leaf::Class;
use medication::ids::{ItemId, MovementId, ResidentId};
use medication::stock::{
    Book, CallBack, Crossing, Meta, Recall, Recorded, Status, Step, Taken, What, crossing,
};
use medication::stock::{Line, StockError};
use store::{CommitError, DocExpected, DocKind, DocWrite, Entry, Guard, Log};

use super::{Entered, Item, Moved, ruled};
use crate::App;
use crate::admin::{load, write};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::medicines::register::Folio;
use crate::medicines::{Sources, sources};
use crate::record::bundle::Beside;
use crate::unit::UnitOfWork;

/// The look-up of movements by their sender's id.
pub(super) const ID: &str = "movement";
/// The look-up of corrections by what they correct.
pub(super) const CORRECTS: &str = "correction";
/// The look-up of items by their resource.
pub(super) const MEDICATION: &str = "medication";
/// The look-up of items by their product.
pub(crate) const PRODUCT: &str = "product";

/// A medicine that is kept, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    pub item: Item,
    pub version: u32,
    pub book: Book,
    /// Pages of the register as this commit will leave them: those that something is written on.
    pub folios: Vec<Folio>,
}

/// What a use-case adds to a commit.
#[derive(Clone, Default)]
pub(crate) struct Staged {
    pub docs: Vec<DocWrite>,
    pub entries: Vec<Entry>,
}

impl Staged {
    /// To be committed with resources, if what `guards` saw is still so.
    pub fn beside(self, guards: Vec<Guard>) -> Beside {
        Beside {
            guards,
            docs: self.docs,
            entries: self.entries,
            naming: None,
        }
    }

    /// Adds another part of the same commit, which was decided after this one: a head that both write is
    /// written as the later one has it.
    ///
    /// # Errors
    /// Both write the same movement or entry: the later one was not decided on the earlier.
    pub fn and(&mut self, other: Self) -> Result<(), AppError> {
        for doc in other.docs {
            let same = |own: &&mut DocWrite| own.kind == doc.kind && own.id == doc.id;
            match self.docs.iter_mut().find(same) {
                Some(own) if matches!(doc.expected, DocExpected::Absent) => {
                    return Err(AppError::Fault(format!("{} is written twice", own.id)));
                }
                Some(own) => *own = doc,
                None => self.docs.push(doc),
            }
        }
        self.entries.extend(other.entries);
        Ok(())
    }
}

/// Commits documents and entries alone.
pub(crate) async fn committed(
    app: &App,
    caller: &Caller,
    staged: Staged,
) -> Result<Result<(), CommitError>, AppError> {
    let mut unit = UnitOfWork::begin(app, &caller.scope);
    for doc in staged.docs {
        unit = unit.doc(doc);
    }
    let unit = unit.entries(staged.entries);
    let unit = unit.ok_or_else(|| AppError::Fault("a change without an entry".to_owned()))?;
    Ok(unit.commit().await.map(|_| ()))
}

/// The zone of the tenant, by which days end.
pub(crate) fn zone(app: &App, caller: &Caller) -> ZoneName {
    let zone = caller.tenant.time_zone.as_ref();
    zone.unwrap_or(&app.settings().time_zone).clone()
}

/// The name of a movement's document.
pub(super) fn name(item: &ItemId, number: u32) -> String {
    format!("{item}/{number:012}")
}

/// The key of a sender's id, per medicine.
pub(super) fn key(item: &ItemId, id: &MovementId) -> String {
    format!("{item}/{id}")
}

impl Shelf {
    /// A medicine that is kept.
    pub async fn open(app: &App, caller: &Caller, id: &ItemId) -> Result<Self, AppError> {
        let found = load::<Item>(app, &caller.scope, DocKind::StockItem, id.as_str()).await?;
        let found = found.ok_or_else(|| AppError::not_found(format!("stock of {id}")))?;
        Self::of(app, caller, found.value, found.version).await
    }

    /// The medicine that a look-up finds.
    pub async fn find(
        app: &App,
        caller: &Caller,
        by: &'static str,
        value: &str,
    ) -> Result<Option<Self>, AppError> {
        let found = app
            .store()
            .doc_by(&caller.scope, DocKind::StockItem, by, value)
            .await?;
        let Some(doc) = found else { return Ok(None) };
        let item: Item = serde_json::from_slice(&doc.body)?;
        Self::of(app, caller, item, doc.version).await.map(Some)
    }

    pub(super) async fn of(
        app: &App,
        caller: &Caller,
        item: Item,
        version: u32,
    ) -> Result<Self, AppError> {
        let zone = zone(app, caller);
        let (id, unit) = (item.id.clone(), item.unit.clone());
        let book = Book::unfold(id, unit, &zone, item.folded.clone()).map_err(ruled)?;
        let book = match item.control {
            Some(class) => book.controlled(class),
            None => book,
        };
        let book = called_back(&*sources(app).await?, &item, book);
        Ok(Self {
            item,
            version,
            book,
            folios: Vec::new(),
        })
    }

    /// Takes a page as this commit leaves it.
    pub fn leave(&mut self, folio: Folio) {
        match self
            .folios
            .iter_mut()
            .find(|own| own.head.id == folio.head.id)
        {
            Some(own) => *own = folio,
            None => self.folios.push(folio),
        }
    }

    /// The movement of a sender's id, if there is one.
    pub async fn moved(
        &self,
        app: &App,
        caller: &Caller,
        id: &MovementId,
    ) -> Result<Option<Moved>, AppError> {
        self.by(app, caller, ID, id).await
    }

    async fn by(
        &self,
        app: &App,
        caller: &Caller,
        lookup: &'static str,
        id: &MovementId,
    ) -> Result<Option<Moved>, AppError> {
        let key = key(&self.item.id, id);
        let found = app
            .store()
            .doc_by(&caller.scope, DocKind::StockMovement, lookup, &key)
            .await?;
        let doc = found
            .map(|doc| serde_json::from_slice(&doc.body))
            .transpose()?;
        Ok(doc)
    }

    /// Notes what is to be corrected, so that it can be.
    ///
    /// # Errors
    /// It was corrected before, or is not there.
    pub async fn note(
        &mut self,
        app: &App,
        caller: &Caller,
        of: &MovementId,
    ) -> Result<Moved, AppError> {
        let Some(moved) = self.moved(app, caller, of).await? else {
            return Err(ruled(StockError::Unknown(of.clone())));
        };
        if self.by(app, caller, CORRECTS, of).await?.is_some() {
            return Err(ruled(StockError::Corrected(of.clone())));
        }
        self.book.note(moved.movement.clone());
        Ok(moved)
    }

    /// Records a movement and answers what is to be written.
    pub fn record(
        &mut self,
        app: &App,
        caller: &Caller,
        meta: Meta,
        (what, lines): (What, Vec<Line>),
        with: With,
    ) -> Result<(Moved, Staged), AppError> {
        let before = self.item.total();
        let id = meta.id.clone();
        let (when, by) = (meta.recorded, meta.by);
        match self.book.record(meta, what, lines).map_err(ruled)? {
            Recorded::Made(_) => {}
            Recorded::Already => return Err(ruled(StockError::Taken(id))),
        }
        let Some(movement) = self.book.movements().last().cloned() else {
            return Err(AppError::Fault("a movement is not in its book".to_owned()));
        };
        self.item.folded = self.book.fold();
        self.item.movements += 1;
        let after = self.item.total();
        let crossed = self
            .item
            .threshold
            .and_then(|threshold| crossing(before, after, threshold));
        if let Some(crossed) = crossed {
            self.crossed(crossed, &id, (when, by))?;
        }
        let moved = Moved {
            number: self.item.movements,
            movement,
            asked: with.asked,
            crossing: crossed,
            entered: with.entered,
            order: with.order,
            unchecked: with.unchecked,
        };
        let staged = self.staged(app, caller, &moved)?;
        Ok((moved, staged))
    }

    /// The reorder follows what the line says.
    fn crossed(
        &mut self,
        crossed: Crossing,
        id: &MovementId,
        (at, by): (kernel::Timestamp, kernel::ActorId),
    ) -> Result<(), AppError> {
        let mut reorder = self.item.reorder()?;
        let step = match (crossed, reorder.status()) {
            (
                Crossing::Low | Crossing::Out,
                Status::None | Status::Received | Status::Cancelled,
            ) => Step::Need,
            (Crossing::Filled, Status::Needed | Status::Received | Status::Cancelled) => {
                Step::Settle
            }
            _ => return Ok(()),
        };
        let taken = Taken {
            id: format!("movement-{id}"),
            step,
            at,
            by,
        };
        let seen = reorder.version();
        reorder.take(taken, seen).map_err(ruled)?;
        self.item.reorder = reorder.trail().to_vec();
        Ok(())
    }

    fn staged(&self, app: &App, caller: &Caller, moved: &Moved) -> Result<Staged, AppError> {
        let id = &self.item.id;
        let mut lookups = vec![(ID, key(id, moved.id()))];
        if let What::Correction { of, .. } = &moved.movement.what {
            lookups.push((CORRECTS, key(id, of)));
        }
        let movement = write(
            app,
            DocKind::StockMovement,
            name(id, moved.number),
            DocExpected::Absent,
            moved,
            lookups,
        )?;
        Ok(Staged {
            docs: vec![self.head(app)?, movement],
            entries: entries(app, caller, &self.item, moved),
        })
    }

    /// The head as it is to be written.
    pub fn head(&self, app: &App) -> Result<DocWrite, AppError> {
        let expected = DocExpected::Version(self.version);
        write(
            app,
            DocKind::StockItem,
            self.item.id.as_str(),
            expected,
            &self.item,
            lookups(&self.item),
        )
    }
}

/// An id of a movement that no sender makes.
pub(super) fn fresh(app: &App) -> Result<MovementId, AppError> {
    let id = app.ids().uuid().to_string().parse();
    id.map_err(|_| AppError::Fault("an id is none".to_owned()))
}

/// What a movement is written with.
#[derive(Clone, Default)]
pub(crate) struct With {
    /// What was asked, as a hash.
    pub asked: String,
    /// Its entry in the register.
    pub entered: Option<Entered>,
    /// The order that it was given from.
    pub order: Option<String>,
    /// Why a pack was taken in that nobody could check.
    pub unchecked: Option<String>,
}

/// The book with what the lists of the instance call back of its medicine: there is one answer to whether a
/// batch was called back.
fn called_back(known: &Sources, item: &Item, mut book: Book) -> Book {
    let product = item.product.as_deref();
    let Some(product) = product.and_then(|own| known.dictionary.by_name(own)) else {
        return book;
    };
    let numbers: Vec<String> = product.gtins.iter().map(|own| own.digits()).collect();
    let recalls = known.recalls.iter();
    for own in recalls.filter(|own| numbers.contains(&own.gtin)) {
        book.call_back(CallBack {
            gtin: own.gtin.clone(),
            alone: numbers.len() == 1,
            lot: own.batch.clone(),
            recall: Recall {
                at: kernel::Timestamp::from_micros(0),
                notice: own.notice.clone(),
            },
        });
    }
    book
}

/// By what an item is found.
pub(super) fn lookups(item: &Item) -> Vec<(&'static str, String)> {
    let medication = item.medication.clone().map(|own| (MEDICATION, own));
    let product = item.product.as_deref();
    let product = product.map(|own| (PRODUCT, own.to_lowercase()));
    medication.into_iter().chain(product).collect()
}

/// The residents that a movement concerns.
fn residents(moved: &Moved) -> Vec<ResidentId> {
    let lines = moved.movement.lines.iter();
    let mut found: Vec<ResidentId> = lines
        .flat_map(|line| [line.from.resident(), line.to.resident()])
        .flatten()
        .cloned()
        .collect();
    found.sort();
    found.dedup();
    found
}

/// One entry for each resident, one about nobody where there is none.
fn entries(app: &App, caller: &Caller, item: &Item, moved: &Moved) -> Vec<Entry> {
    let kind = serde_json::to_value(moved.movement.what.kind());
    let kind = kind.ok().and_then(|own| own.as_str().map(str::to_owned));
    let what = format!("stock-{}", kind.unwrap_or_default());
    let sum: rust_decimal::Decimal = moved
        .movement
        .lines
        .iter()
        .map(|line| line.units.get())
        .sum();
    let detail = format!(
        "{} ({}), movement {} no. {}, {} {}, {} held then",
        item.name,
        item.id,
        moved.id(),
        moved.number,
        sum.normalize(),
        item.unit.name(),
        item.total().normalize(),
    );
    let one = |patient: Option<&LogicalId>| {
        let mut entry = house_entry(
            app,
            caller,
            Log::Changes,
            Class::Stock,
            what.clone(),
            Some(detail.clone()),
        );
        entry.subject = patient.cloned();
        entry.payload.patient = patient.map(|own| own.as_str().to_owned());
        entry
    };
    let residents = residents(moved);
    if residents.is_empty() {
        return vec![one(None)];
    }
    residents.iter().map(|own| one(Some(&own.0))).collect()
}
