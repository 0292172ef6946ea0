//! Makes `r4-terminology.pack` from the R4 definitions: code systems, value sets and concept maps of R4,
//! HL7 v3 and HL7 v2. Must not take what the package's maker added.

use std::error::Error;
use std::fs;
use std::path::Path;

use fhir::json::{Document, Limits, Value};
use terminology::base::PackMaker;

const FILES: [&str; 4] = [
    "valuesets.json",
    "v3-codesystems.json",
    "v2-tables.json",
    "conceptmaps.json",
];

/// Reads the definitions in `source`, writes the pack to `target`, says what is in it.
pub fn generate(source: &Path, target: &Path) -> Result<String, Box<dyn Error>> {
    let limits = Limits {
        max_bytes: 256 << 20,
        max_nodes: 16_000_000,
        ..Limits::default()
    };
    let mut maker = PackMaker::default();
    let mut left_out = Vec::new();
    for name in FILES {
        let path = source.join(name);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let bundle = Document::parse(bytes, &limits)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let entries = bundle.root().get("entry");
        for entry in entries.into_iter().flat_map(Value::items) {
            let Some(resource) = entry.get("resource") else {
                continue;
            };
            if let Err(error) = maker.add(resource) {
                left_out.push(format!("left out: {error}"));
            }
        }
    }
    let bytes = maker.finish()?;
    fs::create_dir_all(target)?;
    fs::write(target.join("r4-terminology.pack"), &bytes)?;
    let (systems, sets, maps) = maker.counts();
    left_out.insert(
        0,
        format!(
            "r4-terminology.pack: {systems} code systems, {sets} value sets, {maps} concept maps, {} bytes",
            bytes.len()
        ),
    );
    Ok(left_out.join("\n"))
}
