//! From the words of a manifest to its types. Each refusal names the field.

use std::collections::BTreeSet;

use kernel::ucum::UcumUnit;

use crate::intake::{Feature, FeatureKind, Missing};
use crate::strata::{Strata, Stratum};
use crate::tensor::{MAX_RANK, TensorKind};

use super::attributes::SourceAttributes;
use super::card;
use super::content::PublicKey;
use super::error::{ManifestError, PackageError};
use super::manifest::{
    ChangeControl, CodedConcept, Evidence, Gives, Guideline, Identity, ImageInput, Input, Inputs,
    Intended, Label, Manifest, ModelName, Output, Role, Source, TensorSpec,
};
use super::raw;
use super::read_numbers as numbers;

/// Most bytes of a manifest.
const MANIFEST_BYTES: usize = 16 << 20;
/// Most bytes of one text.
const TEXT_BYTES: usize = 16 << 10;
/// Most entries of a list of declarations (features, labels, strata, evidence, guidelines).
const ENTRIES: usize = 4_096;
/// Most elements of one case in a tensor: 256 Mi.
const ELEMENTS: usize = 256 << 20;

pub(super) type Read<T> = Result<T, ManifestError>;

pub(super) fn wrong<T>(field: impl Into<String>, problem: &str, remedy: &str) -> Read<T> {
    Err(ManifestError::new(field, problem, remedy))
}

/// Reads a manifest.
pub(super) fn manifest(text: &str) -> Result<Manifest, PackageError> {
    if text.len() > MANIFEST_BYTES {
        let problem = format!("has {} bytes", text.len());
        let remedy = format!("keep it below {MANIFEST_BYTES}: fewer reference rows");
        return Err(ManifestError::new("manifest.toml", problem, remedy).into());
    }
    let syntax = |error: toml::de::Error| PackageError::Syntax(error.to_string().trim().to_owned());
    let table: toml::Table = toml::from_str(text).map_err(syntax)?;
    for (key, value) in &table {
        plain(key, value)?;
    }
    let root: raw::Root = table.try_into().map_err(syntax)?;
    Ok(typed(root)?)
}

/// Every number finite and every text of a sane length, wherever they stand.
fn plain(path: &str, value: &toml::Value) -> Read<()> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => {
            wrong(path, "is not a finite number", "give a finite one")
        }
        toml::Value::String(text) => checked_text(path, text),
        toml::Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                // Paths are made for what could be wrong; long lists of good numbers cost none.
                match item {
                    toml::Value::Float(number) if number.is_finite() => {}
                    toml::Value::Integer(_) => {}
                    item => plain(&format!("{path}[{place}]"), item)?,
                }
            }
            Ok(())
        }
        toml::Value::Table(table) => table
            .iter()
            .try_for_each(|(key, value)| plain(&format!("{path}.{key}"), value)),
        toml::Value::Datetime(_) => wrong(path, "is a date", "write it as text in quotes"),
        _ => Ok(()),
    }
}

fn checked_text(path: &str, text: &str) -> Read<()> {
    if text.trim().is_empty() {
        return wrong(path, "is empty", "write something, or leave the field out");
    }
    if text.len() > TEXT_BYTES {
        return wrong(path, "is too long", "keep texts below 16 KiB");
    }
    if text
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return wrong(path, "holds control characters", "take them out");
    }
    Ok(())
}

fn typed(root: raw::Root) -> Read<Manifest> {
    if root.schema != 1 {
        return wrong(
            "schema",
            "is not 1",
            "pack it with a version that writes schema 1",
        );
    }
    let input_tensor = tensor(
        "input",
        &root.input.tensor,
        &root.input.kind,
        &root.input.shape,
    )?;
    let inputs = inputs(root.input, root.before)?;
    let output = output(root.output, &root.after)?;
    numbers::widths(&input_tensor, &inputs, &output)?;
    let guidelines = guidelines(root.guideline)?;
    let strata = strata(root.stratum, &guidelines, &output)?;
    let (calibration, calibration_summary) = numbers::calibration(root.calibration, &output)?;
    let conformal = numbers::conformal(root.conformal, &inputs, &output)?;
    let reference = numbers::reference(root.reference, &inputs, &output)?;
    let attributes = SourceAttributes::new(root.attributes).map_err(|key| {
        let remedy = "use the keys of docs/reference/inference.md";
        ManifestError::new(
            format!("attributes.{key}"),
            "is no source attribute",
            remedy,
        )
    })?;
    if let Some(key) = root.card.keys().find(|key| !card::is_key(key)) {
        let remedy = "use the keys of docs/reference/inference.md";
        return wrong(format!("card.{key}"), "is no part of a model card", remedy);
    }
    let Some(signer) = PublicKey::parse(&root.signer.key) else {
        let remedy = "give 64 small hexadecimal digits";
        return wrong("signer.key", "is no Ed25519 public key", remedy);
    };
    Ok(Manifest {
        identity: identity(root.model)?,
        signer,
        intended: intended(root.intended)?,
        input_tensor,
        inputs,
        output,
        strata,
        calibration,
        calibration_summary,
        conformal,
        reference,
        evidence: evidence(root.evidence)?,
        guidelines,
        attributes,
        change_control: change_control(root.change_control)?,
        card: root.card,
    })
}

fn identity(model: raw::Model) -> Read<Identity> {
    let Some(name) = ModelName::new(&model.name) else {
        let remedy = "use 2 to 64 small letters, digits and dashes, a letter first";
        return wrong("model.name", "is no name of a model", remedy);
    };
    let version = model
        .version
        .parse()
        .map_err(|error| ManifestError::of("model.version", &error))?;
    if let Some(day) = &model.released
        && !is_day(day)
    {
        return wrong(
            "model.released",
            "is no day",
            "write it like \"2026-03-01\"",
        );
    }
    Ok(Identity {
        name,
        version,
        title: model.title,
        summary: model.summary,
        developer: model.developer,
        contact: model.contact,
        licence: model.licence,
        released: model.released,
    })
}

fn is_day(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut number = |digits: usize, most: u32| {
        parts
            .next()
            .filter(|part| part.len() == digits)
            .and_then(|part| part.parse::<u32>().ok())
            .is_some_and(|value| (1..=most).contains(&value))
    };
    number(4, 9999) && number(2, 12) && number(2, 31) && parts.next().is_none()
}

fn intended(intended: raw::Intended) -> Read<Intended> {
    let role = [Role::Informs, Role::Augments, Role::Replaces]
        .into_iter()
        .find(|role| role.word() == intended.role);
    let Some(role) = role else {
        let remedy = "write informs, augments or replaces";
        return wrong("intended.role", "is no role in decisions", remedy);
    };
    for (field, list) in [
        ("intended.users", &intended.users),
        ("intended.limits", &intended.limits),
    ] {
        if list.is_empty() {
            return wrong(field, "is empty", "name at least one");
        }
    }
    Ok(Intended {
        purpose: intended.purpose,
        users: intended.users,
        population: intended.population,
        setting: intended.setting,
        role,
        cautions: intended.cautions,
        limits: intended.limits,
        sign_off: intended.sign_off,
    })
}

fn tensor(field: &str, name: &str, kind: &str, shape: &[i64]) -> Read<TensorSpec> {
    let Some(kind) = TensorKind::of_word(kind) else {
        let remedy = "use a type of the Open Inference Protocol, such as FP32";
        return wrong(format!("{field}.kind"), "is no type of tensor", remedy);
    };
    let side = |side: &i64| -> Option<Option<usize>> {
        match side {
            -1 => Some(None),
            1.. => usize::try_from(*side).ok().map(Some),
            _ => None,
        }
    };
    let at = format!("{field}.shape");
    let Some(sides) = shape.iter().map(side).collect::<Option<Vec<_>>>() else {
        return wrong(
            at,
            "has a side that is not positive",
            "use -1 for the batch alone",
        );
    };
    if sides.is_empty() || sides.len() > MAX_RANK {
        return wrong(at, "has no or too many sides", "give 1 to 16 sides");
    }
    if sides.iter().skip(1).any(Option::is_none) {
        return wrong(at, "leaves a side open", "only the first may be -1");
    }
    let elements = sides
        .iter()
        .flatten()
        .try_fold(1_usize, |product, side| product.checked_mul(*side));
    if elements.is_none_or(|count| count > ELEMENTS) {
        return wrong(
            at,
            "has too many elements",
            "keep one case below 256 Mi elements",
        );
    }
    Ok(TensorSpec {
        name: name.to_owned(),
        kind,
        shape: sides,
    })
}

fn entries(field: &str, count: usize) -> Read<()> {
    if count > ENTRIES {
        return wrong(field, "has too many entries", "keep them below 4096");
    }
    Ok(())
}

fn once<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Read<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let problem = format!("holds '{name}' twice");
            return Err(ManifestError::new(field, problem, "give each its own name"));
        }
    }
    Ok(())
}

fn inputs(input: raw::Input, before: Vec<raw::Step>) -> Read<Inputs> {
    entries("input.feature", input.feature.len())?;
    match (input.feature.is_empty(), input.image) {
        (true, None) => wrong("input", "declares nothing", "declare features or an image"),
        (false, Some(_)) => wrong("input", "declares features and an image", "declare one"),
        (true, Some(image)) => {
            if input.most_missing.is_some() {
                return wrong("input.most_missing", "is about features", "leave it out");
            }
            Ok(Inputs::Image {
                image: image_input(image)?,
                steps: numbers::image_steps(before)?,
            })
        }
        (false, None) => {
            once(
                "input.feature",
                input.feature.iter().map(|f| f.name.as_str()),
            )?;
            let inputs: Vec<Input> = input
                .feature
                .into_iter()
                .enumerate()
                .map(|(place, feature)| declared(&format!("input.feature[{place}]"), feature))
                .collect::<Read<_>>()?;
            let steps = numbers::row_steps(before, &inputs)?;
            Ok(Inputs::Features {
                inputs,
                most_missing: input.most_missing.unwrap_or(0),
                steps,
            })
        }
    }
}

fn declared(at: &str, raw: raw::Feature) -> Read<Input> {
    let kind = feature_kind(at, &raw)?;
    let missing = missing(at, &raw, &kind)?;
    let title = raw.title.unwrap_or_else(|| raw.name.clone());
    let source = raw
        .source
        .map(|raw| source(&format!("{at}.source"), raw))
        .transpose()?;
    Ok(Input {
        feature: Feature {
            name: raw.name,
            kind,
            missing,
        },
        title,
        source,
    })
}

fn feature_kind(at: &str, raw: &raw::Feature) -> Read<FeatureKind> {
    let numeric = raw.low.is_some() || raw.high.is_some() || raw.unit.is_some();
    match (raw.kind.as_str(), &raw.choices) {
        ("number", None) => {
            let (Some(low), Some(high)) = (raw.low, raw.high) else {
                return wrong(at, "has no range", "give low and high");
            };
            if low >= high {
                return wrong(at, "has an empty range", "give low below high");
            }
            if let Some(unit) = &raw.unit {
                UcumUnit::parse(unit)
                    .map_err(|error| ManifestError::of(&format!("{at}.unit"), &error))?;
            }
            let unit = raw.unit.clone();
            Ok(FeatureKind::Number { unit, low, high })
        }
        ("choice", Some(choices)) if !numeric => {
            entries(at, choices.len())?;
            once(&format!("{at}.choices"), choices.iter().map(String::as_str))?;
            if choices.len() < 2 {
                return wrong(at, "has fewer than two choices", "name them all");
            }
            Ok(FeatureKind::Choice(choices.clone()))
        }
        ("flag", None) if !numeric => Ok(FeatureKind::Flag),
        ("number" | "choice" | "flag", _) => wrong(
            at,
            "mixes fields of different kinds",
            "number has low, high and unit; choice has choices; flag has none of them",
        ),
        _ => wrong(
            format!("{at}.kind"),
            "is no kind of input",
            "write number, choice or flag",
        ),
    }
}

fn missing(at: &str, raw: &raw::Feature, kind: &FeatureKind) -> Read<Missing> {
    match (raw.missing.as_str(), raw.fill) {
        ("refuse", None) => Ok(Missing::Refuse),
        ("nan", None) => Ok(Missing::Nan),
        ("fill", Some(fill)) => {
            let fits = match kind {
                FeatureKind::Number { low, high, .. } => (*low..=*high).contains(&fill),
                FeatureKind::Choice(words) => {
                    (0..words.len()).any(|place| (place as f64 - fill).abs() < 1e-9)
                }
                FeatureKind::Flag => (0.0..=1.0).contains(&fill),
            };
            if fits {
                return Ok(Missing::Fill(fill));
            }
            wrong(
                format!("{at}.fill"),
                "is outside the range",
                "fill with a plausible value",
            )
        }
        _ => wrong(
            format!("{at}.missing"),
            "is no policy",
            "write refuse, nan, or fill together with a value in fill",
        ),
    }
}

fn source(at: &str, raw: raw::Source) -> Read<Source> {
    fhirpath::compile(&raw.path)
        .map_err(|error| ManifestError::of(&format!("{at}.path"), &error))?;
    let capital = raw.resource.starts_with(|c: char| c.is_ascii_uppercase());
    if !capital || !raw.resource.bytes().all(|b| b.is_ascii_alphabetic()) {
        return wrong(
            format!("{at}.resource"),
            "is no resource type",
            "write it like Observation",
        );
    }
    if raw.within_days == Some(0) {
        return wrong(format!("{at}.within_days"), "is 0", "give at least one day");
    }
    Ok(Source {
        resource: raw.resource,
        code: concept(at, raw.system, raw.code, raw.display)?,
        path: raw.path,
        within_days: raw.within_days,
    })
}

fn concept(
    at: &str,
    system: Option<String>,
    code: Option<String>,
    display: Option<String>,
) -> Read<Option<CodedConcept>> {
    match (system, code) {
        (Some(system), Some(code)) => Ok(Some(CodedConcept {
            system,
            code,
            display,
        })),
        (None, None) if display.is_none() => Ok(None),
        _ => wrong(at, "has half a code", "give system and code together"),
    }
}

fn image_input(image: raw::Image) -> Read<ImageInput> {
    let code = |text: &str| {
        text.len() <= 16
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b" _".contains(&b))
    };
    if !code(&image.modality) {
        return wrong(
            "input.image.modality",
            "is no DICOM code string",
            "write it like CR",
        );
    }
    if image.photometric.is_empty() || !image.photometric.iter().all(|text| code(text)) {
        let remedy = "list them like MONOCHROME2";
        return wrong("input.image.photometric", "names no interpretation", remedy);
    }
    Ok(ImageInput {
        modality: image.modality,
        body_part: image.body_part,
        view: image.view,
        series_words: image.series_words,
        photometric: image.photometric,
        least_side: image.least_side,
    })
}

fn output(raw: raw::Output, after: &[raw::Step]) -> Read<Output> {
    let tensor = tensor("output", &raw.tensor, &raw.kind, &raw.shape)?;
    entries("output.label", raw.label.len())?;
    once("output.label", raw.label.iter().map(|l| l.name.as_str()))?;
    let unit = raw.unit;
    if let Some(unit) = &unit {
        UcumUnit::parse(unit).map_err(|error| ManifestError::of("output.unit", &error))?;
    }
    let labels = raw
        .label
        .into_iter()
        .map(|label| {
            Ok(Label {
                name: label.name,
                code: concept("output.label", label.system, label.code, label.display)?,
            })
        })
        .collect::<Read<Vec<_>>>()?;
    let gives = match (raw.gives.as_str(), labels.len()) {
        ("classes", 2..) => {
            let event = raw.event.as_deref();
            let place = labels.iter().position(|l| Some(l.name.as_str()) == event);
            let Some(event) = place else {
                let remedy = "name the label whose probability is the risk";
                return wrong("output.event", "is no label", remedy);
            };
            Gives::Classes { labels, event }
        }
        ("mask", 2..) if raw.event.is_none() => Gives::Mask { labels },
        ("number", 0) if raw.event.is_none() => Gives::Number { unit },
        ("quantiles", 0) if raw.event.is_none() => Gives::Quantiles { unit },
        ("classes" | "mask", 0 | 1) => {
            return wrong(
                "output.label",
                "names fewer than two labels",
                "name them all",
            );
        }
        ("number" | "quantiles" | "mask", _) => {
            let remedy = "labels belong to classes and mask, event to classes";
            return wrong("output", "mixes fields of different kinds", remedy);
        }
        _ => {
            let remedy = "write classes, number, quantiles or mask";
            return wrong("output.gives", "is no kind of output", remedy);
        }
    };
    let steps = numbers::after_steps(after)?;
    Ok(Output {
        tensor,
        gives,
        steps,
    })
}

fn guidelines(raw: Vec<raw::Guideline>) -> Read<Vec<Guideline>> {
    entries("guideline", raw.len())?;
    once("guideline", raw.iter().map(|g| g.id.as_str()))?;
    raw.into_iter()
        .map(|guideline| {
            if !guideline.url.starts_with("https://") {
                let field = format!("guideline '{}' url", guideline.id);
                return wrong(field, "is no https address", "link the published guideline");
            }
            Ok(Guideline {
                id: guideline.id,
                title: guideline.title,
                url: guideline.url,
            })
        })
        .collect()
}

fn strata(
    raw: Vec<raw::Stratum>,
    guidelines: &[Guideline],
    output: &Output,
) -> Read<Option<Strata>> {
    if raw.is_empty() {
        return Ok(None);
    }
    if matches!(output.gives, Gives::Mask { .. }) {
        return wrong(
            "stratum",
            "is of a mask",
            "strata belong to a probability or number",
        );
    }
    for stratum in &raw {
        for id in &stratum.guidelines {
            if !guidelines.iter().any(|guideline| guideline.id == *id) {
                let field = format!("stratum '{}' guidelines", stratum.name);
                return wrong(
                    field,
                    "names no declared guideline",
                    "declare it in [[guideline]]",
                );
            }
        }
        let probability = matches!(output.gives, Gives::Classes { .. });
        if probability
            && stratum
                .from
                .is_some_and(|from| !(0.0..=1.0).contains(&from))
        {
            let field = format!("stratum '{}' from", stratum.name);
            return wrong(field, "is no probability", "give a number from 0 to 1");
        }
    }
    let strata = raw
        .into_iter()
        .map(|stratum| Stratum {
            name: stratum.name,
            from: stratum.from,
            advice: stratum.advice,
            guidelines: stratum.guidelines,
        })
        .collect();
    Strata::new(strata)
        .map(Some)
        .map_err(|error| ManifestError::of("stratum", &error))
}

fn evidence(raw: Vec<raw::Evidence>) -> Read<Vec<Evidence>> {
    entries("evidence", raw.len())?;
    raw.into_iter()
        .enumerate()
        .map(|(place, evidence)| {
            let at = format!("evidence[{place}]");
            let interval = numbers::around(&at, evidence.value, evidence.low, evidence.high)?;
            Ok(Evidence {
                slice: evidence.slice,
                metric: evidence.metric,
                value: evidence.value,
                interval,
                cases: evidence.cases,
                data: evidence.data,
            })
        })
        .collect()
}

fn change_control(raw: raw::ChangeControl) -> Read<ChangeControl> {
    if raw.threshold_shift < 0.0 {
        let remedy = "give 0 where thresholds may not move";
        return wrong("change_control.threshold_shift", "is negative", remedy);
    }
    if raw.most_canary_percent > 100 {
        let remedy = "give a percentage up to 100";
        return wrong("change_control.most_canary_percent", "is over 100", remedy);
    }
    Ok(ChangeControl {
        plan: raw.plan,
        threshold_shift: raw.threshold_shift,
        most_canary_percent: raw.most_canary_percent,
        least_shadow_answers: raw.least_shadow_answers,
        retraining: raw.retraining,
    })
}
