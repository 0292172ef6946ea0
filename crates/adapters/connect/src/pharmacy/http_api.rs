//! The adapter of our own published interface ([`super::api`]). Must not take an answer about another order,
//! or a state of this side, for one about it.

use async_trait::async_trait;
use http::{HeaderName, Method, StatusCode};
use kernel::Timestamp;
use medication::supply::{Product, State};
use serde::de::DeserializeOwned;

use super::api::{
    self, ApiCancellation, ApiCatalogue, ApiOrder, ApiProblem, ApiReceipt, ApiReceived,
    ApiResident, ApiStanding, IDEMPOTENCY_KEY,
};
use super::{
    Asked, CalledOff, JSON, PharmacyConnector, PharmacyError, Reach, Receipt, Report, Taken,
    failed, looks_like,
};
use crate::outbound::Answer;
use crate::query::escape;

/// A pharmacy that answers our interface.
pub struct Api<'a>(pub Reach<'a>);

/// Most pages of a catalogue that are asked for, and most products that are taken of them.
const PAGES: usize = 200;
/// Also the most that are kept.
pub const PRODUCTS: usize = 5_000;

fn problem(body: &[u8]) -> String {
    let read = serde_json::from_slice::<ApiProblem>(body);
    let detail = read.map(|own| own.detail).unwrap_or_default();
    detail.chars().take(200).collect()
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, PharmacyError> {
    if let Some(error) = failed(answer, problem) {
        return Err(error);
    }
    serde_json::from_slice(&answer.body).map_err(|_| PharmacyError::Garbage {
        what: looks_like(answer),
    })
}

fn garbage(what: &str) -> PharmacyError {
    PharmacyError::Garbage {
        what: what.to_owned(),
    }
}

/// What is said of this order; the home alone drafts, approves and books in.
fn standing(answer: &Answer, asked: &Asked<'_>) -> Result<ApiStanding, PharmacyError> {
    let own: ApiStanding = read(answer)?;
    if own.order != asked.order.id.as_str() {
        return Err(garbage("it is about another order"));
    }
    let ours = [
        State::Draft,
        State::Approved,
        State::Received,
        State::Reconciled,
    ];
    if ours.contains(&own.state) {
        return Err(garbage("it says what the home alone can know"));
    }
    Ok(own)
}

impl Api<'_> {
    async fn post<T: serde::Serialize>(
        &self,
        url: String,
        body: &T,
        asked: &Asked<'_>,
    ) -> Result<Answer, PharmacyError> {
        let body =
            serde_json::to_vec(body).map_err(|error| PharmacyError::Content(error.to_string()))?;
        let key = HeaderName::from_static(IDEMPOTENCY_KEY);
        let headers = vec![(key, asked.key.as_str().to_owned())];
        let sent = (JSON, Some(body));
        self.0.call((Method::POST, url), sent, headers).await
    }

    async fn get(&self, url: String) -> Result<Answer, PharmacyError> {
        let nothing = (JSON, None);
        self.0.call((Method::GET, url), nothing, Vec::new()).await
    }

    async fn send(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        let verb = &asked.order.verb;
        let body = ApiOrder {
            order: asked.order.id.to_string(),
            kind: verb.kind(),
            authored: asked.authored.to_fhir_instant(),
            home: asked.home.to_owned(),
            deliver_to: asked.deliver_to.to_owned(),
            resident: verb.resident().map(|own| ApiResident {
                id: own.to_string(),
                name: asked.resident.map(str::to_owned),
            }),
            lines: ApiOrder::lines(asked.order, asked.doses),
        };
        let answer = self.post(api::orders(self.0.base), &body, asked).await?;
        let own = standing(&answer, asked)?;
        Ok(Taken {
            reference: own.reference,
            state: Some(own.state),
            note: own.note,
        })
    }
}

#[async_trait]
impl PharmacyConnector for Api<'_> {
    async fn catalogue(&self, code: Option<&str>) -> Result<Vec<Product>, PharmacyError> {
        let mut products = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let mut url = api::catalogue(self.0.base);
            let mut sign = '?';
            for (name, value) in [("code", code), ("after", after.as_deref())] {
                if let Some(value) = value {
                    url.push(sign);
                    url.push_str(name);
                    url.push('=');
                    escape(value, &mut url);
                    sign = '&';
                }
            }
            let page: ApiCatalogue = read(&self.get(url).await?)?;
            if products.len() + page.products.len() > PRODUCTS {
                return Err(garbage(&format!(
                    "its catalogue has more than {PRODUCTS} products"
                )));
            }
            for product in page.products {
                let own = product.read();
                products.push(own.ok_or_else(|| garbage("a product of it cannot be read"))?);
            }
            match page.next {
                Some(next) if after.as_ref() != Some(&next) => after = Some(next),
                _ => return Ok(products),
            }
        }
        Err(garbage("its catalogue does not end"))
    }

    async fn request_repeat(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        self.send(asked).await
    }

    async fn order_supply(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        self.send(asked).await
    }

    async fn status(&self, asked: &Asked<'_>) -> Result<Report, PharmacyError> {
        let answer = self
            .get(api::order(self.0.base, asked.order.id.as_str()))
            .await?;
        if answer.status == StatusCode::NOT_FOUND && !problem(&answer.body).is_empty() {
            return Err(PharmacyError::NotKnown);
        }
        let own = standing(&answer, asked)?;
        Ok(Report {
            state: own.state,
            at: own.at.as_deref().and_then(Timestamp::from_rfc3339),
            note: own.note,
        })
    }

    async fn cancel(&self, asked: &Asked<'_>, reason: &str) -> Result<CalledOff, PharmacyError> {
        let body = ApiCancellation {
            reason: reason.to_owned(),
        };
        let url = api::cancel(self.0.base, asked.order.id.as_str());
        let answer = self.post(url, &body, asked).await?;
        match (answer.status, problem(&answer.body)) {
            // What never arrived need not be called off; what they said that they have does not vanish.
            (StatusCode::NOT_FOUND, why) if !why.is_empty() => {
                if asked.acknowledged {
                    return Err(garbage("it does not know an order that it acknowledged"));
                }
                return Ok(CalledOff::Yes);
            }
            (StatusCode::CONFLICT, why) if !why.is_empty() => return Ok(CalledOff::No(why)),
            _ => {}
        }
        let own = standing(&answer, asked)?;
        if own.state == State::Cancelled {
            Ok(CalledOff::Yes)
        } else {
            Err(garbage("it does not say that it is cancelled"))
        }
    }

    async fn receipt(&self, asked: &Asked<'_>, receipt: &Receipt<'_>) -> Result<(), PharmacyError> {
        let lines = asked.order.verb.lines().iter().filter_map(|line| {
            let received = receipt.received.iter().find(|own| own.item == line.item);
            let missing = receipt.missing.iter().find(|own| own.item == line.item);
            (received.is_some() || missing.is_some()).then(|| ApiReceived {
                item: line.item.to_string(),
                received: received.map(|own| own.quantity),
                missing: missing.map(|own| own.missing),
            })
        });
        let body = ApiReceipt {
            note: receipt.note.to_owned(),
            at: receipt.at.to_fhir_instant(),
            lines: lines.collect(),
            problems: receipt.problems.to_vec(),
        };
        let url = api::receipts(self.0.base, asked.order.id.as_str());
        let answer = self.post(url, &body, asked).await?;
        match failed(&answer, problem) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
