//! The Subscription resource, read: R4 (section 2.46) and the profile of the R5 backport for R4
//! (`backport-subscription`). Must not judge whether what it asks for is allowed.

use fhir::json::{Document, Limits};
use fhir::patch;
use kernel::Timestamp;
use serde_json::Value;

const BACKPORT: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";
/// HAPI's way to ask for deletions too, which plain R4 subscriptions do not notify of.
const DELETIONS: &str =
    "http://hapifhir.io/fhir/StructureDefinition/subscription-send-delete-messages";

/// `Subscription.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Wanted; not checked yet.
    Requested,
    /// Served.
    Active,
    /// Given up.
    Error,
    /// Ended.
    Off,
}

impl Status {
    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Active => "active",
            Self::Error => "error",
            Self::Off => "off",
        }
    }

    fn parse(code: &str) -> Option<Self> {
        [Self::Requested, Self::Active, Self::Error, Self::Off]
            .into_iter()
            .find(|status| status.as_str() == code)
    }
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Watch {
    /// Resources that a search would find.
    Criteria {
        /// `Type?query`.
        query: String,
        /// Whether deletions of what it found are notified too.
        deletions: bool,
    },
    /// The events of a topic.
    Topic {
        /// Its canonical URL.
        url: String,
        /// Filters, all of which must hold: `Type?query`.
        filters: Vec<String>,
    },
}

/// How it is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// HTTP calls.
    RestHook,
    /// A WebSocket that the client holds open.
    Websocket,
    /// E-mail.
    Email,
}

impl ChannelKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::RestHook, Self::Websocket, Self::Email];

    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RestHook => "rest-hook",
            Self::Websocket => "websocket",
            Self::Email => "email",
        }
    }
}

/// How much a notification holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// That something happened.
    Empty,
    /// What it happened to.
    IdOnly,
    /// The resource.
    FullResource,
}

impl Content {
    /// The code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::IdOnly => "id-only",
            Self::FullResource => "full-resource",
        }
    }

    /// Reads the code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        [Self::Empty, Self::IdOnly, Self::FullResource]
            .into_iter()
            .find(|content| content.as_str() == code)
    }
}

/// The channel. Header values may be secrets: this is kept sealed and never shown.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Channel {
    pub kind: ChannelKind,
    pub endpoint: String,
    pub headers: Vec<(String, String)>,
    pub content: Content,
    pub xml: bool,
    pub heartbeat_s: Option<i64>,
    pub timeout_s: Option<u64>,
    pub at_once: u32,
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Channel")
            .field("kind", &self.kind)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// A Subscription.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Spec {
    pub status: Status,
    pub end: Option<Timestamp>,
    pub watch: Watch,
    pub channel: Channel,
}

/// Most events in one notification.
const AT_ONCE: u32 = 100;

impl Spec {
    /// Reads the resource; says what cannot be served and what to change.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let root: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let text = |name: &str| root.get(name).and_then(Value::as_str);
        let status = text("status").and_then(Status::parse).ok_or_else(|| {
            "Subscription.status is none of requested, active, error, off".to_owned()
        })?;
        let end = match text("end") {
            None => None,
            Some(end) => Some(Timestamp::from_rfc3339(end).ok_or_else(|| {
                "Subscription.end is no instant: give one such as 2027-01-01T00:00:00Z".to_owned()
            })?),
        };
        let criteria = text("criteria").unwrap_or_default();
        let is_topic = !criteria.contains('?') && criteria.contains(':');
        let watch = if is_topic {
            let filter = |found: &Value| found.get("valueString")?.as_str().map(str::to_owned);
            Watch::Topic {
                url: criteria.to_owned(),
                filters: extensions(root.get("_criteria"), "backport-filter-criteria")
                    .filter_map(filter)
                    .collect(),
            }
        } else {
            Watch::Criteria {
                query: criteria.to_owned(),
                deletions: flag(&root, DELETIONS)
                    || flag(root.get("channel").unwrap_or(&root), DELETIONS),
            }
        };
        let channel = root
            .get("channel")
            .ok_or("Subscription.channel is missing")?;
        Ok(Self {
            status,
            end,
            channel: read_channel(channel, is_topic)?,
            watch,
        })
    }
}

fn read_channel(channel: &Value, is_topic: bool) -> Result<Channel, String> {
    let text = |name: &str| channel.get(name).and_then(Value::as_str);
    let code = text("type").unwrap_or_default();
    let kind = ChannelKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == code)
        .ok_or_else(|| {
            format!("channel type {code:?} is not served here: use rest-hook, websocket or email")
        })?;
    let mime = text("payload").unwrap_or_default();
    let media = mime.split(';').next().unwrap_or_default().trim();
    let xml = is_xml(media)?;
    let content = match (is_topic, media) {
        (false, "") => Content::Empty,
        (false, _) => Content::FullResource,
        (true, _) => {
            let mut found = extensions(channel.get("_payload"), "backport-payload-content");
            match found
                .next()
                .and_then(|found| found.get("valueCode")?.as_str())
            {
                None => Content::Empty,
                Some(code) => Content::parse(code).ok_or_else(|| {
                    format!("payload content {code:?} is none of empty, id-only, full-resource")
                })?,
            }
        }
    };
    let number = |name: &str| {
        let mut found = extensions(Some(channel), name);
        let members = found.next()?.as_object()?;
        let value = members.iter().find(|(key, _)| key.starts_with("value"))?.1;
        value.as_u64()
    };
    let headers = channel.get("header").and_then(Value::as_array);
    let headers: Result<Vec<_>, String> = headers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(header)
        .collect();
    let heartbeat = number("backport-heartbeat-period").filter(|seconds| *seconds > 0);
    Ok(Channel {
        kind,
        endpoint: text("endpoint").unwrap_or_default().to_owned(),
        headers: headers?,
        content,
        xml,
        heartbeat_s: heartbeat.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
        timeout_s: number("backport-timeout").filter(|seconds| *seconds > 0),
        at_once: number("backport-max-count").map_or(1, |count| {
            u32::try_from(count).unwrap_or(AT_ONCE).clamp(1, AT_ONCE)
        }),
    })
}

fn is_xml(media: &str) -> Result<bool, String> {
    match media {
        "" | "application/fhir+json" | "application/json" => Ok(false),
        "application/fhir+xml" | "application/xml" => Ok(true),
        _ => Err(format!(
            "payload {media:?} is not served here: use application/fhir+json or application/fhir+xml"
        )),
    }
}

fn header(line: &str) -> Result<(String, String), String> {
    // The text may hold a secret: it is not repeated.
    line.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "a channel header is not of the form name: value".to_owned())
}

/// What stands for the value of a channel header in a stored Subscription: it may be a secret, and
/// whoever may read Subscriptions, now, in histories, exports or backups, would have it.
pub(crate) const WITHHELD: &str = "(withheld)";

/// A Subscription with the values of its channel headers withheld; `None` where there is nothing to withhold.
pub(crate) fn withheld(body: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let document = Document::parse(body.to_vec(), &Limits::default());
    let document = document.map_err(|error| error.to_string())?;
    let headers = document
        .root()
        .get("channel")
        .and_then(|it| it.get("header"));
    let mut changes = Vec::new();
    for (at, line) in headers
        .into_iter()
        .flat_map(fhir::json::Value::items)
        .enumerate()
    {
        let Some(line) = line.as_str() else { continue };
        let (name, _) = header(&line)?;
        changes.push(serde_json::json!({
            "op": "replace", "path": format!("/channel/header/{at}"), "value": format!("{name}: {WITHHELD}"),
        }));
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let limits = patch::Limits::default();
    let changes = Value::from(changes).to_string().into_bytes();
    let changes =
        Document::parse(changes, &Limits::default()).map_err(|error| error.to_string())?;
    patch::parse(changes.root(), &limits)
        .and_then(|changes| patch::apply(document.root(), &changes, patch::Emptied::Keep, &limits))
        .map(Some)
        .map_err(|error| error.to_string())
}

fn extensions<'a>(of: Option<&'a Value>, name: &'a str) -> impl Iterator<Item = &'a Value> {
    of.and_then(|of| of.get("extension"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(move |found| {
            let url = found.get("url").and_then(Value::as_str);
            url.and_then(|url| url.strip_prefix(BACKPORT)) == Some(name)
        })
}

fn flag(of: &Value, url: &str) -> bool {
    of.get("extension")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|found| {
            found.get("url").and_then(Value::as_str) == Some(url)
                && found.get("valueBoolean").and_then(Value::as_bool) == Some(true)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Spec, String> {
        Spec::read(value.to_string().as_bytes())
    }

    fn plain() -> Value {
        json!({
            "resourceType": "Subscription", "status": "requested", "reason": "test",
            "criteria": "Observation?code=1", "channel": {"type": "rest-hook", "endpoint": "https://a.test/x"},
        })
    }

    #[test]
    fn plain_r4_is_read() {
        let mut body = plain();
        let spec = read(&body).unwrap();
        assert_eq!(spec.channel.content, Content::Empty);
        body["channel"]["payload"] = json!("application/fhir+xml");
        body["channel"]["header"] = json!(["Authorization: Bearer secret:1"]);
        body["extension"] = json!([{"url": DELETIONS, "valueBoolean": true}]);
        let spec = read(&body).unwrap();
        assert_eq!(spec.channel.content, Content::FullResource);
        assert!(spec.channel.xml && !format!("{spec:?}").contains("secret"));
        assert_eq!(
            spec.channel.headers,
            [("Authorization".to_owned(), "Bearer secret:1".to_owned())]
        );
        let query = "Observation?code=1".to_owned();
        assert_eq!(
            spec.watch,
            Watch::Criteria {
                query,
                deletions: true
            }
        );
    }

    #[test]
    fn the_backport_is_read() {
        let mut body = plain();
        body["criteria"] = json!("https://a.test/topics/admission");
        body["_criteria"] = json!({"extension": [{
            "url": format!("{BACKPORT}backport-filter-criteria"), "valueString": "Encounter?patient=Patient/1"}]});
        body["channel"]["_payload"] = json!({"extension": [{
            "url": format!("{BACKPORT}backport-payload-content"), "valueCode": "id-only"}]});
        body["channel"]["extension"] = json!([
            {"url": format!("{BACKPORT}backport-heartbeat-period"), "valueUnsignedInt": 60},
            {"url": format!("{BACKPORT}backport-timeout"), "valueUnsignedInt": 7},
            {"url": format!("{BACKPORT}backport-max-count"), "valuePositiveInt": 5000}]);
        let spec = read(&body).unwrap();
        assert_eq!(
            spec.watch,
            Watch::Topic {
                url: "https://a.test/topics/admission".to_owned(),
                filters: vec!["Encounter?patient=Patient/1".to_owned()]
            }
        );
        let channel = spec.channel;
        assert_eq!(
            (
                channel.content,
                channel.heartbeat_s,
                channel.timeout_s,
                channel.at_once
            ),
            (Content::IdOnly, Some(60), Some(7), 100)
        );
    }

    #[test]
    fn what_is_not_served_is_named() {
        for (place, value, part) in [
            ("/channel/type", json!("sms"), "sms"),
            ("/channel/type", json!("message"), "message"),
            ("/status", json!("on"), "status"),
            ("/channel/payload", json!("text/csv"), "text/csv"),
            ("/end", json!("soon"), "end"),
            (
                "/channel/header",
                json!(["secret-without-colon"]),
                "form name: value",
            ),
        ] {
            let mut body = plain();
            body["end"] = json!("2027-01-01T00:00:00Z");
            body["channel"]["payload"] = json!("application/fhir+json");
            body["channel"]["header"] = json!([]);
            *body.pointer_mut(place).unwrap() = value;
            let error = read(&body).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
