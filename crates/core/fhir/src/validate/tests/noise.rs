//! Whatever JSON is sent: the walk ends, within the cap, and every issue has a place.

use proptest::prelude::*;

use super::super::{MAX_ISSUES, validate};
use crate::definitions::Definitions;
use crate::json::{Document, Limits};

/// Values that look like parts of resources, under names that exist.
fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "(Patient/1|#|#a|male|final|2026-02-3[0-9]|<div>?|urn:uuid:|http://a/Patient/1|T1Z)"
            .prop_map(Into::into),
    ];
    let name = "_?(resourceType|id|meta|contained|extension|url|value|valueString|valueReference|name|given|\
        reference|type|subject|status|code|coding|text|div|entry|resource|component|[a-z]{0,3})";
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_issue_has_a_place(ty in 0_usize..146, mut body in anything()) {
        let definitions = Definitions::r4();
        let ty = definitions.resource_types().nth(ty).unwrap();
        let name = definitions.resource_name(ty);
        if let Some(members) = body.as_object_mut() {
            members.insert("resourceType".to_owned(), name.into());
        }
        let source = serde_json::to_vec(&body).unwrap();
        let document = Document::parse(source, &Limits::default()).unwrap();
        let issues = validate(definitions, document.root());
        prop_assert!(issues.len() <= MAX_ISSUES);
        let root = if body.is_object() { name } else { "Resource" };
        for issue in issues.iter().take(MAX_ISSUES - 1) {
            prop_assert!(issue.expression.starts_with(root), "{issue:?}");
            prop_assert!(!issue.diagnostics.is_empty());
        }
    }
}
