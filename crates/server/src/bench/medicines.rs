//! Medicines as a nurse asks for them: the round of a home of sixty, a resident's page of medicines and the
//! chart of 28 days, through HTTP with a session of the nurse's own, one request at a time. Each look is
//! recorded like any other. Must not give doses: the record stays as it was loaded.

use std::sync::Arc;
use std::time::Duration;

use app::admin::{branches, tenants, tokens, users};
use app::context::{Advice, RequestContext};
use identity::{BranchKind, SystemTask, TokenOwner};
use kernel::{PurposeOfUse, RequestId};
use population::{Day, Population, Profile, Tenant};
use web_edge::SESSION_COOKIE;
use zeroize::Zeroizing;

use crate::bench::fixture::Fixture;
use crate::bench::load;
use crate::bench::measures::{Row, refused, row};
use crate::commands::{tenant, user};
use crate::failure::Failure;
use crate::import::Loader;
use crate::{console, tenancy, words};

/// Residents of the home.
const RESIDENTS: u32 = 60;
/// Days of doses before today.
const DAYS: u16 = 28;
/// Of the reference day, until when doses are recorded: noon.
const TODAY: u16 = 720;

/// A page: its name, the address after the tenant's for a resident, and what it should take.
type Page = (&'static str, fn(u32) -> String, &'static str);

const PAGES: [Page; 4] = [
    (
        "the round of all, as JSON",
        |_| "api/v1/rounds/now?ahead=720".to_owned(),
        "p50 20 ms",
    ),
    (
        "the round of all, as a page",
        |_| "medicines/round?ahead=720".to_owned(),
        "p50 50 ms",
    ),
    (
        "a resident's chart of 28 days, as a page",
        |resident| format!("patients/rh-p-{resident:04}/medicines/chart"),
        "p50 50 ms",
    ),
    (
        "a resident's medicines, checked, as a page",
        |resident| format!("patients/rh-p-{resident:04}/medicines"),
        "p50 50 ms",
    ),
];

/// Every page with one connection.
pub async fn medicines(fixture: &Fixture) -> Result<Vec<Row>, Failure> {
    let slug = Tenant::RosewoodHouse.slug();
    let nurse = home(fixture, slug).await?;
    let mut rows = Vec::with_capacity(PAGES.len());
    for (name, path, target) in PAGES {
        let ready: Vec<Vec<u8>> = (1..=RESIDENTS)
            .map(|resident| {
                let path = path(resident);
                let proof = if path.starts_with("api/") {
                    nurse.token.as_str()
                } else {
                    nurse.cookie.as_str()
                };
                format!(
                    "GET /t/{slug}/{path} HTTP/1.1\r\nHost: bench\r\n{proof}\r\nContent-Length: 0\r\n\r\n"
                )
                .into_bytes()
            })
            .collect();
        let make: load::MakeRequest = Arc::new(move |_, number| {
            let place = number as usize % ready.len().max(1);
            ready.get(place).cloned().unwrap_or_default()
        });
        let warm = Duration::from_millis(500).min(fixture.duration);
        let (address, clock) = (fixture.address, fixture.clock());
        load::run(address, 1, warm, Arc::clone(&clock), Arc::clone(&make)).await?;
        let measured = load::run(address, 1, fixture.duration, clock, make).await?;
        refused(&measured)?;
        let name = format!("{name}; {RESIDENTS} residents");
        rows.push(row(fixture, name, &measured, None, target));
    }
    Ok(rows)
}

/// How the nurse proves who asks: a header for pages, and one for the API.
struct Nurse {
    cookie: Zeroizing<String>,
    token: Zeroizing<String>,
}

/// Makes the home with its residents, and signs a nurse in who works in all of it.
async fn home(fixture: &Fixture, slug: &str) -> Result<Nurse, Failure> {
    let instance = &fixture.instance;
    let password = words::pass_phrase(&*instance.ids);
    let new = tenants::NewTenant {
        slug: slug.parse().map_err(Failure::of_id)?,
        name: Tenant::RosewoodHouse.name().to_owned(),
        placement: tenant::placement(instance, None)?,
        region: "on-premises".to_owned(),
        administrator: ("administrator".to_owned(), "Administrator".to_owned()),
        password: Some(Zeroizing::new(words::pass_phrase(&*instance.ids))),
    };
    let operator = console::operator(&instance.app)?;
    let made = tenants::create(&instance.app, &operator, new).await?;
    let zone = "Europe/London".parse();
    let zone = zone.map_err(|error| Failure::from_error(&error))?;
    tenants::set_time_zone(&instance.app, &operator, &made.tenant.slug, Some(zone)).await?;
    let id = made.tenant.id;
    let jobs = console::task(&instance.app, id, SystemTask::Jobs)?;
    let loader = Loader::new(instance.app.clone(), jobs);
    let profile = Profile {
        patients: RESIDENTS,
        months: 12,
        mar_days: DAYS,
        today: TODAY,
    };
    let day = Day::from_timestamp(instance.clock.now());
    let population = Population::new(Tenant::RosewoodHouse, 1, day, profile);
    for bundle in population.bundles() {
        loader.bundle(bundle.bytes).await?;
    }
    let setup = console::task(&instance.app, id, SystemTask::Setup)?;
    let mut wings = Vec::new();
    for branch in population::branches(Tenant::RosewoodHouse) {
        let new = branches::NewBranch {
            name: branch.name.to_owned(),
            kind: BranchKind::CareHome,
            organization: Some(branch.organization.parse().map_err(Failure::of_id)?),
        };
        branches::create(&instance.app, &setup, new).await?;
        wings.push(branch.name.to_owned());
    }
    let known = tenancy::branches(instance, id).await?;
    let new = users::NewUser {
        sign_in_name: "nurse".to_owned(),
        display_name: "Nurse".to_owned(),
        roles: user::assignments(&["nurse".to_owned()], &wings, &known)?,
        practitioner: None,
        patients: Vec::new(),
        password: Some(Zeroizing::new(password.clone())),
    };
    users::create(&instance.app, &setup, new).await?;
    sign_in(fixture, slug, Zeroizing::new(password)).await
}

async fn sign_in(
    fixture: &Fixture,
    slug: &str,
    password: Zeroizing<String>,
) -> Result<Nurse, Failure> {
    let instance = &fixture.instance;
    let context = RequestContext {
        id: RequestId::from_uuid(instance.ids.uuid()),
        client_address: None,
        received: instance.clock.now(),
        purpose: PurposeOfUse::Treatment,
        base: format!("http://localhost/t/{slug}/fhir").into(),
        idempotency: None,
        advice: Advice::default(),
    };
    let signed_in =
        app::sign_in::password::password(&instance.app, slug, "nurse", password, context).await?;
    let caller = &signed_in.caller;
    let new = tokens::NewToken {
        owner: TokenOwner::User(signed_in.session.user),
        name: "bench".to_owned(),
        scopes: None,
        days: 1,
    };
    let token = tokens::create(&instance.app, caller, new).await?;
    Ok(Nurse {
        cookie: Zeroizing::new(format!(
            "Cookie: {SESSION_COOKIE}={}",
            signed_in.cookie.as_str()
        )),
        token: Zeroizing::new(format!("Authorization: Bearer {}", token.text.as_str())),
    })
}
