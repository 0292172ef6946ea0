//! Terminology operations: CodeSystem `$lookup`, `$validate-code`, `$subsumes`; ValueSet `$expand`,
//! `$validate-code`; ConceptMap `$translate`; `$closure`. Each by GET and POST, of a type and, where R4
//! has it, of an instance.

use app::Caller;
use app::operations::input::Input;
use app::operations::terminology as operations;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::LogicalId;

use super::parameters::Parameters;
use crate::edge::{Arrival, EdgeError, logical_id};
use crate::fhir_routes::{failed, fhir};
use crate::negotiation::check_accept;
use crate::routing::Route;

/// The routes.
#[must_use]
pub fn table() -> Vec<Route> {
    [of_types(), of_instances()].concat()
}

macro_rules! both {
    ($routes:ident, $path:literal, $name:literal, $handler:ident) => {
        $routes.extend([
            Route::get(concat!("/t/{tenant}/fhir/", $path), $name, failed, $handler),
            Route::post(concat!("/t/{tenant}/fhir/", $path), $name, failed, $handler),
        ]);
    };
}

fn of_types() -> Vec<Route> {
    let mut routes = Vec::new();
    both!(routes, "CodeSystem/$lookup", "lookup", lookup);
    both!(
        routes,
        "CodeSystem/$validate-code",
        "validate-code",
        validate_in_system
    );
    both!(routes, "CodeSystem/$subsumes", "subsumes", subsumes);
    both!(routes, "ValueSet/$expand", "expand", expand);
    both!(
        routes,
        "ValueSet/$validate-code",
        "validate-code",
        validate_in_set
    );
    both!(routes, "ConceptMap/$translate", "translate", translate);
    routes.push(Route::post(
        "/t/{tenant}/fhir/$closure",
        "closure",
        failed,
        closure,
    ));
    routes
}

fn of_instances() -> Vec<Route> {
    let mut routes = Vec::new();
    both!(
        routes,
        "CodeSystem/{id}/$validate-code",
        "validate-code",
        validate_in_this_system
    );
    both!(
        routes,
        "CodeSystem/{id}/$subsumes",
        "subsumes",
        subsumes_in_this
    );
    both!(routes, "ValueSet/{id}/$expand", "expand", expand_this);
    both!(
        routes,
        "ValueSet/{id}/$validate-code",
        "validate-code",
        validate_in_this_set
    );
    both!(
        routes,
        "ConceptMap/{id}/$translate",
        "translate",
        translate_by_this
    );
    routes
}

/// Caller, instance and input of a request.
struct Asked {
    caller: Caller,
    id: Option<LogicalId>,
    input: Input,
}

async fn asked(arrival: &mut Arrival, of_instance: bool) -> Result<Asked, EdgeError> {
    let (tenant, id): (String, Option<String>) = if of_instance {
        let (tenant, id): (String, String) = arrival.path().await?;
        (tenant, Some(id))
    } else {
        (arrival.path().await?, None)
    };
    let caller = arrival.caller(&tenant).await?;
    let limit = arrival.app().settings().limits.resource_bytes;
    let parameters = Parameters::read(arrival, limit).await?;
    check_accept(arrival.headers(), parameters.text("_format").as_deref())?;
    Ok(Asked {
        caller,
        id: id.as_deref().map(logical_id).transpose()?,
        input: parameters.input(),
    })
}

fn shown(body: Vec<u8>) -> Response {
    fhir(StatusCode::OK, body)
}

async fn lookup(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let asked = asked(&mut arrival, false).await?;
    let body = operations::lookup::lookup(arrival.app(), &asked.caller, asked.input).await?;
    Ok(shown(body))
}

async fn closure(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let asked = asked(&mut arrival, false).await?;
    let body = operations::closure::closure(arrival.app(), &asked.caller, asked.input).await?;
    Ok(shown(body))
}

macro_rules! handlers {
    ($($of_type:ident, $of_instance:ident => $module:ident::$work:ident;)*) => {$(
        async fn $of_type(mut arrival: Arrival) -> Result<Response, EdgeError> {
            let asked = asked(&mut arrival, false).await?;
            let Asked { caller, id, input } = asked;
            let work = operations::$module::$work(arrival.app(), &caller, id.as_ref(), input);
            Ok(shown(work.await?))
        }

        async fn $of_instance(mut arrival: Arrival) -> Result<Response, EdgeError> {
            let asked = asked(&mut arrival, true).await?;
            let Asked { caller, id, input } = asked;
            let work = operations::$module::$work(arrival.app(), &caller, id.as_ref(), input);
            Ok(shown(work.await?))
        }
    )*};
}

handlers! {
    subsumes, subsumes_in_this => subsumes::subsumes;
    expand, expand_this => expand::expand;
    validate_in_set, validate_in_this_set => validate_code::in_set;
    validate_in_system, validate_in_this_system => validate_code::of_system;
    translate, translate_by_this => translate::translate;
}
