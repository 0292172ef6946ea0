//! CDS Hooks 2.0, served: the services of a tenant, the request as it is read, the facts a call rests on,
//! the cards, the log of calls and their replay. The decisions are those of the domains (`medicines::check`);
//! this asks for them at the moments that other systems name. Must not answer "nothing" for what was not
//! checked: that is a card of its own.

pub mod answer;
pub mod cards;
pub mod clients;
pub(crate) mod erasure;
pub mod external;
pub mod facts;
pub mod feedback;
mod heard;
pub mod log;
mod remote;
pub mod replay;
pub mod request;
pub mod sandbox;
pub mod services;
pub mod setting;
pub mod trust;

use crate::context::RequestContext;

/// The address that the hook addresses of a tenant begin at: `https://.../t/rosewood`.
#[must_use]
pub fn base(context: &RequestContext) -> &str {
    let base = &*context.base;
    base.strip_suffix("/fhir").unwrap_or(base)
}
