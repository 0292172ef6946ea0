//! The rows of the golden list: each route with somebody who may not and somebody who may. Must not ask
//! anything: `authorisation` does.

use identity::Role;

/// Somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Program,
    Person(Role),
    InstanceOperator,
}

pub const ADMINISTRATOR: Who = Who::Person(Role::Administrator);
pub const DOCTOR: Who = Who::Person(Role::Doctor);
pub const AUDITOR: Who = Who::Person(Role::Auditor);
pub const RECEPTIONIST: Who = Who::Person(Role::Receptionist);

/// A route, somebody who may not with the answer, and somebody who may with the answer.
pub type Row = (
    &'static str,
    &'static str,
    Option<(Who, u16)>,
    Option<(Who, u16)>,
);

/// Questions about terminology: every role of the tenant may ask; what is asked here is not complete.
const fn asks_terms(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((Who::InstanceOperator, 401)),
        Some((RECEPTIONIST, status)),
    )
}

/// A tenant's settings: its operators' affair, whom its administrators are nobody to.
const fn of_operators(path: &'static str) -> Row {
    (
        "PUT",
        path,
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    )
}

/// Clinical work: not for an administrator.
const fn clinical(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((ADMINISTRATOR, 403)),
        Some((DOCTOR, status)),
    )
}

/// Orders of medicines: not for the desk; what is asked here is of none.
const fn orders(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((RECEPTIONIST, 403)),
        Some((DOCTOR, status)),
    )
}

/// Partners: set up by an administrator; there is none here.
const fn partners(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, status)),
    )
}

/// Medicines: not for the desk.
const fn at_the_bedside(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((RECEPTIONIST, 403)),
        Some((DOCTOR, status)),
    )
}

/// Stock and the register: whoever sees them may not move them.
const fn of_stock(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((DOCTOR, 403)),
        Some((Who::Program, status)),
    )
}

const FEEDBACK: &str = "/t/{tenant}/cds-services/{id}/feedback";

/// Services of hooks: there is none of this id.
const fn hooks(path: &'static str) -> Row {
    (
        "POST",
        path,
        Some((Who::InstanceOperator, 401)),
        Some((DOCTOR, 404)),
    )
}

/// Bulk exports: a program's work.
const fn exported(method: &'static str, path: &'static str, status: u16) -> Row {
    (
        method,
        path,
        Some((DOCTOR, 403)),
        Some((Who::Program, status)),
    )
}

/// `None` where everybody may, or nobody is asked.
pub const GOLDEN: &[Row] = &[
    (
        "POST",
        "/t/{tenant}/fhir",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    ("GET", "/t/{tenant}/fhir/metadata", None, None),
    (
        "GET",
        "/t/{tenant}/fhir/SearchParameter/$status",
        Some((Who::InstanceOperator, 401)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/$reindex",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 400)),
    ),
    clinical("POST", "/t/{tenant}/fhir/$viewdefinition-run", 200),
    clinical("POST", "/t/{tenant}/fhir/ViewDefinition/$run", 200),
    (
        "GET",
        "/t/{tenant}/fhir/_history",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}", 200),
    (
        "POST",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "PUT",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "PATCH",
        "/t/{tenant}/fhir/{type}",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "DELETE",
        "/t/{tenant}/fhir/{type}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 204)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/_search",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/_history",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}", 200),
    clinical("PUT", "/t/{tenant}/fhir/{type}/{id}", 200),
    clinical("PATCH", "/t/{tenant}/fhir/{type}/{id}", 200),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}/_history", 200),
    clinical(
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/_history/{version}",
        200,
    ),
    ("GET", "/t/{tenant}/fhir", None, Some((DOCTOR, 200))),
    ("GET", "/t/{tenant}/fhir/", None, Some((DOCTOR, 200))),
    (
        "POST",
        "/t/{tenant}/fhir/_search",
        None,
        Some((DOCTOR, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}/{member}", 200),
    clinical("POST", "/t/{tenant}/fhir/{type}/{id}/{member}/_search", 200),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/$validate",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/{type}/{id}/$validate",
        Some((AUDITOR, 403)),
        Some((DOCTOR, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}/$validate", 200),
    clinical("GET", "/t/{tenant}/fhir/Patient/{id}/$everything", 200),
    clinical("POST", "/t/{tenant}/fhir/Patient/{id}/$everything", 200),
    clinical(
        "GET",
        "/t/{tenant}/fhir/Patient/{id}/$medication-check",
        200,
    ),
    clinical(
        "POST",
        "/t/{tenant}/fhir/Patient/{id}/$medication-check",
        200,
    ),
    at_the_bedside("POST", "/t/{tenant}/fhir/MedicationRequest/$prescribe", 201),
    (
        "POST",
        "/t/{tenant}/fhir/MedicationRequest/{id}/$countersign",
        Some((ADMINISTRATOR, 403)),
        // There is one, but nobody signed it first.
        Some((DOCTOR, 422)),
    ),
    // There is one, but it is no order that can be given from.
    at_the_bedside("POST", "/t/{tenant}/fhir/MedicationRequest/{id}/$give", 422),
    // There is one, but it waits for no witness.
    at_the_bedside(
        "POST",
        "/t/{tenant}/fhir/MedicationAdministration/{id}/$witness",
        409,
    ),
    at_the_bedside(
        "GET",
        "/t/{tenant}/fhir/Patient/{id}/$medication-chart",
        200,
    ),
    at_the_bedside(
        "POST",
        "/t/{tenant}/fhir/Patient/{id}/$medicines-paper",
        201,
    ),
    clinical("GET", "/t/{tenant}/fhir/Encounter/{id}/$everything", 200),
    clinical("POST", "/t/{tenant}/fhir/Encounter/{id}/$everything", 200),
    clinical("GET", "/t/{tenant}/fhir/Observation/$lastn", 200),
    clinical("POST", "/t/{tenant}/fhir/Observation/$lastn", 200),
    clinical("GET", "/t/{tenant}/fhir/Composition/{id}/$document", 200),
    clinical("POST", "/t/{tenant}/fhir/Composition/{id}/$document", 200),
    (
        "GET",
        "/t/{tenant}/fhir/$meta",
        Some((Who::InstanceOperator, 401)),
        Some((Who::Program, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/$meta",
        Some((ADMINISTRATOR, 403)),
        Some((Who::Program, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}/$meta", 200),
    clinical(
        "GET",
        "/t/{tenant}/fhir/{type}/{id}/_history/{version}/$meta",
        200,
    ),
    clinical("POST", "/t/{tenant}/fhir/{type}/{id}/$meta-add", 200),
    clinical("POST", "/t/{tenant}/fhir/{type}/{id}/$meta-delete", 200),
    clinical("POST", "/t/{tenant}/fhir/Patient/$match", 200),
    (
        "POST",
        "/t/{tenant}/fhir/Patient/$merge",
        Some((RECEPTIONIST, 403)),
        Some((Who::Program, 200)),
    ),
    exported("GET", "/t/{tenant}/fhir/$export", 202),
    exported("POST", "/t/{tenant}/fhir/$export", 202),
    exported("GET", "/t/{tenant}/fhir/Patient/$export", 202),
    exported("POST", "/t/{tenant}/fhir/Patient/$export", 202),
    exported("GET", "/t/{tenant}/fhir/Group/{id}/$export", 404),
    exported("POST", "/t/{tenant}/fhir/Group/{id}/$export", 404),
    (
        "POST",
        "/t/{tenant}/fhir/$import",
        Some((DOCTOR, 403)),
        Some((Who::Program, 202)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/$graphql",
        None,
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/$graphql",
        None,
        Some((DOCTOR, 200)),
    ),
    clinical("GET", "/t/{tenant}/fhir/{type}/{id}/$graphql", 200),
    clinical("POST", "/t/{tenant}/fhir/{type}/{id}/$graphql", 200),
    (
        "GET",
        "/t/{tenant}/bulk/{job}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "DELETE",
        "/t/{tenant}/bulk/{job}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/bulk/{job}/{file}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/{type}/$explain",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/checkpoint",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/tile/{*path}",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/proof",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/consistency",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/ledger/{log}/patient/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    ("GET", "/t/{tenant}/cds-services", None, None),
    ("OPTIONS", "/t/{tenant}/cds-services", None, None),
    ("OPTIONS", "/t/{tenant}/cds-services/{id}", None, None),
    ("OPTIONS", FEEDBACK, None, None),
    hooks("/t/{tenant}/cds-services/{id}"),
    hooks(FEEDBACK),
    partners("GET", "/t/{tenant}/api/v1/cds-hooks", 200),
    partners("PUT", "/t/{tenant}/api/v1/cds-hooks", 200),
    partners("GET", "/t/{tenant}/api/v1/cds-clients", 200),
    partners("POST", "/t/{tenant}/api/v1/cds-clients", 201),
    partners("PUT", "/t/{tenant}/api/v1/cds-clients/{id}", 200),
    partners("POST", "/t/{tenant}/api/v1/cds-clients/{id}/enable", 200),
    partners("POST", "/t/{tenant}/api/v1/cds-clients/{id}/disable", 200),
    partners("GET", "/t/{tenant}/api/v1/cds-services", 200),
    // Nothing leaves where nobody allowed it.
    partners("PUT", "/t/{tenant}/api/v1/cds-services/{id}", 422),
    ("GET", "/api/openapi.json", None, None),
    (
        "GET",
        "/t/{tenant}/api/v1/me",
        None,
        Some((RECEPTIONIST, 200)),
    ),
    at_the_bedside("GET", "/t/{tenant}/api/v1/medicines/scan", 200),
    (
        "GET",
        "/t/{tenant}/api/v1/audit/entries",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/audit/patients/{id}",
        Some((ADMINISTRATOR, 403)),
        Some((AUDITOR, 200)),
    ),
    at_the_bedside("GET", "/t/{tenant}/api/v1/stock", 200),
    of_stock("POST", "/t/{tenant}/api/v1/stock", 201),
    at_the_bedside("GET", "/t/{tenant}/api/v1/stock/{id}", 200),
    at_the_bedside("GET", "/t/{tenant}/api/v1/stock/{id}/movements", 200),
    of_stock("POST", "/t/{tenant}/api/v1/stock/{id}/movements", 404),
    at_the_bedside("GET", "/t/{tenant}/api/v1/stock/{id}/days-left", 200),
    of_stock("POST", "/t/{tenant}/api/v1/stock/{id}/threshold", 200),
    of_stock("POST", "/t/{tenant}/api/v1/stock/{id}/opened", 422),
    of_stock("POST", "/t/{tenant}/api/v1/stock/{id}/recalls", 200),
    of_stock("POST", "/t/{tenant}/api/v1/stock/{id}/reorder", 200),
    at_the_bedside("GET", "/t/{tenant}/api/v1/register", 200),
    at_the_bedside("POST", "/t/{tenant}/api/v1/register", 422),
    at_the_bedside("GET", "/t/{tenant}/api/v1/register/{id}", 404),
    at_the_bedside("GET", "/t/{tenant}/api/v1/register/{id}/sheets", 404),
    at_the_bedside("POST", "/t/{tenant}/api/v1/register/{id}/counts", 404),
    at_the_bedside("POST", "/t/{tenant}/api/v1/register/{id}/corrections", 404),
    at_the_bedside(
        "POST",
        "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/notes",
        404,
    ),
    at_the_bedside(
        "POST",
        "/t/{tenant}/api/v1/register/{id}/incidents/{incident}/settlement",
        404,
    ),
    at_the_bedside("GET", "/t/{tenant}/api/v1/rounds/now", 200),
    at_the_bedside("POST", "/t/{tenant}/api/v1/rounds", 201),
    // Another signature than the round was taken with.
    at_the_bedside("POST", "/t/{tenant}/api/v1/rounds/{id}/return", 422),
    at_the_bedside("GET", "/t/{tenant}/api/v1/rounds/effects", 200),
    // No such dose.
    at_the_bedside("POST", "/t/{tenant}/api/v1/rounds/effects/{id}", 404),
    at_the_bedside("GET", "/t/{tenant}/api/v1/rounds/handover", 200),
    (
        "GET",
        "/t/{tenant}/api/v1/branches",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches/{id}/close",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/branches/{id}/open",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/users",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/users/{id}",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/disable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/enable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/users/{id}/roles",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/reset-password",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/unlock",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/users/{id}/reset-second-step",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/relationships",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/relationships",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/relationships/{id}/end",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/clients",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients/{id}/disable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/clients/{id}/enable",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/clients/{id}/scopes",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "PUT",
        "/t/{tenant}/api/v1/clients/{id}/keys",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/tokens",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/tokens",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 201)),
    ),
    (
        "DELETE",
        "/t/{tenant}/api/v1/tokens/{id}",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 204)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/break-glass",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass",
        Some((RECEPTIONIST, 403)),
        Some((DOCTOR, 201)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass/{id}/review",
        Some((DOCTOR, 403)),
        Some((AUDITOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/break-glass/{id}/end",
        Some((AUDITOR, 404)),
        Some((DOCTOR, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/patients/{id}/erase",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    orders("GET", "/t/{tenant}/api/v1/ordering/plan", 200),
    orders("PUT", "/t/{tenant}/api/v1/ordering/plan", 200),
    orders("GET", "/t/{tenant}/api/v1/ordering/dry-run", 200),
    orders("POST", "/t/{tenant}/api/v1/ordering/run", 200),
    orders("GET", "/t/{tenant}/api/v1/orders", 200),
    orders("POST", "/t/{tenant}/api/v1/orders", 404),
    orders("GET", "/t/{tenant}/api/v1/orders/{id}", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/approve", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/submit", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/cancel", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/report", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/status", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/receive", 404),
    orders("POST", "/t/{tenant}/api/v1/orders/{id}/close", 404),
    orders("GET", "/t/{tenant}/api/v1/partners", 200),
    orders("GET", "/t/{tenant}/api/v1/partners/{id}/catalogue", 404),
    orders("POST", "/t/{tenant}/api/v1/partners/{id}/catalogue", 404),
    partners("PUT", "/t/{tenant}/api/v1/partners/{id}", 422),
    partners("PUT", "/t/{tenant}/api/v1/partners/{id}/catalogue", 404),
    partners("GET", "/t/{tenant}/api/v1/partners/{id}/signing-key", 404),
    partners("POST", "/t/{tenant}/api/v1/partners/{id}/signing-key", 404),
    (
        "DELETE",
        "/t/{tenant}/fhir/{type}/{id}",
        Some((DOCTOR, 403)),
        Some((Who::Program, 204)),
    ),
    (
        "GET",
        "/operator/api/v1/tenants",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 200)),
    ),
    (
        "POST",
        "/operator/api/v1/tenants",
        Some((ADMINISTRATOR, 401)),
        Some((Who::InstanceOperator, 201)),
    ),
    of_operators("/operator/api/v1/tenants/{slug}/state"),
    of_operators("/operator/api/v1/tenants/{slug}/time-zone"),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$lookup", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$lookup", 400),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$validate-code", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$validate-code", 400),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/$subsumes", 400),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/$subsumes", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/$expand", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/$expand", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/$validate-code", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/$validate-code", 400),
    asks_terms("GET", "/t/{tenant}/fhir/ConceptMap/$translate", 400),
    asks_terms("POST", "/t/{tenant}/fhir/ConceptMap/$translate", 400),
    asks_terms(
        "GET",
        "/t/{tenant}/fhir/CodeSystem/{id}/$validate-code",
        404,
    ),
    asks_terms(
        "POST",
        "/t/{tenant}/fhir/CodeSystem/{id}/$validate-code",
        404,
    ),
    asks_terms("GET", "/t/{tenant}/fhir/CodeSystem/{id}/$subsumes", 404),
    asks_terms("POST", "/t/{tenant}/fhir/CodeSystem/{id}/$subsumes", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/{id}/$expand", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/{id}/$expand", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ValueSet/{id}/$validate-code", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ValueSet/{id}/$validate-code", 404),
    asks_terms("GET", "/t/{tenant}/fhir/ConceptMap/{id}/$translate", 404),
    asks_terms("POST", "/t/{tenant}/fhir/ConceptMap/{id}/$translate", 404),
    asks_terms("POST", "/t/{tenant}/fhir/$closure", 400),
    of_operators("/operator/api/v1/tenants/{slug}/references"),
    of_operators("/operator/api/v1/tenants/{slug}/deletions"),
    of_operators("/operator/api/v1/tenants/{slug}/validation"),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$events",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/$get-ws-binding-token",
        Some((DOCTOR, 400)),
        Some((Who::Program, 400)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/Subscription/{id}/$get-ws-binding-token",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 200)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$status",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$events",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/$get-ws-binding-token",
        Some((DOCTOR, 400)),
        Some((Who::Program, 400)),
    ),
    (
        "POST",
        "/t/{tenant}/fhir/Subscription/{id}/$get-ws-binding-token",
        Some((DOCTOR, 403)),
        Some((Who::Program, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/fhir/$subscriptions-websocket",
        None,
        Some((Who::Program, 400)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 200)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions/{id}/deliveries",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    (
        "POST",
        "/t/{tenant}/api/v1/subscriptions/{id}/replay",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    (
        "GET",
        "/t/{tenant}/api/v1/subscriptions/{id}/signing-key",
        Some((DOCTOR, 403)),
        Some((ADMINISTRATOR, 404)),
    ),
    ("POST", "/t/{tenant}/token", None, None),
    // Signed by the partner; who signs is nobody of the tenant.
    (
        "POST",
        "/t/{tenant}/api/v1/pharmacy/{partner}/events",
        Some((DOCTOR, 401)),
        Some((ADMINISTRATOR, 401)),
    ),
    ("GET", "/healthz", None, None),
    ("GET", "/readyz", None, None),
    ("GET", "/metrics", None, None),
];
