//! Clients for the tests, and a resolver that says what it is told.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use connect::{Client, ClientSettings, EgressPolicy, Limits, MailSettings, Request, Resolver};
use http::Method;
use parking_lot::Mutex;
use testkit::clock::FixedClock;

/// Answers one list after the other, the last one for ever.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<Vec<IpAddr>>>);

#[async_trait]
impl Resolver for Told {
    async fn resolve(&self, _: &str, _: u16) -> Vec<IpAddr> {
        let mut told = self.0.lock();
        if told.len() > 1 {
            told.remove(0)
        } else {
            told.first().cloned().unwrap_or_default()
        }
    }
}

pub fn told(answers: &[&[&str]]) -> Arc<Told> {
    let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Arc::new(Told(Mutex::new(answers.iter().map(parse).collect())))
}

pub struct Setting {
    pub allow: Vec<String>,
    pub limits: Limits,
    pub roots: Option<PathBuf>,
    pub mail: Option<MailSettings>,
    pub resolver: Arc<dyn Resolver>,
    pub clock: Arc<FixedClock>,
}

impl Setting {
    pub fn allowing(entries: &[String]) -> Self {
        Self {
            allow: entries.to_vec(),
            limits: Limits {
                connect: Duration::from_secs(2),
                total: Duration::from_secs(2),
                request_bytes: 4096,
                answer_bytes: 4096,
                per_destination: 2,
                calls: 8,
            },
            roots: None,
            mail: None,
            resolver: told(&[&["127.0.0.1"]]),
            clock: Arc::new(FixedClock::default()),
        }
    }

    pub fn client(&self) -> Client {
        let settings = ClientSettings {
            policy: EgressPolicy::parse(self.allow.iter().map(String::as_str)).unwrap(),
            limits: self.limits,
            root_certificates: self.roots.clone(),
            mail: self.mail.clone(),
        };
        Client::new(settings, self.resolver.clone(), self.clock.clone()).unwrap()
    }
}

pub fn post(url: impl Into<String>, body: &str) -> Request {
    Request {
        method: Method::POST,
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
        deadline: None,
        answer_bytes: None,
    }
}
