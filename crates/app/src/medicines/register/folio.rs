//! A page with everything on it, read back only if every law holds for every entry again, and what a new
//! entry writes. Must not write an entry over a page that somebody else wrote on meanwhile.

use std::collections::BTreeMap;

use ledger::leaf::Class as Word;
use medication::ids::{IncidentId, ItemId, LocationId, MovementId, PremisesId};
use medication::register::{Draft, Incident, Page, Written};
use store::{DocExpected, DocKind, DocWrite};

use super::{Line, PageHead};
use crate::App;
use crate::admin::{changed, load, write};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::stock::{Staged, ruled};

/// The look-up of pages by premises and medicine.
const ITEM: &str = "item";
/// The look-up of pages by premises and heading.
const HEADING: &str = "heading";

/// A page as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Folio {
    pub head: PageHead,
    /// 0 while it is not stored.
    pub version: u32,
    pub page: Page,
    pub lines: Vec<Line>,
    versions: BTreeMap<IncidentId, u32>,
}

/// What an entry is written with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub item: Option<ItemId>,
    pub movement: Option<MovementId>,
    pub order: Option<String>,
    pub sent: Option<MovementId>,
}

fn by_item(premises: &PremisesId, item: &ItemId) -> String {
    format!("{premises}|{item}")
}

fn by_heading(head: &PageHead) -> String {
    let own = &head.heading;
    format!(
        "{}|{:?}|{}|{}|{}",
        head.premises, own.class, own.drug, own.form, own.strength
    )
    .to_lowercase()
}

/// Documents whose ids begin with a page's, in order.
pub(crate) async fn below(
    app: &App,
    caller: &Caller,
    kind: DocKind,
    parent: &str,
) -> Result<Vec<store::Doc>, AppError> {
    const PART: u32 = 500;
    let start = format!("{parent}/");
    let mut found = Vec::new();
    let mut after = start.clone();
    loop {
        let docs = app
            .store()
            .docs(&caller.scope, kind, Some(&after), PART)
            .await?;
        let whole = docs.len() == PART as usize;
        let count = docs.len();
        let own = docs
            .into_iter()
            .take_while(|doc| doc.id.starts_with(&start));
        let before = found.len();
        found.extend(own);
        match found.last() {
            Some(last) if whole && found.len() - before == count => after.clone_from(&last.id),
            _ => return Ok(found),
        }
    }
}

impl Folio {
    /// A page that is not stored yet.
    pub fn new(app: &App, caller: &Caller, head: PageHead) -> Self {
        let zone = crate::medicines::stock::zone(app, caller);
        Self {
            page: Page::new(
                head.premises.clone(),
                head.heading.clone(),
                head.unit.clone(),
                &zone,
            ),
            head,
            version: 0,
            lines: Vec::new(),
            versions: BTreeMap::new(),
        }
    }

    /// A page by its id.
    pub async fn open(app: &App, caller: &Caller, id: &str) -> Result<Self, AppError> {
        let found = load::<PageHead>(app, &caller.scope, DocKind::RegisterPage, id).await?;
        let found = found.ok_or_else(|| AppError::not_found(format!("register page {id}")))?;
        Self::of(app, caller, found.value, found.version).await
    }

    async fn by(
        app: &App,
        caller: &Caller,
        lookup: &'static str,
        value: &str,
    ) -> Result<Option<Self>, AppError> {
        let found = app
            .store()
            .doc_by(&caller.scope, DocKind::RegisterPage, lookup, value)
            .await?;
        let Some(doc) = found else { return Ok(None) };
        let head: PageHead = serde_json::from_slice(&doc.body)?;
        Self::of(app, caller, head, doc.version).await.map(Some)
    }

    /// The page of the same heading.
    pub async fn of_heading(
        app: &App,
        caller: &Caller,
        head: &PageHead,
    ) -> Result<Option<Self>, AppError> {
        Self::by(app, caller, HEADING, &by_heading(head)).await
    }

    /// The page on which a medicine's movements at a place are written.
    pub async fn of_item(
        app: &App,
        caller: &Caller,
        item: &ItemId,
        location: &LocationId,
    ) -> Result<Option<Self>, AppError> {
        let premises = crate::medicines::stock::premises(app, caller, location).await?;
        for one in premises {
            let key = by_item(&one, item);
            if let Some(found) = Self::by(app, caller, ITEM, &key).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn of(
        app: &App,
        caller: &Caller,
        head: PageHead,
        version: u32,
    ) -> Result<Self, AppError> {
        // Who reads while somebody writes may see the parts at two moments: they are read again.
        let mut again = 0;
        loop {
            let read = Self::read(app, caller, head.clone(), version).await;
            match read {
                Err(AppError::Ruled {
                    category: kernel::Category::Altered,
                    ..
                }) if again < 3 => again += 1,
                done => return done,
            }
        }
    }

    async fn read(
        app: &App,
        caller: &Caller,
        head: PageHead,
        version: u32,
    ) -> Result<Self, AppError> {
        let mut own = Self::new(app, caller, head);
        own.version = version;
        let id = own.head.id.clone();
        for doc in below(app, caller, DocKind::RegisterEntry, &id).await? {
            own.lines.push(serde_json::from_slice(&doc.body)?);
        }
        let mut incidents = Vec::new();
        for doc in below(app, caller, DocKind::RegisterIncident, &id).await? {
            let incident: Incident = serde_json::from_slice(&doc.body)?;
            own.versions.insert(incident.id.clone(), doc.version);
            incidents.push(incident);
        }
        let entries = own.lines.iter().map(|line| line.entry.clone()).collect();
        own.page = own.page.restore(entries, incidents).map_err(ruled)?;
        Ok(own)
    }

    /// Writes an entry and answers its number and what is to be stored.
    pub fn write(
        &mut self,
        app: &App,
        caller: &Caller,
        draft: Draft,
        source: Source,
    ) -> Result<(Written, Staged), AppError> {
        let incident = app.ids().uuid().to_string().parse();
        let incident: IncidentId =
            incident.map_err(|_| AppError::Fault("an id is none".to_owned()))?;
        let settled = match &draft.what {
            medication::register::What::Settled { incident, .. } => Some(incident.clone()),
            _ => None,
        };
        let written = self.page.write(draft, &incident).map_err(ruled)?;
        let line = Line {
            entry: written.entry.clone(),
            item: source.item,
            movement: source.movement,
            order: source.order,
            sent: source.sent,
        };
        self.head.entries = written.entry.number;
        self.head.balance = written.entry.balance;
        self.head.counted = self.page.last_count();
        let mut docs = Vec::new();
        if let Some(found) = &written.incident {
            self.head.open.push(found.id.clone());
            docs.push(self.incident(app, found)?);
        }
        if let Some(id) = settled {
            self.head.open.retain(|own| *own != id);
            if let Some(own) = self.page.incident(&id).cloned() {
                docs.push(self.incident(app, &own)?);
            }
        }
        docs.push(self.head(app)?);
        let id = format!("{}/{:012}", self.head.id, line.entry.number);
        docs.push(write(
            app,
            DocKind::RegisterEntry,
            id,
            DocExpected::Absent,
            &line,
            Vec::new(),
        )?);
        let entries = vec![changed(
            app,
            caller,
            Word::Register,
            "register-entry",
            self.detail(&line),
        )];
        self.lines.push(line);
        Ok((written, Staged { docs, entries }))
    }

    fn detail(&self, line: &Line) -> String {
        let (own, entry) = (&self.head.heading, &line.entry);
        let (by, witness) = (entry.signed.by(), entry.signed.witness());
        format!(
            "page {} ({} {}), No. {}, balance {}, signed by {} ({}) and {} ({})",
            self.head.id,
            own.drug,
            own.strength,
            entry.number,
            entry.balance.normalize(),
            by.name,
            by.person,
            witness.name,
            witness.person,
        )
    }

    /// The head as it is to be written.
    pub fn head(&self, app: &App) -> Result<DocWrite, AppError> {
        let head = &self.head;
        let expected = match self.version {
            0 => DocExpected::Absent,
            version => DocExpected::Version(version),
        };
        let items = head.items.iter();
        let items = items.map(|item| (ITEM, by_item(&head.premises, item)));
        let lookups = items.chain([(HEADING, by_heading(head))]).collect();
        write(
            app,
            DocKind::RegisterPage,
            &head.id,
            expected,
            head,
            lookups,
        )
    }

    /// A discrepancy as it is to be written.
    pub fn incident(&self, app: &App, incident: &Incident) -> Result<DocWrite, AppError> {
        let expected = match self.versions.get(&incident.id) {
            None => DocExpected::Absent,
            Some(version) => DocExpected::Version(*version),
        };
        let id = format!("{}/{}", self.head.id, incident.id);
        let kind = DocKind::RegisterIncident;
        write(app, kind, id, expected, incident, Vec::new())
    }
}
