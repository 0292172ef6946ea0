//! Value sets that a code system implies without a ValueSet resource: those of SNOMED CT (`?fhir_vs`,
//! FHIR R4, section 4.3.1.0.4), LOINC (`/vs`) and CodeSystem.valueSet.

use super::{Clause, Filter, ValueSet};
use crate::error::TerminologyError;
use crate::library::Library;

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";

/// The value set of a URL, if a code system implies it.
pub fn of(
    library: &Library,
    url: &str,
    version: Option<&str>,
) -> Option<Result<ValueSet, TerminologyError>> {
    if let Some(rest) = url.strip_prefix(SNOMED) {
        return snomed(url, rest);
    }
    if let Some(rest) = url.strip_prefix("http://loinc.org/vs") {
        return loinc(url, rest, version);
    }
    let system = library.system_of_value_set(url)?;
    let wanted = version.or(system.head().version.as_deref());
    Some(Ok(ValueSet::of_system(url, &system.head().url, wanted)))
}

/// `http://snomed.info/sct[/edition[/version/date]]?fhir_vs[=isa/x|refset|refset/x|ecl/x]`
fn snomed(url: &str, rest: &str) -> Option<Result<ValueSet, TerminologyError>> {
    let (edition, query) = rest.split_once('?')?;
    let version = (!edition.is_empty()).then(|| format!("{SNOMED}{edition}"));
    let wish = query.strip_prefix("fhir_vs")?;
    let mut set = ValueSet::of_system(url, SNOMED, version.as_deref());
    set.version = None;
    let filter = match wish.strip_prefix('=') {
        None if wish.is_empty() => return Some(Ok(set)),
        None => return None,
        Some(wish) => match wish.split_once('/') {
            Some(("isa", code)) => filter("concept", "is-a", code),
            Some(("refset", code)) => filter("constraint", "=", &format!("^ {code}")),
            Some(("ecl", text)) => filter("constraint", "=", &unescape(text)),
            _ => {
                return Some(Err(TerminologyError::Asked(format!(
                    "value set {url} is of no supported form: use ?fhir_vs, isa/, refset/ or ecl/"
                ))));
            }
        },
    };
    set.include
        .iter_mut()
        .for_each(|clause| clause.filters.push(filter.clone()));
    Some(Ok(set))
}

fn filter(property: &str, op: &str, value: &str) -> Filter {
    Filter {
        property: property.to_owned(),
        op: op.to_owned(),
        value: value.to_owned(),
    }
}

/// `http://loinc.org/vs` for all of LOINC, `/vs/LP…` for what is below a part, `/vs/LL…` for the answers
/// of a list.
fn loinc(
    url: &str,
    rest: &str,
    version: Option<&str>,
) -> Option<Result<ValueSet, TerminologyError>> {
    let mut set = ValueSet::of_system(url, LOINC, version);
    if rest.is_empty() {
        return Some(Ok(set));
    }
    let code = rest.strip_prefix('/')?;
    let filters = if code.starts_with("LL") {
        vec![filter("LIST", "=", code)]
    } else {
        vec![filter("ancestor", "=", code)]
    };
    set.include = vec![Clause {
        system: Some(LOINC.to_owned()),
        version: version.map(str::to_owned),
        filters,
        ..Clause::default()
    }];
    Some(Ok(set))
}

/// Undoes percent-encoding; what is not encoded well is left as it is.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let encoded = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| core::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(encoded.unwrap_or(*first));
        rest = if encoded.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
