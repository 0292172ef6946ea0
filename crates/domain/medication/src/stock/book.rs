//! The book of one medicine: its movements in the order they were written, and the balances that are
//! their sum. Must not change or drop a movement: what was wrong is undone by another that cites it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use kernel::{Categorised, Category, Timestamp, ZoneName};
use rust_decimal::Decimal;

use super::{
    Account, Batch, CallBack, Class, Counted, Kind, Line, Meta, Movement, Opened, Recall, Units,
    Unusable, VarianceReason, What,
};
use crate::ids::{ItemId, MovementId, ResidentId};
use crate::quantity::Unit;
use crate::register;

/// Why a movement is refused. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StockError {
    /// The id is taken by another movement.
    #[error("movement {0} is another one: give this one an id of its own")]
    Taken(MovementId),
    /// It happens later than it is written down.
    #[error("a movement cannot be in the future: correct the time")]
    Future,
    /// It moves nothing.
    #[error("a movement needs a line: say what moved")]
    Empty,
    /// The kind does not join these accounts.
    #[error("{kind:?} does not go from {from:?} to {to:?}")]
    Accounts {
        /// The kind.
        kind: Kind,
        /// From.
        from: Class,
        /// To.
        to: Class,
    },
    /// From an account to the same.
    #[error("it stays where it is: name another account")]
    Same,
    /// What belongs to one resident goes to another.
    #[error("this belongs to {owner}, not to {resident}: use their own")]
    NotTheirs {
        /// To whom it belongs.
        owner: ResidentId,
        /// For whom it was taken.
        resident: ResidentId,
    },
    /// There is less than that.
    #[error("the book has {held}, not {wanted}: count, or record the discrepancy")]
    Short {
        /// Where.
        account: Box<Account>,
        /// Of which batch.
        batch: Box<Batch>,
        /// So much is there.
        held: Decimal,
        /// So much was wanted.
        wanted: Decimal,
    },
    /// The batch may not be used.
    #[error("this batch {why}: take another one, or record the discrepancy if it was given")]
    Unusable {
        /// Which.
        batch: Box<Batch>,
        /// Why.
        why: Unusable,
    },
    /// A count or adjustment without words on why.
    #[error("book and count differ by {by}: give a reason")]
    NeedsReason {
        /// Found less booked.
        by: Decimal,
    },
    /// A text that says nothing.
    #[error("{0} is empty: say it in words")]
    Words(&'static str),
    /// The witness is the giver.
    #[error("the witness is the giver: ask another person")]
    Witness,
    /// A controlled drug moves before a witness.
    #[error("this is a controlled drug: a second person has to see it and sign")]
    NeedsWitness,
    /// Something moved there after it was counted.
    #[error("something moved there since it was counted: count it again")]
    Outdated,
    /// A batch that the book has was not counted.
    #[error("a batch with {held} on the book was not counted: count it, 0 if it is not there")]
    Uncounted {
        /// Which.
        batch: Box<Batch>,
        /// What the book has.
        held: Decimal,
    },
    /// A batch was counted twice, or as less than none, or on an account that nobody holds.
    #[error("the count does not hold: {0}")]
    Count(&'static str),
    /// There is no such movement.
    #[error("there is no movement {0}")]
    Unknown(MovementId),
    /// It was undone before, or undoes another one.
    #[error("movement {0} was corrected, or corrects another: record a new one")]
    Corrected(MovementId),
    /// Stored lines are not what the book makes of the movement.
    #[error("movement {0} is not as it was recorded")]
    Altered(MovementId),
}

impl Categorised for StockError {
    fn category(&self) -> Category {
        match self {
            Self::Unknown(_) => Category::NotFound,
            Self::Taken(_) | Self::Short { .. } | Self::Corrected(_) | Self::Outdated => {
                Category::Conflict
            }
            Self::Altered(_) => Category::Altered,
            _ => Category::Unprocessable,
        }
    }
}

/// A held account's balance before and after a movement, over all its batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub account: Account,
    /// Before.
    pub before: Decimal,
    /// After.
    pub after: Decimal,
}

/// What came of recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the book.
    Made(Vec<Change>),
    /// It was there before, the same.
    Already,
}

/// The book of one medicine.
#[derive(Debug, Clone)]
pub struct Book {
    item: ItemId,
    unit: Unit,
    zone: TimeZone,
    control: Option<register::Class>,
    movements: Vec<Movement>,
    places: BTreeMap<MovementId, usize>,
    corrected: BTreeSet<MovementId>,
    pub(super) balances: BTreeMap<Account, BTreeMap<Batch, Decimal>>,
    pub(super) opened: BTreeMap<(Account, Batch), Opened>,
    pub(super) recalled: BTreeMap<Option<String>, Recall>,
    /// What lists outside the book call back; no part of what it is folded to.
    listed: Vec<CallBack>,
    /// The numbers (GTIN) that were read from the packs of a batch.
    pub(super) numbers: BTreeMap<Batch, BTreeSet<String>>,
    /// What the movements come to that were folded away.
    pub(super) base: BTreeMap<Account, BTreeMap<Batch, Decimal>>,
    /// Movements of those that were folded away.
    pub(super) earlier: BTreeMap<MovementId, Movement>,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new(item: ItemId, unit: Unit, zone: &ZoneName) -> Self {
        Self {
            item,
            unit,
            zone: zone.zone(),
            control: None,
            movements: Vec::new(),
            places: BTreeMap::new(),
            corrected: BTreeSet::new(),
            balances: BTreeMap::new(),
            opened: BTreeMap::new(),
            recalled: BTreeMap::new(),
            listed: Vec::new(),
            numbers: BTreeMap::new(),
            base: BTreeMap::new(),
            earlier: BTreeMap::new(),
        }
    }

    /// The same of a controlled drug: its movements are witnessed as its class demands.
    #[must_use]
    pub const fn controlled(mut self, class: register::Class) -> Self {
        self.control = Some(class);
        self
    }

    /// The medicine.
    #[must_use]
    pub const fn item(&self) -> &ItemId {
        &self.item
    }
    /// In which unit it is counted.
    #[must_use]
    pub const fn unit(&self) -> &Unit {
        &self.unit
    }
    /// The movements, in the order they were written.
    #[must_use]
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }
    pub(super) const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// What is on an account.
    #[must_use]
    pub fn balance(&self, account: &Account) -> Decimal {
        let batches = self.balances.get(account);
        batches.map_or(Decimal::ZERO, |batches| batches.values().copied().sum())
    }

    /// What is on an account of one batch.
    #[must_use]
    pub fn balance_of(&self, account: &Account, batch: &Batch) -> Decimal {
        let batches = self.balances.get(account);
        batches
            .and_then(|batches| batches.get(batch).copied())
            .unwrap_or_default()
    }

    /// The batches on an account, with how much there is of each; those that are used up are left out.
    pub fn batches(&self, account: &Account) -> impl Iterator<Item = (&Batch, Decimal)> {
        let batches = self.balances.get(account).into_iter().flatten();
        batches
            .filter(|(_, held)| !held.is_zero())
            .map(|(batch, held)| (batch, *held))
    }

    /// All accounts that something moved on.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.balances.keys()
    }

    /// Notes that a pack was opened; the first opening counts.
    pub fn open(&mut self, account: Account, batch: Batch, opened: Opened) {
        let earlier = self.opened.entry((account, batch)).or_insert(opened);
        if opened.at < earlier.at {
            *earlier = opened;
        }
    }

    /// Notes that a lot was called back; no lot stands for all packs whose lot nobody read.
    pub fn recall(&mut self, lot: Option<String>, recall: Recall) {
        self.recalled.entry(lot).or_insert(recall);
    }

    /// Notes what a list outside the book calls back.
    pub fn call_back(&mut self, own: CallBack) {
        self.listed.push(own);
    }

    /// Notes the number (GTIN) that was read from a pack of a batch.
    pub fn number(&mut self, batch: Batch, gtin: String) {
        self.numbers.entry(batch).or_default().insert(gtin);
    }

    /// The call-back of a batch, whichever list has it.
    fn called_back(&self, batch: &Batch, now: Timestamp) -> Option<&Recall> {
        let lot = batch.lot.as_ref();
        let own = self.recalled.iter();
        let own = own.filter(|(of, _)| of.as_ref() == lot);
        let numbers = self.numbers.get(batch);
        let listed = self.listed.iter();
        let listed = listed.filter(|own| own.is_of(lot, numbers));
        let found = own.map(|(_, own)| own);
        let mut found = found.chain(listed.map(|own| &own.recall));
        found.find(|own| own.at <= now)
    }

    /// Why a pack that was read may not be used, wherever it is kept, with the notice where it was called
    /// back. One that does not say its lot may be of any that was.
    #[must_use]
    pub fn unusable_pack(&self, pack: &Batch, now: Timestamp) -> Option<(Unusable, Option<&str>)> {
        let any = self.recalled.values();
        let any = any.chain(self.listed.iter().map(|own| &own.recall));
        let mut any = any.filter(|own| pack.lot.is_none() && own.at <= now);
        let recall = self.called_back(pack, now);
        let recall = recall.or_else(|| any.next());
        if let Some(recall) = recall {
            return Some((Unusable::Recalled, Some(&recall.notice)));
        }
        let accounts = self.accounts().filter(|own| own.is_held());
        let mut kept = accounts
            .flat_map(|own| self.batches(own).map(move |(batch, _)| (own, batch)))
            .filter(|(_, batch)| batch.may_be(pack))
            .map(|(own, batch)| self.unusable(own, batch, now));
        // Where one place has it as it should be, the pack may be that one.
        let first = kept.next()??;
        kept.all(|own| own.is_some()).then_some((first, None))
    }

    /// Why a batch may not be used at a moment, if so.
    #[must_use]
    pub fn unusable(&self, account: &Account, batch: &Batch, now: Timestamp) -> Option<Unusable> {
        if self.called_back(batch, now).is_some() {
            return Some(Unusable::Recalled);
        }
        if batch.expires(&self.zone).is_some_and(|end| end <= now) {
            return Some(Unusable::Expired);
        }
        self.opened(account, batch)
            .is_some_and(|opened| opened.ends(&self.zone) <= now)
            .then_some(Unusable::OpenTooLong)
    }

    pub(super) fn opened(&self, account: &Account, batch: &Batch) -> Option<&Opened> {
        self.opened.get(&(account.clone(), batch.clone()))
    }

    /// Writes a movement down; the lines of counts and corrections are the book's own. With a recorded discrepancy, what the book lacks is taken from
    /// [`Account::Difference`] first, so that no balance is ever below nothing and the gap is seen.
    ///
    /// # Errors
    /// See the variants; the book is as it was.
    pub fn record(
        &mut self,
        meta: Meta,
        what: What,
        lines: Vec<Line>,
    ) -> Result<Recorded, StockError> {
        match what {
            What::Count {
                of,
                counted,
                reason,
            } => self.count(meta, &of, counted, reason),
            What::Correction { of, note } => self.correct(meta, &of, note),
            what => self.write(meta, what, lines),
        }
    }

    /// A book from its stored movements.
    ///
    /// # Errors
    /// An id that is there twice, a correction of nothing, a balance below nothing.
    pub fn restore(
        item: ItemId,
        unit: Unit,
        zone: &ZoneName,
        movements: Vec<Movement>,
    ) -> Result<Self, StockError> {
        let mut book = Self::new(item, unit, zone);
        for movement in movements {
            let id = movement.meta.id.clone();
            if book.places.contains_key(&id) || !book.missing(&movement.lines).is_empty() {
                return Err(StockError::Altered(id));
            }
            if let What::Correction { of, .. } = &movement.what {
                let undone = book.reversal(of)?;
                if !movement.lines.ends_with(&undone) {
                    return Err(StockError::Altered(id));
                }
            }
            book.append(movement.meta, movement.what, movement.lines);
        }
        Ok(book)
    }

    /// Whether the very same is in the book already.
    fn again(&self, meta: &Meta, what: &What) -> bool {
        let earlier = self.places.get(&meta.id);
        let earlier = earlier.and_then(|place| self.movements.get(*place));
        earlier.is_some_and(|own| own.meta == *meta && own.what == *what)
    }

    /// Writes a count of an account down, and what it finds more or less.
    ///
    /// # Errors
    /// A batch left out, counted twice or below none; a difference without a reason.
    pub fn count(
        &mut self,
        meta: Meta,
        of: &Account,
        counted: Vec<Counted>,
        reason: Option<VarianceReason>,
    ) -> Result<Recorded, StockError> {
        let what = What::Count {
            of: of.clone(),
            counted,
            reason,
        };
        if self.again(&meta, &what) {
            return Ok(Recorded::Already);
        }
        let What::Count { counted, .. } = &what else {
            return Err(StockError::Count("it is none"));
        };
        let lines = self.count_lines(of, counted)?;
        self.write(meta, what, lines)
    }

    /// Undoes a movement by one that cites it.
    ///
    /// # Errors
    /// No such movement, or one that was undone before or undoes another; too little left to undo it.
    pub fn correct(
        &mut self,
        meta: Meta,
        of: &MovementId,
        note: String,
    ) -> Result<Recorded, StockError> {
        let what = What::Correction {
            of: of.clone(),
            note,
        };
        if self.again(&meta, &what) {
            return Ok(Recorded::Already);
        }
        let lines = self.reversal(of)?;
        self.write(meta, what, lines)
    }

    fn reversal(&self, of: &MovementId) -> Result<Vec<Line>, StockError> {
        let place = self.places.get(of);
        let movement = place.and_then(|place| self.movements.get(*place));
        let movement = movement.or_else(|| self.earlier.get(of));
        let movement = movement.ok_or_else(|| StockError::Unknown(of.clone()))?;
        if self.corrected.contains(of) || movement.what.kind() == Kind::Correction {
            return Err(StockError::Corrected(of.clone()));
        }
        Ok(movement.lines.iter().map(Line::reversed).collect())
    }

    fn count_lines(&self, of: &Account, counted: &[Counted]) -> Result<Vec<Line>, StockError> {
        if !of.is_held() {
            return Err(StockError::Count("only what is held is counted"));
        }
        if counted.is_empty() {
            return Err(StockError::Count(
                "nothing was counted: write what was found of every batch, 0 where it is not there",
            ));
        }
        let mut seen = BTreeSet::new();
        let mut lines = Vec::new();
        for one in counted {
            if !seen.insert(&one.batch) {
                return Err(StockError::Count("a batch is there twice"));
            }
            if one.found < Decimal::ZERO {
                return Err(StockError::Count("a batch is less than none"));
            }
            let more = one.found - self.balance_of(of, &one.batch);
            let Ok(units) = Units::new(more.abs()) else {
                if more.is_zero() {
                    continue;
                }
                return Err(StockError::Count("a difference is too fine or too large"));
            };
            let (from, to) = if more > Decimal::ZERO {
                (Account::Difference, of.clone())
            } else {
                (of.clone(), Account::Difference)
            };
            lines.push(Line {
                batch: one.batch.clone(),
                units,
                from,
                to,
            });
        }
        let missed = self.batches(of).find(|(batch, _)| !seen.contains(batch));
        match missed {
            Some((batch, held)) => Err(StockError::Uncounted {
                batch: Box::new(batch.clone()),
                held,
            }),
            None => Ok(lines),
        }
    }

    fn write(
        &mut self,
        meta: Meta,
        what: What,
        mut lines: Vec<Line>,
    ) -> Result<Recorded, StockError> {
        if let Some(place) = self.places.get(&meta.id) {
            let same = self.again(&meta, &what)
                && self
                    .movements
                    .get(*place)
                    .is_some_and(|own| own.lines.ends_with(&lines));
            return if same {
                Ok(Recorded::Already)
            } else {
                Err(StockError::Taken(meta.id))
            };
        }
        self.check(&meta, &what, &lines)?;
        let missing = self.missing(&lines);
        if !missing.is_empty() {
            if meta.discrepancy.is_none() {
                return Err(self.short(&missing, &lines));
            }
            lines.splice(0..0, missing);
        }
        Ok(Recorded::Made(self.append(meta, what, lines)))
    }

    fn check(&self, meta: &Meta, what: &What, lines: &[Line]) -> Result<(), StockError> {
        let kind = what.kind();
        if meta.happened > meta.recorded {
            return Err(StockError::Future);
        }
        words(meta, what)?;
        let witnessed = self.control.is_some_and(|class| match kind {
            Kind::Waste => class.demands().witnessed_destruction,
            _ => class.demands().witness,
        });
        if witnessed && meta.witness.is_none() {
            return Err(StockError::NeedsWitness);
        }
        if let What::Count { reason: None, .. } = what
            && let Some(line) = lines.first()
        {
            let by = line.units.get();
            let by = if line.to == Account::Difference {
                -by
            } else {
                by
            };
            return Err(StockError::NeedsReason { by });
        }
        if lines.is_empty() && !matches!(kind, Kind::Count | Kind::Correction) {
            return Err(StockError::Empty);
        }
        // The lines of a correction were right once, the other way.
        if kind == Kind::Correction {
            return Ok(());
        }
        lines.iter().try_for_each(|line| {
            joined(kind, line)?;
            let why = (kind == Kind::Given && meta.discrepancy.is_none())
                .then(|| self.unusable(&line.from, &line.batch, meta.happened))
                .flatten();
            why.map_or(Ok(()), |why| {
                Err(StockError::Unusable {
                    batch: Box::new(line.batch.clone()),
                    why,
                })
            })
        })
    }

    /// Lines that bring what the held accounts would lack.
    fn missing(&self, lines: &[Line]) -> Vec<Line> {
        let mut after: BTreeMap<(&Account, &Batch), Decimal> = BTreeMap::new();
        for line in lines {
            for (account, moved) in [
                (&line.from, -line.units.get()),
                (&line.to, line.units.get()),
            ] {
                *after
                    .entry((account, &line.batch))
                    .or_insert_with(|| self.balance_of(account, &line.batch)) += moved;
            }
        }
        let below = after
            .into_iter()
            .filter(|((account, _), left)| account.is_held() && *left < Decimal::ZERO);
        below
            .filter_map(|((account, batch), left)| {
                Some(Line {
                    batch: batch.clone(),
                    units: Units::new(-left).ok()?,
                    from: Account::Difference,
                    to: account.clone(),
                })
            })
            .collect()
    }

    fn short(&self, missing: &[Line], lines: &[Line]) -> StockError {
        let Some(first) = missing.first() else {
            return StockError::Empty;
        };
        let wanted = lines
            .iter()
            .filter(|line| line.from == first.to && line.batch == first.batch);
        StockError::Short {
            held: self.balance_of(&first.to, &first.batch),
            wanted: wanted.map(|line| line.units.get()).sum(),
            account: Box::new(first.to.clone()),
            batch: Box::new(first.batch.clone()),
        }
    }

    fn append(&mut self, meta: Meta, what: What, lines: Vec<Line>) -> Vec<Change> {
        let held: BTreeSet<&Account> = lines
            .iter()
            .flat_map(|line| [&line.from, &line.to])
            .filter(|account| account.is_held())
            .collect();
        let before: Vec<(Account, Decimal)> = held
            .into_iter()
            .map(|account| (account.clone(), self.balance(account)))
            .collect();
        for line in &lines {
            for (account, moved) in [
                (&line.from, -line.units.get()),
                (&line.to, line.units.get()),
            ] {
                let batches = self.balances.entry(account.clone()).or_default();
                *batches.entry(line.batch.clone()).or_default() += moved;
            }
        }
        if let What::Correction { of, .. } = &what {
            self.corrected.insert(of.clone());
        }
        self.places.insert(meta.id.clone(), self.movements.len());
        self.movements.push(Movement { meta, what, lines });
        before
            .into_iter()
            .map(|(account, before)| Change {
                after: self.balance(&account),
                account,
                before,
            })
            .collect()
    }

    /// Whether the balances are the sum of the movements, and all accounts together nothing: what a
    /// check of stored data asks.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let base = self.base.iter().flat_map(|(account, batches)| {
            let own = batches.iter();
            own.map(move |(batch, held)| ((account, batch), *held))
        });
        let mut sums: BTreeMap<(&Account, &Batch), Decimal> = base.collect();
        let folded: Decimal = sums.values().copied().sum();
        for line in self.movements.iter().flat_map(|one| &one.lines) {
            *sums.entry((&line.from, &line.batch)).or_default() -= line.units.get();
            *sums.entry((&line.to, &line.batch)).or_default() += line.units.get();
        }
        let all: Decimal = sums.values().copied().sum();
        let kept: usize = self.balances.values().map(BTreeMap::len).sum();
        all == folded
            && kept == sums.len()
            && sums.iter().all(|((account, batch), sum)| {
                self.balance_of(account, batch) == *sum
                    && (!account.is_held() || *sum >= Decimal::ZERO)
            })
    }
}

/// The texts that may not be empty, and the witness who is not the giver.
fn words(meta: &Meta, what: &What) -> Result<(), StockError> {
    let text = match what {
        What::Waste { method, .. } => Some(("the method", method)),
        What::Adjust { note, .. } | What::Correction { note, .. } => Some(("the reason", note)),
        _ => None,
    };
    let noted = meta.discrepancy.as_ref();
    let noted = noted.map(|own| ("the note on the discrepancy", &own.note));
    for (name, text) in text.into_iter().chain(noted) {
        if text.trim().is_empty() {
            return Err(StockError::Words(name));
        }
    }
    if meta.witness == Some(meta.by) {
        return Err(StockError::Witness);
    }
    Ok(())
}

/// Whether a line goes where its kind may go, and stays with the resident it belongs to.
fn joined(kind: Kind, line: &Line) -> Result<(), StockError> {
    let (from, to) = (line.from.class(), line.to.class());
    if line.from == line.to {
        return Err(StockError::Same);
    }
    if !kind.joins(from, to) {
        return Err(StockError::Accounts { kind, from, to });
    }
    match (line.from.resident(), line.to.resident()) {
        (Some(owner), Some(resident)) if owner != resident => Err(StockError::NotTheirs {
            owner: owner.clone(),
            resident: resident.clone(),
        }),
        _ => Ok(()),
    }
}
