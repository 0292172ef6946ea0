//! What the measures share: an instance in a temporary folder, a tenant, a client's token, the server on
//! loopback. Must not measure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::admin::{clients, tenants, tokens};
use app::init::{self, NewOperator};
use identity::{SystemTask, TokenOwner};
use kernel::{Clock, TenantId};
use population::{Day, Population, Profile, Tenant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::cli::Bench;
use crate::commands::{client, serve, tenant};
use crate::config::Config;
use crate::failure::Failure;
use crate::import::Loader;
use crate::serving::{self, Bounds};
use crate::wiring::{self, Instance, Opening};
use crate::{console, words};

/// Resources of a patient of the synthetic clinic, roughly: how many patients to make for a size.
const OF_A_PATIENT: u64 = 75;

/// A running instance to be measured.
pub struct Fixture {
    /// The instance.
    pub instance: Instance,
    /// The name of its store, for rows.
    pub store: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The tenant's name in addresses.
    pub slug: &'static str,
    /// The tenant.
    pub tenant: TenantId,
    /// A client's token.
    pub token: String,
    /// A folder for ceilings.
    pub scratch: PathBuf,
    /// How long a measurement lasts.
    pub duration: Duration,
    /// Connections of the load generator.
    pub connections: usize,
    /// Patients loaded: 1 to this.
    pub patients: u32,
    /// Resources loaded.
    pub loaded: u64,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Fixture {
    /// Makes everything.
    pub async fn open(
        config: &Config,
        folder: &Path,
        arguments: &Bench,
        store: &'static str,
    ) -> Result<Self, Failure> {
        let slug = "bench";
        let instance = wiring::open(config, Opening::OrNew).await?;
        let password = || Some(Zeroizing::new(words::pass_phrase(&*instance.ids)));
        let operator = NewOperator {
            sign_in_name: "operator".to_owned(),
            display_name: "Operator".to_owned(),
            password: password(),
        };
        init::instance(&instance.app, operator).await?;
        let new = tenants::NewTenant {
            slug: slug.parse().map_err(Failure::of_id)?,
            name: "Bench".to_owned(),
            placement: tenant::placement(&instance, None)?,
            region: "on-premises".to_owned(),
            administrator: ("administrator".to_owned(), "Administrator".to_owned()),
            password: password(),
        };
        let caller = console::operator(&instance.app)?;
        let made = tenants::create(&instance.app, &caller, new).await?;
        let id = made.tenant.id;
        let setup = console::task(&instance.app, id, SystemTask::Setup)?;
        let scopes = vec![client::scope("*.*")?];
        let new = client::integration("Bench", scopes, Vec::new());
        let owner = clients::create(&instance.app, &setup, new).await?.id;
        let new = tokens::NewToken {
            owner: TokenOwner::Client(owner),
            name: "bench".to_owned(),
            scopes: None,
            days: 1,
        };
        let token = tokens::create(&instance.app, &setup, new)
            .await?
            .text
            .to_string();
        let listener = serve::listen("127.0.0.1:0").await?;
        let (address, stop, serving) = begin(&instance, listener)?;
        Ok(Self {
            instance,
            store,
            address,
            slug,
            tenant: id,
            token,
            scratch: folder.to_owned(),
            duration: Duration::from_secs(arguments.seconds.max(1)),
            connections: arguments.connections.max(1),
            patients: 0,
            loaded: 0,
            stop,
            serving,
        })
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.instance.clock)
    }

    /// Loads resources through the bundle use-case, as the platform's own job.
    pub fn loader(&self) -> Result<Loader, Failure> {
        let caller = console::task(&self.instance.app, self.tenant, SystemTask::Jobs)?;
        Ok(Loader::new(self.instance.app.clone(), caller))
    }

    /// The synthetic clinic with as many patients as make about `resources`.
    pub fn population(&self, resources: u64) -> Population {
        let patients = u32::try_from((resources / OF_A_PATIENT).max(1)).unwrap_or(u32::MAX - 1);
        let day = Day::from_timestamp(self.instance.clock.now());
        let profile = Profile {
            patients,
            months: 12,
            mar_days: 14,
            today: 0,
        };
        Population::new(Tenant::HarbourClinic, 1, day, profile)
    }

    /// A request's bytes.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut request = format!(
            "{method} /t/{}/fhir/{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nContent-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n",
            self.slug,
            self.token,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        request
    }

    /// Ends the server and closes the store.
    pub async fn close(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
        wiring::close(&self.instance).await;
    }
}

type Begun = (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<()>);

fn begin(instance: &Instance, listener: TcpListener) -> Result<Begun, Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::new(kernel::Category::Fault, error.to_string()))?;
    let router = wiring::routes(instance)?;
    let (stop, stopped) = watch::channel(false);
    let bounds = Bounds {
        connections: 4096,
        headers: Duration::from_secs(30),
        request: Duration::from_mins(1),
        grace: Duration::from_secs(2),
    };
    let serving = tokio::spawn(serving::serve(listener, router, bounds, stopped));
    Ok((address, stop, serving))
}
