//! `theriac erase`: destroys a patient's key. Without `--confirm` it only says what would be destroyed.

use app::record::search::SearchRequest;
use app::record::{read, search};
use fhir::definitions::Definitions;
use identity::SystemTask;
use kernel::{Category, LogicalId};
use serde_json::json;

use crate::cli::Erase;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::Instance;
use crate::{console, tenancy};

/// Runs it.
pub async fn run(config: &Config, arguments: &Erase, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| {
        let tenant = tenancy::tenant(&instance, Some(&arguments.tenant)).await?;
        let patient: LogicalId = arguments.patient.parse().map_err(Failure::of_id)?;
        let caller = console::task(&instance.app, tenant.id, SystemTask::Retention)?;
        if arguments.confirm {
            let erased =
                app::erase::erase(&instance.app, &caller, &patient, &arguments.reason).await?;
            printer.object(&json!({
                "patient": patient.as_str(),
                "resources_erased": erased.resources,
                "reason": arguments.reason,
            }));
            return Ok(());
        }
        let count = dependants(&instance, &caller, &patient).await?;
        printer.object(
            &json!({ "patient": patient.as_str(), "resources_that_would_be_erased": count }),
        );
        printer.note(
            "\nhint: this cannot be undone, also not from a backup; repeat with --confirm to do it",
        );
        Ok(())
    })
    .await
}

// The patient and what lies in the patient's compartment, by one count per type.
async fn dependants(
    instance: &Instance,
    caller: &app::Caller,
    patient: &LogicalId,
) -> Result<u64, Failure> {
    let definitions = Definitions::r4();
    let ty = definitions
        .resource("Patient")
        .ok_or_else(|| Failure::new(Category::Fault, "the definitions lack Patient"))?;
    let key = app::ResourceKey {
        ty,
        id: patient.clone(),
    };
    read::read(&instance.app, caller, &key).await?;
    let mut count = 1;
    for ty in definitions.resource_types() {
        let refers = ["patient", "subject"]
            .into_iter()
            .find(|code| definitions.search_param(ty, code).is_some());
        let Some(code) = refers else { continue };
        let params = vec![
            (code.to_owned(), format!("Patient/{}", patient.as_str())),
            ("_summary".to_owned(), "count".to_owned()),
        ];
        let answer = search::search(
            &instance.app,
            caller,
            &SearchRequest {
                ty,
                params,
                lenient: false,
            },
        )
        .await?;
        count += answer.total.unwrap_or_default();
    }
    Ok(count)
}
