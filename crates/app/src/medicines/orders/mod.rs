//! Ordering medicines: drafted by one person, approved by another, sent by a job after the commit, followed
//! by what the other side reports, booked in as it arrives. The rules are `medication::supply`'s; the ways
//! out are `connect::pharmacy`'s. Must not send inside a commit, or forget what may have been sent.

pub mod automatic;
pub mod daily;
mod draft;
mod events;
mod kept;
mod mirror;
pub mod partners;
mod receive;
mod send;
mod shown;
mod sold;
mod steps;
mod stocked;

pub use draft::{NewLine, NewOrder, draft};
pub use events::{Sent, event};
pub use kept::{Kept, Note, Said};
pub use receive::{Arrived, NewDelivery, receive};
pub use send::{Sending, round};
pub use shown::{Filter, Shown, ShownLine, list, show};
pub use sold::{Offer, offers};
pub use steps::{approve, cancel, reconcile, refresh, report, submit};

use identity::Interaction;
use kernel::LogicalId;
use ledger::leaf::Class;
use medication::ids::{OrderId, ResidentId};
use medication::supply::Order;
use store::{DocWrite, Entry, Log};

use crate::App;
use crate::admin::allow;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;
use crate::record::bundle::{Beside, guarded_with};

/// Refuses whoever may not do this, or not for this resident.
async fn may(
    app: &App,
    caller: &Caller,
    interaction: Interaction,
    resident: Option<&ResidentId>,
) -> Result<(), AppError> {
    allow(app, caller, interaction).await?;
    if let Some(resident) = resident {
        let patients: [LogicalId; 1] = [resident.0.clone()];
        let key = app.patient_key(&resident.0);
        authorise(
            app,
            caller,
            &Ask::record(Interaction::Read, &key, &patients),
        )
        .await?;
    }
    Ok(())
}

/// The order, for whoever may do this with it.
async fn permitted(
    app: &App,
    caller: &Caller,
    interaction: Interaction,
    id: &OrderId,
) -> Result<Kept, AppError> {
    allow(app, caller, interaction).await?;
    let own = kept::load(app, caller, id).await?.kept;
    may(app, caller, interaction, own.resident.as_ref()).await?;
    Ok(own)
}

/// The entry of a step: who did it, with which order, about whom.
fn entry(app: &App, caller: &Caller, what: &'static str, order: &Kept, detail: &str) -> Entry {
    let detail = if detail.is_empty() {
        format!("order {}", order.id)
    } else {
        format!("order {}: {detail}", order.id)
    };
    let mut entry = house_entry(app, caller, Log::Changes, Class::Supply, what, Some(detail));
    if let Some(resident) = &order.resident {
        entry.subject = Some(resident.0.clone());
        entry.payload.patient = Some(resident.as_str().to_owned());
    }
    entry
}

/// Commits a version of an order with what mirrors it in the record.
async fn commit(
    app: &App,
    caller: &Caller,
    kept: &Kept,
    more: Vec<serde_json::Value>,
    (docs, entries): (Vec<DocWrite>, Vec<Entry>),
) -> Result<(), AppError> {
    let order: Order = kept.order()?;
    let bundle = mirror::bundle(&order, kept, app.now(), more)?;
    let beside = Beside {
        docs,
        entries,
        ..Beside::default()
    };
    // The record mirrors what was decided here, by the platform; who decided stands in the entry.
    let platform = mirror::platform(caller);
    guarded_with(app, &platform, bundle, None, beside).await?;
    Ok(())
}
