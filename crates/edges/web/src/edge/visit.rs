//! One request of somebody who is signed in: who, where, in which colours, and the checks every form
//! must pass. Must not decide what the person may do; use-cases do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use app::{AppError, Caller, RequestContext, SignInError};
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use identity::{Class, Interaction, Pending, Role, Session, permissions};
use kernel::{LogicalId, PurposeOfUse, RequestId};
use subtle::ConstantTimeEq as _;

use super::Web;
use super::answer::{self, redirect};
use super::form::{Form, own_path};
use crate::clinical::{When, Zone};
use crate::components::{Notice, Tone};
use crate::pages::{NavItem, Place, Shell, Theme};

/// The cookie of a session; its path keeps the organisations of one browser apart.
pub const SESSION_COOKIE: &str = "theriac_session";
/// The cookie that forms outside a session are compared with.
pub const FORM_COOKIE: &str = "theriac_form";
/// The cookie of the chosen colours.
pub const THEME_COOKIE: &str = "theriac_theme";
/// The instance's name where operators sign in.
pub const INSTANCE: &str = app::init::INSTANCE_SLUG;

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

/// The colours a browser asked for.
pub fn theme(headers: &HeaderMap) -> Theme {
    cookie(headers, THEME_COOKIE).map_or(Theme::System, Theme::named)
}

/// Where an organisation's pages lie.
pub fn base_of(slug: &str) -> String {
    if slug == INSTANCE {
        "/operator".to_owned()
    } else {
        format!("/t/{slug}")
    }
}

/// The context of a request.
pub fn context(web: &Web, parts: &Parts, slug: &str) -> RequestContext {
    RequestContext {
        id: RequestId::from_uuid(web.app.ids().uuid()),
        client_address: client_address(web, parts),
        received: web.app.now(),
        purpose: PurposeOfUse::Treatment,
        base: Arc::from(format!("{}/t/{slug}/fhir", web.settings.public_url)),
        idempotency: None,
        advice: Default::default(),
    }
}

/// The caller whose form is done once, however often it is sent.
pub fn once(caller: &Caller, key: &str) -> Caller {
    let context = RequestContext {
        idempotency: (!key.is_empty()).then(|| key.to_owned()),
        ..(*caller.context).clone()
    };
    Caller {
        context: context.into(),
        ..caller.clone()
    }
}

fn client_address(web: &Web, parts: &Parts) -> Option<IpAddr> {
    let forwarded = web.settings.trust_forwarded.then(|| {
        let header = parts.headers.get("x-forwarded-for")?.to_str().ok()?;
        // The right-most address is the one our own proxy saw.
        header.rsplit(',').next()?.trim().parse().ok()
    });
    forwarded.flatten().or_else(|| {
        parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0.ip())
    })
}

/// Whether the browser says that a form came from our own pages: by `Sec-Fetch-Site`, else by `Origin`.
/// Old browsers send neither; the token decides for them.
pub fn from_our_pages(web: &Web, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text("origin"), text("host")) {
        (Some(origin), host) => {
            let ours = host.is_some_and(|host| {
                origin
                    .split_once("://")
                    .is_some_and(|(_, named)| named == host)
            });
            ours || origin == web.settings.public_url
        }
        (None, _) => true,
    }
}

/// Whether a token of a form outside a session is the one of the cookie.
pub fn outside_token_is_right(headers: &HeaderMap, token: &str) -> bool {
    cookie(headers, FORM_COOKIE).is_some_and(|known| {
        known.len() >= 32 && bool::from(known.as_bytes().ct_eq(token.as_bytes()))
    })
}

/// A visit of a signed-in person.
pub struct Visit {
    pub web: Web,
    pub caller: Caller,
    pub session: Arc<Session>,
    pub slug: String,
    pub base: String,
    pub query: Form,
    pub path: String,
    pub cookie: String,
    pub parts: Parts,
    zone: Zone,
}

/// The organisation an address names; none names the instance.
async fn slug_of(parts: &mut Parts, web: &Web) -> String {
    let params = RawPathParams::from_request_parts(parts, web).await.ok();
    let named = params.and_then(|params| {
        let tenant = params.iter().find(|(name, _)| *name == "tenant");
        tenant.map(|(_, slug)| slug.to_owned())
    });
    named.unwrap_or_else(|| INSTANCE.to_owned())
}

impl FromRequestParts<Web> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Response> {
        let slug = slug_of(parts, web).await;
        Self::enter(parts, web, slug).await
    }
}

/// To where one signs in, and back afterwards.
fn to_door(parts: &Parts, slug: &str, back: &str) -> Response {
    let door = if slug == INSTANCE {
        "/operator/sign-in"
    } else {
        "/sign-in"
    };
    // Who has a session cookie was signed in here before.
    let known = cookie(&parts.headers, SESSION_COOKIE).is_some();
    let ended = known.then_some(("ended", "1"));
    let query = [("next", back)].into_iter().chain(ended);
    redirect(&format!(
        "{door}?{}",
        app::record::query_string::print(query)
    ))
}

impl Visit {
    /// The visit of a request to an organisation's pages; else where the person must go first.
    pub async fn enter(parts: &Parts, web: &Web, slug: String) -> Result<Self, Response> {
        let original = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map(|uri| uri.0.clone());
        let uri = original.unwrap_or_else(|| parts.uri.clone());
        let back = uri.path_and_query().map_or("/", |path| path.as_str());
        // The instance has its own pages; below `/t/` it is as missing as any other name.
        let text = cookie(&parts.headers, SESSION_COOKIE)
            .filter(|_| slug != INSTANCE || !uri.path().starts_with("/t/"));
        let Some(text) = text.map(str::to_owned) else {
            return Err(to_door(parts, &slug, back));
        };
        let context = context(web, parts, &slug);
        let id = context.id;
        let found = match app::sign_in::session(&web.app, &slug, &text, context).await {
            Ok(found) => found,
            // A missing organisation and a session that is not one of its own look the same.
            Err(AppError::SignIn(_) | AppError::NotFound { .. }) => {
                return Err(to_door(parts, &slug, back));
            }
            Err(error) => {
                let shell = Shell::outside("", theme(&parts.headers), "", "/");
                let id = id.to_string();
                return Err(answer::error_page(shell, &error, id, Vec::new()));
            }
        };
        let named = found.caller.tenant.time_zone.as_ref();
        let visit = Self {
            web: web.clone(),
            zone: Zone::of(named.unwrap_or(&web.settings.zone)),
            caller: found.caller,
            session: found.session,
            base: base_of(&slug),
            slug,
            query: Form::parse(uri.query().unwrap_or_default()),
            path: uri.path().to_owned(),
            cookie: text,
            parts: parts.clone(),
        };
        match visit.must_go() {
            Some(first) => Err(redirect(&first)),
            None => Ok(visit),
        }
    }
}

impl Visit {
    /// Where somebody must go first who has something else to do before this page.
    fn must_go(&self) -> Option<String> {
        let allowed: &[&str] = match self.caller.subject.pending()? {
            Pending::SecondStep => &["/sign-in/code", "/sign-out", "/theme", "/help"],
            Pending::PasswordChange => &[
                "/account",
                "/account/password",
                "/sign-out",
                "/theme",
                "/help",
            ],
        };
        let below = self.path.strip_prefix(&self.base).unwrap_or_default();
        let first = allowed.first().copied().unwrap_or_default();
        (!allowed.contains(&below)).then(|| self.href(first))
    }

    /// The use-cases.
    pub fn app(&self) -> &app::App {
        &self.web.app
    }
    /// The zone of this page's times: the organisation's, else the instance's.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
    /// The request's id.
    pub fn id(&self) -> String {
        self.caller.context.id.to_string()
    }
    /// An address below the organisation's.
    pub fn href(&self, below: &str) -> String {
        format!("{}{below}", self.base)
    }
    /// Whether a role of the person may do an operation: for offering links, never for deciding.
    pub fn offers(&self, operation: Interaction) -> bool {
        self.caller
            .subject
            .standings()
            .iter()
            .any(|standing| permissions::may_operate(standing.role, operation))
    }
    /// Whether a role of the person may do something with resources of a class, within its reach: for
    /// offering links, never for deciding.
    pub fn may(&self, interaction: Interaction, class: Class) -> bool {
        self.caller
            .subject
            .standings()
            .iter()
            .any(|standing| permissions::cell(standing.role, class).contains(interaction))
    }
    /// Whether the person holds a role.
    pub fn is(&self, role: Role) -> bool {
        self.caller.subject.has_role(role)
    }
    /// Whether a role of the person shows clinical content.
    pub fn is_clinical(&self) -> bool {
        [
            Role::Doctor,
            Role::Nurse,
            Role::Carer,
            Role::Pharmacist,
            Role::Patient,
        ]
        .into_iter()
        .any(|role| self.is(role))
    }
    /// The token of this page's forms.
    pub fn csrf(&self) -> String {
        app::sign_in::form_token(self.app(), &self.session)
    }
    /// The caller for a page about one patient: with emergency access in force, that is its purpose.
    pub fn about(&self, patient: &LogicalId) -> Caller {
        let usual = if self.is(Role::Patient) {
            PurposeOfUse::PatientRequest
        } else {
            self.caller.context.purpose
        };
        let purpose = self
            .caller
            .subject
            .purpose_for(patient, usual, self.web.app.now());
        self.with_purpose(purpose)
    }
    /// The caller with another purpose.
    pub fn with_purpose(&self, purpose: PurposeOfUse) -> Caller {
        let context = RequestContext {
            purpose,
            ..(*self.caller.context).clone()
        };
        Caller {
            context: Arc::new(context),
            ..self.caller.clone()
        }
    }

    /// The shell of a page.
    pub fn shell(&self, title: &str) -> Shell {
        let actor = self.caller.subject.actor();
        let pending = self.caller.subject.pending().is_some();
        let mut shell = Shell {
            title: title.to_owned(),
            place: (self.caller.subject.pending() != Some(Pending::SecondStep)).then(|| Place {
                tenant: if self.slug == INSTANCE {
                    "This instance".to_owned()
                } else {
                    self.caller.tenant.name.clone()
                },
                branch: None,
                user: actor.name.clone(),
                role: self.roles(),
                base: self.base.clone(),
                emergency: None,
                made: When::at(self.app().now(), self.zone()).text,
                zone: self.zone().words_at(self.app().now()),
            }),
            nav: if pending { Vec::new() } else { self.nav() },
            theme: theme(&self.parts.headers),
            csrf: self.csrf(),
            notices: Vec::new(),
            here: self
                .parts
                .uri
                .path_and_query()
                .and_then(|path| own_path(path.as_str()))
                .map_or_else(
                    || self.path.clone(),
                    |_| {
                        format!(
                            "{}{}",
                            self.path,
                            self.parts
                                .uri
                                .query()
                                .map(|query| format!("?{query}"))
                                .unwrap_or_default()
                        )
                    },
                ),
            theme_action: self.href("/theme"),
            idle_minutes: (self.app().settings().session.idle_s / 60)
                .try_into()
                .unwrap_or(0),
        };
        shell.notices.extend(self.done());
        shell
    }

    /// The shell of a page about a patient, with emergency access in force said on it.
    pub fn shell_about(&self, title: &str, patient: &LogicalId) -> Shell {
        let mut shell = self.shell(title);
        let grant = self
            .caller
            .subject
            .emergency_grant(patient, self.app().now());
        if let (Some(place), Some(grant)) = (&mut shell.place, grant)
            && let Some(until) = grant.until
        {
            let end = self.href(&format!("/break-glass/{}/end", grant.id));
            place.emergency = Some((When::time_of_day(until, self.zone()).text, end));
        }
        shell
    }

    fn roles(&self) -> String {
        let roles: Vec<String> = self
            .caller
            .subject
            .standings()
            .iter()
            .map(|standing| crate::clinical::code::words(standing.role.as_str()))
            .collect();
        roles.join(", ")
    }

    /// What was done before this page was shown, by a word in its address; the words are ours.
    fn done(&self) -> Option<Notice> {
        let text = match self.query.text("done") {
            "saved" => "Saved.",
            "password" => "Your password was changed. Your other sessions were ended.",
            "disabled" => "The user was suspended and signed out everywhere.",
            "enabled" => "The user may sign in again.",
            "unlocked" => "The lock was lifted.",
            "codes-reset" => "One-time codes were switched off for this user.",
            "revoked" => "The token was revoked. It stops working at once.",
            "reviewed" => "The review was recorded.",
            "ended" => "Your emergency access has ended.",
            "prescribed" => "The medicine was prescribed.",
            "waits" => {
                "The order waits for a second person. It is not to be given until that person signs."
            }
            "signed" => "The order was signed and is in force.",
            "stopped" => "The order was stopped. Nothing of it is due any more.",
            "held" => "The order is held. Nothing of it is due until it is resumed.",
            "resumed" => "The order is in force again.",
            "renewed" => "The order was renewed.",
            _ => return None,
        };
        Some(Notice::new(Tone::Good, "Done", text))
    }

    fn nav(&self) -> Vec<NavItem> {
        let mut nav = Vec::new();
        let mut add = |label: &'static str, below: &str| {
            let href = self.href(below);
            let current = if below == "/" {
                self.path == href
            } else {
                self.path == href || self.path.starts_with(&format!("{href}/"))
            };
            nav.push(NavItem {
                label,
                href,
                current,
            });
        };
        if self.slug == INSTANCE {
            add("Tenants", "/");
            add("Operators", "/users");
            add("Health", "/health");
            return nav;
        }
        add("Today", "/");
        if self.is_clinical() || self.is(Role::Receptionist) {
            add("Patients", "/patients");
        }
        if self.is_clinical() {
            add("Medicines", "/medicines");
        }
        for (label, below, operation) in [
            ("Emergency access", "/break-glass", Interaction::BreakGlass),
            (
                "Emergency access",
                "/break-glass",
                Interaction::ReviewBreakGlass,
            ),
            ("Audit", "/audit", Interaction::ViewAudit),
            ("Users", "/users", Interaction::ManageUsers),
            ("Branches", "/branches", Interaction::ManageBranches),
            ("API clients", "/clients", Interaction::ManageClients),
        ] {
            if self.offers(operation) {
                add(label, below);
            }
        }
        if super::tools::are_offered(self) {
            add("Record tools", super::tools::HOME);
        }
        if self.offers(Interaction::ViewHealth) {
            add("Health", "/health");
        }
        nav.dedup_by(|a, b| a.label == b.label);
        nav
    }

    /// The answer of a handler: its page, or its error as a page.
    pub fn answer(&self, result: Result<Response, AppError>) -> Response {
        match result {
            Ok(response) => response,
            Err(AppError::SignIn(SignInError::Session)) => redirect(&format!("{}/", self.base)),
            Err(error) => {
                let mut ways = vec![(self.href("/"), "Go to the first page".to_owned())];
                if matches!(error, AppError::Denied { .. } | AppError::NotFound { .. })
                    && self.caller.subject.may_break_glass()
                {
                    // Offered for existing and missing patients alike.
                    ways.push((self.href("/break-glass"), "Emergency access".to_owned()));
                }
                answer::error_page(self.shell(""), &error, self.id(), ways)
            }
        }
    }

    /// Reads a form and checks that it is one of ours.
    pub fn form(&self, body: &str) -> Result<Form, AppError> {
        let form = Form::parse(body);
        if !from_our_pages(&self.web, &self.parts.headers) {
            return Err(SignInError::Forgery.into());
        }
        app::sign_in::check_form(&self.session, form.text("csrf"))?;
        Ok(form)
    }
}
