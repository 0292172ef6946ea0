//! Names to addresses, as a port: tests bring their own, to play a name that changes its mind.

use std::net::IpAddr;

use async_trait::async_trait;

/// Resolves names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of a host; empty where there is none.
    async fn resolve(&self, host: &str, port: u16) -> Vec<IpAddr>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> Vec<IpAddr> {
        match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => Vec::new(),
        }
    }
}
