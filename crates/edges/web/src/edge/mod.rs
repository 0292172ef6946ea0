//! Routes and handlers: they read the request, call use-cases of `app`, and fill pages. Must not touch a
//! store and must not decide: a page shows what a use-case gave, and says so where one refused.

mod account;
mod answer;
mod audit;
mod audit_entry;
mod audit_export;
mod browse;
mod bulk;
mod clients;
mod conditions;
mod door;
mod emergency;
mod explained;
mod form;
mod found;
mod hook_log;
mod hooks;
mod house;
mod medicines;
mod names;
mod operator;
mod parameters;
mod patients;
mod placed;
mod plain;
mod public;
mod records;
mod subscribe;
mod subscriptions;
mod summary;
mod terms;
mod terms_ask;
mod today;
mod tools;
mod users;
mod validation;
mod visit;

pub use visit::SESSION_COOKIE;

use std::sync::Arc;

use app::App;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use kernel::ZoneName;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// The largest form, in bytes.
const FORM_BYTES: usize = 64 * 1024;

/// How the pages are told where and how they are reached.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Scheme and authority, such as `https://theriac.example.org`, without a trailing `/`; cookies are
    /// marked `Secure` where it begins with `https:`.
    pub public_url: String,
    /// Whether `X-Forwarded-For` comes from a proxy of ours.
    pub trust_forwarded: bool,
    /// The zone times are shown in where an organisation has none of its own.
    pub zone: ZoneName,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Web {
    app: App,
    settings: Arc<WebSettings>,
}

impl Web {
    fn secure(&self) -> bool {
        self.settings.public_url.starts_with("https:")
    }
}

/// Every page, with the public address taken from the use-cases' settings, and times in UTC where an
/// organisation has no zone of its own.
pub fn router(app: App) -> Router {
    let audience = &app.settings().token_audience;
    let public_url = audience.split("/t/").next().unwrap_or(audience).to_owned();
    router_with(
        app,
        WebSettings {
            public_url,
            trust_forwarded: false,
            zone: ZoneName::utc(),
        },
    )
}

/// Every page.
pub fn router_with(app: App, settings: WebSettings) -> Router {
    let web = Web {
        app,
        settings: Arc::new(settings),
    };
    Router::new()
        .route("/", get(public::root))
        .route("/assets/{fingerprint}/{name}", get(public::asset))
        .route("/help", get(public::help_outside))
        .route("/theme", post(public::theme_outside))
        .route("/sign-in", get(door::form).post(door::submit))
        .route(
            "/operator/sign-in",
            get(door::operator_form).post(door::operator_submit),
        )
        .route("/operator", get(public::with_slash))
        .route("/operator/", get(operator::tenants))
        .route("/t/{tenant}", get(public::with_slash))
        .route("/t/{tenant}/", get(today::page))
        .nest("/operator", signed_in().merge(instance()))
        .nest(
            "/t/{tenant}",
            signed_in().merge(tenant()).merge(medicines::routes()),
        )
        .fallback(public::missing)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn(answer::headers))
        .layer(CompressionLayer::new().gzip(true))
        .layer(CatchPanicLayer::new())
        .with_state(web)
}

/// What everybody who is signed in has.
fn signed_in() -> Router<Web> {
    Router::new()
        .route(
            "/sign-in/code",
            get(door::code_form).post(door::code_submit),
        )
        .route("/sign-out", post(door::sign_out))
        .route("/theme", post(public::theme))
        .route("/help", get(public::help))
        .route("/account", get(account::page))
        .route("/account/password", post(account::password))
        .route("/account/codes", post(account::begin_codes))
        .route("/account/codes/confirm", post(account::confirm_codes))
        .route("/health", get(house::health))
        .route("/users", get(users::list))
        .route("/users/new", get(users::new_form).post(users::create))
        .route("/users/{id}", get(users::edit_form).post(users::edit))
        .route("/users/{id}/{step}", post(users::step))
}

/// What an organisation has.
fn tenant() -> Router<Web> {
    Router::new()
        .route("/patients", get(patients::page))
        .route("/patients/{id}", get(summary::page))
        .route("/patients/{id}/audit", get(audit::about))
        .route("/records/{type}", get(records::list))
        .route("/records/{type}/{id}", get(records::page))
        .route("/records/{type}/{id}/history", get(records::history))
        .route("/audit", get(audit::page))
        .route("/audit/export", get(audit_export::export))
        .route("/audit/{log}/{index}", get(audit_entry::entry))
        .route("/branches", get(house::branches).post(house::create_branch))
        .route("/branches/{id}/{step}", post(house::branch_step))
        .route("/clients", get(clients::list))
        .route("/clients/new", get(clients::new_form).post(clients::create))
        .route("/clients/{id}/{step}", post(clients::client_step))
        .route(
            "/tokens/new",
            get(clients::token_form).post(clients::create_token),
        )
        .route("/tokens/{id}/revoke", post(clients::revoke))
        .route(
            "/break-glass",
            get(emergency::page).post(emergency::request),
        )
        .route("/tools", get(tools::home))
        .route("/tools/search", get(browse::page))
        .route(
            "/tools/validation",
            get(validation::form).post(validation::submit),
        )
        .route("/tools/bulk", get(bulk::page))
        .route("/tools/bulk/{id}", get(bulk::job).post(bulk::stop))
        .route("/tools/parameters", get(parameters::page))
        .route("/tools/terminology", get(terms::page))
        .route("/tools/terminology/system", get(terms::system))
        .route("/tools/terminology/set", get(terms::set))
        .route("/tools/terminology/code", get(terms::code))
        .route("/tools/terminology/check", get(terms_ask::check))
        .route("/tools/terminology/translate", get(terms_ask::translate))
        .route("/tools/subscriptions", get(subscriptions::page))
        .route(
            "/tools/subscriptions/new",
            get(subscribe::form).post(subscribe::create),
        )
        .route("/tools/subscriptions/{id}", get(subscriptions::one))
        .route("/tools/subscriptions/{id}/{step}", post(subscribe::step))
        .route("/cds-hooks", get(hooks::page).post(hooks::play))
        .route("/cds-hooks/switch", post(hooks::switched))
        .route("/cds-hooks/cards/{id}", get(hooks::card).post(hooks::told))
        .route("/cds-hooks/log", get(hook_log::page))
        .route(
            "/cds-hooks/log/{id}",
            get(hook_log::one).post(hook_log::again),
        )
        .route("/break-glass/{id}", get(emergency::grant))
        .route("/break-glass/{id}/end", post(emergency::end))
        .route("/break-glass/{id}/review", post(emergency::review))
}

/// What the instance has.
fn instance() -> Router<Web> {
    Router::new()
        .route(
            "/tenants/new",
            get(operator::new_form).post(operator::create),
        )
        .route(
            "/tenants/{slug}/{step}",
            get(operator::edit).post(operator::step),
        )
}

/// The last parameter of an address: the one a handler is about, wherever its routes are nested.
fn last(params: &[(String, String)]) -> &str {
    params.last().map_or("", |(_, value)| value)
}

/// A parameter of an address by its name.
fn named<'a>(params: &'a [(String, String)], name: &str) -> &'a str {
    params
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value)
}
