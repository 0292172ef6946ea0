//! The controlled-drug register of the demo's care home: the doses of its record as they would have been
//! written in the book, with deliveries and weekly counts between them. Must not write a dose that the
//! record does not have.

use std::collections::{BTreeMap, VecDeque};

use app::medicines::stock::takeover::Past;
use kernel::{ActorId, Category, Timestamp};
use medication::ids::{LocationId, PartyId, ResidentId};
use medication::register::{Leaving, Method, Party, Signature, Signed, What as Said};
use medication::stock::{
    Account, Batch, Counted, Line, Meta, Units, VarianceReason, WasteReason, What,
};
use population::{Branch, Population};
use rust_decimal::Decimal;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::failure::Failure;

/// The product whose book it is.
pub const PRODUCT: &str = "Morphine 10mg modified-release tablet";
/// Tablets that a delivery brings.
const DELIVERY: u32 = 56;
/// Below so many tablets a delivery comes.
const FEW: u32 = 8;
/// Seconds of a week.
const WEEK: i64 = 7 * 86_400;

/// A dose that left the cupboard, as the record has it.
#[derive(Debug, Clone)]
pub struct Dose {
    record: String,
    /// `Patient/1`.
    pub patient: String,
    name: String,
    home: String,
    order: String,
    at: Timestamp,
    by: String,
    witness: String,
    destroyed: bool,
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The doses of the residents, in the order of time.
pub fn doses(population: &Population) -> Vec<Dose> {
    let mut found: Vec<Dose> = (1..population.len())
        .filter(|number| population::is_in_pain(*number))
        .filter_map(|number| population.bundle(number))
        .filter_map(|bundle| serde_json::from_slice::<Value>(&bundle.bytes).ok())
        .flat_map(|bundle| of_resident(&bundle))
        .collect();
    found.sort_by_key(|own| own.at);
    found
}

fn of_resident(bundle: &Value) -> Vec<Dose> {
    let entries = bundle.get("entry").and_then(Value::as_array);
    let entries = entries.into_iter().flatten();
    let all: Vec<&Value> = entries.filter_map(|own| own.get("resource")).collect();
    let of = |ty: &'static str| {
        let all = all.iter().copied();
        all.filter(move |own| text(own, "/resourceType") == ty)
    };
    let patient = of("Patient").next().unwrap_or(&Value::Null);
    let home = text(patient, "/managingOrganization/reference");
    let home = home.trim_start_matches("Organization/");
    let name = format!(
        "{} {}",
        text(patient, "/name/0/given/0"),
        text(patient, "/name/0/family")
    );
    let own = of("MedicationAdministration");
    let own = own.filter(|own| text(own, "/medicationCodeableConcept/text") == PRODUCT);
    own.filter_map(|own| dose(own, &name, home)).collect()
}

fn dose(own: &Value, name: &str, home: &str) -> Option<Dose> {
    let given = text(own, "/status") == "completed";
    let reason = text(own, "/statusReason/coding/0/code");
    let performer = |place: usize| {
        let actor = text(own, &format!("/performer/{place}/actor/reference"));
        actor.trim_start_matches("Practitioner/").to_owned()
    };
    (given || reason == "destroyed").then_some(())?;
    Some(Dose {
        record: text(own, "/id").to_owned(),
        patient: text(own, "/subject/reference").to_owned(),
        name: name.to_owned(),
        home: home.to_owned(),
        order: text(own, "/request/reference").to_owned(),
        at: Timestamp::from_rfc3339(text(own, "/effectiveDateTime"))?,
        by: performer(0),
        witness: performer(1),
        destroyed: !given,
    })
}

/// The accounts of people by their Practitioner. Who has none signed in the book before.
pub type Accounts = BTreeMap<String, ActorId>;

/// A book that is being written.
pub struct Writing<'a> {
    accounts: &'a Accounts,
    place: LocationId,
    held: VecDeque<(Batch, u32)>,
    balance: u32,
    deliveries: u32,
    past: Vec<Past>,
}

fn wrong(what: &str) -> Failure {
    Failure::new(
        Category::Fault,
        format!("the demo's register has no {what}: report this"),
    )
}

/// The book of a wing's cupboard, from before the first dose.
pub fn book(doses: &[Dose], wing: &Branch, accounts: &Accounts) -> Result<Vec<Past>, Failure> {
    let own = |dose: &&Dose| dose.home == wing.organization;
    let Some(first) = doses.iter().find(own) else {
        return Ok(Vec::new());
    };
    let place = wing.location.parse().map_err(|_| wrong("place"))?;
    let mut writing = Writing {
        accounts,
        place,
        held: VecDeque::new(),
        balance: 0,
        deliveries: 0,
        past: Vec::new(),
    };
    let begun = first.at.plus_seconds(-86_400);
    writing.opened(begun)?;
    let mut count = begun.plus_seconds(WEEK);
    for dose in doses.iter().filter(own) {
        if count < dose.at {
            writing.counted(count)?;
            count = count.plus_seconds(WEEK);
        }
        if writing.balance < FEW {
            writing.delivered(dose.at.plus_seconds(-1_800))?;
        }
        writing.left(dose)?;
    }
    Ok(writing.past)
}

fn batch(number: u32) -> Batch {
    Batch {
        lot: Some(format!("MR{}", 410 + number)),
        expiry: jiff::civil::date(2029, 1, 31)
            .checked_add(jiff::Span::new().months(i64::from(number)))
            .ok(),
        serial: None,
    }
}

impl Writing<'_> {
    fn signature(&self, practitioner: &str, at: Timestamp) -> Signature {
        let person = self.accounts.get(practitioner).copied();
        let person = person.unwrap_or_else(|| {
            let mut bytes = [0_u8; 16];
            let digest = Sha256::digest(practitioner.as_bytes());
            bytes.iter_mut().zip(digest).for_each(|(to, own)| *to = own);
            ActorId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
        });
        let staff = population::colleague(population::Tenant::RosewoodHouse, practitioner);
        Signature {
            person,
            practitioner: practitioner.parse().ok(),
            name: staff.map_or_else(
                || practitioner.to_owned(),
                |own| own.display_name.to_owned(),
            ),
            role: staff.map_or("carer", |own| own.role).to_owned(),
            proved: at,
            method: Method::Password,
        }
    }

    fn write(
        &mut self,
        (id, at): (&str, Timestamp),
        (by, witness): (&str, &str),
        (said, moved): (Said, Option<(What, Vec<Line>)>),
        order: Option<String>,
    ) -> Result<(), Failure> {
        // What comes between two doses is not before the first of them.
        let last = self.past.last().map_or(at, |own| own.meta.happened);
        let at = at.max(last);
        let entered = at.plus_seconds(60);
        let (by, witness) = (
            self.signature(by, entered),
            self.signature(witness, entered),
        );
        let meta = Meta {
            id: format!("{id}-{}", self.place)
                .parse()
                .map_err(|_| wrong("id"))?,
            happened: at,
            recorded: entered,
            by: by.person,
            witness: Some(witness.person),
            discrepancy: None,
        };
        let signed = Signed::two(by, witness, entered);
        let signed = signed.map_err(|error| Failure::from_error(&error))?;
        self.past.push(Past {
            meta,
            moved,
            entry: Some((said, signed)),
            order,
        });
        Ok(())
    }

    fn account(&self) -> Account {
        Account::Location {
            location: self.place.clone(),
        }
    }

    fn opened(&mut self, at: Timestamp) -> Result<(), Failure> {
        const FIRST: u32 = 20;
        self.balance = FIRST;
        self.held.push_back((batch(0), FIRST));
        let said = Said::BroughtForward {
            balance: FIRST.into(),
            from: "bound book 3, page 41".to_owned(),
        };
        let counted = vec![Counted {
            batch: batch(0),
            found: FIRST.into(),
        }];
        let what = What::Count {
            of: self.account(),
            counted,
            reason: Some(VarianceReason::Opening),
        };
        let who = ("rh-s-nurse", "rh-s-pharmacist");
        self.write(
            ("book-opened", at),
            who,
            (said, Some((what, Vec::new()))),
            None,
        )
    }

    fn delivered(&mut self, at: Timestamp) -> Result<(), Failure> {
        self.deliveries += 1;
        self.balance += DELIVERY;
        let batch = batch(self.deliveries);
        self.held.push_back((batch.clone(), DELIVERY));
        let units = units(DELIVERY)?;
        let said = Said::Obtained {
            from: Party {
                name: "Fairmere Pharmacy".to_owned(),
                address: "4 Market Street, Fairmere, ZZ1 4AB".to_owned(),
            },
            quantity: units,
        };
        let party: PartyId = "rh-org-pharmacy".parse().map_err(|_| wrong("supplier"))?;
        let line = Line {
            batch,
            units,
            from: Account::Supplier { party },
            to: self.account(),
        };
        let id = format!("book-delivery-{}", self.deliveries);
        let moved = Some((What::Receipt { order: None }, vec![line]));
        let who = ("rh-s-nurse", "rh-s-carer");
        self.write((&id, at), who, (said, moved), None)
    }

    fn counted(&mut self, at: Timestamp) -> Result<(), Failure> {
        let id = format!("book-count-{}", self.past.len());
        let found = Decimal::from(self.balance);
        let who = ("rh-s-nurse", "rh-s-pharmacist");
        self.write((&id, at), who, (Said::Counted { found }, None), None)
    }

    fn left(&mut self, dose: &Dose) -> Result<(), Failure> {
        let first = self.held.front_mut().ok_or_else(|| wrong("tablet"))?;
        let batch = first.0.clone();
        first.1 -= 1;
        if first.1 == 0 {
            self.held.pop_front();
        }
        self.balance -= 1;
        let id = dose.patient.trim_start_matches("Patient/");
        let resident: ResidentId = id.parse().map_err(|_| wrong("resident"))?;
        let units = units(1)?;
        let (why, what, to) = if dose.destroyed {
            let method = "denatured, in the pharmacy's kit".to_owned();
            let reason = WasteReason::Damaged;
            (
                Leaving::Destroyed,
                What::Waste { reason, method },
                Account::Waste,
            )
        } else {
            let to = Account::Administered {
                resident: resident.clone(),
            };
            (Leaving::Administered, What::Given, to)
        };
        let said = Said::Left {
            why,
            to: Party {
                name: dose.name.clone(),
                address: "Rosewood House".to_owned(),
            },
            resident: Some(resident),
            authority: "Dr Amelia Thornbury".to_owned(),
            quantity: units,
            collected: None,
        };
        let line = Line {
            batch,
            units,
            from: self.account(),
            to,
        };
        let id = format!("book-{}", dose.record);
        let who = (dose.by.as_str(), dose.witness.as_str());
        let moved = Some((what, vec![line]));
        self.write((&id, dose.at), who, (said, moved), Some(dose.order.clone()))
    }
}

fn units(count: u32) -> Result<Units, Failure> {
    Units::new(count.into()).map_err(|error| Failure::from_error(&error))
}
