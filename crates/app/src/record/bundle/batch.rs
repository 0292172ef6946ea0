//! A batch: each entry for itself, several at a time. One entry's failure is its own.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::App;
use crate::context::{Caller, RequestContext};
use crate::error::AppError;
use crate::record::bundle::address::{Address, Item, Method};
use crate::record::bundle::look::{Budget, LOOKS_AT_A_TIME};
use crate::record::bundle::{BundleAnswer, Done, ORDER, Parsed, look, outcomes};
use crate::record::render::{self, ResponseEntry};
use crate::record::{Deleted, Outcome, create, delete, etag, patch, query_string, update};

/// Changes done at the same time; the store merges their commits.
const AT_A_TIME: usize = 16;

pub(super) async fn run(
    app: &App,
    caller: &Caller,
    parsed: &Arc<Parsed>,
    representation: bool,
) -> Result<BundleAnswer, AppError> {
    let resources = parsed.resources();
    let bodies: Vec<Option<Bytes>> = resources
        .into_iter()
        .map(|resource| resource.map(|resource| Bytes::copy_from_slice(resource.raw())))
        .collect();
    let budget = Arc::new(Budget::new(app));
    let mut answers: Vec<ResponseEntry> = vec![ResponseEntry::default(); parsed.items.len()];
    for method in ORDER {
        // Owned by each entry's future: futures that borrow from an iterator's items cannot be sent
        // between threads in general.
        let places: Vec<usize> = (0..parsed.items.len())
            .filter(|place| {
                parsed
                    .items
                    .get(*place)
                    .is_some_and(|item| phase_of(item) == method)
            })
            .collect();
        let phase = places.into_iter().map(|place| {
            let body = bodies.get(place).cloned().flatten();
            let (app, caller, parsed) = (app.clone(), caller.clone(), Arc::clone(parsed));
            let budget = Arc::clone(&budget);
            async move {
                let Some(item) = parsed.items.get(place) else {
                    return (place, ResponseEntry::default());
                };
                let answer = entry(&app, &caller, item, body, representation, &budget).await;
                (
                    item.index,
                    answer.unwrap_or_else(|error| look::failed(&error)),
                )
            }
        });
        let at_a_time = if method == Method::Get {
            LOOKS_AT_A_TIME
        } else {
            AT_A_TIME
        };
        let mut done = futures_util::stream::iter(phase).buffer_unordered(at_a_time);
        while let Some((index, answer)) = done.next().await {
            if let Some(slot) = answers.get_mut(index) {
                *slot = answer;
            }
        }
    }
    Ok(BundleAnswer {
        body: render::response("batch-response", &answers).into(),
        done: outcomes(&mut answers),
        receipt: None,
    })
}

// An entry that could not be read is answered in the first phase.
fn phase_of(item: &Item) -> Method {
    item.request
        .as_ref()
        .map_or(Method::Delete, |request| request.method)
}

async fn entry(
    app: &App,
    caller: &Caller,
    item: &Item,
    body: Option<Bytes>,
    representation: bool,
    budget: &Budget,
) -> Result<ResponseEntry, AppError> {
    let request = match &item.request {
        Ok(request) => request,
        Err(detail) => return Err(AppError::Invalid(detail.clone())),
    };
    let caller = &for_entry(caller, item.index);
    let body = body.unwrap_or_default();
    let criteria = |query: &str| {
        query_string::parse(query).ok_or_else(|| {
            AppError::Invalid("a percent escape in request.url is broken".to_owned())
        })
    };
    match (request.method, &request.address) {
        (Method::Get, _) => look::look(app, caller, request, budget).await,
        (Method::Post, Address::Type(ty, _)) => {
            let condition = request.if_none_exist.as_deref();
            let outcome = create::create(app, caller, *ty, body, condition).await?;
            Ok(written(&outcome, representation))
        }
        (Method::Put, Address::Instance(key)) => {
            let outcome = update::update(app, caller, key, body, request.if_match).await?;
            Ok(written(&outcome, representation))
        }
        (Method::Put, Address::Type(ty, query)) => {
            let criteria = criteria(query)?;
            let outcome =
                update::update_where(app, caller, *ty, &criteria, body, request.if_match).await?;
            Ok(written(&outcome, representation))
        }
        (Method::Patch, Address::Instance(key)) => {
            let patch = patch_of(app, body)?;
            let outcome = patch::patch(app, caller, key, &patch, request.if_match).await?;
            Ok(written(&outcome, representation))
        }
        (Method::Patch, Address::Type(ty, query)) => {
            let (criteria, patch) = (criteria(query)?, patch_of(app, body)?);
            let outcome =
                patch::patch_where(app, caller, *ty, &criteria, &patch, request.if_match).await?;
            Ok(written(&outcome, representation))
        }
        (Method::Delete, Address::Instance(key)) => Ok(deleted(
            &delete::delete(app, caller, key, request.if_match).await?,
        )),
        (Method::Delete, Address::Type(ty, query)) => {
            let criteria = criteria(query)?;
            Ok(deleted(
                &delete::delete_where(app, caller, *ty, &criteria).await?,
            ))
        }
        _ => Err(AppError::Invalid(
            "request.url does not fit request.method".to_owned(),
        )),
    }
}

fn patch_of(app: &App, body: Bytes) -> Result<patch::Patch, AppError> {
    let document = crate::record::prepare::parse(app, body)?;
    patch::Patch::of_entry(app, document.root())
}

// One idempotency key covers a batch: each entry gets its own, derived from it.
fn for_entry(caller: &Caller, index: usize) -> Caller {
    let Some(key) = &caller.context.idempotency else {
        return caller.clone();
    };
    let context = RequestContext {
        idempotency: Some(format!("{key}#{index}")),
        ..(*caller.context).clone()
    };
    Caller {
        context: Arc::new(context),
        ..caller.clone()
    }
}

fn written(outcome: &Outcome, representation: bool) -> ResponseEntry {
    let resource = outcome.version.body.clone().filter(|_| representation);
    let mut answer = look::written(&outcome.version, outcome.created, resource);
    if outcome.receipt.is_none() {
        answer.done = if outcome.created {
            Done::Other
        } else {
            Done::Unchanged
        };
    }
    answer
}

fn deleted(deleted: &Deleted) -> ResponseEntry {
    ResponseEntry {
        status: "204 No Content".to_owned(),
        etag: deleted.version.map(etag),
        last_modified: deleted.last_updated.map(kernel::Timestamp::to_fhir_instant),
        ..ResponseEntry::default()
    }
}
