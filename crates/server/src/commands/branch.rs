//! `theriac branch`: makes and lists branches of a tenant.

use app::admin::branches::{self, NewBranch};
use identity::{BranchKind, SystemTask};
use kernel::{Category, LogicalId, TenantId};
use serde_json::json;

use crate::cli::Branch;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::Instance;
use crate::{console, tenancy};

/// Runs it.
pub async fn run(config: &Config, what: &Branch, printer: Printer) -> Result<u8, Failure> {
    super::with_instance(config, async |instance| match what {
        Branch::Create {
            tenant,
            name,
            organization,
        } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let caller = console::task(&instance.app, tenant.id, SystemTask::Setup)?;
            let organization = match organization {
                Some(id) => id.parse().map_err(Failure::of_id)?,
                None => organization_of(&instance, tenant.id, name).await?,
            };
            let new = NewBranch {
                name: name.clone(),
                kind: BranchKind::Other,
                organization: Some(organization),
            };
            let made = branches::create(&instance.app, &caller, new).await?;
            printer.object(&json!({
                "branch": made.name,
                "id": made.id.to_string(),
                "organization": made.organization.as_str(),
            }));
            Ok(())
        }
        Branch::List { tenant } => {
            let tenant = tenancy::tenant(&instance, Some(tenant)).await?;
            let rows: Vec<Vec<String>> = tenancy::branches(&instance, tenant.id)
                .await?
                .into_iter()
                .map(|branch| {
                    let state = format!("{:?}", branch.state).to_lowercase();
                    vec![
                        branch.name,
                        state,
                        branch.organization.to_string(),
                        branch.id.to_string(),
                    ]
                })
                .collect();
            printer.rows(&["branch", "state", "organization", "id"], &rows);
            Ok(())
        }
    })
    .await
}

// The Organization resource that stands for a new branch.
async fn organization_of(
    instance: &Instance,
    tenant: TenantId,
    name: &str,
) -> Result<LogicalId, Failure> {
    let ty = fhir::definitions::Definitions::r4()
        .resource("Organization")
        .ok_or_else(|| Failure::new(Category::Fault, "the definitions lack Organization"))?;
    let body = json!({ "resourceType": "Organization", "active": true, "name": name }).to_string();
    let caller = console::task(&instance.app, tenant, SystemTask::Jobs)?;
    let made = app::record::create::create(&instance.app, &caller, ty, body.into(), None).await?;
    Ok(made.version.key.id)
}
