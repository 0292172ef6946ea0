//! What is known in memory only: which tenants something was committed in, wake-ups for connections, and
//! counts for monitoring. All of it can be lost.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::TenantId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use super::resource::ChannelKind;

/// How notifications stand in this process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Notifications by channel and outcome (`delivered`, `failed`, `dead`, `dropped`).
    pub notifications: Vec<(&'static str, &'static str, u64)>,
    /// Subscriptions that are active.
    pub active: u64,
    /// Subscriptions that fail at the moment, or were given up.
    pub failing: u64,
    /// Deliveries that wait.
    pub waiting: u64,
    /// WebSocket connections.
    pub sockets: u64,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    pub active: u64,
    pub failing: u64,
    pub waiting: u64,
}

/// Where subscriptions note things.
#[derive(Debug)]
pub(crate) struct Board {
    // Tenants in which somebody subscribes: only there does a commit wake the engine.
    interested: RwLock<HashSet<TenantId>>,
    changed: Mutex<HashSet<TenantId>>,
    wake: Notify,
    arrived: watch::Sender<u64>,
    counts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    standings: Mutex<HashMap<TenantId, Standing>>,
    sockets: Mutex<u64>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            interested: RwLock::default(),
            changed: Mutex::default(),
            wake: Notify::new(),
            arrived: watch::channel(0).0,
            counts: Mutex::default(),
            standings: Mutex::default(),
            sockets: Mutex::default(),
        }
    }
}

impl Board {
    /// Somebody subscribes in a tenant.
    pub(crate) fn interest(&self, tenant: TenantId) {
        self.interested.write().insert(tenant);
        self.poke(tenant);
    }

    /// The same, without waking anybody.
    pub(crate) fn interest_quietly(&self, tenant: TenantId) {
        if !self.is_interested(tenant) {
            self.interested.write().insert(tenant);
        }
    }

    /// Nobody subscribes in a tenant.
    pub(crate) fn no_interest(&self, tenant: TenantId) {
        self.interested.write().remove(&tenant);
    }

    pub(crate) fn is_interested(&self, tenant: TenantId) -> bool {
        self.interested.read().contains(&tenant)
    }

    /// Something was committed in a tenant.
    pub(crate) fn changed(&self, tenant: TenantId) {
        if self.is_interested(tenant) {
            self.poke(tenant);
        }
    }

    /// Wakes the engine for a tenant.
    pub(crate) fn poke(&self, tenant: TenantId) {
        self.changed.lock().insert(tenant);
        self.wake.notify_one();
    }

    pub(crate) fn take_changed(&self) -> HashSet<TenantId> {
        std::mem::take(&mut *self.changed.lock())
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Deliveries were added that connections may wait for.
    pub(crate) fn arrive(&self) {
        self.arrived
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    pub(crate) fn count(&self, channel: ChannelKind, outcome: &'static str, by: u64) {
        *self
            .counts
            .lock()
            .entry((channel.as_str(), outcome))
            .or_default() += by;
    }

    pub(crate) fn stands(&self, tenant: TenantId, standing: Standing) {
        self.standings.lock().insert(tenant, standing);
    }

    /// Takes a place among so many connections.
    pub(crate) fn open_socket(&self, most: usize) -> bool {
        let mut sockets = self.sockets.lock();
        let free = *sockets < most as u64;
        *sockets += u64::from(free);
        free
    }

    pub(crate) fn close_socket(&self) {
        let mut sockets = self.sockets.lock();
        *sockets = sockets.saturating_sub(1);
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures {
            sockets: *self.sockets.lock(),
            ..Figures::default()
        };
        for ((channel, outcome), count) in &*self.counts.lock() {
            figures.notifications.push((channel, outcome, *count));
        }
        for standing in self.standings.lock().values() {
            figures.active += standing.active;
            figures.failing += standing.failing;
            figures.waiting += standing.waiting;
        }
        figures
    }
}
