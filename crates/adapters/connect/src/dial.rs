//! Connecting: resolve, judge every address, connect to one that was judged. The address that was checked
//! is the one that is called, so a name that changes between check and call gains nothing.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use crate::error::ConnectError;
use crate::policy::{EgressPolicy, Target};
use crate::resolve::Resolver;

/// Connects to what the policy allows.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) deadline: Duration,
}

impl Dial {
    /// The addresses of a target that may be called.
    pub(crate) async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let entry = self.policy.allow(target)?;
        let found = match target.host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(&target.host, target.port).await,
        };
        if found.is_empty() {
            return Err(ConnectError::Unresolved {
                host: target.host.clone(),
            });
        }
        // One bad address condemns the name: whoever mixes them is up to something, or misconfigured.
        for address in &found {
            if !entry.admits(*address) {
                return Err(ConnectError::Inside {
                    host: target.host.clone(),
                    address: *address,
                });
            }
        }
        Ok(found
            .into_iter()
            .map(|address| SocketAddr::new(address, target.port))
            .collect())
    }

    /// A connection to a target.
    pub(crate) async fn connect(&self, target: &Target) -> Result<TcpStream, ConnectError> {
        let work = async {
            let mut last = String::new();
            for address in self.addresses(target).await? {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        let _ = stream.set_nodelay(true);
                        return Ok(stream);
                    }
                    Err(error) => last = error.kind().to_string(),
                }
            }
            Err(ConnectError::Unreachable {
                host: target.host.clone(),
                detail: last,
            })
        };
        match tokio::time::timeout(self.deadline, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::Unreachable {
                host: target.host.clone(),
                detail: "it does not accept a connection in time".to_owned(),
            }),
        }
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dial = self.clone();
        Box::pin(async move {
            let (target, _) = Target::of(&uri.to_string())?;
            Ok(TokioIo::new(dial.connect(&target).await?))
        })
    }
}
