//! The book of a medicine that was kept elsewhere, taken over with the times and the people of its movements
//! and, for a controlled drug, with the page of its register: in one commit, with an entry of the ledger for
//! each. Every law of book and page is asked for again. Must not be open to people: what they write has the
//! time at which they write it.

use identity::Interaction;
use kernel::ActorKind;
use medication::ids::{ItemId, PremisesId};
use medication::register::{Draft, Signed, What as Said};
use medication::stock::{Line, Meta, What};
use store::{DocKind, DocWrite};

use super::shelf::{Shelf, Staged, With, committed};
use super::{Entered, Item, refuse};
use crate::App;
use crate::admin::allow;
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::register::{Folio, Source, pages};

/// Something that was written elsewhere.
#[derive(Debug, Clone)]
pub struct Past {
    /// Who and when; the id of the movement, where it is one.
    pub meta: Meta,
    /// What moved; nothing where the register was counted.
    pub moved: Option<(What, Vec<Line>)>,
    /// What the register says, for a controlled drug.
    pub entry: Option<(Said, Signed)>,
    /// The order that it was given from: `MedicationRequest/1`.
    pub order: Option<String>,
}

/// A book of one premises, in the order of time.
#[derive(Debug, Clone)]
pub struct Book {
    /// Whose register it is, for a controlled drug.
    pub premises: Option<PremisesId>,
    /// What was written in it.
    pub past: Vec<Past>,
}

/// Takes books over. A medicine whose own book was begun here stays as it is.
pub async fn take_over(
    app: &App,
    caller: &Caller,
    item: &ItemId,
    books: Vec<Book>,
) -> Result<Item, AppError> {
    if caller.subject.actor().kind != ActorKind::System {
        allow(app, caller, Interaction::ManageStock).await?;
        return refuse("a book is taken over by the platform alone: count what is there instead");
    }
    let mut shelf = Shelf::open(app, caller, item).await?;
    if shelf.item.movements > 0 || books.iter().all(|own| own.past.is_empty()) {
        return Ok(shelf.item);
    }
    let mut parts = Parts::default();
    for book in books.into_iter().filter(|own| !own.past.is_empty()) {
        let premises = book.premises.filter(|_| shelf.item.has_register());
        let mut folio = match premises {
            Some(premises) => Some(pages::opened(app, caller, &shelf, &premises).await?),
            None => None,
        };
        if let (Some(folio), Some(first)) = (&mut folio, book.past.first()) {
            folio.head.begun = first.meta.recorded;
        }
        for one in book.past {
            parts.take(written(app, caller, (&mut shelf, folio.as_mut()), one)?);
        }
        if let Some(folio) = folio {
            parts.0.docs.push(folio.head(app)?);
        }
    }
    parts.0.docs.push(shelf.head(app)?);
    match committed(app, caller, parts.0).await? {
        Ok(()) => Ok(shelf.item),
        Err(error) => Err(error.into()),
    }
}

/// What is committed: heads once, as the last line leaves them.
#[derive(Default)]
struct Parts(Staged);

impl Parts {
    fn take(&mut self, own: Staged) {
        let head = |own: &DocWrite| matches!(own.kind, DocKind::StockItem | DocKind::RegisterPage);
        let docs = own.docs.into_iter().filter(|own| !head(own));
        self.0.docs.extend(docs);
        self.0.entries.extend(own.entries);
    }
}

/// A line of a book, with the entry of the register where it has one.
fn written(
    app: &App,
    caller: &Caller,
    (shelf, folio): (&mut Shelf, Option<&mut Folio>),
    one: Past,
) -> Result<Staged, AppError> {
    let mut with = With {
        asked: format!("taken over as {}", one.meta.id),
        entered: None,
        order: one.order.clone(),
        unchecked: None,
    };
    let mut all = Staged::default();
    match (folio, one.entry) {
        (Some(folio), Some((what, signed))) => {
            let draft = Draft {
                what,
                happened: one.meta.happened,
                entered: one.meta.recorded,
                signed,
                late: None,
            };
            let moved = one.moved.as_ref();
            let source = Source {
                item: moved.map(|_| shelf.item.id.clone()),
                movement: moved.map(|_| one.meta.id.clone()),
                order: one.order,
                sent: None,
            };
            let (written, own) = folio.write(app, caller, draft, source)?;
            with.entered = Some(Entered {
                page: folio.head.id.clone(),
                entry: written.entry.number,
            });
            all = own;
        }
        (None, None) if !shelf.item.has_register() => {}
        _ => return refuse("a register's drug moves with its entry, and nothing else has one"),
    }
    if let Some(moved) = one.moved {
        let (_, own) = shelf.record(app, caller, one.meta, moved, with)?;
        all.docs.extend(own.docs);
        all.entries.extend(own.entries);
    }
    Ok(all)
}
