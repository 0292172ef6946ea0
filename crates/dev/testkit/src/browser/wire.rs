//! The line to the browser: one WebSocket, commands with numbers, events. It attaches itself to every
//! window and every service worker before they run, so that none is on the network when its device is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::PATIENCE;

#[derive(Default)]
struct State {
    waiting: BTreeMap<u64, oneshot::Sender<Result<Value, String>>>,
    /// By session: its target, its device, what it is.
    sessions: BTreeMap<String, Attached>,
    offline: BTreeSet<String>,
    clocks: BTreeMap<String, i64>,
    errors: Vec<(String, String)>,
}

#[derive(Clone)]
struct Attached {
    target: String,
    context: String,
    ready: bool,
}

/// The line.
pub(super) struct Wire {
    out: mpsc::UnboundedSender<Message>,
    next: AtomicU64,
    state: Mutex<State>,
}

impl Wire {
    /// Connects to where the browser listens.
    pub async fn connect(address: &str) -> Arc<Self> {
        let host = address.split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(host).await;
        assert!(stream.is_ok(), "no browser listens at {host}: {stream:?}");
        let (out, mut leaving) = mpsc::unbounded_channel();
        let wire = Arc::new(Self {
            out,
            next: AtomicU64::new(1),
            state: Mutex::default(),
        });
        if let Ok(stream) = stream
            && let Ok(request) = format!("ws://{address}").into_client_request()
        {
            let opened = tokio_tungstenite::client_async(request, stream).await;
            assert!(opened.is_ok(), "the browser does not talk at {address}");
            if let Ok((line, _)) = opened {
                let (mut to, mut from) = line.split();
                tokio::spawn(async move {
                    while let Some(message) = leaving.recv().await {
                        if to.send(message).await.is_err() {
                            break;
                        }
                    }
                });
                let own = Arc::downgrade(&wire);
                tokio::spawn(async move {
                    while let Some(Ok(message)) = from.next().await {
                        let Some(own) = own.upgrade() else { break };
                        if let Message::Text(text) = message
                            && let Ok(told) = serde_json::from_str::<Value>(&text)
                        {
                            own.told(&told);
                        }
                    }
                });
            }
        }
        let all = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        wire.call(None, "Target.setAutoAttach", all).await;
        wire
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command and waits for its answer.
    pub async fn try_call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (tell, told) = oneshot::channel();
        self.state().waiting.insert(id, tell);
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let (Some(session), Some(members)) = (session, command.as_object_mut()) {
            members.insert("sessionId".to_owned(), session.into());
        }
        let sent = self.out.send(Message::text(command.to_string()));
        sent.map_err(|_| "the browser has gone".to_owned())?;
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => answer.map_err(|error| format!("{method}: {error}")),
            Ok(Err(_)) => Err(format!("{method}: the browser has gone")),
            Err(_) => Err(format!("{method}: the browser did not answer")),
        }
    }

    /// The same, where a refusal fails the test.
    pub async fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let answer = self.try_call(session, method, params).await;
        assert!(answer.is_ok(), "{answer:?}");
        answer.unwrap_or_default()
    }

    /// The session of a target, once it can be used.
    pub fn session(&self, target: &str) -> Option<String> {
        let state = self.state();
        let mut own = state.sessions.iter();
        own.find(|(_, own)| own.target == target && own.ready)
            .map(|(session, _)| session.clone())
    }

    pub fn set_clock(&self, context: &str, millis: i64) {
        self.state().clocks.insert(context.to_owned(), millis);
    }

    pub fn clock(&self, context: &str) -> i64 {
        self.state().clocks.get(context).copied().unwrap_or(0)
    }

    pub async fn set_offline(&self, context: &str, offline: bool) {
        let sessions: Vec<String> = {
            let mut state = self.state();
            if offline {
                state.offline.insert(context.to_owned());
            } else {
                state.offline.remove(context);
            }
            let own = state.sessions.iter();
            own.filter(|(_, own)| own.context == context)
                .map(|(session, _)| session.clone())
                .collect()
        };
        for session in sessions {
            // A worker that ended meanwhile needs none.
            let _ = self.emulate(&session, offline).await;
        }
    }

    async fn emulate(&self, session: &str, offline: bool) -> Result<Value, String> {
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.try_call(
            Some(session),
            "Network.emulateNetworkConditions",
            conditions,
        )
        .await
    }

    pub fn errors(&self, context: &str) -> Vec<String> {
        let state = self.state();
        let own = state.errors.iter().filter(|(of, _)| of == context);
        own.map(|(_, text)| text.clone()).collect()
    }

    fn told(self: &Arc<Self>, told: &Value) {
        if let Some(id) = told.get("id").and_then(Value::as_u64) {
            let Some(waiting) = self.state().waiting.remove(&id) else {
                return;
            };
            let answer = match told.get("error") {
                Some(error) => Err(error.to_string()),
                None => Ok(told.get("result").cloned().unwrap_or_default()),
            };
            let _ = waiting.send(answer);
            return;
        }
        let method = told.get("method").and_then(Value::as_str);
        let session = told.get("sessionId").and_then(Value::as_str);
        let params = told.get("params").cloned().unwrap_or_default();
        match (method.unwrap_or_default(), session) {
            ("Target.attachedToTarget", _) => {
                let own = Arc::clone(self);
                tokio::spawn(async move { own.attached(&params).await });
            }
            ("Target.detachedFromTarget", _) => {
                let gone = params.get("sessionId").and_then(Value::as_str);
                self.state().sessions.remove(gone.unwrap_or_default());
            }
            ("Page.javascriptDialogOpening", Some(session)) => {
                let (own, session) = (Arc::clone(self), session.to_owned());
                tokio::spawn(async move {
                    let yes = json!({ "accept": true });
                    let _ = own
                        .try_call(Some(&session), "Page.handleJavaScriptDialog", yes)
                        .await;
                });
            }
            (method, Some(session)) => {
                if let Some(error) = wrong(method, &params) {
                    self.wrote(session, error);
                }
            }
            _ => {}
        }
    }

    fn wrote(&self, session: &str, error: String) {
        let mut state = self.state();
        let context = state.sessions.get(session).map(|own| own.context.clone());
        let context = context.unwrap_or_default();
        // A device without a network says so of every request: that is what was asked for.
        let cut = error.contains("ERR_INTERNET_DISCONNECTED");
        if !cut {
            state.errors.push((context, error));
        }
    }

    async fn attached(&self, params: &Value) {
        let field = |pointer: &str| {
            let own = params.pointer(pointer).and_then(Value::as_str);
            own.unwrap_or_default().to_owned()
        };
        let (session, kind) = (field("/sessionId"), field("/targetInfo/type"));
        let context = field("/targetInfo/browserContextId");
        let offline = {
            let mut state = self.state();
            let own = Attached {
                target: field("/targetInfo/targetId"),
                context: context.clone(),
                ready: false,
            };
            state.sessions.insert(session.clone(), own);
            state.offline.contains(&context)
        };
        let own = Some(session.as_str());
        let domains: &[&str] = match kind.as_str() {
            "page" => &["Page", "Runtime", "Log", "Network"],
            "service_worker" | "worker" => &["Runtime", "Network"],
            _ => &[],
        };
        for domain in domains {
            let _ = self
                .try_call(own, &format!("{domain}.enable"), json!({}))
                .await;
        }
        if offline {
            let _ = self.emulate(&session, true).await;
        }
        let _ = self
            .try_call(own, "Runtime.runIfWaitingForDebugger", json!({}))
            .await;
        if let Some(own) = self.state().sessions.get_mut(&session) {
            own.ready = true;
        }
    }
}

/// What an event says went wrong.
fn wrong(method: &str, params: &Value) -> Option<String> {
    let at = |pointer: &str| params.pointer(pointer).and_then(Value::as_str);
    match method {
        "Runtime.exceptionThrown" => {
            let thrown = at("/exceptionDetails/exception/description");
            Some(thrown.or(at("/exceptionDetails/text"))?.to_owned())
        }
        "Runtime.consoleAPICalled" if matches!(at("/type"), Some("error" | "assert")) => {
            let list = params.get("args").and_then(Value::as_array);
            let words = list.into_iter().flatten().map(|own| {
                let text = own.get("value").or_else(|| own.get("description"));
                text.map_or_else(String::new, |text| {
                    text.as_str()
                        .map_or_else(|| text.to_string(), str::to_owned)
                })
            });
            Some(words.collect::<Vec<_>>().join(" "))
        }
        "Log.entryAdded" if at("/entry/level") == Some("error") => {
            let text = at("/entry/text").unwrap_or_default();
            Some(format!("{text} {}", at("/entry/url").unwrap_or_default()))
        }
        _ => None,
    }
}
