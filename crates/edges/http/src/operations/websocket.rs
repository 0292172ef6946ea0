//! The WebSocket of subscriptions: `bind :id` of R4 for whoever came with a bearer token, and
//! `bind-with-token :token` of the backport for anybody who holds one. What is sent, and to whom, is the
//! use-case's decision.

use std::time::Duration;

use app::subscriptions::socket::{self, BOUND, Bound, Seat, Waiting};
use app::{App, AppError, Caller};
use axum::extract::ws::{Message, WebSocket};
use axum::http::header;
use axum::response::Response;
use kernel::Category;
use tokio::time::MissedTickBehavior;

use crate::edge::{Arrival, EdgeError};
use crate::fhir_routes::failed;
use crate::routing::Route;

/// Longest message that a client may send, in bytes.
const MESSAGE: usize = 8 << 10;
/// Between two looks for events of other replicas, and for heartbeats.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two pings.
const PING: u32 = 30;
/// Looks after which a silent connection is closed; a pong is no silence.
const SILENT: u32 = 75;
/// Looks after which a connection that is bound to nothing is closed.
const UNBOUND: u32 = 30;
/// Looks after which one is closed whose client has shown no token.
const TOKENLESS: u32 = 5;
/// Refused messages after which a connection is closed.
const REFUSALS: u32 = 10;

pub(super) fn table() -> Vec<Route> {
    vec![Route::get(
        "/t/{tenant}/fhir/$subscriptions-websocket",
        "websocket",
        failed,
        open,
    )]
}

/// The address of WebSockets below a FHIR base.
pub(super) fn address(base: &str) -> String {
    let rest = base.strip_prefix("http").unwrap_or(base);
    format!("ws{rest}/$subscriptions-websocket")
}

async fn open(mut arrival: Arrival) -> Result<Response, EdgeError> {
    let tenant: String = arrival.path().await?;
    let is_signed_in = arrival.headers().contains_key(header::AUTHORIZATION);
    let is_upgrade = arrival.headers().contains_key(header::UPGRADE);
    // Only a binding token, sent later, may stand in for signing in.
    let caller = if is_signed_in || !is_upgrade {
        Some(arrival.caller(&tenant).await?)
    } else {
        None
    };
    let upgrade = arrival.upgrade().await?;
    let app = arrival.app().clone();
    let from = arrival.context(&tenant).client_address;
    let (seat, waiting) = match &caller {
        Some(caller) => (socket::seat(&app, caller.tenant.id), None),
        None => (None, socket::waiting(&app, from)),
    };
    if seat.is_none() && waiting.is_none() {
        return Err(EdgeError::Address(Category::Throttled, FULL.to_owned()));
    }
    Ok(upgrade
        .max_message_size(MESSAGE)
        .max_frame_size(MESSAGE)
        .on_upgrade(move |socket| async move {
            let line = Line {
                socket,
                app,
                tenant,
                caller,
                bound: Vec::new(),
                refused: 0,
                seat,
                waiting,
            };
            line.hold().await;
        }))
}

/// One connection.
struct Line {
    socket: WebSocket,
    app: App,
    tenant: String,
    caller: Option<Caller>,
    bound: Vec<Bound>,
    refused: u32,
    /// Nobody takes one from others who has not shown a valid token.
    seat: Option<Seat>,
    /// Until a token was shown.
    waiting: Option<Waiting>,
}

const FULL: &str = "too many WebSockets are open: repeat in a moment";

impl Line {
    async fn hold(mut self) {
        let mut arrivals = socket::arrivals(&self.app);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looks, mut silent) = (0, 0);
        loop {
            let alive = tokio::select! {
                message = self.socket.recv() => {
                    silent = 0;
                    match message {
                        Some(Ok(Message::Text(text))) => self.message(&text).await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                        _ => Err(()),
                    }
                }
                changed = arrivals.changed() => match changed {
                    Ok(()) => {
                        // Several that come together are one look.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        self.send_all().await
                    }
                    Err(_) => Err(()),
                },
                _ = look.tick() => {
                    looks += 1;
                    silent += 1;
                    let most = if self.seat.is_some() { UNBOUND } else { TOKENLESS };
                    let forgotten = self.bound.is_empty() && looks > most;
                    if silent > SILENT || forgotten {
                        Err(())
                    } else {
                        self.look(looks).await
                    }
                }
            };
            if alive.is_err() {
                let _ = self.socket.send(Message::Close(None)).await;
                return;
            }
        }
    }

    async fn look(&mut self, looks: u32) -> Result<(), ()> {
        if looks.is_multiple_of(PING) {
            self.write(Message::Ping(bytes::Bytes::new())).await?;
        }
        self.send_all().await
    }

    async fn write(&mut self, message: Message) -> Result<(), ()> {
        // A client that does not read holds its own connection only, and not for long.
        let sent = tokio::time::timeout(Duration::from_secs(15), self.socket.send(message)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            _ => Err(()),
        }
    }

    async fn message(&mut self, text: &str) -> Result<(), ()> {
        let outcome = match text.trim().split_once(' ') {
            Some(("bind", id)) => self.bind(id.trim()).await,
            Some(("bind-with-token", token)) => self.bind_with_token(token.trim()).await,
            _ => Err(AppError::Invalid(
                "the message is not known: send bind ID, or bind-with-token TOKEN".to_owned(),
            )),
        };
        match outcome {
            Ok(ids) => {
                for id in ids {
                    self.write(Message::Text(format!("bound {id}").into()))
                        .await?;
                }
                self.send_all().await
            }
            Err(error) => {
                self.refused += 1;
                if self.refused > REFUSALS {
                    return Err(());
                }
                let text = format!("error {}", error.public_text());
                self.write(Message::Text(text.into())).await
            }
        }
    }

    async fn bind(&mut self, id: &str) -> Result<Vec<String>, AppError> {
        let Some(caller) = &self.caller else {
            return Err(AppError::Invalid(
                "bind needs a bearer token in the request that opened the WebSocket: open it with one, or use bind-with-token"
                    .to_owned(),
            ));
        };
        // Signed in long ago is not signed in: the token is believed for the life of the connection, the
        // subscription's own authority is asked again for everything that is sent.
        let bound = socket::bind(&self.app, caller, id).await?;
        self.keep(vec![bound])
    }

    async fn bind_with_token(&mut self, token: &str) -> Result<Vec<String>, AppError> {
        let bound = socket::bind_with_token(&self.app, &self.tenant, token).await?;
        if let (None, Some(first)) = (&self.seat, bound.first()) {
            let seat = socket::seat(&self.app, first.tenant());
            self.seat = Some(seat.ok_or_else(|| AppError::Throttled(FULL.to_owned()))?);
            drop(self.waiting.take());
        }
        self.keep(bound)
    }

    fn keep(&mut self, bound: Vec<Bound>) -> Result<Vec<String>, AppError> {
        let ids: Vec<String> = bound.iter().map(|bound| bound.id.clone()).collect();
        self.bound.retain(|known| !ids.contains(&known.id));
        if self.bound.len() + bound.len() > BOUND {
            return Err(AppError::TooLarge(format!(
                "a WebSocket can be bound to {BOUND} subscriptions: open another"
            )));
        }
        self.bound.extend(bound);
        Ok(ids)
    }

    async fn send_all(&mut self) -> Result<(), ()> {
        for mut bound in std::mem::take(&mut self.bound) {
            if self.send(&mut bound).await? {
                self.bound.push(bound);
            } else {
                // Off, given up or deleted: the client learns it by $status.
                let text = format!("unbound {}", bound.id);
                self.write(Message::Text(text.into())).await?;
            }
        }
        Ok(())
    }

    // Whether the subscription is still served.
    async fn send(&mut self, bound: &mut Bound) -> Result<bool, ()> {
        let frames = match socket::frames(&self.app, bound).await {
            Ok(frames) => frames,
            Err(AppError::Gone { .. }) => return Ok(false),
            Err(error) => {
                tracing::warn!(%error, "a WebSocket's events could not be read; they are read again");
                return Ok(true);
            }
        };
        for frame in frames {
            if !frame.text.is_empty() {
                self.write(Message::Text(frame.text.as_str().into()))
                    .await?;
            }
            if let Err(error) = socket::sent(&self.app, bound, &frame).await {
                tracing::warn!(%error, "what a WebSocket was sent was not noted; it may be sent again");
            }
        }
        Ok(true)
    }
}
