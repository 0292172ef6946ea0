//! The OpenAPI document of everything but FHIR, which has its CapabilityStatement. A test holds it against
//! the route table.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{failed, json_text};
use crate::api::{
    audit, branches, break_glass, cds_hooks, clients, erasure, me, medicines, operator, ordering,
    orders, partners, register, relationships, rounds, stock, subscriptions, tokens, users,
};
use crate::edge::{Arrival, EdgeError};
use crate::routing::Route;
use crate::{cds_hooks as hooks, ledger_routes, probes, token_routes};

pub(super) fn table() -> Vec<Route> {
    vec![Route::get("/api/openapi.json", "openapi", failed, openapi)]
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Theriac",
        description = "Running a tenant by program: audit, users, branches, clients, tokens, emergency access, erasure, subscriptions, packs of medicines, stock and the controlled-drug register, orders of medicines, medication rounds, CDS Hooks, and the ledger's proofs. The record itself is FHIR R4 at /t/{tenant}/fhir; see its CapabilityStatement at /t/{tenant}/fhir/metadata.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        openapi,
        me::show,
        medicines::scanned,
        audit::entries, audit::about_patient,
        branches::list, branches::create, branches::open, branches::close,
        users::list, users::create, users::show, users::enable, users::disable, users::set_roles,
        users::reset_password, users::unlock, users::reset_second_step,
        relationships::list, relationships::create, relationships::end,
        clients::list, clients::create, clients::enable, clients::disable, clients::set_scopes, clients::set_keys,
        tokens::list, tokens::create, tokens::revoke,
        break_glass::list, break_glass::request, break_glass::review, break_glass::end,
        erasure::erase,
        subscriptions::list, subscriptions::deliveries_of, subscriptions::replay, subscriptions::signing_key,
        stock::list, stock::keep, stock::show, stock::movements, stock::act, stock::days_left, stock::threshold,
        stock::open, stock::recall, stock::reorder,
        register::list, register::begin, register::show, register::sheets, register::count, register::correct,
        register::note, register::settle,
        orders::list, orders::draft, orders::show, orders::approve, orders::submit, orders::cancel, orders::report, orders::status, orders::receive, orders::close,
        ordering::show, ordering::set, ordering::dry_run, ordering::run,
        partners::list, partners::put, partners::signing_key, partners::new_signing_key, partners::catalogue, partners::fetch, partners::set, partners::events,
        cds_hooks::show, cds_hooks::set, cds_hooks::list, cds_hooks::create, cds_hooks::change, cds_hooks::enable, cds_hooks::disable, cds_hooks::services, cds_hooks::put_service,
        hooks::discovery, hooks::called, hooks::told_of, hooks::preflight_all, hooks::preflight_one, hooks::preflight_told,
        rounds::now, rounds::take, rounds::bring_back, rounds::effects, rounds::effect, rounds::handover,
        operator::list, operator::create, operator::set_state, operator::set_time_zone,
        operator::set_references,
        operator::set_deletions,
        operator::set_validation,
        ledger_routes::checkpoint, ledger_routes::tile, ledger_routes::proof, ledger_routes::consistency,
        ledger_routes::about_patient,
        token_routes::token,
        probes::alive, probes::ready, probes::metrics,
    ),
    components(schemas(super::Problem)),
    modifiers(&Shared, &Names),
)]
struct Document;

/// What operations refer to.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("a long-lived token, or one from the token endpoint"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let signed = ApiKey::Header(ApiKeyValue::new("webhook-signature"));
        components.add_security_scheme("webhook", SecurityScheme::ApiKey(signed));
        components.responses.extend(super::problem_responses());
    }
}

/// Names each operation as metrics and logs do.
struct Names;

impl Modify for Names {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for route in crate::table() {
            let path = route.path.replace("{*", "{");
            let Some(item) = document.paths.paths.get_mut(&path) else {
                continue;
            };
            let operation = match route.method {
                "GET" => &mut item.get,
                "POST" => &mut item.post,
                "PUT" => &mut item.put,
                "OPTIONS" => &mut item.options,
                _ => &mut item.delete,
            };
            if let Some(operation) = operation {
                operation.operation_id = Some(route.interaction.to_owned());
            }
        }
    }
}

#[utoipa::path(get, path = "/api/openapi.json", tag = "document", responses((status = 200, description = "this document", content_type = "application/json")))]
pub(super) async fn openapi(_: Arrival) -> Result<Response, EdgeError> {
    static TEXT: LazyLock<Result<String, String>> = LazyLock::new(|| {
        let text = serde_json::to_string(&Document::openapi());
        text.map_err(|error| format!("the OpenAPI document cannot be written: {error}"))
    });
    match &*TEXT {
        Ok(text) => Ok(json_text(StatusCode::OK, text.as_str())),
        Err(error) => Err(EdgeError::App(app::AppError::Fault(error.clone()))),
    }
}
