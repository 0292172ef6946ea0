//! A house that may call a receiver, and short ways to subscribe and to let the engine work.

use std::sync::Arc;
use std::time::Duration;

use app::Caller;
use app::subscriptions::{Engine, SubscriptionSettings};
use async_trait::async_trait;
use connect::{
    Client, ClientSettings, EgressPolicy, Limits, MailSettings, Resolver, SystemResolver,
};
use identity::{SystemTask, system_scope};
use kernel::TenantId;
use serde_json::{Value, json};
use testkit::receiver::Receiver;
use uuid::Uuid;

use crate::house::House;

/// Everything is this machine.
pub struct Here;

#[async_trait]
impl Resolver for Here {
    async fn resolve(&self, _: &str, _: u16) -> Vec<std::net::IpAddr> {
        vec!["127.0.0.1".parse().unwrap()]
    }
}

pub struct Subscribed {
    pub house: House,
    pub program: Caller,
    pub engine: Arc<Engine>,
}

impl Subscribed {
    /// A house that may call these.
    pub async fn to(receivers: &[&Receiver]) -> Self {
        let entry = |receiver: &&Receiver| {
            format!("http://127.0.0.1:{} private", receiver.address().port())
        };
        Self::with(receivers.iter().map(entry).collect(), None).await
    }

    /// One with other settings.
    pub async fn set(receiver: &Receiver, change: impl FnOnce(&mut SubscriptionSettings)) -> Self {
        let entry = format!("http://127.0.0.1:{} private", receiver.address().port());
        Self::build(vec![entry], None, change).await
    }

    pub async fn with(
        allow: Vec<String>,
        mail: Option<(MailSettings, std::path::PathBuf)>,
    ) -> Self {
        Self::build(allow, mail, |_| {}).await
    }

    async fn build(
        allow: Vec<String>,
        mail: Option<(MailSettings, std::path::PathBuf)>,
        change: impl FnOnce(&mut SubscriptionSettings),
    ) -> Self {
        let house = House::build_with(|settings| {
            settings.subscriptions.give_up_s = 3600;
            settings.subscriptions.keep_s = 1_000_000;
            change(&mut settings.subscriptions);
        })
        .await;
        let (mail, roots) = mail.map_or((None, None), |(mail, roots)| (Some(mail), Some(roots)));
        let settings = ClientSettings {
            policy: EgressPolicy::parse(allow.iter().map(String::as_str)).unwrap(),
            limits: Limits {
                connect: Duration::from_secs(2),
                total: Duration::from_secs(2),
                ..Limits::default()
            },
            root_certificates: roots,
            mail,
        };
        let resolver: Arc<dyn Resolver> = if settings.mail.is_some() {
            Arc::new(Here)
        } else {
            Arc::new(SystemResolver)
        };
        let client = Client::new(settings, resolver, house.clock.clone()).unwrap();
        let app = house.app.clone().reaching_out(Arc::new(client));
        let program = house.integration("ash").await;
        Self {
            engine: Engine::new(app, Uuid::from_u128(1)),
            house,
            program,
        }
    }

    pub fn tenant(&self) -> TenantId {
        self.program.tenant.id
    }

    /// Lets the engine work until nothing is due.
    pub async fn work(&self) {
        let scope = system_scope(self.tenant(), SystemTask::Ledger);
        for _ in 0..4 {
            // Some stores have a change in the ledger a little after it was committed.
            self.house.store.settle(&scope).await.unwrap();
            self.engine.round(self.tenant()).await.unwrap();
        }
    }

    /// Later, and works.
    pub async fn later(&self, seconds: i64) {
        self.house.clock.advance(seconds);
        self.work().await;
    }

    /// Stores a Subscription and lets it become active.
    pub async fn subscribe(&self, body: &Value) {
        self.house.put(&self.program, body).await.unwrap();
        self.work().await;
    }

    pub async fn status(&self, id: &str) -> String {
        let name = format!("Subscription/{id}");
        let found = self.house.read(&self.program, &name).await.unwrap();
        found["status"].as_str().unwrap().to_owned()
    }

    pub async fn put(&self, body: &Value) {
        self.house.put(&self.program, body).await.unwrap();
    }
}

/// A plain R4 rest-hook.
pub fn hook(id: &str, criteria: &str, endpoint: &str) -> Value {
    json!({
        "resourceType": "Subscription", "id": id, "status": "requested", "reason": "test",
        "criteria": criteria, "channel": {"type": "rest-hook", "endpoint": endpoint},
    })
}

/// An id of a delivery as the receiver saw it.
pub fn event_number(id: Option<&str>) -> u64 {
    id.unwrap().rsplit('.').next().unwrap().parse().unwrap()
}
