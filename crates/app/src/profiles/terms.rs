//! The terminology validation asks: the tenant's first, and what packages bring where that does not know.
//! Must not hold codes.

use std::sync::Arc;

use fhir::terminology::{Answer, Coded, Codes, Terminology};
use kernel::TenantScope;

use super::shelf;
use crate::App;
use crate::error::AppError;

/// The terminology of a tenant, with that of the packages.
pub(super) async fn of(app: &App, scope: &TenantScope) -> Result<Arc<dyn Terminology>, AppError> {
    let tenant = app.terminology(scope).await?;
    Ok(match shelf::instance(app).await?.terms {
        Some(packages) => Arc::new(Both {
            first: tenant,
            second: packages,
        }),
        None => tenant,
    })
}

/// Two terminologies, the second asked what the first does not know.
struct Both {
    first: Arc<dyn Terminology>,
    second: Arc<dyn Terminology>,
}

impl Both {
    fn answer(&self, ask: impl Fn(&dyn Terminology) -> Answer) -> Answer {
        match ask(&*self.first) {
            Answer::Unknown => ask(&*self.second),
            known => known,
        }
    }

    fn codes(&self, ask: impl Fn(&dyn Terminology) -> Codes) -> Codes {
        match ask(&*self.first) {
            Codes::Unknown => ask(&*self.second),
            known => known,
        }
    }
}

impl Terminology for Both {
    fn member_of(&self, value_set: &str, coded: &Coded<'_>) -> Answer {
        self.answer(|one| one.member_of(value_set, coded))
    }
    fn exists(&self, coded: &Coded<'_>) -> Answer {
        self.answer(|one| one.exists(coded))
    }
    fn subsumes(&self, system: &str, ancestor: &str, descendant: &str) -> Answer {
        self.answer(|one| one.subsumes(system, ancestor, descendant))
    }
    fn display(&self, coded: &Coded<'_>) -> Option<String> {
        self.first
            .display(coded)
            .or_else(|| self.second.display(coded))
    }
    fn codes_of(&self, value_set: &str, limit: usize) -> Codes {
        self.codes(|one| one.codes_of(value_set, limit))
    }
    fn descendants(&self, system: &str, code: &str, limit: usize) -> Codes {
        self.codes(|one| one.descendants(system, code, limit))
    }
    fn ancestors(&self, system: &str, code: &str, limit: usize) -> Codes {
        self.codes(|one| one.ancestors(system, code, limit))
    }
}
