//! The payload: the readable facts of an entry, sealed by the store under the subject's key. Compact JSON;
//! people and exports get it as a FHIR AuditEvent (see [`crate::audit_event`]). Must not be sealed here.

use std::borrow::Cow;

use kernel::{Actor, ActorId, ActorKind, BranchId, PurposeOfUse, RequestId};

use crate::error::FormatError;

/// The form of payloads that this program writes.
pub const PAYLOAD_FORM: u8 = 1;

/// The facts of an entry.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The form, [`PAYLOAD_FORM`].
    #[serde(rename = "v")]
    pub form: u8,
    /// Who.
    pub actor: ActorFacts,
    /// From which address, as text; none for the platform's own jobs.
    #[serde(rename = "addr", default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    /// What was done, as the edge names it: a FHIR interaction code such as `search-type`, or the
    /// platform's own word.
    #[serde(rename = "act")]
    pub interaction: Cow<'static, str>,
    /// On what.
    #[serde(rename = "res", default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceFacts>,
    /// The patient it is about: a logical id.
    #[serde(rename = "pat", default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The query as it was sent, for searches: `Observation?code=8867-4`.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Why.
    #[serde(rename = "why")]
    pub purpose: PurposeOfUse,
    /// The request's id, as in logs and answers.
    #[serde(rename = "req", default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// How it ended, in words: the policy's reason, the error's text.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub outcome_text: Option<String>,
}

/// The actor's facts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorFacts {
    /// The actor's id.
    pub id: ActorId,
    /// The kind.
    pub kind: ActorKind,
    /// The name shown to people.
    pub name: String,
    /// The role acted in.
    pub role: String,
    /// The branch acted at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchId>,
}

impl From<&Actor> for ActorFacts {
    fn from(actor: &Actor) -> Self {
        Self {
            id: actor.id,
            kind: actor.kind,
            name: actor.name.clone(),
            role: actor.role.clone(),
            branch: actor.branch,
        }
    }
}

/// The resource's facts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceFacts {
    /// Its type, such as `Observation`.
    #[serde(rename = "type")]
    pub ty: Cow<'static, str>,
    /// Its logical id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its version.
    #[serde(rename = "ver", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

impl ResourceFacts {
    /// A reference to it, with the version where one is known: `Observation/o1/_history/2`.
    #[must_use]
    pub fn reference(&self) -> String {
        match (&self.id, self.version) {
            (Some(id), Some(version)) => format!("{}/{id}/_history/{version}", self.ty),
            (Some(id), None) => format!("{}/{id}", self.ty),
            (None, _) => self.ty.to_string(),
        }
    }
}

impl Payload {
    /// The least a payload holds; the other facts are set on it.
    #[must_use]
    pub fn new(
        actor: &Actor,
        interaction: impl Into<Cow<'static, str>>,
        purpose: PurposeOfUse,
    ) -> Self {
        Self {
            form: PAYLOAD_FORM,
            actor: actor.into(),
            client_address: None,
            interaction: interaction.into(),
            resource: None,
            patient: None,
            query: None,
            purpose,
            request: None,
            outcome_text: None,
        }
    }
    /// Compact JSON: what is sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(384);
        // Writing strings and integers into memory cannot fail.
        let _ = serde_json::to_writer(&mut bytes, self);
        bytes
    }
    /// Reads the form of [`Self::to_bytes`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let refuse = FormatError::new("payload", "give the facts of form 1 as JSON");
        let payload: Self = serde_json::from_slice(bytes).map_err(|_| refuse)?;
        if payload.form == PAYLOAD_FORM {
            Ok(payload)
        } else {
            Err(refuse)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use kernel::UserId;
    use uuid::Uuid;

    use super::*;

    pub(crate) fn example() -> Payload {
        let actor = Actor {
            id: UserId::from_uuid(Uuid::from_u128(0x018f_2c3e_7b1a_7c3d_9e4f_0123_4567_89ab))
                .into(),
            kind: ActorKind::User,
            name: "Ada Quinn \"A\"".to_owned(),
            role: "nurse".to_owned(),
            branch: None,
        };
        let mut payload = Payload::new(&actor, "read", PurposeOfUse::Treatment);
        payload.client_address = Some("10.0.0.7".to_owned());
        payload.resource = Some(ResourceFacts {
            ty: "Observation".into(),
            id: Some("o1".to_owned()),
            version: Some(2),
        });
        payload.patient = Some("p1".to_owned());
        payload.request = Some(RequestId::from_uuid(Uuid::from_u128(7)));
        payload
    }

    #[test]
    fn payloads_are_compact_and_read_back() {
        let payload = example();
        insta::assert_snapshot!(String::from_utf8(payload.to_bytes()).unwrap(), @r#"{"v":1,"actor":{"id":"018f2c3e-7b1a-7c3d-9e4f-0123456789ab","kind":"user","name":"Ada Quinn \"A\"","role":"nurse"},"addr":"10.0.0.7","act":"read","res":{"type":"Observation","id":"o1","ver":2},"pat":"p1","why":"TREAT","req":"00000000-0000-0000-0000-000000000007"}"#);
        assert_eq!(Payload::parse(&payload.to_bytes()), Ok(payload));
    }

    #[test]
    fn other_forms_are_refused() {
        let text = String::from_utf8(example().to_bytes()).unwrap();
        for bad in [
            text.replace("\"v\":1", "\"v\":2"),
            text.replace("\"act\"", "\"axt\""),
            String::new(),
            "{}".to_owned(),
        ] {
            assert!(Payload::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
