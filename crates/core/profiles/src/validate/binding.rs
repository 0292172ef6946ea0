//! Bindings of all strengths (FHIR R4, terminologies, section 4.1.5). Must not hold codes: terminology
//! answers, and where it does not know, that is said.

use fhir::json::{Kind, Value};
use fhir::terminology::{Answer, Coded, Terminology};

use super::elements::At;
use super::path::Path;
use super::report::Severity;
use super::walk::{Finding, Walk};
use crate::compile::Profile;
use crate::model::{Binding, Strength};

/// Most codings of one concept that are looked up.
const MAX_CODINGS: usize = 200;

/// Whether something coded is in a value set; none where it holds no code.
pub(super) fn member_of(
    terminology: &dyn Terminology,
    set: &str,
    value: Value<'_>,
    ty: &str,
) -> Option<Answer> {
    match ty {
        "CodeableConcept" => {
            let codings = value.get("coding")?;
            let mut answer = None;
            for coding in codings.items().take(MAX_CODINGS) {
                answer = match (answer, coding_in(terminology, set, coding)) {
                    (_, Some(Answer::Yes)) => return Some(Answer::Yes),
                    (_, Some(Answer::Unknown)) => Some(Answer::Unknown),
                    (None, other) => other,
                    (before, _) => before,
                };
            }
            answer
        }
        "Coding" | "Quantity" | "Age" | "Count" | "Distance" | "Duration" => {
            coding_in(terminology, set, value)
        }
        _ if value.kind() == Kind::String => {
            let code = value.as_str()?;
            let coded = Coded {
                system: None,
                version: None,
                code: &code,
            };
            Some(terminology.member_of(set, &coded))
        }
        _ => None,
    }
}

fn coding_in(terminology: &dyn Terminology, set: &str, coding: Value<'_>) -> Option<Answer> {
    let code = coding.get_str("code")?;
    let system = coding.get_str("system");
    let version = coding.get_str("version");
    let coded = Coded {
        // No system is none of those in the set, not any.
        system: Some(system.as_deref().unwrap_or_default()),
        version: version.as_deref(),
        code: &code,
    };
    Some(terminology.member_of(set, &coded))
}

/// The codes in a sentence.
fn shown(value: Value<'_>) -> String {
    let code = |value: Value<'_>| -> Option<String> {
        let text = value.as_str().or_else(|| value.get_str("code"))?;
        Some(format!("{:?}", text.chars().take(60).collect::<String>()))
    };
    let codings = value.get("coding").into_iter().flat_map(Value::items);
    let codes: Vec<String> = codings.filter_map(code).take(5).collect();
    if codes.is_empty() {
        return code(value).unwrap_or_else(|| "no code".to_owned());
    }
    codes.join(", ")
}

impl<'w> Walk<'w> {
    /// Checks a bound value.
    pub(super) fn bound(
        &mut self,
        binding: &Binding,
        at: &At<'w>,
        by: Option<(&Profile, &str)>,
        path: &Path<'_>,
    ) {
        let Some(value) = at.value else {
            return;
        };
        if let Some(set) = &binding.value_set {
            self.bound_to(set, binding.strength, value, at, by, path);
        }
        if let Some(set) = &binding.max_value_set {
            self.bound_to(set, Strength::Required, value, at, by, path);
        }
    }

    fn bound_to(
        &mut self,
        set: &str,
        strength: Strength,
        value: Value<'w>,
        at: &At<'w>,
        by: Option<(&Profile, &str)>,
        path: &Path<'_>,
    ) {
        if strength == Strength::Example {
            return;
        }
        let ty = at.type_name();
        let finding = match (member_of(self.terminology, set, value, ty), strength) {
            (Some(Answer::Yes), _) | (Some(Answer::Unknown), Strength::Preferred) => return,
            (Some(Answer::Unknown), _) => {
                let what = format!("codes against value set {set}");
                let remedy = "load the value set and its code systems";
                return self.not_checked(what, remedy, path, at.offset());
            }
            // Text alone says that no code fits, and a code may be missing for a reason in an extension.
            (None, Strength::Required) if value.get("extension").is_none() => Finding::error(
                "code-invalid",
                format!("a code of value set {set} is required"),
                "add one",
            ),
            (None, _) => return,
            (Some(Answer::No), Strength::Required) => Finding::error(
                "code-invalid",
                format!("{} is not in the required value set {set}", shown(value)),
                "use one of its codes",
            ),
            (Some(Answer::No), Strength::Extensible) => Finding::warning(
                "code-invalid",
                format!("{} is not in the extensible value set {set}", shown(value)),
                "use one of its codes where one fits",
            ),
            (Some(Answer::No), _) => Finding {
                severity: Severity::Information,
                ..Finding::error(
                    "code-invalid",
                    format!("{} is not in the preferred value set {set}", shown(value)),
                    "use one of its codes if you can",
                )
            },
        };
        let finding = match by {
            Some((profile, key)) => finding.by(profile, key),
            None => finding,
        };
        self.add(finding, path, at.offset());
    }
}
