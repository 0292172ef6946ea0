//! The orders in force of the whole house, by the medicine they are of. They are read by the platform,
//! whoever asks, so that nobody's reach makes a total smaller. Must not tell a caller whose order it is where
//! they do not reach that resident.

use std::collections::BTreeSet;
use std::sync::Arc;

use fhir::json::Value;
use identity::{Interaction, Subject, SystemTask};
use kernel::LogicalId;
use medication::facts;
use medication::order::{Home, Order, Status};
use medication::resources::{Resolved, read_order};
use medication::schedule::Rounds;

use super::Item;
use super::shelf::zone;
use crate::App;
use crate::authorise::{Ask, authorise, would_allow};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::ground::article;
use crate::medicines::prescribe::resource_type;
use crate::medicines::regimen::{self, Held, Medications, is_order};
use crate::medicines::{Sources, sources};
use crate::record::search::{SearchRequest, whole};

/// Most orders in force that are looked at.
const ORDERS: u32 = 20_000;

/// An order with its patient and the product of the dictionary that it is of.
struct InForce {
    patient: LogicalId,
    held: Held,
    product: Option<String>,
}

/// The orders in force of the whole house.
pub struct Prescribed {
    orders: Vec<InForce>,
    medications: Medications,
    sources: Arc<Sources>,
    pub(super) home: Home,
}

/// The platform in the place of a caller, in the same request.
pub(super) fn platform(caller: &Caller) -> Caller {
    let tenant = caller.scope.tenant();
    Caller {
        subject: Arc::new(Subject::system(tenant, SystemTask::Ordering)),
        ..caller.clone()
    }
}

impl Prescribed {
    /// Reads them, also those of whose status nobody knows.
    ///
    /// # Errors
    /// More than can be looked at: [`AppError::TooLarge`].
    pub async fn load(app: &App, caller: &Caller) -> Result<Self, AppError> {
        let platform = platform(caller);
        let ty = resource_type(app, "MedicationRequest")?;
        authorise(app, &platform, &Ask::of_type(Interaction::Search, ty)).await?;
        let request = SearchRequest {
            ty,
            params: vec![("status".to_owned(), "active,unknown".to_owned())],
            lenient: false,
        };
        let sources = sources(app).await?;
        let (found, _) = whole(app, &platform, &request, ORDERS).await?;
        let mut held = Vec::with_capacity(found.len());
        for version in found {
            let own = regimen::held(version)?;
            if is_order(own.root()) {
                held.push(own);
            }
        }
        let ids = regimen::referred(held.iter().map(Held::root));
        let medications = match held.first().map(|own| own.key.clone()) {
            Some(first) => regimen::medications(app, &platform, &first, ids).await?,
            None => Medications::default(),
        };
        let of = |held: Held| {
            let product = facts::product(&sources.dictionary, held.root(), &medications);
            Some(InForce {
                patient: patient_of(held.root())?,
                product: product.map(|own| own.name.clone()),
                held,
            })
        };
        let orders = held.into_iter().filter_map(of).collect();
        let home = Home {
            zone: zone(app, caller).zone(),
            rounds: Rounds::default(),
        };
        Ok(Self {
            orders,
            medications,
            sources,
            home,
        })
    }

    /// Whether an order is of a medicine: of its Medication, or of its product by whatever name.
    fn is_of(own: &InForce, item: &Item) -> bool {
        let reference = own.held.root().get("medicationReference");
        let reference = reference.and_then(|own| own.get_str("reference"));
        let same = reference.is_some() && reference.as_deref() == item.medication.as_deref();
        same || (own.product.is_some() && own.product == item.product)
    }

    /// The residents with an order of a medicine.
    pub(super) fn residents(&self, item: &Item) -> BTreeSet<LogicalId> {
        let own = self.orders.iter().filter(|own| Self::is_of(own, item));
        own.map(|own| own.patient.clone()).collect()
    }

    /// A resident's orders of a medicine, each with its name, as they can be read.
    pub(super) fn of(
        &self,
        item: &Item,
        resident: &LogicalId,
    ) -> impl Iterator<Item = (String, Result<Order, String>)> {
        let own = self.orders.iter();
        let own = own.filter(move |own| own.patient == *resident && Self::is_of(own, item));
        own.map(|own| (own.held.name(), self.read(own.held.root())))
    }

    fn read(&self, order: Value<'_>) -> Result<Order, String> {
        let resolved = Resolved {
            article: article(&self.sources, &self.medications, order),
            zone: &self.home.zone,
        };
        let read = read_order(order, resolved).map_err(|error| error.to_string())?;
        let order = Order::check(read).map_err(|error| error.to_string())?;
        if order.status == Status::Unknown {
            return Err("it does not say whether it is in force: ask the prescriber".to_owned());
        }
        Ok(order)
    }
}

fn patient_of(order: Value<'_>) -> Option<LogicalId> {
    let subject = order.get("subject")?;
    let reference = subject.get_str("reference")?;
    reference.strip_prefix("Patient/")?.parse().ok()
}

/// Of some residents those whose orders a caller may be told.
pub(super) async fn named(
    app: &App,
    caller: &Caller,
    residents: impl Iterator<Item = &LogicalId>,
) -> Result<BTreeSet<LogicalId>, AppError> {
    let ty = resource_type(app, "MedicationRequest")?;
    let mut found = BTreeSet::new();
    for resident in residents {
        let patients = [resident.clone()];
        let ask = Ask {
            ty: Some(ty),
            patients: Some(&patients),
            ..Ask::operation(Interaction::Search)
        };
        if would_allow(app, caller, &ask).await? {
            found.insert(resident.clone());
        }
    }
    Ok(found)
}
