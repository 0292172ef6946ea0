//! Every resource of the population means the same after a trip through XML.

#![expect(
    clippy::unwrap_used,
    reason = "shared test code outside #[test] functions; a wrong shape must fail the test"
)]

use fhir::Definitions;
use fhir::json::{self, Document, Kind, Value};
use population::{Day, Population, Profile, Tenant};
use proptest::prelude::*;

/// What a value says whatever the order of members and the escapes of strings; numbers as written.
fn meaning(value: Value<'_>) -> String {
    match value.kind() {
        Kind::Object => {
            let mut members: Vec<_> = value
                .members()
                .map(|(key, value)| format!("{key}:{}", meaning(value)))
                .collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Kind::Array => {
            let items: Vec<_> = value.items().map(meaning).collect();
            format!("[{}]", items.join(","))
        }
        Kind::String => format!("{:?}", value.as_str().unwrap()),
        _ => String::from_utf8(value.raw().to_vec()).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn json_to_xml_to_json_is_the_same(seed in any::<u64>(), is_clinic in any::<bool>()) {
        let definitions = Definitions::r4();
        let tenant = if is_clinic { Tenant::HarbourClinic } else { Tenant::RosewoodHouse };
        let profile = Profile { patients: 2, months: 2, mar_days: 1, today: 0 };
        let day = Day::from_civil(2026, 11, 23).unwrap();
        let mut count = 0;
        for written in Population::new(tenant, seed, day, profile).bundles() {
            let bundle = Document::parse(written.bytes, &json::Limits::default()).unwrap();
            let xml = fhir::xml::from_json(definitions, bundle.root()).unwrap();
            let back = fhir::xml::to_json(definitions, &xml, &fhir::xml::Limits::default()).unwrap();
            let back = Document::parse(back, &json::Limits::default()).unwrap();
            prop_assert_eq!(meaning(back.root()), meaning(bundle.root()));
            count += 1;
        }
        prop_assert!(count > 1);
    }
}
