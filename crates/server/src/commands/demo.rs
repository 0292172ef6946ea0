//! `theriac demo`: an embedded instance in a folder with two synthetic organisations, loaded through the
//! bundle use-case, and then served. A second start finds everything there; one that was killed while
//! loading goes on where it stopped. With `--scenario` a story is played instead.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use app::admin::{branches, clients, tokens, users};
use app::init::{self, NewOperator};
use futures_util::StreamExt as _;
use identity::{BranchKind, SystemTask, TokenOwner};
use kernel::Category;
use population::{Day, Population, Profile};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::{Demo, Format, Global};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::import::Loader;
use crate::output::Printer;
use crate::scenario::{self, House, Scenario, Town};
use crate::wiring::{self, Instance, Opening};
use crate::{console, logging, tenancy, words};

/// Bundles in flight while loading.
const IN_FLIGHT: usize = 8;
/// The file of sign-ins in the demo's folder.
const NOTES: &str = "demo.json";

/// What the second start needs to print what the first one printed.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Notes {
    seed: u64,
    /// The day that the population is seen on: days since 1970-01-01.
    reference_ms: i64,
    operator: String,
    /// Passwords by `tenant/sign-in`.
    passwords: BTreeMap<String, String>,
    /// Tokens by tenant.
    tokens: BTreeMap<String, String>,
    /// Tenants whose population is in.
    loaded: Vec<String>,
    /// Whether the care home has what is no part of its record: stock, register, orders.
    #[serde(default)]
    furnished: bool,
}

/// Runs it.
pub async fn run(global: &Global, arguments: &Demo, printer: Printer) -> Result<u8, Failure> {
    let config = config(global, arguments)?;
    logging::begin(&config)?;
    let folder = config.data_folder();
    std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    if let Some(scenario) = arguments.scenario {
        return play(&config, arguments, (scenario, &folder), printer).await;
    }
    let listener = if arguments.load_only {
        None
    } else {
        Some(super::serve::listen(&arguments.listen).await?)
    };
    let town = Town::open().await?;
    // Whoever lets the demo reach other places looks after the pharmacy themselves.
    let mut config = config;
    let own = config.is_default("egress.allow");
    if own {
        town.reachable(&mut config)?;
    }
    let instance = wiring::open(&config, Opening::OrNew).await?;
    let town = own.then_some(&town);
    let prepared = prepare(&instance, arguments, (&folder, town), printer).await;
    let (notes, listener) = match (prepared, listener) {
        (Ok(notes), Some(listener)) => (notes, listener),
        (prepared, _) => {
            wiring::close(&instance).await;
            print(&prepared?, &wiring::public_url(&config), &folder, printer);
            return Ok(0);
        }
    };
    let url = super::serve::shown_url(&instance, &listener);
    print(&notes, &url, &folder, printer);
    super::serve::until_asked(&instance, listener).await?;
    Ok(0)
}

/// Plays a scenario in the care home. Its residents come with the story: of a new folder no others are
/// loaded.
async fn play(
    config: &Config,
    arguments: &Demo,
    (scenario, folder): (Scenario, &Path),
    printer: Printer,
) -> Result<u8, Failure> {
    let tenant = population::Tenant::RosewoodHouse;
    let town = Town::open().await?;
    let mut config = config.clone();
    town.reachable(&mut config)?;
    let instance = wiring::open(&config, Opening::OrNew).await?;
    let played = async {
        town.consulted_by(&instance)?;
        let notes = begin(&instance, arguments, folder).await?;
        let id = ensure_tenant(&instance, tenant, &notes).await?;
        if !notes.loaded.iter().any(|slug| slug == tenant.slug()) {
            let caller = console::task(&instance.app, id, SystemTask::Jobs)?;
            let loader = Loader::new(instance.app.clone(), caller);
            load_one(&loader, Arc::new(population(tenant, &notes)), 0).await?;
            ensure_people(&instance, tenant, id, &notes).await?;
        }
        let passwords = |name: &str| password(&notes, tenant, name);
        let house = House {
            instance: &instance,
            slug: tenant.slug(),
            folder,
            passwords: &passwords,
            begun: instance.clock.now(),
            town: &town,
        };
        scenario::play(house, scenario, printer).await
    };
    let played = played.await;
    wiring::close(&instance).await;
    played
}

fn config(global: &Global, arguments: &Demo) -> Result<Config, Failure> {
    let mut config = super::config(global)?;
    let folder = arguments.folder.clone().or_else(|| global.data.clone());
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().join("theriac-demo"));
    let flag = |config: &mut Config, key: &str, value: String| {
        config.set(key, value, Origin::Flag("demo"))
    };
    flag(&mut config, "data.folder", folder.display().to_string())?;
    flag(&mut config, "http.listen", arguments.listen.clone())?;
    if global.config.is_none() {
        // People read what a demo prints.
        flag(&mut config, "log.format", "text".to_owned())?;
        flag(&mut config, "log.level", "warn".to_owned())?;
    }
    Ok(config)
}

/// An instance with its operator, and the notes of it.
async fn begin(instance: &Instance, arguments: &Demo, folder: &Path) -> Result<Notes, Failure> {
    let path = folder.join(NOTES);
    let mut notes = read_notes(&path)?.unwrap_or_else(|| Notes {
        seed: arguments.seed,
        reference_ms: instance.clock.now().as_millis(),
        operator: words::pass_phrase(&*instance.ids),
        ..Notes::default()
    });
    if notes.seed != arguments.seed && arguments.seed != 1 {
        let text = format!(
            "{} holds the population of seed {}: choose another --folder",
            folder.display(),
            notes.seed
        );
        return Err(Failure::new(Category::Conflict, text));
    }
    // Passwords are written down before they are set, so that a killed start never loses one.
    for tenant in population::Tenant::ALL {
        let names = population::staff(tenant).map(|person| person.sign_in);
        for name in names.chain(["administrator"]) {
            let key = format!("{}/{name}", tenant.slug());
            notes
                .passwords
                .entry(key)
                .or_insert_with(|| words::pass_phrase(&*instance.ids));
        }
    }
    write_notes(&path, &notes)?;
    if !init::is_initialised(&instance.app).await? {
        let operator = NewOperator {
            sign_in_name: "operator".to_owned(),
            display_name: "Operator".to_owned(),
            password: Some(Zeroizing::new(notes.operator.clone())),
        };
        init::instance(&instance.app, operator).await?;
    }
    Ok(notes)
}

async fn prepare(
    instance: &Instance,
    arguments: &Demo,
    (folder, town): (&Path, Option<&Town>),
    printer: Printer,
) -> Result<Notes, Failure> {
    let mut notes = begin(instance, arguments, folder).await?;
    let path = folder.join(NOTES);
    for tenant in population::Tenant::ALL {
        if notes.loaded.iter().any(|slug| slug == tenant.slug()) {
            continue;
        }
        let id = ensure_tenant(instance, tenant, &notes).await?;
        load(instance, tenant, id, &notes, printer).await?;
        ensure_people(instance, tenant, id, &notes).await?;
        ensure_client(instance, tenant, id, &mut notes).await?;
        notes.loaded.push(tenant.slug().to_owned());
        write_notes(&path, &notes)?;
    }
    if let Some(town) = town {
        // The record is there whatever becomes of the rest, which is tried again at the next start.
        if let Err(failure) = furnish(instance, (&mut notes, folder), town, printer).await {
            tracing::warn!(?failure, "the care home could not be furnished");
        }
        write_notes(&path, &notes)?;
    }
    Ok(notes)
}

/// What the care home has beside its record; the pharmacy is where it is today.
async fn furnish(
    instance: &Instance,
    (notes, folder): (&mut Notes, &Path),
    town: &Town,
    printer: Printer,
) -> Result<(), Failure> {
    let tenant = population::Tenant::RosewoodHouse;
    let passwords = |name: &str| password(notes, tenant, name);
    let house = House {
        instance,
        slug: tenant.slug(),
        folder,
        passwords: &passwords,
        begun: kernel::Timestamp::from_millis(notes.reference_ms),
        town,
    };
    if notes.furnished {
        return scenario::settle(house).await;
    }
    let id = ensure_tenant(instance, tenant, notes).await?;
    let residents = Arc::new(population(tenant, notes));
    scenario::furnish(house, (id, residents), printer).await?;
    notes.furnished = true;
    Ok(())
}

fn read_notes(path: &Path) -> Result<Option<Notes>, Failure> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(path, &error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::new(
            Category::Altered,
            format!(
                "{} cannot be read ({error}): remove the demo's folder",
                path.display()
            ),
        )
    })
}

fn write_notes(path: &Path, notes: &Notes) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let folder = path.parent().unwrap_or(path);
    // Made with mode 0600 and renamed: a reader sees the old notes or the new ones.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    let text = serde_json::to_vec_pretty(notes)
        .map_err(|error| Failure::new(Category::Fault, error.to_string()))?;
    std::io::Write::write_all(&mut file, &text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn password(notes: &Notes, tenant: population::Tenant, name: &str) -> Option<Zeroizing<String>> {
    notes
        .passwords
        .get(&format!("{}/{name}", tenant.slug()))
        .cloned()
        .map(Zeroizing::new)
}

async fn ensure_tenant(
    instance: &Instance,
    tenant: population::Tenant,
    notes: &Notes,
) -> Result<kernel::TenantId, Failure> {
    let known = tenancy::tenants(instance).await?;
    if let Some(found) = known
        .iter()
        .find(|known| known.slug.as_str() == tenant.slug())
    {
        return Ok(found.id);
    }
    let new = app::admin::tenants::NewTenant {
        slug: tenant.slug().parse().map_err(Failure::of_id)?,
        name: tenant.name().to_owned(),
        placement: super::tenant::placement(instance, None)?,
        region: "on-premises".to_owned(),
        administrator: ("administrator".to_owned(), "Administrator".to_owned()),
        password: password(notes, tenant, "administrator"),
    };
    let caller = console::operator(&instance.app)?;
    let made = app::admin::tenants::create(&instance.app, &caller, new).await?;
    let zone = match tenant {
        population::Tenant::RosewoodHouse => "Europe/London",
        population::Tenant::HarbourClinic => "Asia/Kolkata",
    };
    let zone = zone.parse().map_err(|error| Failure::from_error(&error))?;
    let slug = made.tenant.slug;
    app::admin::tenants::set_time_zone(&instance.app, &caller, &slug, Some(zone)).await?;
    Ok(made.tenant.id)
}

fn population(tenant: population::Tenant, notes: &Notes) -> Population {
    let begun = kernel::Timestamp::from_millis(notes.reference_ms);
    let day = Day::from_timestamp(begun);
    // The rounds of the day on which the demo begins have been gone as far as they are due.
    let midnight = begun.as_millis().rem_euclid(86_400_000) / 60_000;
    let profile = Profile {
        today: u16::try_from(midnight).unwrap_or(0),
        ..tenant.profile()
    };
    Population::new(tenant, notes.seed, day, profile)
}

async fn load(
    instance: &Instance,
    tenant: population::Tenant,
    id: kernel::TenantId,
    notes: &Notes,
    printer: Printer,
) -> Result<(), Failure> {
    let population = Arc::new(population(tenant, notes));
    let caller = console::task(&instance.app, id, SystemTask::Jobs)?;
    let loader = Loader::new(instance.app.clone(), caller);
    let mut progress = printer.progress(
        tenant.name(),
        u64::from(population.len()),
        Arc::clone(&instance.clock),
    );
    // The establishment first: everything else refers to it.
    load_one(&loader, Arc::clone(&population), 0).await?;
    progress.advance(1);
    let numbers = 1..population.len();
    let mut done = futures_util::stream::iter(
        numbers.map(|number| load_one(&loader, Arc::clone(&population), number)),
    )
    .buffer_unordered(IN_FLIGHT);
    while let Some(outcome) = done.next().await {
        outcome?;
        progress.advance(1);
    }
    progress.finish();
    Ok(())
}

async fn load_one(
    loader: &Loader,
    population: Arc<Population>,
    number: u32,
) -> Result<(), Failure> {
    let made = tokio::task::spawn_blocking(move || population.bundle(number)).await;
    let Ok(Some(bundle)) = made else {
        return Err(Failure::new(
            Category::Fault,
            format!("bundle {number} of the population could not be made"),
        ));
    };
    loader.bundle(bundle.bytes).await?;
    Ok(())
}

async fn ensure_people(
    instance: &Instance,
    tenant: population::Tenant,
    id: kernel::TenantId,
    notes: &Notes,
) -> Result<(), Failure> {
    let caller = console::task(&instance.app, id, SystemTask::Setup)?;
    let known = tenancy::branches(instance, id).await?;
    for branch in population::branches(tenant) {
        if known.iter().any(|known| known.name == branch.name) {
            continue;
        }
        let kind = match tenant {
            population::Tenant::RosewoodHouse => BranchKind::CareHome,
            population::Tenant::HarbourClinic => BranchKind::Clinic,
        };
        let organization = Some(branch.organization.parse().map_err(Failure::of_id)?);
        let new = branches::NewBranch {
            name: branch.name.to_owned(),
            kind,
            organization,
        };
        branches::create(&instance.app, &caller, new).await?;
    }
    let known = tenancy::branches(instance, id).await?;
    let there = users::list(&instance.app, &caller).await?;
    for person in population::staff(tenant) {
        if there
            .iter()
            .any(|user| user.sign_in_name.as_str() == person.sign_in)
        {
            continue;
        }
        let roles = roles_of(tenant, person, &known)?;
        let new = users::NewUser {
            sign_in_name: person.sign_in.to_owned(),
            display_name: person.display_name.to_owned(),
            roles,
            practitioner: Some(person.practitioner.parse().map_err(Failure::of_id)?),
            patients: Vec::new(),
            password: password(notes, tenant, person.sign_in),
        };
        users::create(&instance.app, &caller, new).await?;
    }
    Ok(())
}

// Somebody who works at every branch is not bound to branches, where the role reaches the tenant by itself.
fn roles_of(
    tenant: population::Tenant,
    person: &population::Staff,
    known: &[identity::Branch],
) -> Result<Vec<identity::RoleAssignment>, Failure> {
    let role: identity::Role = person.role.parse()?;
    let everywhere = person.branches.len() == population::branches(tenant).len();
    let whole = everywhere && role.default_reach() == identity::role::DefaultReach::Tenant;
    let names: Vec<String> = if whole {
        Vec::new()
    } else {
        person
            .branches
            .iter()
            .map(|name| (*name).to_owned())
            .collect()
    };
    super::user::assignments(&[person.role.to_owned()], &names, known)
}

async fn ensure_client(
    instance: &Instance,
    tenant: population::Tenant,
    id: kernel::TenantId,
    notes: &mut Notes,
) -> Result<(), Failure> {
    const NAME: &str = "Demo integration";
    let caller = console::task(&instance.app, id, SystemTask::Setup)?;
    let known = clients::list(&instance.app, &caller).await?;
    let found = known.into_iter().find(|client| client.name == NAME);
    let client = if let Some(client) = found {
        client
    } else {
        let scope = super::client::scope("*.*")?;
        let new = super::client::integration(NAME, vec![scope], Vec::new());
        clients::create(&instance.app, &caller, new).await?
    };
    let new = tokens::NewToken {
        owner: TokenOwner::Client(client.id),
        name: "Printed by theriac demo".to_owned(),
        scopes: None,
        days: 730,
    };
    let made = tokens::create(&instance.app, &caller, new).await?;
    notes
        .tokens
        .insert(tenant.slug().to_owned(), made.text.as_str().to_owned());
    Ok(())
}

fn print(notes: &Notes, url: &str, folder: &Path, printer: Printer) {
    let mut rows = vec![vec![
        "instance".to_owned(),
        "operator".to_owned(),
        "operator".to_owned(),
        notes.operator.clone(),
    ]];
    for tenant in population::Tenant::ALL {
        for person in population::staff(tenant) {
            let password = password(notes, tenant, person.sign_in).unwrap_or_default();
            rows.push(vec![
                tenant.slug().to_owned(),
                person.sign_in.to_owned(),
                format!("{} ({})", person.role, person.branches.join(", ")),
                password.as_str().to_owned(),
            ]);
        }
    }
    if printer.format() == Format::Json {
        let people: Vec<_> = rows
            .iter()
            .map(|row| json!({ "tenant": row.first(), "sign_in": row.get(1), "role": row.get(2), "password": row.get(3) }))
            .collect();
        printer.object(&json!({ "url": url, "folder": folder.display().to_string(), "sign_ins": people, "tokens": notes.tokens }));
        return;
    }
    printer.rows(&["tenant", "sign-in", "role", "password"], &rows);
    printer.text(&format!(
        "\nTheriac serves synthetic people. Sign in at {url}/sign-in"
    ));
    for (slug, token) in &notes.tokens {
        printer.text(&format!("\nAs a program, in {slug}:\n  curl -H 'Authorization: Bearer {token}' '{url}/t/{slug}/fhir/Patient?_count=3'"));
    }
    printer.text(&format!(
        "\nData is kept in {}; Ctrl-C stops.",
        folder.display()
    ));
}
