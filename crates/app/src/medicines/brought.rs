//! Doses that were recorded elsewhere than where they are decided: on a device without a network.
//! Must not take the same record in twice, nor over another one.

use kernel::Timestamp;
use medication::administration::Refused;
use medication::ids::{DeviceId, PersonId, RecordId};
use medication::order::DueSlot;
use store::{Clause, Guard, Predicate, ResourceKey, SearchPlan, Total};

use super::give::{Dose, refuse};
use super::ground::Records;
use super::prescribe::resource_type;
use crate::App;
use crate::context::Caller;
use crate::error::AppError;

/// What a device recorded where there was no network: it is taken in once, whatever speaks against it.
#[derive(Debug, Clone)]
pub struct Offline {
    /// The id that the device gave it.
    pub id: RecordId,
    /// When it was entered there.
    pub entered: Timestamp,
    /// The device.
    pub device: DeviceId,
    /// The due dose as the device knew it, for an order that was changed since.
    pub due: Option<DueSlot>,
    /// Who gave it, where that is somebody else than who brings it.
    pub giver: Option<(PersonId, serde_json::Value)>,
    /// What is to be known of it, such as a clock that was wrong.
    pub note: Option<String>,
}

fn address(app: &App, offline: &Offline) -> Result<ResourceKey, AppError> {
    Ok(ResourceKey {
        ty: resource_type(app, "MedicationAdministration")?,
        id: offline.id.0.clone(),
    })
}

/// Whether what a device recorded is there already.
pub(super) async fn is_known(
    app: &App,
    caller: &Caller,
    records: &Records,
    dose: &Dose,
) -> Result<bool, AppError> {
    let Some(offline) = &dose.offline else {
        return Ok(false);
    };
    if records.book.get(&offline.id).is_some() {
        return Ok(true);
    }
    let key = [address(app, offline)?];
    let heads = app.store().heads(&caller.scope, &key).await?;
    if heads.into_iter().flatten().next().is_some() {
        return refuse(Refused::IdTaken.to_string());
    }
    Ok(false)
}

/// That the id of a device's record is still nobody's.
pub(super) fn fresh(app: &App, dose: &Dose) -> Result<Option<Guard>, AppError> {
    let offline = dose.offline.as_ref();
    offline
        .map(|own| Ok(absent(&address(app, own)?)))
        .transpose()
}

/// That there is no such resource.
pub(super) fn absent(key: &ResourceKey) -> Guard {
    let plan = SearchPlan {
        types: vec![key.ty],
        all_of: vec![Clause {
            negated: false,
            any_of: vec![Predicate::Id(key.id.clone())],
        }],
        sort: Vec::new(),
        count: 1,
        bytes: usize::MAX,
        rows: u64::MAX,
        after: None,
        total: Total::None,
    };
    Guard {
        plan,
        seen: Vec::new(),
    }
}
