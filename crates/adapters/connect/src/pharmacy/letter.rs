//! The adapter for whoever has neither interface: mail with the order as a PDF form. Must not name a
//! resident outside the form, or say that somebody took it: a mail server took it.

use async_trait::async_trait;
use bytes::Bytes;
use medication::supply::{Kind, Product};

use super::form::{Written, form};
use super::{Asked, CalledOff, PharmacyConnector, PharmacyError, Receipt, Report, Taken};
use crate::outbound::{Message, Outbound};

const NO_WAY_BACK: PharmacyError = PharmacyError::NotHere(
    "mail brings nothing back: note what the pharmacy tells you at the order",
);

/// A pharmacy that is written to.
pub struct Letter<'a> {
    /// The way out.
    pub outbound: &'a dyn Outbound,
    /// Its address.
    pub to: &'a str,
}

impl Letter<'_> {
    async fn send(
        &self,
        asked: &Asked<'_>,
        (what, called_off): (&str, Option<&str>),
        text: String,
    ) -> Result<(), PharmacyError> {
        let written = Written::of(asked, called_off);
        let pdf = form(&written).map_err(|error| PharmacyError::Content(error.to_string()))?;
        let order = asked.order.id.as_str();
        let short: String = asked.key.as_str().chars().take(32).collect();
        let message = Message {
            to: self.to.to_owned(),
            subject: format!("{what} {order} of {}", asked.home),
            text,
            attachment: Some((
                match called_off {
                    Some(_) => format!("cancellation-{order}.pdf"),
                    None => format!("{order}.pdf"),
                },
                "application/pdf".to_owned(),
                Bytes::from(pdf),
            )),
            // The same in every attempt, so that a mail that arrives twice is known by it.
            id: format!("{}.{short}", what.to_ascii_lowercase()),
        };
        Ok(self.outbound.mail(message).await?)
    }

    async fn order(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        let order = asked.order.id.as_str();
        let (what, ask) = match asked.order.verb.kind() {
            Kind::Repeat => ("Request", "please prescribe what the form lists"),
            Kind::Direct => ("Order", "please supply what the form lists"),
        };
        let text = format!(
            "The form holds number {order} of {}: {ask}, and quote the number.\n\nA form with the same number that arrives twice is one {}.\n",
            asked.home,
            what.to_ascii_lowercase(),
        );
        self.send(asked, (what, None), text).await?;
        Ok(Taken::default())
    }
}

#[async_trait]
impl PharmacyConnector for Letter<'_> {
    async fn catalogue(&self, _: Option<&str>) -> Result<Vec<Product>, PharmacyError> {
        Err(NO_WAY_BACK)
    }

    async fn request_repeat(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        self.order(asked).await
    }

    async fn order_supply(&self, asked: &Asked<'_>) -> Result<Taken, PharmacyError> {
        self.order(asked).await
    }

    async fn status(&self, _: &Asked<'_>) -> Result<Report, PharmacyError> {
        Err(NO_WAY_BACK)
    }

    async fn cancel(&self, asked: &Asked<'_>, reason: &str) -> Result<CalledOff, PharmacyError> {
        let order = asked.order.id.as_str();
        let text = format!(
            "{} calls off number {order}, which the form lists: {reason}.\n\nPlease supply nothing for it, or say that it is too late.\n",
            asked.home
        );
        self.send(asked, ("Cancellation", Some(reason)), text)
            .await?;
        Ok(CalledOff::Told)
    }

    async fn receipt(&self, _: &Asked<'_>, _: &Receipt<'_>) -> Result<(), PharmacyError> {
        Err(NO_WAY_BACK)
    }
}
