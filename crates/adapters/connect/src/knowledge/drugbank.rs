//! The interaction checker of DrugBank's API: `POST /v1/ddi` with 2 to 40 ids, which are looked up by name
//! first. Must not ask with fewer than two, and must not leave out an interaction that it cannot read.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Claim, Concept, Edition, KnowledgeSource, Question, Said, SourceError, SourceSetting, Unit,
    call, encoded, request, secret, text,
};
use crate::outbound::Outbound;

/// Most ids of one question.
const MOST: usize = 40;
/// Names of an ingredient that are looked up.
const NAMES: usize = 3;
/// Bytes of an answer.
const BYTES: usize = 4 << 20;

/// The connector.
#[derive(Debug)]
pub struct DrugBank(pub SourceSetting);

#[async_trait]
impl KnowledgeSource for DrugBank {
    fn setting(&self) -> &SourceSetting {
        &self.0
    }

    fn unit(&self) -> Unit {
        Unit::Pair
    }

    async fn ask(&self, outbound: &dyn Outbound, question: &Question<'_>) -> Said {
        let looked = question.about.iter().map(|one| async move {
            let id = match &one.own {
                Some(id) => Ok(Some(id.clone())),
                None => self.look_up(outbound, one, question.until).await,
            };
            (one, id)
        });
        let mut said = Said::default();
        let mut keys: BTreeMap<String, String> = BTreeMap::new();
        for (one, id) in join_all(looked).await {
            match id {
                Ok(Some(id)) => {
                    said.own.push((one.key.clone(), id.clone()));
                    keys.insert(id, one.key.clone());
                }
                Ok(None) => said.unknown.push(one.key.clone()),
                Err(error) => said.failed = Some(error),
            }
        }
        let ids: Vec<&str> = keys.keys().map(String::as_str).collect();
        if ids.len() < 2 {
            return said;
        }
        match self.pairs(outbound, &ids, &keys, question.until).await {
            Ok(claims) => {
                said.claims = claims;
                said.answered = keys.into_values().collect();
                said.edition = Some(Edition {
                    licence: "DrugBank, under the customer's licence".to_owned(),
                    ..Edition::default()
                });
            }
            Err(error) => said.failed = Some(error),
        }
        said
    }
}

impl DrugBank {
    fn key(&self) -> Vec<(http::HeaderName, http::HeaderValue)> {
        let key = self.0.key.as_deref().map(String::as_str);
        // The key itself: the API knows no scheme before it.
        let own = key.and_then(|key| secret(header::AUTHORIZATION, key));
        own.into_iter().collect()
    }

    /// The id of an ingredient: of a product that holds it under that name.
    async fn look_up(
        &self,
        outbound: &dyn Outbound,
        one: &Concept,
        until: Instant,
    ) -> Result<Option<String>, SourceError> {
        for name in one.names.iter().take(NAMES) {
            let url = format!("{}/v1/drug_names/simple?q={}", self.0.url, encoded(name));
            let request = request(Method::GET, url, self.key(), Bytes::new(), BYTES);
            let Some(body) = call(outbound, request, until).await? else {
                continue;
            };
            let products = body.get("products").and_then(Value::as_array);
            let products = products.ok_or(SourceError::Shape("it has no products"))?;
            if let Some(id) = id_of(products, name) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Every pair of the ids: in parts of which any two stand in one question.
    async fn pairs(
        &self,
        outbound: &dyn Outbound,
        ids: &[&str],
        keys: &BTreeMap<String, String>,
        until: Instant,
    ) -> Result<Vec<Claim>, SourceError> {
        let mut questions: Vec<Vec<&str>> = Vec::new();
        if ids.len() <= MOST {
            questions.push(ids.to_vec());
        } else {
            let parts: Vec<&[&str]> = ids.chunks(MOST / 2).collect();
            for (number, one) in parts.iter().enumerate() {
                for other in parts.iter().skip(number + 1) {
                    questions.push([*one, *other].concat());
                }
            }
        }
        let url = format!("{}/v1/ddi?region={}", self.0.url, self.0.region);
        let asked = questions.into_iter().map(|ids| {
            let body = json!({ "drugbank_id": ids }).to_string();
            let request = request(Method::POST, url.clone(), self.key(), body.into(), BYTES);
            async move {
                let body = call(outbound, request, until).await?;
                let body = body.ok_or(SourceError::Status(404))?;
                claims(&body, keys)
            }
        });
        let mut all: BTreeMap<(String, String, String), Claim> = BTreeMap::new();
        for part in join_all(asked).await {
            for claim in part? {
                let (a, b) = claim.between.clone();
                all.insert((a, b, claim.id.clone()), claim);
            }
        }
        Ok(all.into_values().collect())
    }
}

/// The one id that products give an ingredient of this name; none where they differ. An ingredient that is
/// not named counts where it is the product's only one and the product has that name.
fn id_of(products: &[Value], name: &str) -> Option<String> {
    let mut found: Option<&str> = None;
    for product in products {
        let list = product.get("ingredients").and_then(Value::as_array);
        let list = list.map_or(&[][..], Vec::as_slice);
        let alone = list.len() == 1 && text(product, "name").eq_ignore_ascii_case(name);
        for ingredient in list {
            let own = text(ingredient, "name");
            let meant = own.eq_ignore_ascii_case(name) || (own.is_empty() && alone);
            let id = text(ingredient, "drugbank_id");
            if !meant || id.is_empty() {
                continue;
            }
            if found.is_some_and(|known| known != id) {
                return None;
            }
            found = Some(id);
        }
    }
    found.map(str::to_owned)
}

fn claims(body: &Value, keys: &BTreeMap<String, String>) -> Result<Vec<Claim>, SourceError> {
    let list = body.get("interactions").and_then(Value::as_array);
    let list = list.ok_or(SourceError::Shape("it has no interactions"))?;
    let total = body.get("total_results").and_then(Value::as_u64);
    if total.is_some_and(|total| total > list.len() as u64) {
        return Err(SourceError::Shape(
            "it holds fewer interactions than it counts",
        ));
    }
    list.iter().map(|one| claim(one, keys)).collect()
}

fn claim(one: &Value, keys: &BTreeMap<String, String>) -> Result<Claim, SourceError> {
    let side = |names: [&str; 2]| {
        let ingredient = names.iter().find_map(|name| one.get(*name));
        let id = ingredient.map(|own| text(own, "drugbank_id"));
        let key = id.and_then(|id| Some((id.to_owned(), keys.get(id)?.clone())));
        key.ok_or(SourceError::Shape(
            "an interaction names an ingredient that was not asked for",
        ))
    };
    let (first, a) = side(["ingredient", "product_ingredient"])?;
    let (second, b) = side(["affected_ingredient", "affected_product_ingredient"])?;
    let description = text(one, "description");
    if description.is_empty() {
        return Err(SourceError::Shape("an interaction has no description"));
    }
    let severity = text(one, "severity");
    let evidence = match text(one, "evidence_level") {
        "" => String::new(),
        level => format!(", evidence {level}"),
    };
    Ok(Claim {
        id: format!("{first}-{second}"),
        between: (a, b),
        severity: Some(severity.to_owned()),
        effect: description.to_owned(),
        mechanism: text(one, "extended_description").to_owned(),
        management: text(one, "management").to_owned(),
        citations: vec![format!(
            "DrugBank interaction {first} with {second}{evidence}"
        )],
    })
}
