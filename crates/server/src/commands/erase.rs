//! `theriac erase`: destroys a patient's key. Without `--confirm` it only says what would be destroyed.

use identity::SystemTask;
use kernel::LogicalId;
use serde_json::json;

use crate::cli::Erase;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
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
                "resources_still_mentioning": erased.shared,
                "reason": arguments.reason,
            }));
            left(printer, &erased.shared);
            return Ok(());
        }
        app::erase::check_reason(&arguments.reason)?;
        let preview = app::erase::preview(&instance.app, &caller, &patient).await?;
        printer.object(&json!({
            "patient": patient.as_str(),
            "resources_that_would_be_erased": preview.resources,
            "resources_still_mentioning": preview.shared,
        }));
        left(printer, &preview.shared);
        printer.note(
            "\nhint: this cannot be undone, also not from a backup; repeat with --confirm to do it",
        );
        Ok(())
    })
    .await
}

/// Says what stays and what to do about it.
fn left(printer: Printer, shared: &[String]) {
    const NAMED: usize = 20;
    if shared.is_empty() {
        return;
    }
    let named: Vec<&str> = shared.iter().take(NAMED).map(String::as_str).collect();
    let more = if shared.len() > NAMED { ", ..." } else { "" };
    printer.note(&format!(
        "\nhint: {} shared resources still mention this patient: {}{more}; they are about several patients or \
         about somebody else and stay readable, with their older versions; correct each by hand",
        shared.len(),
        named.join(", ")
    ));
}
