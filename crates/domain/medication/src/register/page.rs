//! A page of the register, to which entries are added under its laws, and the register of a premises with
//! one page for each drug, form and strength. Must not offer a way to change or remove an entry.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kernel::{Timestamp, ZoneName};
use rust_decimal::Decimal;

use super::{
    Class, Collected, Draft, Entry, Incident, Late, Lateness, Party, RegisterError, Stage, What,
};
use crate::ids::{IncidentId, PremisesId};
use crate::quantity::Unit;
use crate::stock::Units;

/// What stands at the head of a page: the class of the drug, its name, form and strength.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Heading {
    /// The class, each of which has a part of the register of its own.
    pub class: Class,
    /// The drug.
    pub drug: String,
    /// The form.
    pub form: String,
    /// The strength.
    pub strength: String,
}

/// What came of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The entry.
    pub entry: Entry,
    /// The discrepancy that a count found.
    pub incident: Option<Incident>,
}

/// A page.
#[derive(Debug, Clone)]
pub struct Page {
    premises: PremisesId,
    heading: Heading,
    unit: Unit,
    zone: TimeZone,
    entries: Vec<Entry>,
    incidents: BTreeMap<IncidentId, Incident>,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new(premises: PremisesId, heading: Heading, unit: Unit, zone: &ZoneName) -> Self {
        Self {
            premises,
            heading,
            unit,
            zone: zone.zone(),
            entries: Vec::new(),
            incidents: BTreeMap::new(),
        }
    }

    /// Of which premises.
    #[must_use]
    pub const fn premises(&self) -> &PremisesId {
        &self.premises
    }
    /// What stands at its head.
    #[must_use]
    pub const fn heading(&self) -> &Heading {
        &self.heading
    }
    /// In which unit it is counted.
    #[must_use]
    pub const fn unit(&self) -> &Unit {
        &self.unit
    }
    /// The entries in the order they were written.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// The discrepancies.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values()
    }
    /// A discrepancy, to note who was told and that it is looked into.
    pub fn incident(&mut self, id: &IncidentId) -> Option<&mut Incident> {
        self.incidents.get_mut(id)
    }
    /// The balance.
    #[must_use]
    pub fn balance(&self) -> Decimal {
        self.entries
            .last()
            .map_or(Decimal::ZERO, |last| last.balance)
    }
    pub(super) const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// When it was last counted.
    #[must_use]
    pub fn last_count(&self) -> Option<Timestamp> {
        let mut counts = self.entries.iter().rev().filter(|own| {
            matches!(
                own.what,
                What::Counted { .. } | What::Settled { .. } | What::BroughtForward { .. }
            )
        });
        counts.next().map(|own| own.happened)
    }

    /// Whether a count is due that is made every so many days; a page without entries has nothing to
    /// count.
    #[must_use]
    pub fn count_due(&self, every_days: u16, now: Timestamp) -> bool {
        let last = self
            .last_count()
            .or_else(|| self.entries.first().map(|own| own.happened));
        last.is_some_and(|last| now.seconds_since(last) >= i64::from(every_days) * 86_400)
    }

    /// What an entry amounts to after its corrections so far.
    #[must_use]
    pub fn effective(&self, number: u32) -> Option<Decimal> {
        let entry = self.entry(number)?;
        let written = entry.what.written()?;
        let corrected = self.entries.iter().rev().find_map(|own| match &own.what {
            What::Correction { of, should_be, .. } if *of == number => Some(*should_be),
            _ => None,
        });
        Some(corrected.map_or(written, |should_be| {
            if written.is_sign_negative() {
                -should_be
            } else {
                should_be
            }
        }))
    }

    fn entry(&self, number: u32) -> Option<&Entry> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.entries.get(place)
    }

    /// Adds an entry. A count that differs opens a discrepancy under `incident`; the balance stays until
    /// that is settled.
    ///
    /// # Errors
    /// See [`RegisterError`]; the page is as it was.
    pub fn write(&mut self, draft: Draft, incident: &IncidentId) -> Result<Written, RegisterError> {
        let Draft {
            what,
            happened,
            entered,
            signed,
            late,
        } = draft;
        // Who signed has done so for this moment, not for another.
        let signed = super::Signed::two(signed.by().clone(), signed.witness().clone(), entered)?;
        let late = self.late(happened, entered, late)?;
        said(&what)?;
        let before = self.balance();
        let balance = self.after(&what)?;
        let number = u32::try_from(self.entries.len() + 1).map_err(|_| RegisterError::Range)?;
        let found = match &what {
            What::Counted { found } if *found != before => Some(Incident {
                id: incident.clone(),
                entry: number,
                expected: before,
                found: *found,
                opened: entered,
                stage: Stage::Open,
                told: Vec::new(),
                settled_by: None,
            }),
            _ => None,
        };
        if let Some(found) = &found {
            if self.incidents.contains_key(&found.id) {
                return Err(RegisterError::NoIncident(found.id.clone()));
            }
            self.incidents.insert(found.id.clone(), found.clone());
        }
        if let What::Settled { incident, .. } = &what
            && let Some(own) = self.incidents.get_mut(incident)
        {
            own.stage = Stage::Settled;
            own.settled_by = Some(number);
        }
        let entry = Entry {
            number,
            what,
            happened,
            entered,
            signed,
            late,
            balance,
        };
        self.entries.push(entry.clone());
        Ok(Written {
            entry,
            incident: found,
        })
    }

    /// The balance after an entry.
    fn after(&self, what: &What) -> Result<Decimal, RegisterError> {
        let before = self.balance();
        let after = match what {
            What::BroughtForward { balance, .. } => {
                if !self.entries.is_empty() {
                    return Err(RegisterError::NotFirst);
                }
                *balance
            }
            What::Obtained { quantity, .. } => before + quantity.get(),
            What::Left { quantity, .. } => before - quantity.get(),
            What::Counted { found } => {
                amount(*found)?;
                before
            }
            What::Correction { of, should_be, .. } => {
                amount(*should_be)?;
                let stands = self.effective(*of).ok_or(RegisterError::NoSuchEntry(*of))?;
                let outward = self
                    .entry(*of)
                    .and_then(|own| own.what.written())
                    .is_some_and(|written| written.is_sign_negative());
                let should_be = if outward { -*should_be } else { *should_be };
                if should_be == stands {
                    return Err(RegisterError::Unchanged(*of));
                }
                before + should_be - stands
            }
            What::Settled {
                incident, found, ..
            } => {
                let open = self.incidents.get(incident);
                let open = open.ok_or_else(|| RegisterError::NoIncident(incident.clone()))?;
                open.can_settle()?;
                open.accounts_for(before, *found)?;
                *found
            }
        };
        if after < Decimal::ZERO {
            return Err(match what {
                What::BroughtForward { .. } | What::Settled { .. } => {
                    RegisterError::Negative(after)
                }
                _ => RegisterError::BelowNothing {
                    balance: before,
                    quantity: before - after,
                },
            });
        }
        if after > Units::MOST {
            return Err(RegisterError::Range);
        }
        Ok(after)
    }

    /// The label of a late entry: written after the day that follows it, or after something later.
    fn late(
        &self,
        happened: Timestamp,
        entered: Timestamp,
        reason: Option<String>,
    ) -> Result<Option<Late>, RegisterError> {
        if happened > entered {
            return Err(RegisterError::Future);
        }
        if self.entries.last().is_some_and(|own| own.entered > entered) {
            return Err(RegisterError::ClockBack);
        }
        let day = |time: Timestamp| {
            jiff::Timestamp::from_microsecond(time.as_micros())
                .map(|own| own.to_zoned(self.zone.clone()).date())
                .ok()
        };
        let next = day(happened).and_then(|own| own.tomorrow().ok());
        let latest = self.entries.iter().map(|own| own.happened).max();
        let lateness = if latest.is_some_and(|latest| happened < latest) {
            Lateness::OutOfOrder
        } else if day(entered) > next {
            Lateness::AfterNextDay
        } else {
            return Ok(None);
        };
        match reason.filter(|reason| !reason.trim().is_empty()) {
            Some(reason) => Ok(Some(Late { lateness, reason })),
            None => Err(RegisterError::Late(lateness)),
        }
    }

    /// A page from its stored entries and discrepancies: every law is asked for again.
    ///
    /// # Errors
    /// The first entry that does not follow from those before it.
    pub fn restore(
        mut self,
        entries: Vec<Entry>,
        incidents: Vec<Incident>,
    ) -> Result<Self, RegisterError> {
        for entry in entries {
            let altered = RegisterError::Altered(entry.number);
            let mut own = incidents.iter();
            let stored = match &entry.what {
                What::Settled { incident, .. } => own.find(|one| one.id == *incident),
                _ => own.find(|one| one.entry == entry.number),
            };
            if let (What::Settled { incident, .. }, Some(stored)) = (&entry.what, stored)
                && let Some(open) = self.incidents.get_mut(incident)
            {
                open.told.clone_from(&stored.told);
                open.stage = Stage::Investigated;
            }
            let draft = Draft {
                what: entry.what.clone(),
                happened: entry.happened,
                entered: entry.entered,
                signed: entry.signed.clone(),
                late: entry.late.as_ref().map(|late| late.reason.clone()),
            };
            let id = stored.map(|own| own.id.clone());
            let none: IncidentId = IncidentId(
                kernel::LogicalId::try_from(format!("none-{}", entry.number))
                    .map_err(|_| altered.clone())?,
            );
            let written = self.write(draft, id.as_ref().unwrap_or(&none));
            let written = written.map_err(|_| altered.clone())?;
            let opened = written.incident.is_some();
            if written.entry != entry || (opened && id.is_none()) {
                return Err(altered);
            }
        }
        for stored in incidents {
            let known = self.incidents.get_mut(&stored.id);
            let known = known.ok_or(RegisterError::Altered(stored.entry))?;
            if (known.entry, known.expected, known.found, known.settled_by)
                != (
                    stored.entry,
                    stored.expected,
                    stored.found,
                    stored.settled_by,
                )
            {
                return Err(RegisterError::Altered(stored.entry));
            }
            *known = stored;
        }
        Ok(self)
    }
}

fn amount(value: Decimal) -> Result<(), RegisterError> {
    if value < Decimal::ZERO {
        return Err(RegisterError::Negative(value));
    }
    if value > Units::MOST || value.normalize().scale() > 6 {
        return Err(RegisterError::Range);
    }
    Ok(())
}

/// Whether it says what the law's headings ask for.
fn said(what: &What) -> Result<(), RegisterError> {
    let party = |own: &Party, name, address| {
        let missing = [(&own.name, name), (&own.address, address)];
        let missing = missing.into_iter().find(|(text, _)| text.trim().is_empty());
        missing.map_or(Ok(()), |(_, what)| Err(RegisterError::Words(what)))
    };
    let words = |text: &str, what| {
        if text.trim().is_empty() {
            Err(RegisterError::Words(what))
        } else {
            Ok(())
        }
    };
    match what {
        What::BroughtForward { from, balance } => {
            amount(*balance)?;
            words(from, "where it is brought forward from")
        }
        What::Obtained { from, .. } => party(
            from,
            "the name from whom it was obtained",
            "the address from whom it was obtained",
        ),
        What::Left {
            to,
            authority,
            collected,
            ..
        } => {
            party(
                to,
                "the name to whom it was supplied",
                "the address to whom it was supplied",
            )?;
            words(authority, "the authority to possess")?;
            match collected {
                Some(Collected { by, .. }) if by.trim().is_empty() => {
                    Err(RegisterError::Words("who collected it"))
                }
                Some(own) if own.proof_given && !own.proof_asked => Err(RegisterError::Proof),
                _ => Ok(()),
            }
        }
        What::Counted { .. } => Ok(()),
        What::Correction { note, .. } => words(note, "why it is corrected"),
        What::Settled { finding, found, .. } => {
            amount(*found)?;
            words(finding, "what was found out")
        }
    }
}

/// The register of one premises: a part for each class, a page for each drug, form and strength.
#[derive(Debug, Clone)]
pub struct Register {
    premises: PremisesId,
    pages: BTreeMap<Heading, Page>,
}

impl Register {
    /// An empty register.
    #[must_use]
    pub const fn new(premises: PremisesId) -> Self {
        Self {
            premises,
            pages: BTreeMap::new(),
        }
    }

    /// Begins a page.
    ///
    /// # Errors
    /// There is one for this drug, form and strength; a heading without words.
    pub fn begin(
        &mut self,
        heading: Heading,
        unit: Unit,
        zone: &ZoneName,
    ) -> Result<&mut Page, RegisterError> {
        let texts = [
            (&heading.drug, "the drug"),
            (&heading.form, "the form"),
            (&heading.strength, "the strength"),
        ];
        for (text, what) in texts {
            if text.trim().is_empty() {
                return Err(RegisterError::Words(what));
            }
        }
        match self.pages.entry(heading.clone()) {
            std::collections::btree_map::Entry::Occupied(_) => Err(RegisterError::PageExists),
            std::collections::btree_map::Entry::Vacant(place) => {
                let page = Page::new(self.premises.clone(), heading, unit, zone);
                Ok(place.insert(page))
            }
        }
    }

    /// A page.
    pub fn page(&mut self, heading: &Heading) -> Option<&mut Page> {
        self.pages.get_mut(heading)
    }
    /// The pages, those of one class together.
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.values()
    }
}
