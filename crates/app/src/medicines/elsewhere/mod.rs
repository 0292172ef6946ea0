//! Knowledge from elsewhere about a list of medicines: every source that the tenant may ask, at the same
//! time, each within its own deadline, with what it answered before. Sends ingredients and nothing else.
//! What a source did not tell is a gap with its name; must never be an empty answer.

mod kept;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use connect::knowledge::{
    Concept, Edition, KnowledgeSource, Question, Said, SourceError, SourceSetting, Unit,
};
use futures_util::future::join_all;
use kernel::Timestamp;
use medication::checks::elsewhere::{Severities, Stated, Statement, findings, gaps};
use medication::checks::merge::Answer;
use medication::checks::{Medicine, NotChecked};
use medication::knowledge::{IngredientId, Knowledge, Release};
use parking_lot::Mutex;

use self::kept::{Kept, Stamp};
use crate::App;
use crate::context::Caller;

/// What the house may ask elsewhere.
pub struct Elsewhere {
    sources: Vec<Box<dyn KnowledgeSource>>,
    severities: Severities,
}

impl Elsewhere {
    /// Sources, and how their words are shown.
    #[must_use]
    pub fn new(sources: Vec<Box<dyn KnowledgeSource>>, severities: Severities) -> Self {
        Self {
            sources,
            severities,
        }
    }

    /// How the sources are set up.
    pub fn settings(&self) -> impl Iterator<Item = &SourceSetting> {
        self.sources.iter().map(|own| own.setting())
    }
}

/// When the question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Somebody decides on the list: sources are asked where nothing fresh is kept.
    Now,
    /// A dose is at hand: nobody waits for a source; what is kept counts.
    AtBedside,
}

/// How a source took part in a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// It answered now.
    Answered,
    /// It answered before, and that still counts.
    Kept,
    /// There was no pair to ask about.
    Nothing,
    /// It did not answer.
    Failed(String),
}

impl How {
    /// The code: `answered`, `kept`, `nothing`, `failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Kept => "kept",
            Self::Nothing => "nothing",
            Self::Failed(_) => "failed",
        }
    }
}

/// A source and its part in a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consulted {
    /// Its name.
    pub name: String,
    /// How it took part.
    pub how: How,
    /// Version, day and terms of the oldest answer that was used.
    pub version: String,
    /// Day from which that version holds.
    pub effective: String,
    /// Terms of its use.
    pub licence: String,
    /// When that answer was given.
    pub at: Option<Timestamp>,
}

/// What all sources come to for a list.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Findings by source.
    pub answers: Vec<Answer>,
    /// What was not told.
    pub gaps: Vec<NotChecked>,
    /// Every source that was to be asked.
    pub sources: Vec<Consulted>,
}

/// What this process remembers of sources. All of it can be lost.
#[derive(Default)]
pub(crate) struct Board {
    kept: kept::Cache,
    /// Until when a source wants to be left alone, by name.
    resting: Mutex<HashMap<String, Timestamp>>,
    /// The newest version seen, by the place of its answers.
    newest: Mutex<HashMap<String, String>>,
    counts: Mutex<BTreeMap<(String, &'static str), u64>>,
}

impl Board {
    fn count(&self, source: &str, outcome: &'static str) {
        let mut counts = self.counts.lock();
        *counts.entry((source.to_owned(), outcome)).or_default() += 1;
    }

    /// Questions by source and outcome.
    pub(crate) fn figures(&self) -> Vec<(String, &'static str, u64)> {
        let counts = self.counts.lock();
        let all = counts.iter();
        all.map(|((source, outcome), count)| (source.clone(), *outcome, *count))
            .collect()
    }
}

/// Asks about a list.
pub(super) async fn consult(
    app: &App,
    caller: &Caller,
    knowledge: &Knowledge,
    medicines: &[Medicine],
    when: When,
) -> Heard {
    let Some(elsewhere) = app.elsewhere() else {
        return Heard::default();
    };
    let slug = caller.tenant.slug.to_string();
    let parts = medicines.iter().flat_map(|own| &own.parts);
    let ids: BTreeSet<IngredientId> = parts.map(|part| part.ingredient).collect();
    let all: Vec<(IngredientId, Concept)> = knowledge
        .ingredients()
        .map(|(id, own)| {
            let concept = Concept {
                key: own.key.clone(),
                names: own.names.clone(),
                rxnorm: own.rxnorm.clone(),
                snomed: own.snomed.clone(),
                atc: own.atc.clone(),
                own: None,
            };
            (id, concept)
        })
        .collect();
    let own = all.iter().filter(|(id, _)| ids.contains(id));
    let list = List {
        about: own.cloned().collect(),
        named: all.iter().map(|(_, concept)| concept.clone()).collect(),
        medicines,
    };
    let sources = elsewhere.sources.iter();
    let asked = sources
        .filter(|source| source.setting().serves(&slug))
        .map(|source| {
            let one = One {
                app,
                source: &**source,
                severities: &elsewhere.severities,
                list: &list,
                when,
            };
            async move { one.consult().await }
        });
    let mut heard = Heard::default();
    for (stated, gaps, consulted) in join_all(asked).await {
        heard.answers.push(Answer {
            source: consulted.name.clone(),
            findings: Ok(stated.findings),
        });
        heard.gaps.extend(gaps);
        heard.sources.push(consulted);
    }
    heard
}

/// A list as sources are asked about it.
struct List<'a> {
    about: Vec<(IngredientId, Concept)>,
    named: Vec<Concept>,
    medicines: &'a [Medicine],
}

/// One source and one list.
struct One<'a> {
    app: &'a App,
    source: &'a dyn KnowledgeSource,
    severities: &'a Severities,
    list: &'a List<'a>,
    when: When,
}

/// What is kept, by ingredient.
type Shelf = BTreeMap<String, Kept>;

impl One<'_> {
    fn setting(&self) -> &SourceSetting {
        self.source.setting()
    }

    async fn consult(&self) -> (Stated, Vec<NotChecked>, Consulted) {
        let name = self.setting().name.clone();
        let mut consulted = Consulted {
            name: name.clone(),
            how: How::Nothing,
            version: String::new(),
            effective: String::new(),
            licence: String::new(),
            at: None,
        };
        if self.list.about.len() < 2 {
            return (Stated::default(), Vec::new(), consulted);
        }
        let place = kept::place(self.setting());
        let mut shelf = kept::load(self.app, &place, &self.list.about).await;
        consulted.how = How::Kept;
        let mut unknown = BTreeSet::new();
        if self.when == When::Now {
            let wanted = self.wanted(&place, &shelf);
            if !wanted.is_empty() {
                let said = self.ask(wanted, &shelf).await;
                consulted.how = match &said.failed {
                    Some(error) => How::Failed(error.to_string()),
                    None => How::Answered,
                };
                unknown.extend(said.unknown.iter().cloned());
                self.keep(&place, &mut shelf, said).await;
            }
        }
        let outcome = match &consulted.how {
            How::Kept => "kept",
            How::Answered => "answered",
            // Counted with its reason where it happened.
            How::Failed(_) | How::Nothing => "",
        };
        if !outcome.is_empty() {
            self.board().count(&name, outcome);
        }
        let (statements, oldest) = self.statements(&shelf);
        let stated = findings(
            self.severities,
            self.setting().kind.word(),
            &statements,
            self.list.medicines,
        );
        if let Some(stamp) = oldest {
            consulted.version = stamp.version();
            consulted.effective.clone_from(&stamp.effective);
            consulted.licence.clone_from(&stamp.licence);
            consulted.at = Some(Timestamp::from_millis(stamp.at_ms));
        }
        let gaps = self.gaps(&shelf, &unknown, &consulted, &stated);
        (stated, gaps, consulted)
    }

    fn board(&self) -> &Board {
        &self.app.caches().elsewhere
    }

    /// The ingredients that the source is to be asked about.
    fn wanted(&self, place: &str, shelf: &Shelf) -> Vec<Concept> {
        let newest = self.board().newest.lock().get(place).cloned();
        let least = self.app.now().as_millis() - i64::from(self.setting().fresh_hours) * 3_600_000;
        let fresh = |stamp: Option<&Stamp>| {
            stamp.is_some_and(|own| {
                own.at_ms >= least && newest.as_ref().is_none_or(|newest| *newest == own.version)
            })
        };
        let about = &self.list.about;
        let wanted = about.iter().filter(|(_, one)| match self.source.unit() {
            Unit::Ingredient => {
                let kept = shelf.get(&one.key);
                !fresh(kept.and_then(|own| own.whole.as_ref()))
            }
            Unit::Pair => about.iter().any(|(_, other)| {
                other.key != one.key && !fresh(kept::pair(shelf, &one.key, &other.key))
            }),
        });
        wanted
            .map(|(_, one)| Concept {
                own: shelf.get(&one.key).and_then(|kept| kept.own.clone()),
                ..one.clone()
            })
            .collect()
    }

    async fn ask(&self, about: Vec<Concept>, shelf: &Shelf) -> Said {
        let name = &self.setting().name;
        let now = self.app.now();
        let resting = self.board().resting.lock().get(name).copied();
        if let Some(until) = resting.filter(|until| *until > now) {
            let wait = until.seconds_since(now).unsigned_abs();
            let error = SourceError::TooOften(std::time::Duration::from_secs(wait));
            self.board().count(name, error.word());
            return Said {
                failed: Some(error),
                ..Said::default()
            };
        }
        let question = Question {
            about: &about,
            named: &self.list.named,
            until: tokio::time::Instant::now() + self.setting().within,
        };
        let said = self.source.ask(self.app.outbound(), &question).await;
        if let Some(error) = &said.failed {
            self.board().count(name, error.word());
            tracing::warn!(source = name, %error, kept = shelf.len(), "a source of drug knowledge did not answer");
            if let SourceError::TooOften(wait) = error {
                let wait = i64::try_from(wait.as_secs()).unwrap_or(60);
                let until = now.plus_seconds(wait);
                self.board().resting.lock().insert(name.clone(), until);
            }
        }
        said
    }

    /// Takes what was said into what is kept. Failures are not kept.
    async fn keep(&self, place: &str, shelf: &mut Shelf, said: Said) {
        let at_ms = self.app.now().as_millis();
        let stamp = said.edition.as_ref().map(|edition| stamp(edition, at_ms));
        if let Some(stamp) = &stamp {
            let version = stamp.version.clone();
            self.board().newest.lock().insert(place.to_owned(), version);
        }
        let unit = self.source.unit();
        let changed = kept::take(shelf, unit, said, stamp, at_ms);
        let keep_s = i64::from(self.setting().keep_days) * 86_400;
        kept::save(self.app, place, shelf, &changed, keep_s).await;
    }

    /// What is kept of the list and not too old, with the oldest answer among it.
    fn statements(&self, shelf: &Shelf) -> (Vec<Statement>, Option<Stamp>) {
        let mut statements = Vec::new();
        let mut oldest: Option<Stamp> = None;
        for (a, one) in &self.list.about {
            for (b, other) in &self.list.about {
                let Some(kept) = shelf.get(&one.key) else {
                    continue;
                };
                let partner = kept.partners.get(&other.key);
                let stamp = match self.source.unit() {
                    Unit::Ingredient => kept.whole.as_ref(),
                    Unit::Pair => partner.and_then(|own| own.stamp.as_ref()),
                };
                let Some(stamp) = stamp.filter(|own| self.counts(own)) else {
                    continue;
                };
                if oldest.as_ref().is_none_or(|own| own.at_ms > stamp.at_ms) {
                    oldest = Some(stamp.clone());
                }
                let claims = partner.map_or(&[][..], |own| &own.claims);
                statements.extend(claims.iter().map(|claim| Statement {
                    id: claim.id.clone(),
                    between: (*a, *b),
                    severity: claim.severity.clone(),
                    effect: claim.effect.clone(),
                    mechanism: claim.mechanism.clone(),
                    management: claim.management.clone(),
                    citations: claim.citations.clone(),
                    release: Release {
                        source: self.setting().name.clone(),
                        version: stamp.version(),
                        effective: stamp.effective.clone(),
                        licence: stamp.licence.clone(),
                        sha256: String::new(),
                    },
                }));
            }
        }
        (statements, oldest)
    }

    /// Whether an answer is not too old to count.
    fn counts(&self, stamp: &Stamp) -> bool {
        let days = i64::from(self.setting().keep_days);
        stamp.at_ms >= self.app.now().as_millis() - days * 86_400_000
    }

    fn gaps(
        &self,
        shelf: &Shelf,
        unknown: &BTreeSet<String>,
        consulted: &Consulted,
        stated: &Stated,
    ) -> Vec<NotChecked> {
        let name = &consulted.name;
        let medicines = self.list.medicines;
        let mut all = Vec::new();
        if let How::Failed(why) = &consulted.how {
            let before = match consulted.at {
                Some(at) => format!("{why}; what is shown of it was answered at {at}"),
                None => why.clone(),
            };
            all.push(NotChecked::Source(name.clone(), before));
        }
        for word in &stated.unmapped {
            let why = format!("its severity {word:?} is not mapped and is shown as moderate");
            all.push(NotChecked::Source(name.clone(), why));
        }
        // What it did not know when it was asked last, and what no answer is kept of.
        let not_known = |key: &str| {
            let kept = shelf.get(key);
            unknown.contains(key) || kept.is_some_and(|own| own.not_known_ms.is_some())
        };
        let (mut strange, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for (id, one) in &self.list.about {
            if not_known(&one.key) {
                strange.insert(*id);
                continue;
            }
            let told = |stamp: Option<&Stamp>| stamp.is_some_and(|own| self.counts(own));
            let whole = match self.source.unit() {
                Unit::Ingredient => told(shelf.get(&one.key).and_then(|own| own.whole.as_ref())),
                Unit::Pair => self.list.about.iter().all(|(_, other)| {
                    other.key == one.key
                        || not_known(&other.key)
                        || told(kept::pair(shelf, &one.key, &other.key))
                }),
            };
            if !whole {
                missing.insert(*id);
            }
        }
        all.extend(gaps(name, "it does not know it", &strange, medicines));
        // A failure of the source says it once for all; otherwise each medicine says it.
        if !matches!(consulted.how, How::Failed(_)) {
            let why = "no answer of it is kept, and it is not asked at the bedside";
            all.extend(gaps(name, why, &missing, medicines));
        }
        all
    }
}

fn stamp(edition: &Edition, at_ms: i64) -> Stamp {
    Stamp {
        at_ms,
        version: edition.version.clone(),
        effective: edition.effective.clone(),
        licence: edition.licence.clone(),
    }
}

impl App {
    /// Gives the house sources elsewhere; once, at the start.
    #[must_use]
    pub fn consulting(self, elsewhere: Arc<Elsewhere>) -> Self {
        if self.0.elsewhere.set(elsewhere).is_err() {
            tracing::error!("sources of drug knowledge were given before; the first ones stay");
        }
        self
    }

    pub(crate) fn elsewhere(&self) -> Option<&Elsewhere> {
        let own = self.0.elsewhere.get()?;
        Some(&**own).filter(|own| !own.sources.is_empty())
    }
}
