//! The route table: every route of this edge as data, from which the router is built. Tests walk the same
//! table, so that no route can be without its tests. Must not know what a route does.

use std::any::Any;
use std::collections::HashMap;
use std::pin::Pin;

use app::init::INSTANCE_SLUG;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use kernel::{Category, RequestId};
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

use crate::edge::{Arrival, Edge, EdgeError};
use crate::outcome::Failure;

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its method.
    pub method: &'static str,
    /// Its address, with `{name}` for parameters.
    pub path: &'static str,
    /// What it is called in metrics and logs.
    pub interaction: &'static str,
    handler: MethodRouter<Edge>,
}

impl Route {
    /// A route whose answer `work` makes, and whose failures `on_failure` shows.
    fn new<W, F>(
        (method, filter): (&'static str, MethodFilter),
        path: &'static str,
        interaction: &'static str,
        on_failure: fn(Failure) -> Response,
        work: W,
    ) -> Self
    where
        W: Fn(Arrival) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<Response, EdgeError>> + Send + 'static,
    {
        let handler = move |State(edge): State<Edge>, request: Request| async move {
            edge.run(interaction, request, on_failure, work).await
        };
        Self {
            method,
            path,
            interaction,
            handler: on(filter, handler),
        }
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $filter:ident;)*) => {
        impl Route {$(
            $(#[$doc])*
            pub fn $name<W, F>(
                path: &'static str,
                interaction: &'static str,
                on_failure: fn(Failure) -> Response,
                work: W,
            ) -> Self
            where
                W: Fn(Arrival) -> F + Copy + Send + Sync + 'static,
                F: Future<Output = Result<Response, EdgeError>> + Send + 'static,
            {
                let method = (stringify!($filter), MethodFilter::$filter);
                Self::new(method, path, interaction, on_failure, work)
            }
        )*}
    };
}

methods! {
    /// A route for GET (and HEAD).
    get GET;
    /// A route for POST.
    post POST;
    /// A route for PUT.
    put PUT;
    /// A route for PATCH.
    patch PATCH;
    /// A route for DELETE.
    delete DELETE;
    /// A route for OPTIONS: what a browser asks before it sends another origin's request.
    options OPTIONS;
}

/// A router of these routes, which answers every other method of their addresses, and the `unknown`
/// addresses, as `on_failure` shows failures.
pub fn router(
    routes: Vec<Route>,
    unknown: &[&'static str],
    on_failure: fn(Failure) -> Response,
) -> Router<Edge> {
    let other = move |work: Work| {
        move |State(edge): State<Edge>, request: Request| async move {
            edge.run("unknown", request, on_failure, work).await
        }
    };
    let router = routes.into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, route.handler)
    });
    let router = unknown.iter().fold(router, |router, path| {
        router.route(path, any(other(|arrival| Box::pin(no_address(arrival)))))
    });
    router
        .method_not_allowed_fallback(other(|arrival| Box::pin(no_method(arrival))))
        .layer(CatchPanicLayer::custom(OnPanic(on_failure)))
}

type Work = fn(Arrival) -> Pin<Box<dyn Future<Output = Result<Response, EdgeError>> + Send>>;

async fn no_address(mut arrival: Arrival) -> Result<Response, EdgeError> {
    signed_in(&mut arrival).await?;
    let text = "there is nothing at this address: see /api/openapi.json, or metadata for FHIR";
    Err(EdgeError::Address(Category::NotFound, text.to_owned()))
}

async fn no_method(mut arrival: Arrival) -> Result<Response, EdgeError> {
    signed_in(&mut arrival).await?;
    let text = "this interaction is not offered: see /api/openapi.json, or metadata for FHIR";
    Err(EdgeError::Address(Category::Unsupported, text.to_owned()))
}

// Whoever is not signed in learns nothing of what is offered.
async fn signed_in(arrival: &mut Arrival) -> Result<(), EdgeError> {
    let parameters: HashMap<String, String> = arrival.path().await?;
    let tenant = parameters
        .get("tenant")
        .map_or(INSTANCE_SLUG, String::as_str);
    arrival.caller(tenant).await?;
    Ok(())
}

/// Answers a panic in a handler as any other defect of ours.
#[derive(Debug, Clone, Copy)]
struct OnPanic(fn(Failure) -> Response);

impl ResponseForPanic for OnPanic {
    type ResponseBody = axum::body::Body;
    fn response_for_panic(&mut self, _: Box<dyn Any + Send + 'static>) -> Response {
        // What a panic says can hold patient data: it is not written down.
        tracing::error!("a handler panicked");
        let text = "something went wrong here: repeat, and tell support if it stays";
        let id = RequestId::from_uuid(uuid::Uuid::nil());
        (self.0)(Failure::new(Category::Fault, text, id))
    }
}
