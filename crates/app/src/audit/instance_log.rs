//! The instance log: tenants' checkpoints as leaves, so that one witness of one log covers every
//! tenant. A checkpoint is appended only when its log grew since the last one.

use std::collections::HashMap;

use identity::{SystemTask, system_scope};
use kernel::{Actor, PurposeOfUse, TenantId};
use ledger::leaf::{Class, Leaf, Mark};
use ledger::payload::Payload;
use store::{Entry, Log};

use crate::App;
use crate::error::AppError;
use crate::unit::UnitOfWork;

/// How far back the newest marks are looked for; a tenant whose mark lies further back is marked again,
/// which is harmless.
const LOOK_BACK: u32 = 5000;

/// Appends the checkpoints of all logs that grew; returns how many.
pub async fn append_checkpoints(app: &App) -> Result<u64, AppError> {
    let instance = system_scope(TenantId::INSTANCE, SystemTask::Ledger);
    let known = newest_marks(app).await?;
    let mut entries = Vec::new();
    for tenant in app.store().tenants().await? {
        let scope = system_scope(tenant, SystemTask::Ledger);
        for log in [Log::Changes, Log::Access] {
            if tenant.is_instance() && log == Log::Changes {
                continue;
            }
            let head = app.store().log_head(&scope, log).await?;
            if head.size == 0 || known.get(&head.origin) == Some(&head.size) {
                continue;
            }
            let entry = mark(
                app,
                Mark {
                    origin: head.origin,
                    size: head.size,
                    root: head.root,
                },
            );
            entries.push(entry);
        }
    }
    let count = entries.len() as u64;
    let unit = UnitOfWork::begin(app, &instance);
    if let Some(unit) = unit.entries(entries) {
        unit.commit().await?;
    }
    Ok(count)
}

fn mark(app: &App, mark: Mark) -> Entry {
    let actor = system_actor();
    let payload = Payload::new(&actor, "checkpoint", PurposeOfUse::SystemAdministration);
    let mut entry = Entry::new(
        app.ids().uuid(),
        app.now(),
        Log::Changes,
        Class::Checkpoint,
        payload,
    );
    entry.mark = Some(mark);
    entry
}

/// The platform itself, as it stands in entries.
pub(crate) fn system_actor() -> Actor {
    Actor {
        id: kernel::ActorId::from_uuid(uuid::Uuid::from_u128(1)),
        kind: kernel::ActorKind::System,
        name: "Theriac".to_owned(),
        role: "system".to_owned(),
        branch: None,
    }
}

async fn newest_marks(app: &App) -> Result<HashMap<String, u64>, AppError> {
    let instance = system_scope(TenantId::INSTANCE, SystemTask::Ledger);
    let entries = app
        .store()
        .log_recent(&instance, Log::Changes, None, LOOK_BACK)
        .await?;
    let mut known = HashMap::new();
    for entry in entries {
        let leaf = Leaf::parse(&entry.leaf);
        if let Ok(Leaf {
            class: Class::Checkpoint,
            mark: Some(mark),
            ..
        }) = leaf
        {
            known.entry(mark.origin).or_insert(mark.size);
        }
    }
    Ok(known)
}
