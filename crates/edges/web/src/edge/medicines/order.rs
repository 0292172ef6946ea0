//! An order as pages show it: its line and what stands beside it. Must not decide on it.

use fhir::json::Value;
use kernel::Timestamp;

use crate::clinical::code::text;
use crate::clinical::{MedicationLine, NOT_RECORDED, When, Zone};

/// The day of review of an order.
const REVIEW: &str = "https://theriac.example.org/fhir/StructureDefinition/order-review";

/// What an order or a statement says beside its line.
pub(super) struct Ordered {
    /// Who prescribed it: a name, or a bare reference to be named.
    pub by: String,
    /// When it was written.
    pub written: Option<When>,
    /// The day by which somebody looks at it again, with its text.
    pub review: Option<(jiff::civil::Date, When)>,
    /// A pause that holds now: from when, until when, why.
    pub pause: Option<(String, Option<String>, String)>,
}

impl Ordered {
    /// Who prescribed it, or a bare reference.
    pub fn by(value: Value<'_>) -> String {
        let of = |member: &str| {
            let who = value.get(member)?;
            text(who, "display").or_else(|| text(who, "reference"))
        };
        of("requester")
            .or_else(|| of("informationSource"))
            .unwrap_or_else(|| NOT_RECORDED.to_owned())
    }

    /// From the resource.
    pub fn of(value: Value<'_>, zone: &Zone, now: Timestamp) -> Self {
        let written = ["authoredOn", "dateAsserted"]
            .iter()
            .find_map(|member| When::member(value, member, zone));
        let extensions = || value.get("extension").into_iter().flat_map(Value::items);
        let review = extensions()
            .find(|one| one.get_str("url").as_deref() == Some(REVIEW))
            .and_then(|one| text(one, "valueDate"))
            .and_then(|day| Some((day.parse().ok()?, When::fhir(&day, zone))));
        let pause = extensions()
            .filter(|one| {
                one.get_str("url")
                    .is_some_and(|url| url.ends_with("/order-pause"))
            })
            .find_map(|one| pause(one, zone, now));
        Self {
            by: Self::by(value),
            written,
            review,
            pause,
        }
    }

    /// Whether the day of review has passed.
    pub fn overdue(&self, today: jiff::civil::Date) -> bool {
        self.review.as_ref().is_some_and(|(day, _)| *day < today)
    }
}

/// The pause of an extension, where it holds now.
fn pause(
    extension: Value<'_>,
    zone: &Zone,
    now: Timestamp,
) -> Option<(String, Option<String>, String)> {
    let part = |name: &str, member: &str| {
        let parts = extension
            .get("extension")
            .into_iter()
            .flat_map(Value::items);
        parts
            .filter(|own| own.get_str("url").as_deref() == Some(name))
            .find_map(|own| text(own, member))
    };
    let at = |name: &str| Timestamp::from_rfc3339(&part(name, "valueDateTime")?);
    let from = at("from").filter(|from| *from <= now)?;
    let to = at("to");
    if to.is_some_and(|to| to <= now) {
        return None;
    }
    let shown = |at: Timestamp| When::at(at, zone).text;
    let why = part("reason", "valueString").unwrap_or_else(|| NOT_RECORDED.to_owned());
    Some((shown(from), to.map(shown), why))
}

/// The line of a medicine, its standing as of now.
pub(super) fn line(
    value: Value<'_>,
    zone: &Zone,
    href: String,
    own: &Ordered,
) -> Option<MedicationLine> {
    use crate::clinical::medication::Standing;
    let mut line = MedicationLine::of(value, zone, href)?;
    if line.standing == Standing::Current && own.pause.is_some() {
        line.standing = Standing::Paused;
    }
    Some(line)
}
