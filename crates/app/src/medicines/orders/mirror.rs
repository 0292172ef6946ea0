//! An order in the record: SupplyRequest for each line and Task for where it stands, written by the platform
//! as the order's document says. Must not be read back as the order.

use std::sync::Arc;

use bytes::Bytes;
use identity::{Subject, SystemTask};
use kernel::Timestamp;
use medication::supply::Order;
use medication::supply::resources::{supply_request, task};
use serde_json::{Value, json};

use super::Kept;
use crate::context::Caller;
use crate::error::AppError;

/// The platform in the place of a caller, in the same request.
pub(super) fn platform(caller: &Caller) -> Caller {
    let tenant = caller.scope.tenant();
    Caller {
        subject: Arc::new(Subject::system(tenant, SystemTask::Jobs)),
        ..caller.clone()
    }
}

/// A resource under an id.
fn put(name: &str, id: &str, text: &str) -> Result<Value, AppError> {
    let mut resource: Value = serde_json::from_str(text)?;
    if let Some(members) = resource.as_object_mut() {
        members.insert("id".to_owned(), id.into());
    }
    Ok(
        json!({ "request": { "method": "PUT", "url": format!("{name}/{id}") }, "resource": resource }),
    )
}

/// A resource that the server names.
pub(super) fn post(name: &str, text: &str) -> Result<Value, AppError> {
    let resource: Value = serde_json::from_str(text)?;
    Ok(json!({ "request": { "method": "POST", "url": name }, "resource": resource }))
}

/// The transaction that mirrors an order, with more of the same commit.
pub(super) fn bundle(
    order: &Order,
    kept: &Kept,
    now: Timestamp,
    more: Vec<Value>,
) -> Result<Bytes, AppError> {
    let id = order.id.as_str();
    let mut own = put("Task", id, &task(order, kept.drafted, now))?;
    let focus = format!("SupplyRequest/{id}-1");
    if let Some(members) = own.get_mut("resource").and_then(Value::as_object_mut) {
        members.insert("focus".to_owned(), json!({ "reference": focus }));
    }
    let mut entries = vec![own];
    for (place, line) in order.verb.lines().iter().enumerate() {
        let text = supply_request(order, line, kept.drafted);
        entries.push(put("SupplyRequest", &format!("{id}-{}", place + 1), &text)?);
    }
    entries.extend(more);
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
    Ok(bundle.to_string().into())
}
