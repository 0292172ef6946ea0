//! What is known in memory only: which tenants something was committed in, wake-ups for connections, and
//! counts for monitoring. All of it can be lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

use kernel::TenantId;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use super::resource::ChannelKind;

/// Connections that have shown no token yet: of one address, and in all.
const WAITING: (u64, u64) = (4, 32);

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
    /// WebSocket connections of those who showed a valid token.
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
    sockets: Mutex<Sockets>,
}

/// Connections of this process.
#[derive(Debug, Default)]
struct Sockets {
    // Of those who showed a valid token, by tenant.
    seated: HashMap<TenantId, u64>,
    // Of those who have not yet, by where they come from.
    waiting: HashMap<Option<IpAddr>, u64>,
}

/// Adds one where there are fewer than the most of the key, and than the most of all.
fn enter<K: Eq + Hash>(places: &mut HashMap<K, u64>, key: K, (of_key, of_all): (u64, u64)) -> bool {
    let all: u64 = places.values().sum();
    let here = places.get(&key).copied().unwrap_or_default();
    let free = all < of_all && here < of_key;
    if free {
        places.insert(key, here + 1);
    }
    free
}

fn leave<K: Eq + Hash>(places: &mut HashMap<K, u64>, key: &K) {
    if let Some(here) = places.get_mut(key) {
        *here = here.saturating_sub(1);
    }
    places.retain(|_, here| *here > 0);
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

    /// Takes a place among so many connections; no tenant has more than half of them.
    pub(crate) fn open_socket(&self, tenant: TenantId, most: usize) -> bool {
        let most = most as u64;
        let most = (most.div_ceil(2), most);
        enter(&mut self.sockets.lock().seated, tenant, most)
    }

    pub(crate) fn close_socket(&self, tenant: TenantId) {
        leave(&mut self.sockets.lock().seated, &tenant);
    }

    /// Takes a place among those who have shown no token yet.
    pub(crate) fn begin_waiting(&self, from: Option<IpAddr>) -> bool {
        enter(&mut self.sockets.lock().waiting, from, WAITING)
    }

    pub(crate) fn end_waiting(&self, from: Option<IpAddr>) {
        leave(&mut self.sockets.lock().waiting, &from);
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut figures = Figures {
            sockets: self.sockets.lock().seated.values().sum(),
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

#[cfg(test)]
mod tests {
    use kernel::TenantId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn neither_strangers_nor_one_tenant_take_every_place() {
        let board = Board::default();
        let tenant = |number| TenantId::from_uuid(Uuid::from_u128(number));
        let from = |last| Some(IpAddr::from([192, 0, 2, last]));
        for _ in 0..4 {
            assert!(board.begin_waiting(from(1)));
        }
        assert!(!board.begin_waiting(from(1)), "one address has them all");
        let others = (2..=20).map(from).flat_map(|from| [from; 4]);
        assert_eq!(others.filter(|from| board.begin_waiting(*from)).count(), 28);
        board.end_waiting(from(1));
        assert!(board.begin_waiting(from(200)));
        // Those who are signed in find their places free.
        let seated = (0..8).filter(|_| board.open_socket(tenant(1), 8)).count();
        assert_eq!((seated, board.figures().sockets), (4, 4));
        assert!(board.open_socket(tenant(2), 8));
        board.close_socket(tenant(1));
        assert!(board.open_socket(tenant(1), 8));
        assert!(!board.open_socket(tenant(1), 8));
    }
}
