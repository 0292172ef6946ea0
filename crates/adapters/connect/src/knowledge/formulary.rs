//! A formulary behind our own contract (docs/reference/formulary-api.md): whoever licenses one puts a small
//! service before it. Must be strict: what is not as the contract says is no answer.

use async_trait::async_trait;
use http::{Method, header};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Claim, Concept, Edition, KnowledgeSource, Question, Said, SourceError, SourceSetting, Unit,
    call, request, secret,
};
use crate::outbound::Outbound;

/// Bytes of an answer.
const BYTES: usize = 4 << 20;
/// Most ingredients of one question.
const MOST: usize = 200;

/// The connector.
#[derive(Debug)]
pub struct Formulary(pub SourceSetting);

#[derive(Serialize)]
struct Asked<'a> {
    ingredients: Vec<Ingredient<'a>>,
}

#[derive(Serialize)]
struct Ingredient<'a> {
    names: &'a [String],
    codes: Vec<Code<'a>>,
}

#[derive(Serialize)]
struct Code<'a> {
    system: &'static str,
    code: &'a str,
}

#[derive(Deserialize)]
struct Answered {
    release: Release,
    known: Vec<bool>,
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Release {
    version: String,
    effective: String,
    licence: String,
}

#[derive(Deserialize)]
struct Interaction {
    id: String,
    between: (usize, usize),
    severity: String,
    effect: String,
    #[serde(default)]
    mechanism: String,
    #[serde(default)]
    management: String,
    #[serde(default)]
    citations: Vec<String>,
}

#[async_trait]
impl KnowledgeSource for Formulary {
    fn setting(&self) -> &SourceSetting {
        &self.0
    }

    fn unit(&self) -> Unit {
        Unit::Pair
    }

    async fn ask(&self, outbound: &dyn Outbound, question: &Question<'_>) -> Said {
        if question.about.len() < 2 {
            return Said::default();
        }
        match self.answered(outbound, question).await {
            Ok(said) => said,
            Err(error) => Said::failing(error),
        }
    }
}

impl Formulary {
    async fn answered(
        &self,
        outbound: &dyn Outbound,
        question: &Question<'_>,
    ) -> Result<Said, SourceError> {
        if question.about.len() > MOST {
            return Err(SourceError::Shape(
                "a question holds at most 200 ingredients",
            ));
        }
        let ingredients = question.about.iter().map(|one| Ingredient {
            names: &one.names,
            codes: codes(one),
        });
        let asked = Asked {
            ingredients: ingredients.collect(),
        };
        let body = serde_json::to_vec(&asked).map_err(|_| SourceError::NoJson)?;
        let key = self
            .0
            .key
            .as_deref()
            .map(String::as_str)
            .unwrap_or_default();
        let token = Zeroizing::new(format!("Bearer {key}"));
        let headers = secret(header::AUTHORIZATION, &token).into_iter().collect();
        let url = format!("{}/v1/interactions", self.0.url);
        let request = request(Method::POST, url, headers, body.into(), BYTES);
        let found = call(outbound, request, question.until).await?;
        let found = found.ok_or(SourceError::Status(404))?;
        let found: Answered = serde_json::from_value(found).map_err(|_| {
            SourceError::Shape("a field of the contract is missing or of another kind")
        })?;
        read(found, question.about)
    }
}

fn codes(one: &Concept) -> Vec<Code<'_>> {
    let code = |system| move |code| Code { system, code };
    let rxnorm = one.rxnorm.as_deref().map(code("rxnorm"));
    let snomed = one.snomed.as_deref().map(code("snomed"));
    let atc = one.atc.iter().map(String::as_str).map(code("atc"));
    rxnorm.into_iter().chain(snomed).chain(atc).collect()
}

fn read(found: Answered, about: &[Concept]) -> Result<Said, SourceError> {
    if found.known.len() != about.len() {
        return Err(SourceError::Shape("known is not as long as what was asked"));
    }
    if found.release.version.is_empty() {
        return Err(SourceError::Shape("the release has no version"));
    }
    let keys = |wanted: bool| {
        let own = about.iter().zip(&found.known);
        let own = own.filter(move |(_, known)| **known == wanted);
        own.map(|(one, _)| one.key.clone()).collect()
    };
    let (answered, unknown) = (keys(true), keys(false));
    let place = |at: usize| {
        let known = found.known.get(at).copied().unwrap_or(false);
        let own = about.get(at).filter(|_| known);
        own.map(|one| one.key.clone()).ok_or(SourceError::Shape(
            "an interaction is between what is not known",
        ))
    };
    let mut claims = Vec::with_capacity(found.interactions.len());
    for one in found.interactions {
        if one.id.is_empty() || one.effect.is_empty() || one.between.0 == one.between.1 {
            return Err(SourceError::Shape(
                "an interaction has no id, no effect or one side",
            ));
        }
        claims.push(Claim {
            id: one.id,
            between: (place(one.between.0)?, place(one.between.1)?),
            severity: Some(one.severity),
            effect: one.effect,
            mechanism: one.mechanism,
            management: one.management,
            citations: one.citations,
        });
    }
    Ok(Said {
        edition: Some(Edition {
            version: found.release.version,
            effective: found.release.effective,
            licence: found.release.licence,
        }),
        answered,
        unknown,
        claims,
        own: Vec::new(),
        failed: None,
    })
}
