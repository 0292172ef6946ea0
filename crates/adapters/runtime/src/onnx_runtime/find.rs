//! Where the shared library of ONNX Runtime may be: named in the configuration, in the system's usual
//! places, or inside a Python package. Must not load anything.

use std::path::{Path, PathBuf};

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The library itself, from the configuration. Nothing else is tried where it is given.
    pub library: Option<PathBuf>,
    /// Prefixes under which Python packages may lie (`<prefix>/lib/python3.x/site-packages`): virtual
    /// environments, home folders. The system's own are always looked at.
    pub python_prefixes: Vec<PathBuf>,
}

/// Folders that hold shared libraries.
const SYSTEM: [&str; 8] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

/// Prefixes of the system's own Python.
const PREFIXES: [&str; 3] = ["/usr/local", "/usr", "/opt/homebrew"];

impl Search {
    /// Files that look like the library, most wanted first.
    #[must_use]
    pub fn candidates(&self) -> Vec<PathBuf> {
        if let Some(library) = &self.library {
            return vec![library.clone()];
        }
        let mut found = Vec::new();
        for folder in SYSTEM {
            libraries(Path::new(folder), &mut found);
        }
        let given = self.python_prefixes.iter().map(PathBuf::as_path);
        for prefix in given.chain(PREFIXES.iter().map(Path::new)) {
            python(prefix, &mut found);
        }
        found
    }

    /// In words, for a message.
    #[must_use]
    pub fn in_words(&self) -> String {
        if let Some(library) = &self.library {
            return format!("{} was configured", library.display());
        }
        let mut places: Vec<String> = SYSTEM.iter().map(|place| (*place).to_owned()).collect();
        places.extend(
            self.python_prefixes
                .iter()
                .map(|prefix| format!("{}/lib/python3*", prefix.display())),
        );
        places.extend(
            PREFIXES
                .iter()
                .map(|prefix| format!("{prefix}/lib/python3*")),
        );
        format!("looked in {}", places.join(", "))
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    entries.reverse(); // newer versions first
    entries
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
}

fn libraries(folder: &Path, found: &mut Vec<PathBuf>) {
    found.extend(entries(folder).into_iter().filter(|path| {
        let name = name_of(path);
        name.starts_with("libonnxruntime.so")
            || (name.starts_with("libonnxruntime.") && name.split('.').next_back() == Some("dylib"))
            || name == "onnxruntime.dll"
    }));
}

fn python(prefix: &Path, found: &mut Vec<PathBuf>) {
    for lib in ["lib", "lib64"] {
        for version in entries(&prefix.join(lib)) {
            if !name_of(&version).starts_with("python3") {
                continue;
            }
            for packages in ["site-packages", "dist-packages"] {
                libraries(&version.join(packages).join("onnxruntime/capi"), found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_package_is_found_and_a_configured_library_stands_alone() {
        let folder = std::env::temp_dir().join(format!("theriac-find-{}", std::process::id()));
        let capi = folder.join("lib/python3.11/site-packages/onnxruntime/capi");
        std::fs::create_dir_all(&capi).unwrap();
        std::fs::write(capi.join("libonnxruntime.so.1.32.0"), b"").unwrap();
        std::fs::write(capi.join("libonnxruntime_providers_shared.so"), b"").unwrap();
        let search = Search {
            python_prefixes: vec![folder.clone()],
            ..Search::default()
        };
        let found = search.candidates();
        assert!(found.contains(&capi.join("libonnxruntime.so.1.32.0")));
        assert!(
            !found
                .iter()
                .any(|path| path.ends_with("libonnxruntime_providers_shared.so"))
        );
        assert!(search.in_words().contains("lib/python3*"));
        let configured = Search {
            library: Some(PathBuf::from("/srv/ort.so")),
            ..search
        };
        assert_eq!(configured.candidates(), [PathBuf::from("/srv/ort.so")]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
