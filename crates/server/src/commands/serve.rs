//! `theriac serve`: serves an instance until it is asked to end, with the platform's own jobs beside.

use app::files::Sharing;
use std::time::Duration;

use kernel::Category;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::{Format, Serve};
use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::output::Printer;
use crate::serving::{self, Bounds};
use crate::wiring::{self, Instance, Opening};
use crate::{backups, logging};

/// Runs it.
pub async fn run(config: &Config, arguments: &Serve, printer: Printer) -> Result<u8, Failure> {
    let mut config = config.clone();
    if let Some(listen) = &arguments.listen {
        config.set("http.listen", listen.clone(), Origin::Flag("--listen"))?;
    }
    logging::begin(&config)?;
    let listener = listen(config.text("http.listen")).await?;
    let instance = wiring::open(&config, Opening::Existing).await?;
    let url = shown_url(&instance, &listener);
    if printer.format() == Format::Json {
        printer.object(&json!({ "url": url, "process": std::process::id() }));
    }
    printer.note(&format!("serving at {url}"));
    until_asked(&instance, listener).await?;
    Ok(0)
}

/// Takes the address.
pub async fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let category = match error.kind() {
            std::io::ErrorKind::AddrInUse => Category::Conflict,
            std::io::ErrorKind::PermissionDenied => Category::Forbidden,
            _ => Category::Invalid,
        };
        Failure::new(
            category,
            format!("{address} cannot be listened on ({error}): choose another with --listen"),
        )
    })
}

/// The address to tell people; port 0 became a real one.
pub fn shown_url(instance: &Instance, listener: &TcpListener) -> String {
    match (
        instance.config.text("http.public_url"),
        listener.local_addr(),
    ) {
        ("", Ok(address)) => format!("http://{address}"),
        _ => wiring::public_url(&instance.config),
    }
}

/// Serves until Ctrl-C or SIGTERM, then ends in order: no new connections, requests in progress finish,
/// jobs stop, logs settle, the store closes.
pub async fn until_asked(instance: &Instance, listener: TcpListener) -> Result<(), Failure> {
    let router = wiring::routes(instance)?;
    share(instance).await?;
    let (stop, stopped) = watch::channel(false);
    let config = &instance.config;
    let bounds = Bounds {
        connections: usize::try_from(config.number("http.max_connections")).unwrap_or(1024),
        headers: Duration::from_secs(30),
        request: Duration::from_secs(config.number("http.request_timeout_s").unsigned_abs()),
        grace: Duration::from_secs(10),
    };
    let jobs = tokio::spawn(jobs(instance.clone(), stopped.clone()));
    let backups = tokio::spawn(backups::watch(instance.clone(), stopped.clone()));
    let notifying = tokio::spawn(notify(instance.clone(), stopped.clone()));
    let serving = tokio::spawn(serving::serve(listener, router, bounds, stopped));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "serving");
    serving::asked_to_end().await;
    tracing::info!("asked to end");
    let _ = stop.send(true);
    for task in [serving, notifying, jobs, backups] {
        if let Err(error) = task.await {
            tracing::error!(%error, "a part of the server ended early");
        }
    }
    wiring::close(instance).await;
    Ok(())
}

// Replicas of one database must see the same files: one that does not would answer some questions otherwise.
async fn share(instance: &Instance) -> Result<(), Failure> {
    if !wiring::is_postgres(&instance.config)? {
        return Ok(());
    }
    if let Sharing::Other { known } = app::files::claim(&instance.app).await? {
        let folder = instance.config.data_folder().join(wiring::BLOBS);
        tracing::error!(
            folder = %folder.display(),
            known,
            "the folder of files is not the one that the other replicas of this database use: mount theirs; code systems and files of jobs are missing here"
        );
    }
    Ok(())
}

/// The platform's own jobs, until `stopped`.
async fn jobs(instance: Instance, mut stopped: watch::Receiver<bool>) {
    let holder = instance.ids.uuid();
    let stop = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    app::jobs::run(
        instance.app.clone(),
        holder,
        app::jobs::Schedule::default(),
        stop,
    )
    .await;
}

/// Serves subscriptions, until `stopped`.
async fn notify(instance: Instance, mut stopped: watch::Receiver<bool>) {
    let holder = wiring::holder(&instance);
    let stop = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    app::subscriptions::Engine::new(instance.app.clone(), holder)
        .run(stop)
        .await;
}
