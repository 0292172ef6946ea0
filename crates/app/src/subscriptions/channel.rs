//! Sending one notification over HTTP or mail. Must not decide when, or what a failure means for the
//! subscription.

use std::time::Duration;

use bytes::Bytes;
use connect::signature::{self, SigningKey};
use connect::{Answer, ConnectError, Message, Request};
use fhir::json::{Document, Limits};
use http::{HeaderName, HeaderValue, Method, header};
use kernel::TenantId;

use super::documents::{Happened, Registration};
use super::events::Item;
use super::resource::ChannelKind;
use crate::App;
use crate::error::AppError;

/// Why a notification did not arrive.
#[derive(Debug)]
pub(crate) struct Failed {
    /// For the creator and operators; names no patient.
    pub text: String,
    /// Trying again is pointless.
    pub permanent: bool,
    /// The other side asked to wait so many seconds.
    pub wait_s: Option<i64>,
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        Self {
            permanent: error.is_permanent(),
            wait_s: match &error {
                ConnectError::Resting { wait, .. } => i64::try_from(wait.as_secs()).ok(),
                _ => None,
            },
            text: error.to_string(),
        }
    }
}

/// The key that a subscription's calls are signed with: derived, so that every replica has it.
pub(crate) fn signing_key(app: &App, tenant: TenantId, id: &str) -> SigningKey {
    let tenant = tenant.as_uuid().into_bytes();
    let purpose: [&[u8]; 3] = [b"theriac webhooks v1", &tenant, id.as_bytes()];
    SigningKey::derive(&app.settings().secret, &purpose)
}

/// Sends on behalf of one subscription.
pub(crate) struct Sender<'a> {
    pub app: &'a App,
    pub tenant: TenantId,
    pub registration: &'a Registration,
}

struct Call {
    method: Method,
    url: String,
    media: Option<&'static str>,
    body: Bytes,
    id: String,
}

const JSON: &str = "application/fhir+json";
const XML: &str = "application/fhir+xml";

impl Sender<'_> {
    /// Sends a notification Bundle (topics).
    pub(crate) async fn bundle(&self, bundle: Vec<u8>, id: String) -> Result<(), Failed> {
        let channel = &self.registration.spec.channel;
        match channel.kind {
            ChannelKind::Email => {
                let text =
                    "An event that you subscribed to happened. The notification is attached.";
                let attached = ("notification.json", JSON, Bytes::from(bundle));
                self.mail(text.to_owned(), Some(attached), id).await
            }
            ChannelKind::RestHook | ChannelKind::Websocket => {
                let (media, body) = self.written(bundle.into())?;
                let call = Call {
                    method: Method::POST,
                    url: channel.endpoint.clone(),
                    media: Some(media),
                    body,
                    id,
                };
                self.call(call).await
            }
        }
    }

    /// Sends one event in plain R4.
    pub(crate) async fn plain(&self, item: &Item) -> Result<(), Failed> {
        let channel = &self.registration.spec.channel;
        let id = item.delivery.message();
        if channel.kind == ChannelKind::Email {
            return self.plain_mail(item, id).await;
        }
        let call = match &item.focus {
            // Without a payload, a call that says no more than that it is time to look.
            None => Call {
                method: Method::POST,
                url: channel.endpoint.clone(),
                media: None,
                body: Bytes::new(),
                id,
            },
            // With one, the endpoint is the base of a server that the resource is put to.
            Some(shown) => {
                let url = format!("{}/{}", channel.endpoint.trim_end_matches('/'), shown.name);
                match (&shown.body, item.delivery.happened) {
                    (Some(body), _) => {
                        let (media, body) = self.written(body.clone())?;
                        Call {
                            method: Method::PUT,
                            url,
                            media: Some(media),
                            body,
                            id,
                        }
                    }
                    (None, Happened::Delete) => Call {
                        method: Method::DELETE,
                        url,
                        media: None,
                        body: Bytes::new(),
                        id,
                    },
                    (None, _) => return Ok(()),
                }
            }
        };
        self.call(call).await
    }

    async fn plain_mail(&self, item: &Item, id: String) -> Result<(), Failed> {
        let base = &self.registration.owner.base;
        let number = item.delivery.number;
        let subscription = &self.registration.id;
        let text = format!(
            "Something that Subscription/{subscription} watches has changed (event {number}).\n{base}/Subscription/{subscription}\n"
        );
        let attached = match item.focus.as_ref().and_then(|shown| shown.body.clone()) {
            None => None,
            Some(body) => {
                let (media, body) = self.written(body)?;
                let name = if media == XML {
                    "resource.xml"
                } else {
                    "resource.json"
                };
                Some((name, media, body))
            }
        };
        self.mail(text, attached, id).await
    }

    // The body in the format asked for.
    fn written(&self, body: Bytes) -> Result<(&'static str, Bytes), Failed> {
        if !self.registration.spec.channel.xml {
            return Ok((JSON, body));
        }
        let failed = |text: String| Failed {
            text,
            permanent: false,
            wait_s: None,
        };
        let document = Document::parse(body.to_vec(), &Limits::default())
            .map_err(|error| failed(AppError::from(error).public_text().into_owned()))?;
        let xml = fhir::xml::from_json(self.app.definitions(), document.root())
            .map_err(|_| failed("the payload cannot be written as XML: ask for JSON".to_owned()))?;
        Ok((XML, xml.into()))
    }

    async fn call(&self, call: Call) -> Result<(), Failed> {
        let channel = &self.registration.spec.channel;
        let stamp = self.app.now().as_millis() / 1000;
        let key = signing_key(self.app, self.tenant, &self.registration.id);
        let signature = key.sign(&call.id, stamp, &call.body);
        let mut headers = Vec::with_capacity(channel.headers.len() + 4);
        for (name, value) in &channel.headers {
            if let (Ok(name), Ok(mut value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                value.set_sensitive(true);
                headers.push((name, value));
            }
        }
        if let Some(media) = call.media {
            headers.push((header::CONTENT_TYPE, HeaderValue::from_static(media)));
        }
        let own = [
            (signature::ID, call.id),
            (signature::TIMESTAMP, stamp.to_string()),
            (signature::SIGNATURE, signature),
        ];
        for (name, value) in own {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.push((HeaderName::from_static(name), value));
            }
        }
        let request = Request {
            method: call.method,
            url: call.url,
            headers,
            body: call.body,
            deadline: channel.timeout_s.map(Duration::from_secs),
            answer_bytes: None,
        };
        judge(&self.app.outbound().call(request).await?)
    }

    async fn mail(
        &self,
        text: String,
        attached: Option<(&str, &str, Bytes)>,
        id: String,
    ) -> Result<(), Failed> {
        let endpoint = &self.registration.spec.channel.endpoint;
        let message = Message {
            to: endpoint
                .strip_prefix("mailto:")
                .unwrap_or(endpoint)
                .to_owned(),
            subject: "Notification of the record".to_owned(),
            text,
            attachment: attached
                .map(|(name, media, bytes)| (name.to_owned(), media.to_owned(), bytes)),
            id,
        };
        Ok(self.app.outbound().mail(message).await?)
    }
}

fn judge(answer: &Answer) -> Result<(), Failed> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let wait = answer.headers.get(header::RETRY_AFTER);
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    Err(Failed {
        text: format!("the endpoint answered {}", status.as_u16()),
        // Gone says that nobody will be there again.
        permanent: status.as_u16() == 410,
        wait_s: wait,
    })
}
