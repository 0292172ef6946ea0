//! Discriminator paths: the simple subset of FHIRPath that slicing may use (FHIR R4, profiling, section
//! 5.1.0.7). Must not evaluate them.

use crate::error::ProfileError;

/// A step of a discriminator's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into an element.
    Member(String),
    /// Into the extension with this URL.
    Extension(String),
    /// Only what is of this type.
    OfType(String),
    /// To what a reference points to.
    Resolve,
}

/// The steps of a path.
pub(super) fn parse(path: &str, owner: &str) -> Result<Vec<Step>, ProfileError> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let end = end_of_step(rest);
        let (step, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = tail.strip_prefix('.').unwrap_or(tail);
        if step == "$this" {
            continue;
        }
        let parsed = step_of(step).ok_or_else(|| ProfileError::Malformed {
            name: owner.to_owned(),
            detail: format!(
                "discriminator path {path:?} uses more than elements, extension(), ofType() and resolve()"
            ),
        })?;
        steps.push(parsed);
    }
    Ok(steps)
}

/// Where the first step ends: at a dot outside of brackets.
fn end_of_step(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn step_of(text: &str) -> Option<Step> {
    let Some((name, argument)) = text.split_once('(') else {
        let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let name = text.strip_suffix("[x]").unwrap_or(text);
        return (is_name || name != text).then(|| Step::Member(name.to_owned()));
    };
    let argument = argument.strip_suffix(')')?.trim();
    let unquoted = argument.trim_matches(|c| matches!(c, '\'' | '"'));
    match name {
        "resolve" if argument.is_empty() => Some(Step::Resolve),
        "extension" if unquoted != argument => Some(Step::Extension(unquoted.to_owned())),
        "ofType" | "as" if !argument.is_empty() => {
            let ty = argument.strip_prefix("FHIR.").unwrap_or(argument);
            Some(Step::OfType(ty.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_or_refused() {
        let member = |name: &str| Step::Member(name.to_owned());
        for (path, expected) in [
            ("$this", Some(vec![])),
            ("code.coding", Some(vec![member("code"), member("coding")])),
            ("$this.resolve()", Some(vec![Step::Resolve])),
            ("value[x]", Some(vec![member("value")])),
            (
                "extension('http://a.b/c').value",
                Some(vec![
                    Step::Extension("http://a.b/c".to_owned()),
                    member("value"),
                ]),
            ),
            (
                "value.ofType(Quantity).code",
                Some(vec![
                    member("value"),
                    Step::OfType("Quantity".to_owned()),
                    member("code"),
                ]),
            ),
            ("code.where(system = 'x')", None),
            ("a.b()", None),
        ] {
            assert_eq!(parse(path, "p").ok(), expected, "{path}");
        }
    }
}
