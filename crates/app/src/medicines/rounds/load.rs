//! The patients of a round with all that is decided on, one search for everybody per kind of resource.
//! Must not hold back a patient: who may not be seen whole is not on the caller's round, and everybody
//! else is there with everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fhir::json::Value;
use identity::Interaction;
use kernel::{LogicalId, Timestamp};
use ledger::leaf::Class;
use medication::administration::{EffectRecord, Record, UnreadPaper};
use medication::ids::RecordId;
use medication::order::Order;
use store::StoredVersion;

use super::{effects, questions};
use crate::App;
use crate::authorise::{Ask, Organizations, authorise, would_allow};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::medicines::give::MOST_DOUBT;
use crate::medicines::ground::{Ground, Ordered, Records};
use crate::medicines::people::{self as papers, Filed};
use crate::medicines::prescribe::resource_type;
use crate::medicines::regimen::{
    self, Held, LOOKED_AT, Medications, Regimen, held, is_order, rests_on,
};
use crate::record::search::{SearchRequest, whole};

/// Most resources of one kind that a round looks at.
const MOST: u32 = 50_000;
/// Most patients of a round.
pub(super) const PATIENTS: u32 = 1_000;
/// Patients named in one search.
const AT_A_TIME: usize = 100;

/// Whose medicines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whom<'a> {
    /// Everybody whom the caller reaches, of one organisation where it is named.
    House(Option<&'a LogicalId>),
    /// These.
    These(&'a [LogicalId]),
    /// These, also who died or left.
    Ever(&'a [LogicalId]),
}

/// A patient with everything.
pub(super) struct Person {
    pub ground: Ground,
    /// Every order that matters, the ended ones where they were asked for.
    pub orders: Vec<Ordered>,
    pub records: Records,
    pub effects: Vec<EffectRecord>,
    /// From the house to the room.
    pub location: Vec<String>,
}

/// How far back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Records since.
    pub since: Timestamp,
    /// Whether orders that ended are wanted too.
    pub ended: bool,
}

pub(super) struct Loading<'a> {
    app: &'a App,
    caller: &'a Caller,
    ids: Vec<LogicalId>,
}

/// Loads them, and records one look at each for `purpose`.
pub(super) async fn people(
    app: &App,
    caller: &Caller,
    whom: Whom<'_>,
    span: Span,
    purpose: &str,
) -> Result<Vec<Person>, AppError> {
    let found = patients(app, caller, whom).await?;
    let ever = matches!(whom, Whom::Ever(_));
    let found = seen_whole(app, caller, found, ever).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let loading = Loading {
        app,
        caller,
        ids: found.iter().map(|own| own.key.id.clone()).collect(),
    };
    loading.look(purpose).await?;
    loading.load(found, span).await
}

async fn patients(
    app: &App,
    caller: &Caller,
    whom: Whom<'_>,
) -> Result<Vec<StoredVersion>, AppError> {
    let ty = resource_type(app, "Patient")?;
    let params = match whom {
        Whom::House(None) => Vec::new(),
        Whom::House(Some(id)) => vec![(
            "organization".to_owned(),
            format!("Organization/{}", id.as_str()),
        )],
        Whom::These(ids) | Whom::Ever(ids) => {
            let ids: Vec<&str> = ids.iter().map(LogicalId::as_str).collect();
            vec![("_id".to_owned(), ids.join(","))]
        }
    };
    let request = SearchRequest {
        ty,
        params,
        lenient: false,
    };
    let (found, _) = whole(app, caller, &request, PATIENTS).await?;
    Ok(found)
}

/// Leaves out whom the caller may not see whole: of these the lists would look shorter than they are. Who died
/// or left is on no round.
async fn seen_whole(
    app: &App,
    caller: &Caller,
    found: Vec<StoredVersion>,
    ever: bool,
) -> Result<Vec<Held>, AppError> {
    let given = resource_type(app, "MedicationAdministration")?;
    authorise(app, caller, &Ask::of_type(Interaction::Search, given)).await?;
    let mut types = vec![given];
    for name in LOOKED_AT {
        types.push(resource_type(app, name)?);
    }
    let mut all = Vec::new();
    for version in found {
        let held = held(version)?;
        let root = held.root();
        let gone = root.get("active").and_then(Value::as_bool) == Some(false)
            || root.get("deceasedBoolean").and_then(Value::as_bool) == Some(true)
            || root.get("deceasedDateTime").is_some();
        if gone && !ever {
            continue;
        }
        let house = root
            .get("managingOrganization")
            .and_then(|own| own.get_str("reference"));
        let house = house
            .as_deref()
            .and_then(|own| own.strip_prefix("Organization/"))
            .and_then(|own| own.parse().ok());
        let patients = [held.key.id.clone()];
        let known = Organizations::from([(held.key.id.clone(), house)]);
        let mut whole = true;
        for ty in &types {
            let ask = Ask {
                ty: Some(*ty),
                patients: Some(&patients),
                known: Some(&known),
                ..Ask::operation(Interaction::Search)
            };
            whole &= would_allow(app, caller, &ask).await?;
        }
        if whole {
            all.push(held);
        }
    }
    Ok(all)
}

/// How far back limits look, in steps of so many days: whose limits look back a day need not read a month.
const STEPS: [i64; 4] = [1, 3, 8, 32];

/// The patients by how far back their limits look: in seconds, `i64::MAX` for ever.
fn by_reach(people: &[Person]) -> BTreeMap<i64, Vec<String>> {
    let mut by: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for own in people {
        let reach = own.ground.reach();
        let steps = STEPS.map(|days| days * 86_400);
        let step = steps.into_iter().find(|step| reach <= *step);
        let ids = by.entry(step.unwrap_or(reach)).or_default();
        ids.push(own.id().as_str().to_owned());
    }
    by
}

pub(super) type ByPatient = HashMap<String, Vec<Held>>;

impl Loading<'_> {
    async fn look(&self, purpose: &str) -> Result<(), AppError> {
        let ty = resource_type(self.app, "MedicationRequest")?;
        let ask = Ask::of_type(Interaction::Search, ty);
        let allowed = authorise(self.app, self.caller, &ask).await?;
        let look = Look {
            class: Class::Search,
            object: None,
            query: Some(purpose),
            patients: &self.ids,
            allowed: &allowed,
        };
        let entries = look_entries(self.app, self.caller, &look);
        let store = self.app.store();
        store.record_access(&self.caller.scope, entries).await?;
        Ok(())
    }

    /// All resources of a type of these patients, by patient.
    async fn all(
        &self,
        (ty, member): (&str, &str),
        criteria: &[(&str, &str)],
    ) -> Result<ByPatient, AppError> {
        let ids: Vec<&str> = self.ids.iter().map(LogicalId::as_str).collect();
        self.of(&ids, (ty, member), criteria).await
    }

    async fn of(
        &self,
        ids: &[&str],
        (ty, member): (&str, &str),
        criteria: &[(&str, &str)],
    ) -> Result<ByPatient, AppError> {
        let mut by = ByPatient::new();
        for part in ids.chunks(AT_A_TIME) {
            let names: Vec<String> = part.iter().map(|id| format!("Patient/{id}")).collect();
            let own = ("patient".to_owned(), names.join(","));
            let more = criteria
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let request = SearchRequest {
                ty: resource_type(self.app, ty)?,
                params: core::iter::once(own).chain(more).collect(),
                lenient: false,
            };
            for version in whole(self.app, self.caller, &request, MOST).await?.0 {
                let held = held(version)?;
                let whose = held
                    .root()
                    .get(member)
                    .and_then(|own| own.get_str("reference"))
                    .and_then(|own| own.strip_prefix("Patient/").map(str::to_owned));
                if let Some(whose) = whose {
                    by.entry(whose).or_default().push(held);
                }
            }
        }
        Ok(by)
    }

    async fn load(&self, found: Vec<Held>, span: Span) -> Result<Vec<Person>, AppError> {
        let (app, caller) = (self.app, self.caller);
        let in_force = [("status", "active,unknown")];
        let wanted: &[(&str, &str)] = if span.ended { &[] } else { &in_force };
        let mut allergies = self.all(("AllergyIntolerance", "patient"), &[]).await?;
        let mut requests = self.all(("MedicationRequest", "subject"), wanted).await?;
        let mut statements = self
            .all(("MedicationStatement", "subject"), &in_force)
            .await?;
        let since = regimen::since(app);
        let codes = [
            ("code", medication::facts::OBSERVATIONS),
            ("date", since.as_str()),
        ];
        let mut observations = self.all(("Observation", "subject"), &codes).await?;
        let mut locations = self.locations().await?;
        let Some(first) = found.first().map(|own| own.key.clone()) else {
            return Ok(Vec::new());
        };
        let orders = requests.values().chain(statements.values()).flatten();
        let ids = regimen::referred(orders.map(Held::root));
        let medications = regimen::medications(app, caller, &first, ids).await?;
        let mut people = Vec::new();
        for patient in found {
            let id = patient.key.id.as_str().to_owned();
            let take = |of: &mut ByPatient| of.remove(&id).unwrap_or_default();
            let own = Loaded {
                allergies: take(&mut allergies),
                requests: take(&mut requests),
                statements: take(&mut statements),
                observations: take(&mut observations),
                medications: medications.clone(),
            };
            let (ground, orders) = own.ground(app, caller, patient).await?;
            people.push(Person {
                records: ground.read(Vec::new(), None),
                effects: Vec::new(),
                location: locations.remove(&id).unwrap_or_default(),
                orders,
                ground,
            });
        }
        self.records(&mut people, span).await?;
        self.effects(&mut people).await?;
        Ok(people)
    }

    /// What was said of the doses that are looked at.
    async fn effects(&self, people: &mut [Person]) -> Result<(), AppError> {
        let mut wanted: BTreeSet<RecordId> = BTreeSet::new();
        for person in people.iter() {
            let book = &person.records.book;
            let asks = |own: &&Record| {
                let need = own.need.as_ref();
                need.is_some_and(|need| need.effect_due.is_some())
            };
            for record in book.heads().map(|head| head.record).filter(asks) {
                wanted.extend(book.corrected_by(record));
                wanted.insert(record.id.clone());
            }
        }
        let wanted: Vec<RecordId> = wanted.into_iter().collect();
        for (whose, effect) in effects::of_doses(self.app, self.caller, &wanted).await? {
            if let Some(own) = people.iter_mut().find(|own| own.id().as_str() == whose) {
                own.effects.push(effect);
            }
        }
        Ok(())
    }

    /// Doses whose effect nobody told yet, however long ago they were.
    async fn unanswered(&self, found: &mut ByPatient) -> Result<(), AppError> {
        let open = questions::open(self.app, self.caller, &self.ids).await?;
        let given = ("MedicationAdministration", "subject");
        for (patient, records) in open {
            let own = found.entry(patient.clone()).or_default();
            let missing: Vec<&str> = records
                .iter()
                .map(String::as_str)
                .filter(|id| !own.iter().any(|held| held.key.id.as_str() == *id))
                .collect();
            for part in missing.chunks(AT_A_TIME) {
                let ids = part.join(",");
                let more = self
                    .of(&[&patient], given, &[("_id", ids.as_str())])
                    .await?;
                own.extend(more.into_values().flatten());
            }
        }
        Ok(())
    }

    /// The records that the span and the limits look at: of those with a limit for ever, all.
    async fn records(&self, people: &mut [Person], span: Span) -> Result<(), AppError> {
        let now = self.app.now();
        let given = ("MedicationAdministration", "subject");
        let mut found = ByPatient::new();
        for (reach, ids) in by_reach(people) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            if reach == i64::MAX {
                found.extend(self.of(&ids, given, &[]).await?);
                continue;
            }
            // A dose by a wrong clock may be nearer than it says.
            let reach = reach.saturating_add(MOST_DOUBT);
            let since = span.since.min(now.plus_seconds(reach.saturating_neg()));
            let from = format!("ge{}", since.to_fhir_instant());
            let criteria = [("effective-time", from.as_str())];
            found.extend(self.of(&ids, given, &criteria).await?);
        }
        self.unanswered(&mut found).await?;
        let Some(first) = people
            .first()
            .map(|own| own.ground.regimen.patient.key.clone())
        else {
            return Ok(());
        };
        let ids = regimen::referred(found.values().flatten().map(Held::root));
        let more = regimen::medications(self.app, self.caller, &first, ids).await?;
        for own in people {
            own.ground.regimen.medications.add(&more);
            let held = found.remove(own.id().as_str()).unwrap_or_default();
            own.records = own.ground.read(held, None);
        }
        Ok(())
    }

    /// Where each patient is: the location of the stay that is in progress, from the house to the room.
    async fn locations(&self) -> Result<HashMap<String, Vec<String>>, AppError> {
        let stays = [("status", "in-progress,arrived,onleave")];
        let ask = Ask::of_type(Interaction::Search, resource_type(self.app, "Encounter")?);
        if !would_allow(self.app, self.caller, &ask).await? {
            return Ok(HashMap::new());
        }
        let stays = self.all(("Encounter", "subject"), &stays).await?;
        let mut places: HashMap<String, Place> = HashMap::new();
        let mut wanted: BTreeSet<String> = stays
            .values()
            .flatten()
            .flat_map(|own| at(own.root()))
            .filter_map(|(reference, _)| reference)
            .collect();
        // Rooms lie in wards, and wards in houses: a few steps up.
        for _ in 0..4 {
            wanted.retain(|own| !places.contains_key(own));
            if wanted.is_empty() {
                break;
            }
            let more = self.places(&wanted).await?;
            wanted = more
                .values()
                .filter_map(|own| own.part_of.clone())
                .collect();
            places.extend(more);
        }
        let mut found = HashMap::new();
        for (patient, stays) in &stays {
            let last = stays.iter().rev().find_map(|own| at(own.root()).pop());
            if let Some((reference, display)) = last {
                found.insert(patient.clone(), path(reference, display, &places));
            }
        }
        Ok(found)
    }

    async fn places(&self, wanted: &BTreeSet<String>) -> Result<HashMap<String, Place>, AppError> {
        let ids: Vec<&str> = wanted
            .iter()
            .filter_map(|own| own.strip_prefix("Location/"))
            .collect();
        let mut found = HashMap::new();
        for part in ids.chunks(AT_A_TIME) {
            let request = SearchRequest {
                ty: resource_type(self.app, "Location")?,
                params: vec![("_id".to_owned(), part.join(","))],
                lenient: false,
            };
            for version in whole(self.app, self.caller, &request, MOST).await?.0 {
                let held = held(version)?;
                let root = held.root();
                let part_of = root.get("partOf").and_then(|own| own.get_str("reference"));
                let place = Place {
                    name: root.get_str("name").unwrap_or_default().into_owned(),
                    part_of: part_of.map(std::borrow::Cow::into_owned),
                };
                found.insert(held.name(), place);
            }
        }
        Ok(found)
    }
}

/// The papers of patients, with one search for everybody per kind of resource. Where the caller may not read
/// them, they are there as unread.
pub(super) async fn papers_of(
    app: &App,
    caller: &Caller,
    people: &[Person],
) -> Result<HashMap<String, Filed>, AppError> {
    let loading = Loading {
        app,
        caller,
        ids: people.iter().map(|own| own.id().clone()).collect(),
    };
    let mut found: HashMap<String, Filed> = HashMap::new();
    for asked in papers::asked() {
        let (name, codes) = &asked.criterion;
        let criteria = [(*name, codes.as_str())];
        let ty = resource_type(app, asked.ty)?;
        let mut held = if would_allow(app, caller, &Ask::of_type(Interaction::Search, ty)).await? {
            loading.all((asked.ty, asked.member), &criteria).await?
        } else {
            ByPatient::new()
        };
        for person in people {
            let id = person.id().as_str();
            let filed = found.entry(id.to_owned()).or_default();
            let patients = [person.id().clone()];
            let ask = Ask {
                ty: Some(ty),
                patients: Some(&patients),
                ..Ask::operation(Interaction::Search)
            };
            if would_allow(app, caller, &ask).await? {
                filed.add(
                    held.remove(id).unwrap_or_default(),
                    &person.ground.home.zone,
                );
                continue;
            }
            filed
                .papers
                .unread
                .extend(asked.kinds.iter().map(|kind| UnreadPaper {
                    name: asked.ty.to_owned(),
                    kind: *kind,
                    why: "your role reads none".to_owned(),
                }));
        }
    }
    Ok(found)
}

struct Place {
    name: String,
    part_of: Option<String>,
}

/// The locations of a stay that hold now: reference and name.
fn at(stay: Value<'_>) -> Vec<(Option<String>, Option<String>)> {
    let list = stay.get("location").into_iter().flat_map(Value::items);
    let now = list.filter(|own| {
        let status = own.get_str("status");
        matches!(status.as_deref(), None | Some("active")) && ended(*own).is_none()
    });
    now.filter_map(|own| {
        let location = own.get("location")?;
        let text = |name| location.get_str(name).map(std::borrow::Cow::into_owned);
        Some((text("reference"), text("display")))
    })
    .collect()
}

fn ended(own: Value<'_>) -> Option<Value<'_>> {
    own.get("period")?.get("end")
}

fn path(
    reference: Option<String>,
    display: Option<String>,
    places: &HashMap<String, Place>,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut next = reference;
    while let Some(place) = next.as_ref().and_then(|own| places.get(own)) {
        names.push(place.name.clone());
        next.clone_from(&place.part_of);
        if names.len() > 4 {
            break;
        }
    }
    names.reverse();
    if names.is_empty() {
        names.extend(display);
    }
    names
}

/// What of one patient was found.
struct Loaded {
    allergies: Vec<Held>,
    requests: Vec<Held>,
    statements: Vec<Held>,
    observations: Vec<Held>,
    medications: Medications,
}

impl Loaded {
    async fn ground(
        mut self,
        app: &App,
        caller: &Caller,
        patient: Held,
    ) -> Result<(Ground, Vec<Ordered>), AppError> {
        self.requests.retain(|own| is_order(own.root()));
        let in_force = |own: &Held| {
            matches!(
                own.root().get_str("status").as_deref(),
                Some("active" | "unknown")
            )
        };
        let (mut medicines, ended): (Vec<Held>, Vec<Held>) =
            self.requests.into_iter().partition(in_force);
        let known: BTreeSet<String> = medicines.iter().map(Held::name).collect();
        let statements = self.statements.into_iter();
        medicines.extend(statements.filter(|own| !rests_on(own.root(), &known)));
        let regimen = Regimen {
            patient,
            allergies: self.allergies,
            medicines,
            observations: self.observations,
            medications: self.medications,
            guards: Vec::new(),
        };
        let ground = Ground::of(app, caller, regimen).await?;
        let orders = ended.iter();
        let orders = orders
            .map(|own| ground.ordered(own.name(), own.root()))
            .collect();
        Ok((ground, orders))
    }
}

impl Person {
    /// Who.
    pub fn id(&self) -> &LogicalId {
        &self.ground.regimen.patient.key.id
    }

    /// The orders that can be read: those in force, then those that ended where they were asked for.
    pub fn readable(&self) -> Vec<Order> {
        let all = self.ground.orders.iter().chain(&self.orders);
        all.filter_map(|own| own.order.clone().ok()).collect()
    }

    /// What cannot be read of orders in force and of doses, in words.
    pub fn unreadable(&self) -> Vec<String> {
        let orders = self.ground.orders.iter();
        let orders = orders.filter_map(Ordered::unclear);
        let doses = self.records.unread.iter();
        orders
            .chain(doses.map(|own| format!("{} cannot be read: {}", own.name, own.why)))
            .collect()
    }
}
