//! A resident's papers from FHIR: an assessment of capacity is an Observation, what may be done on its
//! strength (covert administration, taking medicines alone, homely
//! remedies) a Consent. Must not take a paper that was
//! withdrawn for one that was never written: the older one would come back into force.

use fhir::json::Value;
use jiff::tz::TimeZone;
use kernel::Timestamp;

use super::{ReadError, all, one, referred, refused};
use crate::administration::{Paper, PaperKind, Says, SelfLevel};
use crate::dosage::Moment;
use crate::ids::PrescriptionId;

/// Codes of papers and of what they say.
pub const PAPERS: &str = "https://theriac.example.org/fhir/CodeSystem/resident-paper";

/// The code of [`PAPERS`] that a concept holds.
fn code(concept: Value<'_>) -> Option<String> {
    let list = concept.get("coding").into_iter().flat_map(Value::items);
    let mut own = list.filter(|own| own.get_str("system").as_deref() == Some(PAPERS));
    own.next()?
        .get_str("code")
        .map(std::borrow::Cow::into_owned)
}

/// Which paper a resource is, whether it can be read or not.
#[must_use]
pub fn paper_kind(value: Value<'_>) -> Option<PaperKind> {
    let kind = match value.get_str("resourceType").as_deref()? {
        "Observation" => code(value.get("code")?)?,
        "Consent" => {
            let mut list = value.get("category")?.items();
            list.find_map(code)?
        }
        _ => return None,
    };
    PaperKind::of(&kind)
}

/// Reads a paper, in the zone of the home where it names days; none where it does not count: a draft, or
/// one that should never have been.
///
/// # Errors
/// What is missing or cannot be understood.
pub fn read_paper(
    value: Value<'_>,
    name: &str,
    zone: &TimeZone,
) -> Result<Option<Paper>, ReadError> {
    let kind = paper_kind(value).ok_or_else(|| refused("code", "is no paper of a resident"))?;
    if value.get("modifierExtension").is_some() {
        let what = "changes the paper in a way that is not known";
        return Err(refused("modifierExtension", what));
    }
    let status = value.get_str("status");
    let Some(stands) = stands(kind, status.as_deref().unwrap_or_default()) else {
        return Ok(None);
    };
    let own = Reading { value, zone };
    match kind {
        PaperKind::Capacity => own.capacity(name),
        PaperKind::CovertAdministration
        | PaperKind::SelfAdministration
        | PaperKind::HomelyRemedies => own.consent(kind, stands, name),
    }
    .map(Some)
}

/// Whether a paper of this status permits something; none where it does not count.
fn stands(kind: PaperKind, status: &str) -> Option<bool> {
    match (kind, status) {
        (PaperKind::Capacity, "final" | "amended" | "corrected") | (_, "active") => Some(true),
        // Withdrawn: it says no from its day on.
        (_, "inactive" | "rejected") => Some(false),
        _ => None,
    }
}

struct Reading<'a> {
    value: Value<'a>,
    zone: &'a TimeZone,
}

impl Reading<'_> {
    fn moment(holder: Value<'_>, member: &str, path: &str) -> Result<Moment, ReadError> {
        let text = holder.get_str(member);
        let text = text.ok_or_else(|| refused(path, "is missing: state the day"))?;
        Moment::parse(&text).ok_or_else(|| refused(path, "is no day"))
    }

    fn at(&self, member: &str) -> Result<Timestamp, ReadError> {
        Ok(Self::moment(self.value, member, member)?.starts(self.zone))
    }

    fn capacity(&self, name: &str) -> Result<Paper, ReadError> {
        let path = "valueCodeableConcept";
        let found = self.value.get(path).and_then(code);
        let has = match found.as_deref() {
            Some("has-capacity") => true,
            Some("lacks-capacity") => false,
            _ => {
                return Err(refused(
                    path,
                    "says neither has-capacity nor lacks-capacity",
                ));
            }
        };
        let review = one(self.value, "paper-review")
            .map(|own| Self::moment(own, "valueDateTime", "extension(paper-review)"));
        let orders = self.value.get("basedOn");
        let orders = orders.into_iter().flat_map(Value::items);
        Ok(Paper {
            name: name.to_owned(),
            says: Says::Capacity(has),
            at: self.at("effectiveDateTime")?,
            review: review.transpose()?.map(|own| own.ends(self.zone)),
            orders: ids(orders, "basedOn")?,
        })
    }

    fn consent(&self, kind: PaperKind, stands: bool, name: &str) -> Result<Paper, ReadError> {
        let missing = || refused("provision", "is missing: say what is permitted");
        let provision = self.value.get("provision").ok_or_else(missing)?;
        if provision.get("provision").is_some() {
            let what = "has exceptions, which are not known";
            return Err(refused("provision.provision", what));
        }
        let permitted = match provision.get_str("type").as_deref() {
            Some("permit") => stands,
            Some("deny") => false,
            _ => return Err(refused("provision.type", "is neither permit nor deny")),
        };
        let period = provision.get("period");
        let path = "provision.period.end";
        let review = period.filter(|own| own.get("end").is_some());
        let review = review.map(|own| Self::moment(own, "end", path));
        let review = review.transpose()?.map(|own| own.ends(self.zone));
        let data = provision.get("data").into_iter().flat_map(Value::items);
        let orders = data.filter_map(|own| own.get("reference"));
        let says = if kind == PaperKind::CovertAdministration {
            let mut methods = all(self.value, "covert-method");
            let method = methods.next().and_then(|own| own.get_str("valueString"));
            let method = method.map(std::borrow::Cow::into_owned);
            Says::Covert { permitted, method }
        } else if kind == PaperKind::HomelyRemedies {
            Says::Homely(permitted)
        } else {
            let mut codes = provision.get("code").into_iter().flat_map(Value::items);
            let level = codes.find_map(code).and_then(|own| SelfLevel::of(&own));
            let level = level.ok_or_else(|| refused("provision.code", "names no level"))?;
            if review.is_none() {
                return Err(refused(path, "is missing: state the review"));
            }
            Says::Alone(if permitted {
                level
            } else {
                SelfLevel::StaffGive
            })
        };
        Ok(Paper {
            name: name.to_owned(),
            says,
            at: self.at("dateTime")?,
            review,
            orders: ids(orders, "provision.data")?,
        })
    }
}

/// The orders that are named. What names anything else is refused: leaving it out would make a paper for
/// one medicine one for all.
fn ids<'a>(
    references: impl Iterator<Item = Value<'a>>,
    path: &str,
) -> Result<Vec<PrescriptionId>, ReadError> {
    let wrong = || refused(path, "names something that is no MedicationRequest");
    references
        .map(|own| {
            let id = referred(own, "MedicationRequest").ok_or_else(wrong)?;
            id.parse().map_err(|_| wrong())
        })
        .collect()
}
