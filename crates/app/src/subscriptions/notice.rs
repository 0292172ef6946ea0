//! Notifications as they are written: the Bundle of the R5 backport for R4 (type `history`, the status as
//! Parameters first), and the two-word texts of plain R4 WebSockets. Stored bytes are copied, not parsed.

use kernel::Timestamp;
use serde_json::{Value, json};

use super::documents::{Happened, Registration};
use super::events::{Item, Shown};
use super::resource::{Status, Watch};

const PROFILE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";

/// What a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Is somebody there.
    Handshake,
    /// Still here.
    Heartbeat,
    /// Something happened.
    Event,
    /// The answer to `$status`.
    QueryStatus,
    /// The answer to `$events`.
    QueryEvent,
}

impl Kind {
    const fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Heartbeat => "heartbeat",
            Self::Event => "event-notification",
            Self::QueryStatus => "query-status",
            Self::QueryEvent => "query-event",
        }
    }
}

/// A subscription's status, for notifications and `$status`.
pub(crate) fn status(
    registration: &Registration,
    kind: Kind,
    (state, error): (Status, Option<&str>),
    items: &[Item],
) -> Value {
    let base = &registration.owner.base;
    let mut parts = vec![json!({
        "name": "subscription",
        "valueReference": {"reference": format!("{base}/Subscription/{}", registration.id)},
    })];
    if let Watch::Topic { url, .. } = &registration.spec.watch {
        parts.push(json!({"name": "topic", "valueCanonical": url}));
    }
    parts.push(json!({"name": "status", "valueCode": state.as_str()}));
    parts.push(json!({"name": "type", "valueCode": kind.code()}));
    parts.push(json!({
        "name": "eventsSinceSubscriptionStart", "valueString": registration.events.to_string(),
    }));
    for item in items {
        let mut event = vec![
            json!({"name": "eventNumber", "valueString": item.delivery.number.to_string()}),
            json!({"name": "timestamp", "valueInstant": item.delivery.time.to_fhir_instant()}),
        ];
        let reference = |name: &str, shown: &Shown| json!({"name": name, "valueReference": {"reference": format!("{base}/{}", shown.name)}});
        event.extend(item.focus.iter().map(|shown| reference("focus", shown)));
        event.extend(
            item.along
                .iter()
                .map(|shown| reference("additionalContext", shown)),
        );
        parts.push(json!({"name": "notificationEvent", "part": event}));
    }
    if let Some(error) = error {
        parts.push(json!({"name": "error", "valueCodeableConcept": {"text": error}}));
    }
    json!({
        "resourceType": "Parameters",
        "meta": {"profile": [format!("{PROFILE}backport-subscription-status-r4")]},
        "parameter": parts,
    })
}

/// A notification Bundle.
pub(crate) fn bundle(
    id: uuid::Uuid,
    now: Timestamp,
    registration: &Registration,
    status: &Value,
    items: &[Item],
) -> Vec<u8> {
    let base = &registration.owner.base;
    let head = format!(
        r#"{{"resourceType":"Bundle","id":"{id}","meta":{{"profile":["{PROFILE}backport-subscription-notification-r4"]}},"type":"history","timestamp":"{}","entry":[{{"fullUrl":"urn:uuid:{id}","resource":{status},"request":{{"method":"GET","url":"{base}/Subscription/{}/$status"}},"response":{{"status":"200"}}}}"#,
        now.to_fhir_instant(),
        registration.id
    );
    let mut out = head.into_bytes();
    for item in items {
        let method = match item.delivery.happened {
            Happened::Create => ("POST", "201"),
            Happened::Update => ("PUT", "200"),
            Happened::Delete => ("DELETE", "204"),
        };
        if let Some(shown) = &item.focus {
            entry(&mut out, base, shown, method);
        }
        for shown in &item.along {
            entry(&mut out, base, shown, ("GET", "200"));
        }
    }
    out.extend_from_slice(b"]}");
    out
}

fn entry(out: &mut Vec<u8>, base: &str, shown: &Shown, (method, status): (&str, &str)) {
    let name = &shown.name;
    let url = match method {
        "POST" => name.split('/').next().unwrap_or(name),
        _ => name,
    };
    out.extend_from_slice(format!(r#",{{"fullUrl":"{base}/{name}","#).as_bytes());
    if let Some(body) = &shown.body {
        out.extend_from_slice(b"\"resource\":");
        out.extend_from_slice(body);
        out.push(b',');
    }
    out.extend_from_slice(
        format!(
            r#""request":{{"method":"{method}","url":"{url}"}},"response":{{"status":"{status}"}}}}"#
        )
        .as_bytes(),
    );
}
