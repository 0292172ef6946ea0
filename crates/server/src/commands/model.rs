//! `theriac model`: packages of clinical models on a maker's machine: a signing key, packing, looking into,
//! verifying, the card. Needs no instance and opens none. Must not run a package's model: that is for people
//! who trust its signer.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use inference::package::{Card, Inputs, Limits, Manifest, Package, PublicKey, open, seal};
use kernel::{Category, Ids as _};
use runtime::embedded::Embedded;
use runtime::guard::{self, Facts};
use runtime::{LoadLimits, Runtime as _, declared};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::cli::Model as What;
use crate::failure::Failure;
use crate::output::{self, Printer};
use crate::ports::SystemIds;

/// Runs it.
pub fn run(what: &What, printer: Printer) -> Result<u8, Failure> {
    match what {
        What::Key { file } => {
            let key = make_key(file)?;
            printer
                .object(&json!({ "key": key.to_string(), "secret": file.display().to_string() }));
        }
        What::Pack {
            manifest,
            model,
            key,
            to,
        } => printer.object(&pack((manifest, model), key, to.as_deref())?),
        What::Inspect { package } => {
            let package = read(package)?;
            let facts = fits(&package)?;
            printer.object(&inspected(&package, &facts));
        }
        What::Verify { package, trust } => {
            let trusted = trust
                .iter()
                .map(|text| trusted(text))
                .collect::<Result<Vec<_>, _>>()?;
            let package = read(package)?;
            let by = package.verify(&trusted)?;
            fits(&package)?;
            let mut told = named(&package);
            put(&mut told, "signed_by", by.to_string().into());
            printer.object(&told);
        }
        What::Card { package } => {
            let package = read(package)?;
            let card = package.manifest().card();
            if printer.format() == crate::cli::Format::Json {
                printer.object(&card_json(&card));
            } else {
                output::put(markdown(&card).as_bytes());
            }
        }
    }
    Ok(0)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file(path, &error))
}

fn read(path: &Path) -> Result<Package, Failure> {
    Ok(open(&bytes_of(path)?, &Limits::default())?)
}

/// A new key: the secret's 64 hexadecimal digits in a file that was not there.
fn make_key(file: &Path) -> Result<PublicKey, Failure> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    SystemIds::new(0).fill(seed.as_mut_slice());
    let text = Zeroizing::new(format!("{}\n", HEXLOWER.encode(seed.as_slice())));
    let mut made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| Failure::file(file, &error))?;
    made.write_all(text.as_bytes())
        .and_then(|()| made.sync_all())
        .map_err(|error| Failure::file(file, &error))?;
    Ok(PublicKey::of_seed(&seed))
}

fn seed_of(file: &Path) -> Result<Zeroizing<[u8; 32]>, Failure> {
    let text = super::secret_file(file)?;
    let bytes = HEXLOWER.decode(text.as_bytes()).ok().map(Zeroizing::new);
    let seed = bytes.and_then(|own| <[u8; 32]>::try_from(own.as_slice()).ok());
    seed.map(Zeroizing::new).ok_or_else(|| {
        Failure::new(
            Category::Invalid,
            format!(
                "{} holds no key: make one with `theriac model key`",
                file.display()
            ),
        )
    })
}

fn trusted(text: &str) -> Result<PublicKey, Failure> {
    PublicKey::parse(text).ok_or_else(|| {
        Failure::new(
            Category::Invalid,
            format!(
                "{text:?} is no public key: give the 64 digits that `theriac model key` printed"
            ),
        )
    })
}

fn pack(
    (manifest, model): (&Path, &Path),
    key: &Path,
    to: Option<&Path>,
) -> Result<Value, Failure> {
    let text = String::from_utf8(bytes_of(manifest)?).map_err(|_| {
        Failure::new(
            Category::Invalid,
            format!("{} is not UTF-8: save it as such", manifest.display()),
        )
    })?;
    let seed = seed_of(key)?;
    let packed = seal(&text, &bytes_of(model)?, Some(&*seed), &Limits::default())?;
    let package = open(&packed, &Limits::default())?;
    fits(&package)?;
    let to = to.map_or_else(
        || {
            let own = &package.manifest().identity;
            PathBuf::from(format!("{}-{}.tmpkg", own.name.as_str(), own.version))
        },
        Path::to_path_buf,
    );
    // A package is called by its content: another one is not written over it.
    let mut made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&to)
        .map_err(|error| Failure::file(&to, &error))?;
    made.write_all(&packed)
        .and_then(|()| made.sync_all())
        .map_err(|error| Failure::file(&to, &error))?;
    let mut told = named(&package);
    put(&mut told, "file", to.display().to_string().into());
    put(&mut told, "bytes", packed.len().into());
    Ok(told)
}

/// Looks the model over and holds it against the declarations.
fn fits(package: &Package) -> Result<Facts, Failure> {
    let inspected = guard::inspect(package.model(), &LoadLimits::default().guard)?;
    declared::agree(package.manifest(), &inspected.signature)?;
    Ok(inspected.facts)
}

fn put(object: &mut Value, member: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(member.to_owned(), value);
    }
}

fn named(package: &Package) -> Value {
    let own = &package.manifest().identity;
    json!({
        "name": own.name.as_str(), "version": own.version.to_string(),
        "hash": package.hash().to_string(),
    })
}

fn inspected(package: &Package, facts: &Facts) -> Value {
    let manifest = package.manifest();
    let signature = match package.verify(&[manifest.signer]) {
        Ok(by) => format!("by {by}, which this program was not asked to trust"),
        Err(error) => error.to_string(),
    };
    let engine = match Embedded.load(package.model(), &LoadLimits::default()) {
        Ok(session) => session.describe().engine,
        Err(error) => format!("not built in: {error}"),
    };
    let mut told = named(package);
    let more = [
        ("title", manifest.identity.title.as_str().into()),
        ("developer", manifest.identity.developer.as_str().into()),
        ("use", manifest.intended.purpose.as_str().into()),
        ("signature", signature.into()),
        ("inputs", inputs(manifest).into()),
        ("output", manifest.output.tensor.name.as_str().into()),
        ("model_bytes", package.model().len().into()),
        ("nodes", facts.nodes.into()),
        ("parameters", facts.parameters.into()),
        ("operators", facts.operators.clone().into()),
        ("producer", facts.producer.as_str().into()),
        ("runs_with", engine.into()),
        (
            "not_stated",
            manifest.attributes.absent().collect::<Vec<_>>().into(),
        ),
    ];
    for (member, value) in more {
        put(&mut told, member, value);
    }
    told
}

fn inputs(manifest: &Manifest) -> Vec<String> {
    match &manifest.inputs {
        Inputs::Features { inputs, .. } => {
            inputs.iter().map(|own| own.feature.name.clone()).collect()
        }
        Inputs::Image { .. } => vec!["image".to_owned()],
    }
}

fn card_json(card: &Card) -> Value {
    let sections = card.sections.iter().map(|own| {
        let lines = own.lines.iter();
        let lines: Vec<Value> = lines
            .map(|(what, text)| json!({ "what": what, "text": text }))
            .collect();
        json!({ "heading": own.heading, "lines": lines })
    });
    json!({ "title": card.title, "sections": sections.collect::<Vec<_>>() })
}

fn markdown(card: &Card) -> String {
    let mut text = format!("# {}\n", card.title);
    for section in &card.sections {
        let _ = write!(text, "\n## {}\n", section.heading);
        for (what, said) in &section.lines {
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(text, "- **{what}**: {said}");
        }
    }
    text
}
