//! The shape of the house, as tests: which crate may depend on which, that every crate is on the map,
//! and that every file says what it is for. Must not check behaviour: that is each crate's own work.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../..")
        .canonicalize()
        .unwrap()
}

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    metadata.packages
}

/// The floor a crate stands on, by its folder. A crate may depend on lower floors only; `kernel` is the
/// ground, and crates of one floor may meet only where listed in [`NEIGHBOURS`].
fn floor(package: &Package) -> u8 {
    let folder = package
        .manifest_path
        .parent()
        .unwrap()
        .strip_prefix(root())
        .unwrap()
        .to_string();
    match folder.as_str() {
        "crates/core/kernel" => 0,
        "crates/core/fhir" => 1,
        "crates/core/profiles" | "crates/core/views" => 3,
        f if f.starts_with("crates/core/") => 2,
        f if f.starts_with("crates/domain/") => 4,
        f if f.starts_with("crates/adapters/") => 5,
        "crates/app" => 6,
        f if f.starts_with("crates/edges/") => 7,
        "crates/server" => 8,
        f if f.starts_with("crates/dev/") => 9,
        other => panic!("{other} is in no folder of the house"),
    }
}

/// Edges never see an adapter, although it is on a lower floor.
const FORBIDDEN: [(&str, &str); 2] = [
    ("theriac-http", "theriac-store"),
    ("theriac-web", "theriac-store"),
];
/// Neighbours on one floor that may meet, with the reason.
const NEIGHBOURS: [(&str, &str); 0] = [];

#[test]
fn arrows_point_down() {
    let packages = packages();
    let floors: BTreeMap<String, u8> = packages
        .iter()
        .map(|package| (package.name.to_string(), floor(package)))
        .collect();
    for package in &packages {
        for dependency in &package.dependencies {
            let Some(&below) = floors.get(&dependency.name) else {
                continue;
            };
            if dependency.kind == DependencyKind::Development {
                continue; // tests may use whatever they need
            }
            let from = package.name.as_str();
            let pair = (from, dependency.name.as_str());
            let above = floors[from];
            let dev = above == 9;
            assert!(dev || below != 9, "{pair:?}: only tests may use dev crates");
            assert!(
                dev || below < above || NEIGHBOURS.contains(&pair),
                "{pair:?} points sideways or up"
            );
            assert!(
                !FORBIDDEN.contains(&pair),
                "{pair:?}: edges never touch a store"
            );
        }
    }
}

#[test]
fn pure_crates_stay_pure() {
    let effects = [
        "tokio",
        "async-trait",
        "rusqlite",
        "tokio-postgres",
        "object_store",
        "tracing",
        "getrandom",
        "hyper",
        "axum",
    ];
    for package in packages().iter().filter(|package| floor(package) <= 4) {
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal)
        {
            assert!(
                !effects.contains(&dependency.name.as_str()),
                "{} depends on {}",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn every_crate_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for package in packages() {
        let folder = package
            .manifest_path
            .parent()
            .unwrap()
            .strip_prefix(root())
            .unwrap()
            .to_string();
        assert!(
            map.contains(&format!("`{folder}`")),
            "{folder} is missing from ARCHITECTURE.md"
        );
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|d| d.path.is_none()) {
            assert!(
                reasons.contains(&format!("| `{}` |", dependency.name)),
                "{} uses {} without a line in docs/dependencies.md",
                package.name,
                dependency.name
            );
        }
    }
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("target") && !path.ends_with("node_modules") {
                rust_files(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_stays_readable() {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    assert!(
        files.len() > 50,
        "the walk found only {} files",
        files.len()
    );
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let shown = file.strip_prefix(root()).unwrap().display();
        assert!(text.starts_with("//!"), "{shown} does not open with //!");
        let lines = text.lines().count();
        assert!(lines <= 800, "{shown} has {lines} lines; at most 800");
        let unfinished = ["to", "do!("].concat();
        assert!(
            !text.contains(&unfinished),
            "{shown} has an unfinished part"
        );
        let ignored = ["#[ig", "nore"].concat();
        assert!(!text.contains(&ignored), "{shown} has an ignored test");
    }
}

#[test]
fn sql_lives_in_the_store_alone() {
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    for file in files
        .iter()
        .filter(|file| !file.to_string_lossy().contains("/adapters/store/"))
    {
        let shown = file.strip_prefix(root()).unwrap().display().to_string();
        if shown.contains("/dev/") || shown.contains("/tests/") || shown.contains("bench") {
            continue; // peers are started and ceilings are measured with SQL of their own
        }
        let text = std::fs::read_to_string(file).unwrap();
        for word in ["SELECT ", "INSERT INTO", "DELETE FROM"] {
            assert!(
                !text.contains(word),
                "{shown} holds SQL ({word}); it belongs in the store"
            );
        }
    }
}
