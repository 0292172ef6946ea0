//! The manifest of an import, after the draft of Bulk Data import: `inputFormat`, `inputSource`,
//! `storageDetail`, and `input` with `type` and `url`; as a JSON object, or as a Parameters resource with the
//! same names, whose inputs may hold `data` too. Must not fetch anything.

use app::bulk::InputSource;
use bytes::Bytes;
use fhir::json::Value;
use kernel::Category;

use super::parameters::Parameters;
use crate::edge::EdgeError;

/// Inputs in order, each with the type of its lines where it is known.
pub(super) type Inputs = Vec<(Option<String>, InputSource)>;

/// Media types of NDJSON.
const FORMATS: [&str; 3] = [
    "application/fhir+ndjson",
    "application/ndjson",
    "application/x-ndjson",
];

fn wrong(text: impl Into<String>) -> EdgeError {
    EdgeError::Address(Category::Invalid, text.into())
}

/// A JSON object.
pub(super) fn of_json(root: Value<'_>) -> Result<Inputs, EdgeError> {
    for (name, value) in root.members() {
        match &*name {
            "input" => {}
            "storageDetail" => storage(value.get_str("type").as_deref())?,
            name => known(name, value.as_str().as_deref())?,
        }
    }
    let inputs = root.get("input").into_iter().flat_map(Value::items);
    inputs
        .map(|one| {
            let mut given = Given::default();
            for (name, value) in one.members() {
                given.take(&name, value.as_str().as_deref().unwrap_or_default())?;
            }
            given.done()
        })
        .collect()
}

/// A Parameters resource.
pub(super) fn of_parameters(given: &Parameters) -> Result<Inputs, EdgeError> {
    let mut inputs = Vec::new();
    for (name, part) in given.parts() {
        match &*name {
            "input" => {
                let mut input = Given::default();
                for (name, text) in texts(part) {
                    input.take(&name, &text)?;
                }
                inputs.push(input.done()?);
            }
            "storageDetail" => {
                let found = texts(part).into_iter().find(|(name, _)| name == "type");
                storage(found.as_ref().map(|(_, text)| text.as_str()))?;
            }
            name => known(name, value(part).as_deref())?,
        }
    }
    Ok(inputs)
}

fn value(part: Value<'_>) -> Option<String> {
    let mut members = part.members();
    let (_, value) = members.find(|(name, _)| name.starts_with("value"))?;
    Some(value.as_str()?.into_owned())
}

// Of the parts inside, those with a simple value; a Coding's code counts as one.
fn texts(part: Value<'_>) -> Vec<(String, String)> {
    let inner = part.get("part").into_iter().flat_map(Value::items);
    inner
        .filter_map(|inner| {
            let name = inner.get_str("name")?.into_owned();
            let coded = || {
                let code = inner.get("valueCoding")?.get_str("code")?;
                Some(code.into_owned())
            };
            Some((name, value(inner).or_else(coded).unwrap_or_default()))
        })
        .collect()
}

fn known(name: &str, value: Option<&str>) -> Result<(), EdgeError> {
    match (name, value) {
        ("inputFormat", Some(format)) if FORMATS.contains(&format) => Ok(()),
        ("inputFormat", _) => Err(wrong(
            "inputFormat is not served here: use application/fhir+ndjson",
        )),
        // Where the data is from; it changes nothing of what is done.
        ("inputSource", Some(_)) => Ok(()),
        _ => Err(wrong(format!(
            "{name:?} is no parameter of an import here: give inputFormat, inputSource, storageDetail and input"
        ))),
    }
}

fn storage(kind: Option<&str>) -> Result<(), EdgeError> {
    match kind {
        Some("https") => Ok(()),
        _ => Err(wrong(
            "storageDetail.type is not served here: use https, with addresses of the egress allow list",
        )),
    }
}

#[derive(Default)]
struct Given {
    ty: Option<String>,
    source: Option<InputSource>,
}

impl Given {
    fn take(&mut self, name: &str, text: &str) -> Result<(), EdgeError> {
        let source = match name {
            "type" => {
                self.ty = Some(text.to_owned());
                return Ok(());
            }
            "url" => match text.split_once(':') {
                Some(("file", name)) => InputSource::File(name.to_owned()),
                Some(("https" | "http", _)) => InputSource::Url(text.to_owned()),
                _ => {
                    return Err(wrong(
                        "an input's url is none that is served: give an https address of the egress allow list, or file:name.ndjson for a file in the import folder",
                    ));
                }
            },
            "data" => InputSource::Lines(Bytes::from(text.to_owned())),
            _ => {
                return Err(wrong(format!(
                    "an input has no {name:?}: give type and url, or data"
                )));
            }
        };
        match self.source.replace(source) {
            None => Ok(()),
            Some(_) => Err(wrong("an input has several sources: make an input of each")),
        }
    }

    fn done(self) -> Result<(Option<String>, InputSource), EdgeError> {
        let source = self
            .source
            .ok_or_else(|| wrong("an input has neither url nor data: give one of them"))?;
        Ok((self.ty, source))
    }
}

#[cfg(test)]
mod tests {
    use fhir::json::{Document, Limits};

    use super::*;

    fn read(text: &str) -> Result<Inputs, String> {
        let document = Document::parse(text.as_bytes().to_vec(), &Limits::default()).unwrap();
        of_json(document.root()).map_err(|error| match error {
            EdgeError::Address(_, text) => text,
            _ => panic!("another error"),
        })
    }

    #[test]
    fn a_manifest_is_read_or_refused_by_name() {
        let good = r#"{"inputFormat":"application/fhir+ndjson","inputSource":"https://other.example/fhir",
            "storageDetail":{"type":"https"},
            "input":[{"type":"Patient","url":"https://files.example/p.ndjson?key=1"},{"url":"file:a.ndjson"}]}"#;
        let inputs = read(good).unwrap();
        assert!(
            matches!(&inputs[0], (Some(ty), InputSource::Url(url)) if ty == "Patient" && url.ends_with("key=1"))
        );
        assert!(matches!(&inputs[1], (None, InputSource::File(name)) if name == "a.ndjson"));
        for (bad, says) in [
            (r#"{"inputFormat":"text/csv"}"#, "inputFormat"),
            (r#"{"storageDetail":{"type":"aws-s3"}}"#, "storageDetail"),
            (r#"{"mode":"overwrite"}"#, "mode"),
            (r#"{"input":[{"url":"ftp://x/y"}]}"#, "https"),
            (r#"{"input":[{"type":"Patient"}]}"#, "neither"),
            (
                r#"{"input":[{"url":"https://a/b","data":"{}"}]}"#,
                "several",
            ),
            (
                r#"{"input":[{"url":"https://a/b","headers":"x"}]}"#,
                "headers",
            ),
        ] {
            let why = read(bad).unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }
}
