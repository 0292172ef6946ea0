//! The adapter of messages in the shape of the electronic prescription service: `$process-message` with a
//! request or its cancellation, and the Task of a prescription for where it stands. Must not send goods'
//! orders, which that service does not carry, or claim that a message was taken when another was.

use async_trait::async_trait;
use fhir::json::{Document, Limits};
use http::{HeaderName, Method};
use medication::supply::Product;
use medication::supply::resources::{
    Answered, Content, NUMBER, message, read_answer, read_standing, short_form,
};

use super::{
    Asked, CalledOff, PharmacyConnector, PharmacyError, Reach, Receipt, Report, Taken, failed,
    looks_like,
};
use crate::outbound::Answer;
use crate::query::escape;

const FHIR: &str = "application/fhir+json";
/// What the service knows a request again by, in its logs.
const REQUEST: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
/// The dose of a line that nobody stated.
const DIRECTED: &str = "As directed";
/// `Prescribing error` and the like stand for a person's reason; a home's is none of them: `0001` says that
/// it was asked for in error.
const IN_ERROR: &str = "0001";

/// A practice or a pharmacy that is reached by messages.
pub struct Messaging<'a>(pub Reach<'a>);

/// The header's id and the bundle's identifier.
fn ids(text: &str) -> Option<(String, String)> {
    let document = Document::parse(text.as_bytes().to_vec(), &Limits::default()).ok()?;
    let root = document.root();
    let header = root.get("entry")?.items().next()?.get("resource")?;
    let id = header.get_str("id")?.into_owned();
    let bundle = root.get("identifier")?.get_str("value")?.into_owned();
    Some((id, bundle))
}

/// What an OperationOutcome of a refusal says.
fn refusal(body: &[u8]) -> String {
    match read_answer(body, "") {
        Ok(Answered::Refused(words) | Answered::Later(words)) if !words.is_empty() => words,
        Ok(Answered::Refused(_) | Answered::Later(_)) => "no reason was given".to_owned(),
        _ => String::new(),
    }
}

impl Messaging<'_> {
    async fn send(
        &self,
        asked: &Asked<'_>,
        content: Content<'_>,
    ) -> Result<Answered, PharmacyError> {
        let parties = asked.parties.ok_or_else(|| {
            PharmacyError::Content(
                "the parties of the message are not known: complete the partner and the resident"
                    .to_owned(),
            )
        })?;
        let doses: Vec<String> = (0..asked.order.verb.lines().len())
            .map(|place| {
                let own = asked.doses.get(place).filter(|own| !own.is_empty());
                own.cloned().unwrap_or_else(|| DIRECTED.to_owned())
            })
            .collect();
        let with = (asked.key, "continuous", doses.as_slice());
        let text = message(asked.order, parties, content, with, asked.authored)
            .map_err(|error| PharmacyError::Content(error.to_string()))?;
        let (header, bundle) = ids(&text)
            .ok_or_else(|| PharmacyError::Content("the message has no header".to_owned()))?;
        let url = format!("{}/$process-message", self.0.base);
        let headers = vec![(REQUEST, bundle), (CORRELATION, header.clone())];
        let body = (FHIR, Some(text.into_bytes()));
        let answer = self.0.call((Method::POST, url), body, headers).await?;
        read(&answer, &header)
    }
}

fn read(answer: &Answer, header: &str) -> Result<Answered, PharmacyError> {
    if let Some(error) = failed(answer, refusal) {
        return Err(error);
    }
    read_answer(&answer.body, header).map_err(|error| PharmacyError::Garbage {
        what: format!("{}: {error}", looks_like(answer)),
    })
}

#[async_trait]
impl PharmacyConnector for Messaging<'_> {
    async fn catalogue(&self, _: Option<&str>) -> Result<Vec<Product>, PharmacyError> {
        Err(PharmacyError::NotHere(
            "messages carry no catalogue: look at the dictionary of products",
        ))
    }

    async fn request_repeat(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        match self.send(asked, Content::Request).await? {
            Answered::Taken => Ok(Taken {
                reference: asked
                    .parties
                    .and_then(|own| short_form(asked.key, &own.prescriber.practice).ok()),
                state: Some(medication::supply::State::Acknowledged),
                note: None,
            }),
            Answered::Refused(detail) => Err(PharmacyError::Refused {
                status: 200,
                detail,
            }),
            Answered::Later(_) => Err(PharmacyError::Busy {
                status: 200,
                wait: None,
            }),
        }
    }

    async fn order_supply(&self, _: &Asked<'_>) -> Result<Taken, PharmacyError> {
        Err(PharmacyError::NotHere(
            "messages carry requests for prescriptions alone: order goods of a partner with the HTTP interface or by mail",
        ))
    }

    async fn status(&self, asked: &Asked<'_>) -> Result<Report, PharmacyError> {
        let parties = asked.parties.ok_or(PharmacyError::NotKnown)?;
        let number = short_form(asked.key, &parties.prescriber.practice)
            .map_err(|error| PharmacyError::Content(error.to_string()))?;
        let mut url = format!("{}/Task?focus:identifier=", self.0.base);
        escape(&format!("{NUMBER}|{number}"), &mut url);
        let nothing = (FHIR, None);
        let answer = self.0.call((Method::GET, url), nothing, Vec::new()).await?;
        if let Some(error) = failed(&answer, refusal) {
            return Err(error);
        }
        let found =
            read_standing(&answer.body, &number).map_err(|error| PharmacyError::Garbage {
                what: format!("{}: {error}", looks_like(&answer)),
            })?;
        let (state, at) = found.ok_or(PharmacyError::NotKnown)?;
        Ok(Report {
            state,
            at,
            note: None,
        })
    }

    async fn cancel(&self, asked: &Asked<'_>, _: &str) -> Result<CalledOff, PharmacyError> {
        let content = Content::Cancellation { reason: IN_ERROR };
        match self.send(asked, content).await {
            Ok(Answered::Taken) => Ok(CalledOff::Yes),
            Ok(Answered::Refused(why)) | Err(PharmacyError::Refused { detail: why, .. }) => {
                Ok(CalledOff::No(why))
            }
            Ok(Answered::Later(_)) => Err(PharmacyError::Busy {
                status: 200,
                wait: None,
            }),
            Err(error) => Err(error),
        }
    }

    async fn receipt(&self, _: &Asked<'_>, _: &Receipt<'_>) -> Result<(), PharmacyError> {
        Err(PharmacyError::NotHere(
            "messages carry no receipts: tell the pharmacy what is missing",
        ))
    }
}
