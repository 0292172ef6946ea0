//! Resources of a synthetic population, where a folder of samples is named by the environment: none of
//! them is refused.

use super::*;
use crate::json::{Document, Limits};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test may be told where samples are"
)]
fn takes_a_synthetic_population() {
    let Ok(folder) = std::env::var("THERIAC_SAMPLES") else {
        println!("skipped: THERIAC_SAMPLES names no folder of samples");
        return;
    };
    let definitions = Definitions::r4();
    let mut count = 0;
    for file in std::fs::read_dir(std::path::Path::new(&folder).join("synthea")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let bundle = Document::parse(std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        for entry in bundle.root().get("entry").unwrap().items() {
            let resource = entry.get("resource").unwrap();
            let issues = validate(definitions, resource);
            assert!(issues.is_empty(), "{}: {issues:#?}", path.display());
            count += 1;
        }
        assert_eq!(
            validate(definitions, bundle.root()),
            [],
            "{}",
            path.display()
        );
    }
    assert!(count > 1000, "only {count} resources");
}
