//! What a decision on a dose rests on, from the record: the orders with what their products hold, every dose
//! that a limit may look at, the alerts that stand and who signed them. Must not leave out what cannot be
//! read: it makes the decision unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use fhir::json::Value;
use kernel::{Timestamp, ZoneName};
use medication::administration::{Alerts, AllergyState, Book};
use medication::checks::overrides::{Override, stands};
use medication::checks::{Allergies, NotChecked, ceilings};
use medication::content::{Article, Ingredient, Substance};
use medication::facts::{self, Reference};
use medication::ids::{PersonId, RecordId, same_person};
use medication::knowledge::{DrugKnowledge as _, Facts, IngredientId, Tier};
use medication::limits::{self, Limit, Reason, Verdict, Why};
use medication::order::{Home, Order, Status};
use medication::resources::{Resolved, read_administration, read_order};
use medication::rounds::all_limits;
use medication::schedule::Rounds;
use store::{Guard, ResourceKey};

use super::brought;
use super::check::{CheckAnswer, Shown, about, judge};
use super::elsewhere::When;
use super::prescribe::{For, standing};
use super::regimen::{self, Held, Regimen, every};
use super::signatures::{self, OrderSigned};
use super::{Sources, sources};
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// Most records of doses that are looked at.
const MOST: u32 = 20_000;

/// An order of the record.
pub(super) struct Ordered {
    /// `MedicationRequest/1`.
    pub name: String,
    /// What its product holds.
    pub article: Article,
    /// The order, or why it cannot be read.
    pub order: Result<Order, String>,
}

impl Ordered {
    /// Why nobody can tell what is due of it, in words: it cannot be read, or does not say whether it is in
    /// force.
    pub fn unclear(&self) -> Option<String> {
        match &self.order {
            Err(why) => Some(why.clone()),
            Ok(order) if order.status == Status::Unknown => Some(format!(
                "{} ({}) does not say whether it is in force: ask the prescriber",
                self.name, self.article.name
            )),
            Ok(_) => None,
        }
    }
}

/// A record of a dose that cannot be read.
pub(crate) struct Unread {
    /// `MedicationAdministration/1`.
    pub name: String,
    /// Why.
    pub why: String,
    /// What was given.
    article: Article,
}

/// A dose whose time may be wrong: a device recorded it by a clock that was.
pub(crate) struct Doubtful {
    /// `MedicationAdministration/1`.
    name: String,
    /// When, as recorded.
    at: Timestamp,
    /// By how many seconds that may be wrong, to either side.
    seconds: i64,
    /// What was given.
    article: Article,
}

/// The records of doses.
pub(crate) struct Records {
    /// Those that were read.
    pub book: Book,
    /// The resources.
    pub held: Vec<Held>,
    /// Those that were not.
    pub unread: Vec<Unread>,
    /// Doses that stand and whose time may be wrong.
    pub doubtful: Vec<Doubtful>,
    /// What must still be so when something is written that rests on these.
    pub guard: Option<Guard>,
}

/// Everything but the records.
pub(super) struct Ground {
    pub regimen: Regimen,
    pub checked: CheckAnswer,
    pub home: Home,
    pub orders: Vec<Ordered>,
    pub allergies: AllergyState,
    sources: Arc<Sources>,
    facts: Facts,
    overrides: Vec<Override>,
    signatures: Vec<OrderSigned>,
    taken: Vec<IngredientId>,
}

/// Who may sign for a caller: the practitioner and the account, whichever of them a record names.
pub(super) fn names(caller: &Caller) -> Vec<PersonId> {
    let account = caller.subject.actor().id.as_uuid().to_string();
    let practitioner = caller.subject.practitioner().cloned().map(PersonId);
    practitioner.into_iter().chain(account.parse()).collect()
}

impl Ground {
    /// Loads it with the orders in force, and records one look at the patient.
    pub async fn load(
        app: &App,
        caller: &Caller,
        patient: &ResourceKey,
        purpose: &str,
    ) -> Result<Self, AppError> {
        let regimen = regimen::load(app, caller, patient, purpose).await?;
        let mut own = Self::of(app, caller, regimen).await?;
        own.signed(app, caller).await?;
        Ok(own)
    }

    /// Loads who stands for the alerts that interrupt: overrides and signatures.
    pub async fn signed(&mut self, app: &App, caller: &Caller) -> Result<(), AppError> {
        let wanted = self.checked.alerts.iter();
        let tier = wanted.map(|shown| shown.alert.tier).max();
        self.overrides = standing(app, caller, &self.checked, &self.regimen, For::Dose).await?;
        self.signatures = if tier == Some(Tier::Contraindicated) {
            signatures::of_patient(app, caller, &self.regimen.patient.key.id).await?
        } else {
            Vec::new()
        };
        Ok(())
    }

    /// The same from what was loaded, without the overrides: what is decided on alerts needs them.
    pub async fn of(app: &App, caller: &Caller, regimen: Regimen) -> Result<Self, AppError> {
        let sources = sources(app).await?;
        let when = (&[][..], When::AtBedside);
        let checked = judge(app, caller, &sources, &regimen, when).await;
        let zone = caller.tenant.time_zone.as_ref();
        let zone = ZoneName::zone(zone.unwrap_or(&app.settings().time_zone));
        let known: Vec<Value<'_>> = regimen.allergies.iter().map(Held::root).collect();
        let allergies = match facts::allergies(sources.knowledge, &known).allergies {
            Allergies::NotAsked => AllergyState::NotAsked,
            Allergies::NoneKnown | Allergies::Known(_) => AllergyState::Asked,
        };
        let parts = checked.medicines.iter().flat_map(|own| &own.medicine.parts);
        let mut own = Self {
            facts: about(app, caller, &regimen),
            taken: parts.map(|part| part.ingredient).collect(),
            home: Home {
                zone,
                rounds: Rounds::default(),
            },
            orders: Vec::new(),
            allergies,
            checked,
            overrides: Vec::new(),
            signatures: Vec::new(),
            sources,
            regimen,
        };
        let requests = own.regimen.medicines.iter();
        let requests = requests.filter(|held| held.name().starts_with("MedicationRequest/"));
        own.orders = requests
            .map(|held| own.ordered(held.name(), held.root()))
            .collect();
        Ok(own)
    }

    /// An order as it can be read.
    pub fn ordered(&self, name: String, resource: Value<'_>) -> Ordered {
        let article = self.article(resource);
        let resolved = Resolved {
            article: article.clone(),
            zone: &self.home.zone,
        };
        let order = read_order(resource, resolved)
            .map_err(|error| error.to_string())
            .and_then(|own| Order::check(own).map_err(|error| error.to_string()));
        Ordered {
            order: order.map_err(|why| format!("{name} cannot be given from: {why}")),
            name,
            article,
        }
    }

    /// What the medicine of a resource holds.
    fn article(&self, resource: Value<'_>) -> Article {
        article(&self.sources, &self.regimen.medications, resource)
    }

    /// What it all rests on.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The limits for a dose of an order, and what keeps them from being told.
    pub fn limits(&self, own: &Ordered) -> (Vec<Limit>, Vec<Reason>) {
        let mut known = Vec::new();
        let mut missing = Vec::new();
        for one in &own.article.ingredients {
            let Some(id) = one.known else { continue };
            let found = ceilings(self.sources.knowledge, &self.facts, &self.taken, id);
            let (more, gaps) = limits::of_ceilings(&one.substance, &found);
            known.extend(more);
            missing.extend(gaps);
        }
        let others = self.orders.iter().filter(|other| other.name != own.name);
        let mut orders: Vec<Order> = own.order.iter().cloned().collect();
        for other in others {
            match &other.order {
                Ok(order) => orders.push(order.clone()),
                Err(why) if shares(&other.article, &own.article) => {
                    missing.push(unknown(why, "the limits of every order"));
                }
                Err(_) => {}
            }
        }
        (all_limits(&orders, &known), missing)
    }

    /// How many seconds the limits of the orders in force look back; [`i64::MAX`] where for ever.
    pub fn reach(&self) -> i64 {
        let limits = self.orders.iter().map(|own| self.limits(own).0);
        let reach = limits.flatten().map(|own| limits::reach(&own)).max();
        reach.unwrap_or(0)
    }

    /// The limits for all orders, and what keeps them from being told.
    pub fn all_limits(&self) -> (Vec<Limit>, Vec<Reason>) {
        let mut known: Vec<Limit> = Vec::new();
        let mut missing = Vec::new();
        for own in &self.orders {
            let (more, gaps) = self.limits(own);
            for limit in more {
                if !known.contains(&limit) {
                    known.push(limit);
                }
            }
            for gap in gaps {
                if !missing.contains(&gap) {
                    missing.push(gap);
                }
            }
        }
        (known, missing)
    }

    /// SHA-256 of the knowledge that set the limits.
    pub fn release(&self) -> String {
        self.checked.release.sha256.clone()
    }

    /// The records of doses: since a time, or all.
    pub async fn records(
        &mut self,
        app: &App,
        caller: &Caller,
        since: Option<Timestamp>,
    ) -> Result<Records, AppError> {
        let patient = self.regimen.patient.key.clone();
        let from = since.map(|at| format!("ge{}", at.to_fhir_instant()));
        let criteria: Vec<(&str, &str)> = from
            .as_deref()
            .map(|from| ("effective-time", from))
            .into_iter()
            .collect();
        let asked = ("MedicationAdministration", criteria.as_slice());
        let (held, guard) = every(app, caller, &patient, asked, MOST).await?;
        let roots: Vec<Value<'_>> = held.iter().map(Held::root).collect();
        regimen::extend(app, caller, &mut self.regimen, &roots).await?;
        Ok(self.read(held, Some(guard)))
    }

    /// Records as they can be read, once the Medication resources they refer to are there.
    pub fn read(&self, held: Vec<Held>, guard: Option<Guard>) -> Records {
        let mut book = Book::default();
        let mut unread = Vec::new();
        let mut doubts: BTreeMap<RecordId, i64> = BTreeMap::new();
        for own in &held {
            let root = own.root();
            let withdrawn = root.get_str("status").as_deref() == Some("entered-in-error");
            match read_administration(root) {
                Ok(record)
                    if withdrawn && !record.corrects.as_ref().is_some_and(|own| own.void) => {}
                Err(_) if withdrawn => {}
                Ok(mut record) => {
                    if record.contents.is_empty() && record.outcome.is_taken() {
                        let article = self.article(root);
                        record.contents = limits::counted(&article, record.dose.as_ref());
                        if record.product.is_empty() {
                            record.product = article.name;
                        }
                    }
                    if let Some(seconds) = brought::marks(root).doubt {
                        doubts.insert(record.id.clone(), seconds);
                    }
                    book.merge(record);
                }
                Err(error) => unread.push(Unread {
                    name: own.name(),
                    why: error.to_string(),
                    article: self.article(root),
                }),
            }
        }
        let doubtful = self.doubtful(&book, &held, &doubts);
        Records {
            book,
            held,
            unread,
            doubtful,
            guard,
        }
    }

    /// The doses that stand, were taken, and whose time may be wrong.
    fn doubtful(&self, book: &Book, held: &[Held], of: &BTreeMap<RecordId, i64>) -> Vec<Doubtful> {
        if of.is_empty() {
            return Vec::new();
        }
        let heads = book.heads().filter(|head| head.record.outcome.is_taken());
        heads
            .filter_map(|head| {
                let seconds = *of.get(&head.record.id)?;
                let name = format!("MedicationAdministration/{}", head.record.id);
                let own = held.iter().find(|own| own.name() == name)?;
                Some(Doubtful {
                    article: self.article(own.root()),
                    at: head.record.happened,
                    name,
                    seconds,
                })
            })
            .collect()
    }

    /// What the checks say of an order, who overrode it and who signed as the second: of the alert itself,
    /// with whichever of its orders it was signed.
    pub fn alerts(&self, caller: &Caller, name: &str) -> Alerts {
        let medicines = &self.checked.medicines;
        let place = medicines
            .iter()
            .position(|own| own.reference.as_deref() == Some(name));
        let Some(place) = place else {
            return Alerts {
                not_checked: vec![format!("{name} is not in force and was not checked")],
                ..Alerts::default()
            };
        };
        let own = self.checked.alerts.iter();
        let own: Vec<_> = own
            .filter(|shown| shown.alert.medicines.contains(&place))
            .collect();
        let tier = own.iter().map(|shown| shown.alert.tier).max();
        let mut loud = own.iter().filter(|shown| shown.alert.tier.interrupts());
        let overridden = loud.all(|shown| {
            let mut overrides = self.overrides.iter();
            overrides.any(|given| stands(given, &shown.fingerprint))
        });
        let contraindicated = own.iter();
        let contraindicated = contraindicated
            .filter(|shown| shown.alert.tier == Tier::Contraindicated)
            .map(|shown| self.second(shown));
        let second: Option<Vec<&[PersonId]>> = contraindicated.collect();
        let mut second = second.unwrap_or_default().concat();
        let mine = names(caller);
        if same_person(&mine, &second) {
            second.extend(mine);
        }
        Alerts {
            tier,
            overridden,
            second,
            not_checked: self.unchecked(|at| at.is_none_or(|at| at == place)),
        }
    }

    /// Who signed an alert as the second person.
    fn second(&self, shown: &Shown) -> Option<&[PersonId]> {
        let mut signatures = self.signatures.iter();
        signatures.find_map(|own| own.stands(&self.regimen, shown))
    }

    /// What could not be checked of an order in force alone, in words.
    pub fn unchecked_of(&self, name: &str) -> Vec<String> {
        let mut medicines = self.checked.medicines.iter();
        let place = medicines.position(|own| own.reference.as_deref() == Some(name));
        self.unchecked(|at| at.is_some() && at == place)
    }

    /// What could not be checked of what is at these places of the list, in words. Allergies nobody asked for
    /// are not among it: they are a state of their own.
    fn unchecked(&self, wanted: impl Fn(Option<usize>) -> bool) -> Vec<String> {
        let gaps = self.checked.not_checked.iter();
        let own = gaps
            .filter(|gap| !matches!(gap, NotChecked::Allergies) && wanted(gap.medicine()))
            .collect::<Vec<_>>();
        if own.is_empty() {
            return Vec::new();
        }
        let medicines = self.checked.medicines.iter();
        let plain: Vec<_> = medicines.map(|own| own.medicine.clone()).collect();
        own.into_iter().map(|gap| gap.words(&plain)).collect()
    }

    /// What could not be checked of the patient or with a source as a whole, in words.
    pub fn unchecked_at_all(&self) -> Vec<String> {
        self.unchecked(|at| at.is_none())
    }

    /// The sources that told nothing of a medicine of the list.
    pub fn silent(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for gap in &self.checked.not_checked {
            if let NotChecked::Source(name, _) | NotChecked::Elsewhere(_, name, _) = gap
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
        names
    }
}

/// What the medicine of a resource holds. Where no product is known, the strictest schedule of those that
/// hold one of its ingredients counts: it may be that one.
pub(super) fn article(sources: &Sources, others: &dyn Reference, resource: Value<'_>) -> Article {
    let Sources {
        knowledge,
        dictionary,
        ..
    } = sources;
    let named = facts::medicine(knowledge, dictionary, resource, others);
    if let Some(product) = facts::product(dictionary, resource, others) {
        let mut article = Article::of(product, *knowledge);
        article.name = named.name;
        return article;
    }
    let known = named.parts.iter().filter_map(|part| {
        let name = knowledge.name(part.ingredient)?;
        Some(Ingredient {
            substance: Substance::named(name, *knowledge),
            known: Some(part.ingredient),
            strength: None,
        })
    });
    let mut ingredients: Vec<Ingredient> = known.collect();
    if !ingredients.is_empty() {
        ingredients.extend(named.unresolved.iter().map(|name| Ingredient {
            substance: Substance::named(name, *knowledge),
            known: None,
            strength: None,
        }));
    }
    let known = ingredients.iter().filter_map(|own| own.known);
    let schedule = known.filter_map(|id| dictionary.strictest(id)).min();
    Article {
        name: named.name,
        ingredients,
        form: None,
        route: named.route.map(|route| route.name),
        schedule,
    }
}

impl Held {
    /// The resource.
    pub fn root(&self) -> Value<'_> {
        self.document.root()
    }
}

impl Records {
    /// What cannot be told of an article under these limits between two moments: for want of records that can
    /// be read, and for doses near whose time may be wrong.
    pub fn gaps(
        &self,
        article: &Article,
        limits: &[Limit],
        (from, until): (Timestamp, Timestamp),
    ) -> Vec<Reason> {
        let own = self.unread.iter();
        let own = own.filter(|unread| shares(&unread.article, article));
        let unread = own.map(|unread| {
            let why = format!("{} cannot be read: {}", unread.name, unread.why);
            unknown(&why, "the limits of every dose")
        });
        let reach = limits.iter().map(limits::reach).max();
        let near = |own: &Doubtful, reach: i64| {
            let reach = reach.saturating_add(own.seconds);
            from.seconds_since(own.at) <= reach && own.at.seconds_since(until) <= reach
        };
        let own = self.doubtful.iter();
        let own = own.filter(|own| {
            shares(&own.article, article) && reach.is_some_and(|reach| near(own, reach))
        });
        let doubtful = own.map(|own| {
            let why = format!(
                "{} was recorded by a clock that may be {} min wrong",
                own.name,
                own.seconds.saturating_add(59) / 60
            );
            unknown(&why, "how long ago it was given")
        });
        unread.chain(doubtful).collect()
    }
}

/// Whether one may hold what the other does: an unknown product may hold anything.
fn shares(one: &Article, other: &Article) -> bool {
    let opaque = |own: &Article| {
        let mut parts = own.ingredients.iter();
        own.ingredients.is_empty() || parts.any(|part| part.known.is_none())
    };
    let mut parts = one.ingredients.iter();
    opaque(one)
        || opaque(other)
        || parts.any(|part| {
            let mut own = other.ingredients.iter();
            own.any(|own| own.substance == part.substance)
        })
}

/// Something that keeps a decision from being told.
pub(super) fn unknown(what: &str, asks: &str) -> Reason {
    Reason {
        verdict: Verdict::Unknown,
        limit: None,
        why: Why::FactMissing {
            fact: what.to_owned(),
            rule: asks.to_owned(),
        },
    }
}
