//! WebSockets of subscriptions with a real client over a real connection.

use std::time::Duration;

use app::subscriptions::Engine;
use axum::http::header::AUTHORIZATION;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use uuid::Uuid;

use crate::server::{Call, LAKESIDE, ROSEWOOD, TestServer};

struct Live {
    server: TestServer,
    engine: Arc<Engine>,
    address: std::net::SocketAddr,
    program: String,
}

impl Live {
    async fn start() -> Self {
        let server = TestServer::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = server.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let program = server.program(ROSEWOOD).await;
        Self {
            engine: Engine::new(server.app.clone(), Uuid::from_u128(1)),
            server,
            address,
            program,
        }
    }

    async fn work(&self) {
        let caller = self.server.acting(ROSEWOOD, "admin").await;
        for _ in 0..3 {
            self.engine.round(caller.tenant.id).await.unwrap();
        }
    }

    async fn subscribe(&self, id: &str) {
        let body = json!({
            "resourceType": "Subscription", "id": id, "status": "requested", "reason": "test",
            "criteria": "Patient?", "channel": { "type": "websocket" },
        });
        let call = Call::put(format!("/t/rosewood/fhir/Subscription/{id}")).bearer(&self.program);
        self.server.send(call.json(&body)).await.expect(201);
        self.work().await;
    }

    async fn patient(&self, id: &str) {
        let call = Call::put(format!("/t/rosewood/fhir/Patient/{id}")).bearer(&self.program);
        let body = json!({ "resourceType": "Patient", "id": id });
        self.server.send(call.json(&body)).await.expect(201);
        self.work().await;
    }

    async fn open(&self, tenant: &str, bearer: Option<&str>) -> Result<Line, String> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let url = format!(
            "ws://{}/t/{tenant}/fhir/$subscriptions-websocket",
            self.address
        );
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = bearer {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let opened = tokio_tungstenite::client_async(request, stream).await;
        opened
            .map(|(line, _)| Line(line))
            .map_err(|error| error.to_string())
    }
}

#[derive(Debug)]
struct Line(WebSocketStream<TcpStream>);

impl Line {
    async fn say(&mut self, text: &str) {
        self.0.send(Message::Text(text.into())).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let wait = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return text.to_string(),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return "closed".to_owned(),
                    Some(Ok(_)) => {}
                }
            }
        });
        wait.await.unwrap()
    }

    async fn hears_nothing(&mut self) {
        let wait = tokio::time::timeout(Duration::from_millis(1500), self.0.next());
        let heard = wait.await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_bound_line_is_pinged_and_what_was_missed_comes_first() {
    let live = Live::start().await;
    live.subscribe("s1").await;
    live.patient("p1").await;
    let mut line = live.open(ROSEWOOD, Some(&live.program)).await.unwrap();
    line.say("bind s1").await;
    assert_eq!(line.hear().await, "bound s1");
    assert_eq!(line.hear().await, "ping s1");
    line.hears_nothing().await;
    live.patient("p2").await;
    assert_eq!(line.hear().await, "ping s1");
    drop(line);
    // Acknowledged is what was written: a new line does not hear it again.
    let mut line = live.open(ROSEWOOD, Some(&live.program)).await.unwrap();
    line.say("bind s1").await;
    assert_eq!(line.hear().await, "bound s1");
    line.hears_nothing().await;
    for wrong in ["bind s2", "bind ../x", "hello", "bind-with-token x"] {
        line.say(wrong).await;
        let answer = line.hear().await;
        assert!(answer.starts_with("error "), "{wrong}: {answer}");
    }
    // Turned off: the line learns that it is served no more.
    let body = json!({
        "resourceType": "Subscription", "id": "s1", "status": "off", "reason": "test",
        "criteria": "Patient?", "channel": { "type": "websocket" },
    });
    let call = Call::put("/t/rosewood/fhir/Subscription/s1").bearer(&live.program);
    live.server.send(call.json(&body)).await.expect(200);
    live.work().await;
    assert_eq!(line.hear().await, "unbound s1");
}

#[tokio::test]
async fn tokens_bind_for_their_owner_alone_and_not_for_ever() {
    let live = Live::start().await;
    live.subscribe("s1").await;
    let ask = "/t/rosewood/fhir/Subscription/s1/$get-ws-binding-token";
    let answer = live.server.send(Call::get(ask).bearer(&live.program)).await;
    let answer: Value = answer.expect(200).json();
    let part = |name: &str, key: &str| {
        let parts = answer["parameter"].as_array().unwrap();
        let found = parts.iter().find(|part| part["name"] == name).unwrap();
        found[key].as_str().unwrap().to_owned()
    };
    assert!(part("websocket-url", "valueUrl").starts_with("wss://records.example.org/t/rosewood/"));
    let token = part("token", "valueString");
    // Somebody else of the tenant may read the subscription, not speak with its authority.
    let other = live.server.program_with(ROSEWOOD, "other", &[]).await;
    live.server
        .send(Call::get(ask).bearer(&other))
        .await
        .expect(404);
    let mut line = live.open(ROSEWOOD, Some(&other)).await.unwrap();
    line.say("bind s1").await;
    assert!(line.hear().await.starts_with("error "));
    // The other tenant knows the token not.
    let mut line = live.open(LAKESIDE, None).await.unwrap();
    line.say(&format!("bind-with-token {token}")).await;
    assert!(line.hear().await.starts_with("error "));
    // Nobody is signed in here: the token alone binds.
    let mut line = live.open(ROSEWOOD, None).await.unwrap();
    line.say("bind s1").await;
    assert!(line.hear().await.contains("bearer token"));
    line.say(&format!("bind-with-token {token}")).await;
    assert_eq!(line.hear().await, "bound s1");
    live.patient("p1").await;
    assert_eq!(line.hear().await, "ping s1");
    live.server.clock.advance(301);
    let mut late = live.open(ROSEWOOD, None).await.unwrap();
    late.say(&format!("bind-with-token {token}")).await;
    assert!(late.hear().await.starts_with("error "));
}

#[tokio::test]
async fn lines_are_for_those_who_are_signed_in_and_messages_are_short() {
    let live = Live::start().await;
    assert!(
        live.open(ROSEWOOD, Some("thr_nobody"))
            .await
            .unwrap_err()
            .contains("401")
    );
    let mut line = live.open(ROSEWOOD, Some(&live.program)).await.unwrap();
    let long = "x".repeat(20_000);
    line.say(&long).await;
    assert_eq!(line.hear().await, "closed");
    let mut line = live.open(ROSEWOOD, Some(&live.program)).await.unwrap();
    for _ in 0..11 {
        line.say("nonsense").await;
    }
    for _ in 0..10 {
        assert!(line.hear().await.starts_with("error "));
    }
    assert_eq!(line.hear().await, "closed");
}

#[tokio::test]
async fn strangers_wait_in_places_of_their_own_and_not_for_long() {
    let live = Live::start().await;
    let mut strangers = Vec::new();
    for _ in 0..4 {
        strangers.push(live.open(ROSEWOOD, None).await.unwrap());
    }
    let refused = live.open(ROSEWOOD, None).await.unwrap_err();
    assert!(refused.contains("429"), "{refused}");
    assert_eq!(live.server.app.figures().subscriptions.sockets, 0);
    let _line = live.open(ROSEWOOD, Some(&live.program)).await.unwrap();
    assert_eq!(live.server.app.figures().subscriptions.sockets, 1);
    // Words are no token.
    tokio::time::sleep(Duration::from_secs(4)).await;
    strangers[0].say("nonsense").await;
    assert!(strangers[0].hear().await.starts_with("error "));
    assert_eq!(strangers[0].hear().await, "closed");
    for mut stranger in strangers {
        stranger.hear().await;
    }
    let mut again = live.open(ROSEWOOD, None).await.unwrap();
    again.say("nonsense").await;
    assert!(again.hear().await.starts_with("error "));
}
