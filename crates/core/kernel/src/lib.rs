//! The words every other crate speaks: typed ids, the tenant scope, the actor and the purpose of use,
//! time and id ports, the error category table, decimals that keep the precision they were written
//! with, and units of measure. It holds no clock, no randomness, no I/O: time and ids come in through
//! the ports.

pub mod actor;
pub mod category;
pub mod decimal;
pub mod ids;
pub mod ports;
pub mod scope;
pub mod time;
pub mod ucum;
pub mod zone;

pub use actor::{Actor, ActorKind, PurposeOfUse};
pub use category::{Categorised, Category};
pub use decimal::WrittenDecimal;
pub use ids::{
    ActorId, BranchId, ClientId, IdError, LogicalId, RequestId, RowId, SessionId, TenantId,
    TenantSlug, UserId, VersionId,
};
pub use ports::{Clock, Ids};
pub use scope::TenantScope;
pub use time::Timestamp;
pub use zone::{ZoneError, ZoneName};
