//! Required bindings: whether a code is in the value set it must be in. Must not ask a terminology
//! service: sets too large to enumerate are checked by their syntax.

use super::path::Path;
use super::walk::Walk;
use crate::definitions::Binding;
use crate::definitions::pack::Rule;
use crate::json::Value;

impl Walk<'_> {
    /// A `code`: its system is that of the value set.
    pub(super) fn bound_code(&mut self, at: u16, value: Value<'_>, path: &Path<'_>) {
        let definitions = self.definitions;
        let (Some(binding), Some(code)) = (definitions.binding(at), value.as_str()) else {
            return;
        };
        let holds = match &binding.rule {
            Rule::Codes(codes) => codes
                .binary_search_by(|(known, _)| (*known).cmp(&code))
                .is_ok(),
            Rule::MediaType => is_media_type(&code),
            Rule::Currency => code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()),
            Rule::System(_) => true,
        };
        if !holds {
            let text = format!(
                "code {:?} is not in the required value set: use {}",
                shown(&code),
                choices(binding)
            );
            self.add("code-invalid", path, text);
        }
    }

    /// A `CodeableConcept`: one of its codings is in the value set.
    pub(super) fn bound_concept(&mut self, at: u16, value: Value<'_>, path: &Path<'_>) {
        let Some(binding) = self.definitions.binding(at) else {
            return;
        };
        let Some(codings) = value.get("coding") else {
            // The reason why there is no code may stand in an extension.
            if value.get("extension").is_none() {
                let text = format!(
                    "a coding is required here, text alone is not enough: use {}",
                    choices(binding)
                );
                self.add("code-invalid", path, text);
            }
            return;
        };
        if !codings
            .items()
            .any(|coding| self.is_member(binding, coding))
        {
            self.not_a_member(binding, codings.items().next(), path);
        }
    }

    /// A `Coding` in the value set.
    pub(super) fn bound_coding(&mut self, at: u16, value: Value<'_>, path: &Path<'_>) {
        let Some(binding) = self.definitions.binding(at) else {
            return;
        };
        if !self.is_member(binding, value) {
            self.not_a_member(binding, Some(value), path);
        }
    }

    fn not_a_member(&mut self, binding: &Binding, coding: Option<Value<'_>>, path: &Path<'_>) {
        let part = |name| {
            coding
                .and_then(|coding| coding.get_str(name))
                .unwrap_or_default()
        };
        let text = format!(
            "code {:?} of system {:?} is not in the required value set: use {} with its system",
            shown(&part("code")),
            shown(&part("system")),
            choices(binding)
        );
        self.add("code-invalid", path, text);
    }

    fn is_member(&self, binding: &Binding, coding: Value<'_>) -> bool {
        let system = coding.get_str("system");
        let (Some(code), Some(system)) = (coding.get_str("code"), system) else {
            return false;
        };
        match &binding.rule {
            Rule::Codes(codes) => {
                let from = codes.partition_point(|(known, _)| **known < *code);
                codes
                    .get(from..)
                    .unwrap_or_default()
                    .iter()
                    .take_while(|(known, _)| *known == code)
                    .any(|(_, of)| self.definitions.system(*of) == system)
            }
            Rule::System(of) => self.definitions.system(*of) == system,
            Rule::MediaType => is_media_type(&code),
            Rule::Currency => code.len() == 3,
        }
    }
}

/// What may be used instead: the codes of a small set, or the name of a large one.
fn choices(binding: &Binding) -> String {
    match &binding.rule {
        Rule::Codes(codes) if codes.len() <= 12 => {
            let codes: Vec<_> = codes.iter().map(|(code, _)| *code).collect();
            format!("one of {}", codes.join(", "))
        }
        Rule::MediaType => "a media type like text/plain".to_owned(),
        Rule::Currency => "three capital letters like EUR".to_owned(),
        _ => format!("a code of {}", binding.url),
    }
}

fn shown(code: &str) -> String {
    code.chars().take(60).collect()
}

/// BCP 13, or one of the short names CapabilityStatement.format takes.
fn is_media_type(code: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&byte))
    };
    let name = code.split(';').next().unwrap_or_default().trim_end();
    match name.split_once('/') {
        Some((kind, subtype)) => token(kind) && token(subtype),
        None => matches!(name, "json" | "xml" | "ttl" | "turtle"),
    }
}
