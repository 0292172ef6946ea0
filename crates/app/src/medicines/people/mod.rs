//! The papers of a resident from the record: assessments of capacity, decisions to give covertly,
//! assessments of taking medicines alone. What holds is `medication`'s to say. Must not leave out a paper
//! that cannot be read.

pub mod carers;
pub mod file;
pub mod overview;

use fhir::json::Value;
use identity::Interaction;
use jiff::tz::TimeZone;
use medication::administration::{Covert, Outcome, PaperKind, Papers, SelfCare, UnreadPaper};
use medication::limits::Reason;
use medication::order::Order;
use medication::resources::{PAPERS, paper_kind, read_paper};
use store::{Guard, ResourceKey};

use super::ground::unknown;
use super::prescribe::resource_type;
use super::regimen::{Held, every};
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// Most papers of one patient, of each resource type.
const MOST: u32 = 500;

/// A search for papers.
pub(super) struct Asked {
    /// The type of resource.
    pub ty: &'static str,
    /// The member that names the patient.
    pub member: &'static str,
    /// The parameter with its codes.
    pub criterion: (&'static str, String),
    /// What is found by it.
    pub kinds: &'static [PaperKind],
}

/// The searches that find every paper.
pub(super) fn asked() -> [Asked; 2] {
    let code = |kind: &PaperKind| format!("{PAPERS}|{}", kind.code());
    let asked = |ty, member, name, kinds: &'static [PaperKind]| Asked {
        ty,
        member,
        criterion: (name, kinds.iter().map(code).collect::<Vec<_>>().join(",")),
        kinds,
    };
    let consents = &[
        PaperKind::CovertAdministration,
        PaperKind::SelfAdministration,
    ];
    [
        asked("Observation", "subject", "code", &[PaperKind::Capacity]),
        asked("Consent", "patient", "category", consents),
    ]
}

/// The papers of a patient with what must still be so when something rests on them.
#[derive(Default)]
pub(super) struct Filed {
    pub papers: Papers,
    pub held: Vec<Held>,
    pub guards: Vec<Guard>,
}

/// What the papers say of a dose.
#[derive(Default)]
pub(super) struct Say {
    pub covert: Option<Covert>,
    pub alone: Option<SelfCare>,
    /// Papers that cannot be read, as what keeps the decision from being told.
    pub missing: Vec<Reason>,
    /// What must still be so.
    pub guards: Vec<Guard>,
}

/// Loads the papers of a patient.
pub(super) async fn papers(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
    zone: &TimeZone,
) -> Result<Filed, AppError> {
    let mut filed = Filed::default();
    for Asked { ty, criterion, .. } in asked() {
        // A search narrows to what a role reaches: without one refused paper the others would say more.
        let patients = [patient.id.clone()];
        let ask = Ask {
            ty: Some(resource_type(app, ty)?),
            patients: Some(&patients),
            ..Ask::operation(Interaction::Search)
        };
        authorise(app, caller, &ask).await?;
        let (name, codes) = &criterion;
        let criteria = [(*name, codes.as_str())];
        let (held, guard) = every(app, caller, patient, (ty, criteria.as_slice()), MOST).await?;
        filed.add(held, zone);
        filed.guards.push(guard);
    }
    Ok(filed)
}

fn read(papers: &mut Papers, root: Value<'_>, name: String, zone: &TimeZone) {
    let Some(kind) = paper_kind(root) else { return };
    match read_paper(root, &name, zone) {
        Ok(paper) => papers.papers.extend(paper),
        Err(error) => papers.unread.push(UnreadPaper {
            name,
            kind,
            why: error.to_string(),
        }),
    }
}

/// Whether a dose rests on papers.
pub(super) fn rests(order: &Order, outcome: Outcome) -> bool {
    order.covert || outcome == Outcome::SelfAdministered
}

impl Filed {
    /// Takes papers in.
    pub fn add(&mut self, held: Vec<Held>, zone: &TimeZone) {
        for own in &held {
            read(&mut self.papers, own.root(), own.name(), zone);
        }
        self.held.extend(held);
    }

    /// What the papers say of a dose at a time.
    pub fn say(&self, order: &Order, outcome: Outcome, at: kernel::Timestamp) -> Say {
        let mut say = Say::default();
        let mut kinds = Vec::new();
        if order.covert {
            say.covert = Some(self.papers.covert(&order.id, at));
            kinds.extend([PaperKind::Capacity, PaperKind::CovertAdministration]);
        }
        if outcome == Outcome::SelfAdministered {
            say.alone = self.papers.self_care(&order.id, at);
            kinds.push(PaperKind::SelfAdministration);
        }
        let unread = self.papers.unread.iter();
        say.missing = unread
            .filter(|own| kinds.contains(&own.kind))
            .map(|own| {
                let why = format!("{} cannot be read: {}", own.name, own.why);
                unknown(&why, "what the papers of the resident say")
            })
            .collect();
        say
    }
}
