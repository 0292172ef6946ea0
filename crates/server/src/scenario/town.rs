//! The town around the demo's care home, as long as the demo runs: a pharmacy that speaks our published interface and
//! a formulary that speaks our contract, on an address of this machine alone. Must not share code with the
//! connectors that call it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use app::medicines::elsewhere::Elsewhere;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path as Segment;
use axum::http::{Response, StatusCode, header};
use axum::routing::{get, post};
use connect::knowledge::SourceSetting;
use kernel::Category;
use medication::checks::elsewhere::Severities;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::config::{Config, Origin};
use crate::failure::Failure;
use crate::serving::{self, Bounds};
use crate::wiring::Instance;

/// The formulary's name in findings and gaps.
pub const FORMULARY: &str = "regional-formulary";
/// A product that the pharmacy sells, under a number of its own.
#[derive(Debug, Clone, Copy)]
pub struct Sold {
    /// Its number.
    pub code: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: &'static str,
    /// How much a pack holds.
    pub pack: u32,
    /// Pence of a pack.
    pub price: u32,
}

const fn sold(code: &'static str, name: &'static str, (pack, price): (u32, u32)) -> Sold {
    Sold {
        code,
        name,
        unit: "{tablet}",
        pack,
        price,
    }
}

/// What the pharmacy sells.
pub const SOLD: [Sold; 4] = [
    sold("FP-0101", "Cetirizine 10mg tablet", (30, 240)),
    sold("FP-0102", "Paracetamol 500mg tablet", (32, 95)),
    sold("FP-0103", "Senna 7.5mg tablet", (60, 310)),
    Sold {
        unit: "mL",
        ..sold("FP-0104", "Lactulose 3.35g/5ml oral solution", (500, 385))
    },
];

/// The town.
pub struct Town {
    address: SocketAddr,
    shut: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
}

/// States of orders by the home's id.
type Orders = Arc<Mutex<BTreeMap<String, &'static str>>>;

fn locked<T>(inner: &Mutex<T>) -> MutexGuard<'_, T> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Town {
    /// Opens it on a free port of this machine.
    pub async fn open() -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| Failure::new(Category::Unavailable, error.to_string());
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let shut = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = watch::channel(false);
        let bounds = Bounds {
            connections: 32,
            headers: Duration::from_secs(5),
            request: Duration::from_secs(5),
            grace: Duration::from_millis(200),
        };
        let routes = pharmacy().merge(formulary(Arc::clone(&shut)));
        tokio::spawn(serving::serve(listener, routes, bounds, stopped));
        Ok(Self {
            address,
            shut,
            stop,
        })
    }

    /// Lets the house that is about to be opened reach it, and nothing else.
    pub fn reachable(&self, config: &mut Config) -> Result<(), Failure> {
        let allow = format!("http://{} private", self.address);
        let set = [
            ("egress.allow", allow),
            ("knowledge.sources", String::new()),
        ];
        for (name, value) in set {
            config.set(name, value, Origin::Flag("demo"))?;
        }
        Ok(())
    }

    /// Names the formulary as a source of knowledge of the house.
    pub fn consulted_by(&self, instance: &Instance) -> Result<(), Failure> {
        let entry = format!("{FORMULARY} formulary http://{} key=none", self.address);
        let setting = SourceSetting::parse(&entry);
        let mut setting = setting.map_err(|error| Failure::from_error(&error))?;
        setting.key = Some(Zeroizing::new("played".to_owned()));
        let severities = Severities::built_in().map_err(Failure::from_error)?;
        let elsewhere = Elsewhere::new(
            vec![connect::knowledge::source(setting)],
            severities.clone(),
        );
        // The app is shared: its clones consult it, too.
        let _ = instance.app.clone().consulting(Arc::new(elsewhere));
        Ok(())
    }

    /// The address that the pharmacy's interface begins at.
    pub fn pharmacy(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The formulary answers no more.
    pub fn formulary_goes_down(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn standing(order: &str, state: &str) -> Value {
    json!({ "order": order, "state": state, "reference": "FP-1" })
}

fn pharmacy() -> Router {
    let orders = Orders::default();
    let taken = Arc::clone(&orders);
    let take = move |body: Bytes| {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let order = body.get("order").and_then(Value::as_str).map(str::to_owned);
        let taken = Arc::clone(&taken);
        async move {
            let Some(order) = order else {
                let why = json!({ "title": "refused", "detail": "there is no order" });
                return answer(StatusCode::UNPROCESSABLE_ENTITY, &why);
            };
            locked(&taken).insert(order.clone(), "with_dispenser");
            answer(StatusCode::CREATED, &standing(&order, "acknowledged"))
        }
    };
    let ask = move |Segment(order): Segment<String>| {
        let state = locked(&orders).get(&order).copied();
        async move {
            if let Some(state) = state {
                return answer(StatusCode::OK, &standing(&order, state));
            }
            let why = json!({ "title": "refused", "detail": "no such order" });
            answer(StatusCode::NOT_FOUND, &why)
        }
    };
    let products = || async {
        let sold = SOLD.iter().map(|own| {
            let price = format!("{}.{:02}", own.price / 100, own.price % 100);
            let price = json!({ "amount": price, "currency": "GBP" });
            let pack = json!({ "holds": own.pack.to_string(), "price": price });
            json!({ "code": own.code, "name": own.name, "unit": own.unit, "legal": "general_sale",
                "control": "0000", "packs": [pack] })
        });
        let sold: Vec<Value> = sold.collect();
        answer(StatusCode::OK, &json!({ "products": sold }))
    };
    let receipts = || async { StatusCode::NO_CONTENT };
    Router::new()
        .route("/v1/orders", post(take))
        .route("/v1/orders/{order}", get(ask))
        .route("/v1/orders/{order}/receipts", post(receipts))
        .route("/v1/catalogue", get(products))
}

/// It knows every ingredient and no interaction, while it is up.
fn formulary(shut: Arc<AtomicBool>) -> Router {
    let told = move |body: Bytes| {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let asked = body.get("ingredients").and_then(Value::as_array);
        let known = vec![true; asked.map_or(0, Vec::len)];
        let shut = shut.load(Ordering::SeqCst);
        async move {
            if shut {
                let why = json!({ "title": "down for the night" });
                return answer(StatusCode::SERVICE_UNAVAILABLE, &why);
            }
            let release = json!({ "version": "2026-03", "effective": "2026-03-01",
                "licence": "made up for this story" });
            let found = json!({ "release": release, "known": known, "interactions": [] });
            answer(StatusCode::OK, &found)
        }
    };
    Router::new().route("/v1/interactions", post(told))
}
