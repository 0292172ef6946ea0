//! "Has a value" of parameters that no presence bitmap has a bit for: those a tenant defines. A key of the
//! parameter says so, which no element can make.

use std::borrow::Cow;

use fhir::search::{IndexValue, ParamId};

use crate::port::search::{KeyForm, Predicate};

/// A control character cannot stand in a code (FHIR R4 datatypes, code).
const PRESENT: &str = "\u{1}present";

/// That the value could not be found out.
const UNCHECKED: &str = "\u{1}unchecked";

/// The value that says a parameter could not be evaluated for a resource.
#[must_use]
pub fn unchecked<'a>() -> IndexValue<'a> {
    IndexValue::Uri(Cow::Borrowed(UNCHECKED))
}

/// Whether such a parameter could not be evaluated for a resource.
#[must_use]
pub fn is_unchecked(param: ParamId) -> Predicate {
    Predicate::Key {
        param,
        form: KeyForm::Url(UNCHECKED.to_owned()),
    }
}

/// Whether a value is a mark of these kinds, and no value that anything is found by.
pub(super) fn is_mark(value: &IndexValue<'_>) -> bool {
    *value == present() || *value == unchecked()
}

/// The first number of parameters that tenants define; those of R4 and of the store lie below.
pub const FIRST_OWN: u16 = 0x8000;

/// Whether a parameter is one that a tenant defined.
pub(super) const fn is_own(param: ParamId) -> bool {
    param.0 >= FIRST_OWN
}

/// The value that says a parameter has values.
#[must_use]
pub fn present<'a>() -> IndexValue<'a> {
    IndexValue::Uri(Cow::Borrowed(PRESENT))
}

/// Whether a resource has values for such a parameter.
#[must_use]
pub fn has_value(param: ParamId) -> Predicate {
    Predicate::Key {
        param,
        form: KeyForm::Url(PRESENT.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use fhir::Definitions;
    use fhir::search::Extracted;

    use super::*;
    use crate::FullText;
    use crate::index::{KeyHasher, pack};

    #[test]
    fn the_value_is_what_the_predicate_asks_for() {
        let hasher = KeyHasher::new([7; 192]);
        let param = ParamId(0x8001);
        let extracted = Extracted {
            values: vec![(param, present())],
            ..Extracted::default()
        };
        let patient = Definitions::r4().resource("Patient").unwrap();
        let index = pack(&hasher, patient, (patient, FullText::Off), &extracted);
        let Predicate::Key { form, .. } = has_value(param) else {
            panic!("a key");
        };
        let keys: Vec<_> = index.keys().iter().map(|row| (row.p, row.v)).collect();
        assert_eq!(keys, [(0x8001, hasher.form(&form))]);
    }
}
