//! What the record holds that the checks ask for: the patient, allergies, medicines in force,
//! measurements. Everything or an error: a list cut short would look like a shorter list.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fhir::json::{Document, Limits, Value};
use identity::Interaction;
use kernel::{LogicalId, VersionId};
use ledger::leaf::Class;
use medication::facts::Reference;
use store::{Guard, ResourceKey, StoredVersion};

use super::prescribe::resource_type;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::{Look, look_entries};
use crate::error::AppError;
use crate::record::search::{SearchRequest, whole};
use crate::record::{name_of, read};

/// What of a patient is looked at.
pub(crate) const LOOKED_AT: [&str; 4] = [
    "AllergyIntolerance",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
];
/// Most resources of one kind.
const MOST: u32 = 500;

/// A resource of the record.
pub(crate) struct Held {
    pub key: ResourceKey,
    pub version: VersionId,
    pub document: Document,
}

impl Held {
    /// `MedicationRequest/1`.
    pub fn name(&self) -> String {
        name_of(&self.key)
    }
}

/// What is on the record of one patient.
pub(crate) struct Regimen {
    pub patient: Held,
    pub allergies: Vec<Held>,
    /// Requests in force, then statements that rest on none of them.
    pub medicines: Vec<Held>,
    pub observations: Vec<Held>,
    pub medications: Medications,
    /// What must still be so when something is written that rests on this.
    pub guards: Vec<Guard>,
}

/// Medication resources by their reference.
#[derive(Default, Clone)]
pub(crate) struct Medications(HashMap<String, Arc<Document>>);

impl Medications {
    /// Adds one by its reference, such as `Medication/1`.
    pub(crate) fn put(&mut self, name: String, document: Document) {
        self.0.insert(name, Arc::new(document));
    }

    /// Every one, by name.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        self.0.iter().map(|(name, own)| (name.as_str(), own.root()))
    }

    /// Adds those of another list.
    pub(super) fn add(&mut self, more: &Self) {
        let more = more.0.iter();
        self.0
            .extend(more.map(|(name, own)| (name.clone(), Arc::clone(own))));
    }
}

impl Reference for Medications {
    fn medication<'a>(&'a self, reference: &str) -> Option<Value<'a>> {
        self.0.get(reference).map(|own| own.root())
    }
}

/// Refuses whoever may not see everything that is looked at: searches narrow to what a role reaches, and a
/// list cut that way would look like a shorter list.
async fn reaches(app: &App, caller: &Caller, patients: &[LogicalId]) -> Result<(), AppError> {
    for ty in LOOKED_AT {
        let ask = Ask {
            ty: Some(resource_type(app, ty)?),
            patients: Some(patients),
            ..Ask::operation(Interaction::Search)
        };
        authorise(app, caller, &ask).await?;
    }
    Ok(())
}

/// The criterion of observations: nothing older is used.
pub(crate) fn since(app: &App) -> String {
    let since = app.now().plus_seconds(-400 * 86_400).to_fhir_instant();
    format!("ge{}", since.get(..10).unwrap_or(&since))
}

/// Loads it, and records one look at the patient for `purpose`, such as `$medication-check`.
pub(crate) async fn load(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    purpose: &str,
) -> Result<Regimen, AppError> {
    let person = read::read(app, caller, patient).await?;
    let patients = [patient.id.clone()];
    let allowed = authorise(
        app,
        caller,
        &Ask::record(Interaction::Read, patient, &patients),
    )
    .await?;
    let query = format!("{}/{purpose}", name_of(patient));
    reaches(app, caller, &patients).await?;
    let look = Look {
        class: Class::Search,
        object: None,
        query: Some(&query),
        patients: &patients,
        allowed: &allowed,
    };
    let entries = look_entries(app, caller, &look);
    app.store().record_access(&caller.scope, entries).await?;
    let mut guards = Vec::new();
    let of = Asked {
        app,
        caller,
        patient,
    };
    let allergies = of
        .find("AllergyIntolerance", &[], Some(&mut guards))
        .await?;
    let in_force = [("status", "active,unknown")];
    let mut medicines = of
        .find("MedicationRequest", &in_force, Some(&mut guards))
        .await?;
    medicines.retain(|held| is_order(held.document.root()));
    let stated = [("status", "active,unknown")];
    let statements = of
        .find("MedicationStatement", &stated, Some(&mut guards))
        .await?;
    let known: BTreeSet<String> = medicines.iter().map(Held::name).collect();
    medicines.extend(
        statements
            .into_iter()
            .filter(|held| !rests_on(held.document.root(), &known)),
    );
    let observations = of.observations().await?;
    let medications = of
        .medications(referred(medicines.iter().map(Held::root)))
        .await?;
    Ok(Regimen {
        patient: held(person)?,
        allergies,
        medicines,
        observations,
        medications,
        guards,
    })
}

/// Adds the Medication resources that further orders refer to.
pub(crate) async fn extend(
    app: &App,
    caller: &Caller,
    regimen: &mut Regimen,
    orders: &[Value<'_>],
) -> Result<(), AppError> {
    let patient = regimen.patient.key.clone();
    let of = Asked {
        app,
        caller,
        patient: &patient,
    };
    let more = of.medications(referred(orders.iter().copied())).await?;
    regimen.medications.0.extend(more.0);
    Ok(())
}

/// The ids of the Medication resources that orders refer to.
pub(crate) fn referred<'a>(orders: impl Iterator<Item = Value<'a>>) -> BTreeSet<String> {
    orders
        .filter_map(|order| order.get("medicationReference")?.get_str("reference"))
        .filter_map(|reference| reference.strip_prefix("Medication/").map(str::to_owned))
        .collect()
}

/// Medication resources by id.
pub(super) async fn medications(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    ids: BTreeSet<String>,
) -> Result<Medications, AppError> {
    let of = Asked {
        app,
        caller,
        patient,
    };
    of.medications(ids).await
}

/// Every resource of a type that `criteria` find of a patient, at most `most` of them, with what must still
/// be so when something is written that rests on them.
pub(super) async fn every(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    (ty, criteria): (&str, &[(&str, &str)]),
    most: u32,
) -> Result<(Vec<Held>, Guard), AppError> {
    let of = Asked {
        app,
        caller,
        patient,
    };
    let own = ("patient".to_owned(), name_of(patient));
    let criteria = criteria
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
    let params = core::iter::once(own).chain(criteria).collect();
    let (found, plan) = of.search(ty, params, most).await?;
    let seen = found.iter().map(|version| version.row).collect();
    let held: Result<Vec<Held>, AppError> = found.into_iter().map(held).collect();
    Ok((held?, Guard { plan, seen }))
}

/// Whether a request is one to be carried out: proposals, plans and options are not.
pub(crate) fn is_order(request: Value<'_>) -> bool {
    let intent = request.get_str("intent");
    !matches!(intent.as_deref(), Some("proposal" | "plan" | "option"))
}

/// Whether a statement says what a request says already.
pub(crate) fn rests_on(statement: Value<'_>, requests: &BTreeSet<String>) -> bool {
    ["basedOn", "derivedFrom"].iter().any(|member| {
        let list = statement.get(member).into_iter().flat_map(Value::items);
        list.filter_map(|one| one.get_str("reference"))
            .any(|reference| requests.contains(&*reference))
    })
}

struct Asked<'a> {
    app: &'a App,
    caller: &'a Caller,
    patient: &'a ResourceKey,
}

impl Asked<'_> {
    async fn find(
        &self,
        ty: &str,
        criteria: &[(&str, &str)],
        guards: Option<&mut Vec<Guard>>,
    ) -> Result<Vec<Held>, AppError> {
        let patient = ("patient".to_owned(), name_of(self.patient));
        let criteria = criteria
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
        let params = core::iter::once(patient).chain(criteria).collect();
        let (found, plan) = self.search(ty, params, MOST).await?;
        if let Some(guards) = guards {
            guards.push(Guard {
                plan,
                seen: found.iter().map(|version| version.row).collect(),
            });
        }
        found.into_iter().map(held).collect()
    }

    async fn observations(&self) -> Result<Vec<Held>, AppError> {
        let since = since(self.app);
        let codes = [
            ("code", medication::facts::OBSERVATIONS),
            ("date", since.as_str()),
        ];
        self.find("Observation", &codes, None).await
    }

    async fn search(
        &self,
        ty: &str,
        params: Vec<(String, String)>,
        most: u32,
    ) -> Result<(Vec<StoredVersion>, store::SearchPlan), AppError> {
        let ty = resource_type(self.app, ty)?;
        let request = SearchRequest {
            ty,
            params,
            lenient: false,
        };
        whole(self.app, self.caller, &request, most).await
    }

    async fn medications(&self, ids: BTreeSet<String>) -> Result<Medications, AppError> {
        let mut found = Medications::default();
        let ids: Vec<String> = ids.into_iter().collect();
        for part in ids.chunks(100) {
            let (versions, _) = self
                .search("Medication", vec![("_id".to_owned(), part.join(","))], MOST)
                .await?;
            for version in versions {
                let held = held(version)?;
                found.0.insert(held.name(), Arc::new(held.document));
            }
        }
        Ok(found)
    }
}

pub(super) fn held(version: StoredVersion) -> Result<Held, AppError> {
    let Some(body) = version.body else {
        return Err(AppError::Gone {
            what: name_of(&version.key),
            version: Some(version.version),
            erased: version.erased,
        });
    };
    Ok(Held {
        document: Document::parse(body.to_vec(), &Limits::default())?,
        version: version.version,
        key: version.key,
    })
}
