//! Who acts when somebody works at the machine's command line: the operator in the instance, the
//! platform's tasks inside tenants. Must not widen what `identity` allows them.

use app::{App, Caller};
use kernel::ActorId;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::failure::Failure;

/// The operator at the console, as an actor of the instance. The system's user name makes the actor, so
/// that the same person is the same actor each time.
pub fn operator(app: &App) -> Result<Caller, Failure> {
    let name = Config::environment()
        .into_iter()
        .find(|(key, value)| matches!(key.as_str(), "USER" | "LOGNAME") && !value.is_empty())
        .map_or_else(|| "console".to_owned(), |(_, value)| value);
    let digest = Sha256::digest(format!("theriac console {name}"));
    let mut bytes = [0u8; 16];
    for (target, byte) in bytes.iter_mut().zip(digest) {
        *target = byte;
    }
    let id = ActorId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid());
    Ok(app::init::console(
        app,
        id,
        &format!("{name} at the console"),
    )?)
}

/// A task of the platform in a tenant.
pub fn task(
    app: &App,
    tenant: kernel::TenantId,
    task: identity::SystemTask,
) -> Result<Caller, Failure> {
    Ok(app::init::system_caller(app, tenant, task)?)
}
