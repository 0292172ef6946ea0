//! JSON Merge Patch (RFC 7396): a resource in part, whose members replace those of the target, `null`
//! removing them. What is not named keeps its bytes. Must not know FHIR but for this: no empty object
//! stays (FHIR R4, json.html).

use super::{Limits, PatchError, PatchErrorKind};
use crate::json::{Kind, Value};
use crate::print;

/// The target with the members of the patch, printed compactly.
///
/// Arrays are replaced whole, as RFC 7396 has it. Both documents were read within limits of depth, and the
/// result is at most as deep as the deeper of them.
///
/// # Errors
/// A patch that is no object, and results beyond the limits.
pub fn merge(target: Value<'_>, patch: Value<'_>, limits: &Limits) -> Result<Vec<u8>, PatchError> {
    if patch.kind() != Kind::Object {
        return Err(PatchErrorKind::NotAMerge.of_all());
    }
    if patch.is_empty() {
        return Err(PatchErrorKind::NoMembers.of_all());
    }
    if patch.len() > limits.max_operations {
        return Err(PatchErrorKind::TooMany(limits.max_operations).of_all());
    }
    let mut out = Vec::with_capacity(target.raw().len() + patch.raw().len());
    write(Some(target), patch, &mut out);
    if out.len() > limits.max_bytes {
        return Err(PatchErrorKind::TooLarge(limits.max_bytes).of_all());
    }
    Ok(out)
}

/// Writes `patch` applied to `target`.
fn write(target: Option<Value<'_>>, patch: Value<'_>, out: &mut Vec<u8>) {
    if patch.kind() != Kind::Object {
        print::compact(patch, out);
        return;
    }
    let target = target.filter(|target| target.kind() == Kind::Object);
    out.push(b'{');
    let mut first = true;
    for (name, old) in target.into_iter().flat_map(Value::members) {
        match patch.get(&name) {
            None => member(&name, out, &mut first, |out| print::compact(old, out)),
            Some(new) if new.kind() == Kind::Null => {}
            Some(new) => member(&name, out, &mut first, |out| write(Some(old), new, out)),
        }
    }
    for (name, new) in patch.members() {
        let known = target.is_some_and(|target| target.get(&name).is_some());
        if !known && new.kind() != Kind::Null {
            member(&name, out, &mut first, |out| write(None, new, out));
        }
    }
    out.push(b'}');
}

/// Writes one member, and takes it back where its value is an empty object.
fn member(name: &str, out: &mut Vec<u8>, first: &mut bool, value: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    if !*first {
        out.push(b',');
    }
    print::write_string(name, out);
    out.push(b':');
    let start = out.len();
    value(out);
    if out.get(start..) == Some(b"{}".as_slice()) {
        out.truncate(before);
    } else {
        *first = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{self, Document};

    fn merged(target: &str, patch: &str) -> Result<String, PatchErrorKind> {
        let read = |text: &str| {
            Document::parse(text.as_bytes().to_vec(), &json::Limits::default()).unwrap()
        };
        let (target, patch) = (read(target), read(patch));
        let limits = Limits {
            max_operations: 5,
            max_bytes: 200,
            ..Limits::default()
        };
        merge(target.root(), patch.root(), &limits)
            .map(|out| String::from_utf8(out).unwrap())
            .map_err(|error| error.kind)
    }

    /// The cases of RFC 7396, appendix A, whose results are objects; emptied objects go.
    #[test]
    fn merges_as_the_standard_says() {
        let cases = [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"{"a":1}"#, r#"{"b":{"c":{"d":null}}}"#, r#"{"a":1}"#),
            (
                r#"{"v":70.10,"w":1}"#,
                r#"{"w":2.0}"#,
                r#"{"v":70.10,"w":2.0}"#,
            ),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":null}}"#, "{}"),
        ];
        for (target, patch, result) in cases {
            assert_eq!(merged(target, patch).unwrap(), result, "{target} {patch}");
        }
    }

    #[test]
    fn what_is_no_merge_patch_is_refused() {
        assert_eq!(merged("{}", "[]"), Err(PatchErrorKind::NotAMerge));
        assert_eq!(merged("{}", "{}"), Err(PatchErrorKind::NoMembers));
        let many = r#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}"#;
        assert_eq!(merged("{}", many), Err(PatchErrorKind::TooMany(5)));
        let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(200));
        assert_eq!(merged("{}", &large), Err(PatchErrorKind::TooLarge(200)));
    }

    proptest! {
        #[test]
        fn the_patched_resource_patched_again_is_the_same(a in object(), b in object()) {
            if let Ok(once) = merged(&a, &b) {
                prop_assert_eq!(merged(&once, &b).unwrap(), once);
            }
        }
    }

    fn object() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("null"), Just("1.50"), Just("\"x\""), Just("[1]")]
            .prop_map(str::to_owned);
        let nested = leaf.prop_recursive(3, 12, 3, |inner| members(inner).boxed());
        members(nested)
    }

    fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        proptest::collection::btree_map("[a-d]", value, 1..4).prop_map(|members| {
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    }
}
