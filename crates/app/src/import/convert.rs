//! From what files hold to bundle entries that can be loaded any number of times: a resource becomes a
//! PUT under an id of its own (the UUID of its `fullUrl`, its own id, or one made from its content), and
//! references between entries become `Type/id`. Pure; must not read files or talk to the record.

use std::cell::RefCell;
use std::collections::HashMap;

use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Kind, Limits, Value};
use fhir::print::{Stamp, stamp_rewriting, write_string};
use kernel::LogicalId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// One entry, ready to stand in a bundle.
#[derive(Debug, Clone)]
pub struct Item {
    /// Where it stood: `entry 12` or `line 5`.
    pub place: String,
    /// `Type/id`, or the type where the record gives the id.
    pub name: String,
    /// Its type.
    pub ty: &'static str,
    /// The entry's JSON.
    pub json: Vec<u8>,
}

/// What cannot be loaded, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// The file.
    #[serde(default)]
    pub file: String,
    /// Where in it.
    pub place: String,
    /// Which resource, as far as that is known.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What a file comes to.
#[derive(Debug, Default)]
pub struct Prepared {
    /// In order.
    pub items: Vec<Item>,
    /// Whether entries depend on each other (criteria): they are loaded in one piece.
    pub linked: bool,
    /// What cannot be loaded.
    pub refused: Vec<Refusal>,
    /// Types of entries that repeat an earlier one byte for byte.
    pub repeated: Vec<&'static str>,
}

/// Parses a file that holds a bundle or a single resource.
pub fn json(content: Vec<u8>) -> Result<Prepared, String> {
    let limits = Limits {
        max_bytes: content.len().max(1),
        max_nodes: 64 << 20,
        ..Limits::default()
    };
    let document = Document::parse(content, &limits).map_err(|error| error.to_string())?;
    let root = document.root();
    if root.get_str("resourceType").as_deref() != Some("Bundle") {
        let mut prepared = Prepared::default();
        prepared.add(single("resource".to_owned(), root));
        return Ok(prepared);
    }
    let kind = root.get_str("type").unwrap_or_default();
    if matches!(
        &*kind,
        "batch-response" | "transaction-response" | "history"
    ) {
        return Err(format!(
            "a bundle of type {kind} is an answer, not a set of resources: give the bundle that was asked for"
        ));
    }
    let entries: Vec<Value<'_>> = root
        .get("entry")
        .into_iter()
        .flat_map(Value::items)
        .collect();
    Ok(Entries::new(&entries).prepare())
}

/// Parses a line of NDJSON.
pub fn line(number: u64, content: Vec<u8>) -> Result<Item, Refusal> {
    let place = format!("line {number}");
    let limits = Limits {
        max_bytes: content.len().max(1),
        ..Limits::default()
    };
    match Document::parse(content, &limits) {
        Ok(document) => single(place, document.root()),
        Err(error) => Err(refusal(place, String::new(), error.to_string())),
    }
}

fn refusal(place: String, name: String, why: impl Into<String>) -> Refusal {
    Refusal {
        file: String::new(),
        place,
        name,
        why: why.into(),
    }
}

fn single(place: String, resource: Value<'_>) -> Result<Item, Refusal> {
    let ty = match type_of(resource) {
        Ok(ty) => ty,
        Err(why) => return Err(refusal(place, String::new(), why)),
    };
    let id = own_id(resource).unwrap_or_else(|| id_of_content(resource));
    put(place, ty, &id, None, resource, None)
}

fn type_of(resource: Value<'_>) -> Result<TypeId, String> {
    if resource.kind() != Kind::Object {
        return Err("it is not a JSON object: a resource is one".to_owned());
    }
    let Some(name) = resource.get_str("resourceType") else {
        return Err("it has no resourceType: add it".to_owned());
    };
    Definitions::r4().resource(&name).ok_or_else(|| {
        let shown: String = name.chars().take(60).collect();
        format!("resource type {shown:?} is not one of FHIR R4")
    })
}

fn own_id(resource: Value<'_>) -> Option<LogicalId> {
    resource.get_str("id")?.parse().ok()
}

// The same content always gets the same id, so that loading it again makes no second resource.
fn id_of_content(resource: Value<'_>) -> LogicalId {
    let digest = Sha256::digest(resource.raw());
    let mut bytes = [0u8; 16];
    for (target, byte) in bytes.iter_mut().zip(digest) {
        *target = byte;
    }
    LogicalId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

fn urn_uuid(full_url: &str) -> Option<LogicalId> {
    let uuid = full_url.strip_prefix("urn:uuid:")?;
    Uuid::try_parse(uuid).ok().map(LogicalId::from_uuid)
}

type Rewrite<'r> = &'r dyn Fn(&str) -> Option<String>;

fn put(
    place: String,
    ty: TypeId,
    id: &LogicalId,
    full_url: Option<&str>,
    resource: Value<'_>,
    rewrite: Option<Rewrite<'_>>,
) -> Result<Item, Refusal> {
    let ty = Definitions::r4().resource_name(ty);
    let name = format!("{ty}/{}", id.as_str());
    let mut json = Vec::with_capacity(resource.raw().len() + 200);
    open_entry(full_url, &mut json);
    let same_id = resource.get_str("id").as_deref() == Some(id.as_str());
    if same_id && rewrite.is_none() {
        json.extend_from_slice(resource.raw());
    } else {
        // The record stamps version and time again; only the id and the references matter here.
        let mark = Stamp {
            id: id.as_str(),
            version: 1,
            last_updated: "2020-01-01T00:00:00Z",
        };
        let leave = |_: &str| None;
        match stamp_rewriting(resource, &mark, rewrite.unwrap_or(&leave)) {
            Ok(body) => json.extend_from_slice(&body),
            Err(error) => return Err(refusal(place, name, error.to_string())),
        }
    }
    json.extend_from_slice(b",\"request\":{\"method\":\"PUT\",\"url\":");
    write_string(&name, &mut json);
    json.extend_from_slice(b"}}");
    Ok(Item {
        place,
        name,
        ty,
        json,
    })
}

fn open_entry(full_url: Option<&str>, json: &mut Vec<u8>) {
    json.push(b'{');
    if let Some(full_url) = full_url {
        json.extend_from_slice(b"\"fullUrl\":");
        write_string(full_url, json);
        json.push(b',');
    }
    json.extend_from_slice(b"\"resource\":");
}

/// Where an entry goes.
enum Target {
    /// Under an id.
    Put(TypeId, LogicalId),
    /// Where its criteria say.
    Criteria(TypeId),
}

struct Entries<'a> {
    given: &'a [Value<'a>],
    targets: Vec<Result<Target, String>>,
    links: HashMap<String, String>,
    linked: bool,
    has_absolute: bool,
}

impl Prepared {
    fn add(&mut self, item: Result<Item, Refusal>) {
        match item {
            Ok(item) => self.items.push(item),
            Err(refused) => self.refused.push(refused),
        }
    }
}

impl<'a> Entries<'a> {
    fn new(entries: &'a [Value<'a>]) -> Self {
        let mut links = HashMap::with_capacity(entries.len());
        let mut linked = false;
        let mut has_absolute = false;
        let mut targets = Vec::with_capacity(entries.len());
        for entry in entries {
            let target = target(*entry);
            match (&target, entry.get_str("fullUrl")) {
                (Ok(Target::Put(ty, id)), Some(full_url)) => {
                    let name = format!("{}/{}", Definitions::r4().resource_name(*ty), id.as_str());
                    if *full_url != name {
                        has_absolute |= !full_url.starts_with("urn:");
                        links.insert(full_url.into_owned(), name);
                    }
                }
                (Ok(Target::Criteria(_)), _) => linked = true,
                _ => {}
            }
            targets.push(target);
        }
        Self {
            given: entries,
            targets,
            links,
            linked,
            has_absolute,
        }
    }

    fn prepare(self) -> Prepared {
        let mut prepared = Prepared {
            linked: self.linked,
            ..Prepared::default()
        };
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(self.given.len());
        for (index, (entry, target)) in self.given.iter().zip(&self.targets).enumerate() {
            let item = match self.one(index, *entry, target) {
                Ok(item) => item,
                Err(refused) => {
                    prepared.refused.push(refused);
                    continue;
                }
            };
            if let (Ok(Target::Put(..)), Some(first)) = (target, seen.get(&item.name)) {
                if self.given.get(*first).map(|first| first.raw()) == Some(entry.raw()) {
                    prepared.repeated.push(item.ty);
                } else {
                    let why = format!(
                        "entry {first} has the same id and other content: keep one of them"
                    );
                    prepared.refused.push(refusal(item.place, item.name, why));
                }
                continue;
            }
            seen.insert(item.name.clone(), index);
            prepared.items.push(item);
        }
        prepared
    }

    fn one(
        &self,
        index: usize,
        entry: Value<'_>,
        target: &Result<Target, String>,
    ) -> Result<Item, Refusal> {
        let place = format!("entry {index}");
        let target = match target {
            Ok(target) => target,
            Err(why) => return Err(refusal(place, String::new(), why.clone())),
        };
        let Some(resource) = entry.get("resource") else {
            return Err(refusal(place, String::new(), "it has no resource"));
        };
        let full_url = entry.get_str("fullUrl");
        match target {
            Target::Criteria(ty) => Ok(by_criteria(place, *ty, entry, resource)),
            // In one piece the record itself resolves what `fullUrl`s stand for.
            Target::Put(ty, id) if self.linked => {
                put(place, *ty, id, full_url.as_deref(), resource, None)
            }
            Target::Put(ty, id) => self.resolved(place, *ty, id, resource),
        }
    }

    fn resolved(
        &self,
        place: String,
        ty: TypeId,
        id: &LogicalId,
        resource: Value<'_>,
    ) -> Result<Item, Refusal> {
        if !self.has_absolute && !contains(resource.raw(), b"\"urn:") {
            return put(place, ty, id, None, resource, None);
        }
        let dangling = RefCell::new(None);
        let rewrite = |reference: &str| {
            let found = self.links.get(reference).cloned();
            if found.is_none() && reference.starts_with("urn:uuid:") {
                dangling
                    .borrow_mut()
                    .get_or_insert_with(|| reference.to_owned());
            }
            found
        };
        let item = put(place, ty, id, None, resource, Some(&rewrite))?;
        match dangling.into_inner() {
            None => Ok(item),
            Some(urn) => {
                let why = format!("the reference {urn:?} points to no entry of this bundle");
                Err(refusal(item.place, item.name, why))
            }
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn target(entry: Value<'_>) -> Result<Target, String> {
    let resource = entry
        .get("resource")
        .ok_or("it has no resource: import takes resources only")?;
    let ty = type_of(resource)?;
    let full_url = entry.get_str("fullUrl");
    let by_address = || {
        full_url
            .as_deref()
            .and_then(urn_uuid)
            .or_else(|| own_id(resource))
    };
    let made = || by_address().unwrap_or_else(|| id_of_content(resource));
    let Some(request) = entry.get("request") else {
        return Ok(Target::Put(ty, made()));
    };
    let method = request.get_str("method").unwrap_or_default();
    let url = request.get_str("url").unwrap_or_default();
    match &*method {
        "POST" if request.get("ifNoneExist").is_some() => Ok(Target::Criteria(ty)),
        "POST" => Ok(Target::Put(ty, made())),
        "PUT" if url.contains('?') => Ok(Target::Criteria(ty)),
        "PUT" => {
            let (named, id) = url.split_once('/').ok_or("request.url is not Type/id")?;
            if named != Definitions::r4().resource_name(ty) {
                return Err(format!(
                    "request.url names a {named}, the resource is another type"
                ));
            }
            Ok(Target::Put(
                ty,
                id.parse()
                    .map_err(|error: kernel::IdError| error.to_string())?,
            ))
        }
        other => Err(format!(
            "request.method {other:?} is not imported: import takes POST and PUT"
        )),
    }
}

fn by_criteria(place: String, ty: TypeId, entry: Value<'_>, resource: Value<'_>) -> Item {
    let ty = Definitions::r4().resource_name(ty);
    let mut json = Vec::with_capacity(resource.raw().len() + 300);
    open_entry(entry.get_str("fullUrl").as_deref(), &mut json);
    json.extend_from_slice(resource.raw());
    json.extend_from_slice(b",\"request\":");
    json.extend_from_slice(entry.get("request").map_or(b"{}".as_slice(), Value::raw));
    json.push(b'}');
    Item {
        place,
        name: ty.to_owned(),
        ty,
        json,
    }
}

/// A bundle of entries.
#[must_use]
pub fn bundle(items: &[Item], kind: &str) -> Vec<u8> {
    let size: usize = items.iter().map(|item| item.json.len() + 1).sum();
    let mut body = Vec::with_capacity(size + 64);
    body.extend_from_slice(b"{\"resourceType\":\"Bundle\",\"type\":");
    write_string(kind, &mut body);
    body.extend_from_slice(b",\"entry\":[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&item.json);
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: &str = "018f428e-34f6-4707-8009-5ad742f901e7";

    fn text(item: &Item) -> String {
        String::from_utf8(item.json.clone()).unwrap()
    }

    #[test]
    fn posts_become_puts_under_their_urn_and_references_follow() {
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"urn:uuid:{ANA}","resource":{{"resourceType":"Patient"}},"request":{{"method":"POST","url":"Patient"}}}},
            {{"fullUrl":"urn:uuid:{}","resource":{{"resourceType":"Condition","id":"other","subject":{{"reference":"urn:uuid:{ANA}"}},"x":"urn:uuid:{ANA}"}},"request":{{"method":"POST","url":"Condition"}}}},
            {{"resource":{{"resourceType":"Goal","subject":{{"reference":"urn:uuid:9a9aaaaa-34f6-4707-8009-5ad742f901e7"}}}},"request":{{"method":"POST","url":"Goal"}}}},
            {{"request":{{"method":"DELETE","url":"Patient/1"}}}}]}}"#,
            ANA.replace('0', "1")
        );
        let prepared = json(bundle.into_bytes()).unwrap();
        assert!(!prepared.linked);
        assert_eq!(prepared.items[0].name, format!("Patient/{ANA}"));
        let condition = text(&prepared.items[1]);
        assert!(
            condition.contains(&format!(r#""subject":{{"reference":"Patient/{ANA}"}}"#)),
            "{condition}"
        );
        assert!(
            condition.contains(&format!(r#""x":"urn:uuid:{ANA}""#)),
            "{condition}"
        );
        assert!(condition.contains(r#""method":"PUT""#), "{condition}");
        let places: Vec<&str> = prepared
            .refused
            .iter()
            .map(|refused| refused.place.as_str())
            .collect();
        assert_eq!(places, ["entry 2", "entry 3"]);
    }

    #[test]
    fn content_without_an_id_gets_the_same_one_every_time() {
        let one = || {
            line(
                1,
                br#"{"resourceType":"Basic","code":{"text":"x"}}"#.to_vec(),
            )
            .unwrap()
        };
        assert_eq!(one().name, one().name);
        let other = line(
            1,
            br#"{"resourceType":"Basic","code":{"text":"y"}}"#.to_vec(),
        )
        .unwrap();
        assert_ne!(one().name, other.name);
        assert!(line(3, b"{".to_vec()).unwrap_err().place == "line 3");
        assert!(
            line(3, br#"{"resourceType":"Nothing"}"#.to_vec())
                .unwrap_err()
                .why
                .contains("Nothing")
        );
    }

    #[test]
    fn criteria_keep_a_bundle_in_one_piece() {
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"urn:uuid:{ANA}","resource":{{"resourceType":"Organization","name":"A"}},"request":{{"method":"POST","url":"Organization","ifNoneExist":"identifier=a|1"}}}},
            {{"resource":{{"resourceType":"Location","id":"l","managingOrganization":{{"reference":"urn:uuid:{ANA}"}}}},"request":{{"method":"PUT","url":"Location/l"}}}}]}}"#
        );
        let prepared = json(bundle.into_bytes()).unwrap();
        assert!(prepared.linked);
        assert!(text(&prepared.items[0]).contains("ifNoneExist"));
        assert!(text(&prepared.items[1]).contains(&format!("urn:uuid:{ANA}")));
    }

    #[test]
    fn repeats_are_told_from_contradictions() {
        let entry = |name: &str| {
            format!(r#"{{"resource":{{"resourceType":"Organization","id":"a","name":"{name}"}}}}"#)
        };
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{},{},{}]}}"#,
            entry("x"),
            entry("x"),
            entry("y")
        );
        let prepared = json(bundle.into_bytes()).unwrap();
        assert_eq!(
            (
                prepared.items.len(),
                prepared.repeated.len(),
                prepared.refused.len()
            ),
            (1, 1, 1)
        );
    }

    #[test]
    fn absolute_addresses_inside_a_bundle_become_local() {
        let bundle = r#"{"resourceType":"Bundle","type":"searchset","entry":[
            {"fullUrl":"https://other.example/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1"}},
            {"fullUrl":"https://other.example/fhir/Goal/2","resource":{"resourceType":"Goal","id":"2","subject":{"reference":"https://other.example/fhir/Patient/1"}}}]}"#;
        let prepared = json(bundle.as_bytes().to_vec()).unwrap();
        assert!(text(&prepared.items[1]).contains(r#""reference":"Patient/1""#));
    }

    proptest::proptest! {
        #[test]
        fn no_content_makes_it_panic(content in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = json(content.clone());
            let _ = line(1, content);
        }
    }
}
