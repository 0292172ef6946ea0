//! A small web of resources that point to each other, and a naive evaluator of searches over it: chains,
//! `_has`, nested conditions and lists judged document by document, through what one caller may see.

use std::collections::BTreeSet;

use app::record::search::SearchRequest;
use app::{AppError, Caller, record};
use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Limits};
use fhir::search::{
    Extracted, IndexValue, Modifier, ParamKind, RefTarget, SearchParam, escape, extract, fold,
    matches, parse_query_value, split_alternatives,
};
use serde_json::{Value, json};

use crate::house::House;

pub use crate::dice::{AsyncMeanwhile, Dice, Nothing, TYPES, ty};

const FAMILIES: &[&str] = &["Archer", "Núñez", "Okafor", "de Vries"];
const CODES: &[&str] = &["8867-4", "8480-6", "8462-4"];
const DATES: &[&str] = &["2026-01-02", "2026-02", "2025", "2026-01-02T10:00:00Z"];

fn reference(name: &str, id: usize) -> Value {
    json!({ "reference": format!("{name}/{}{id}", name[..1].to_lowercase()) })
}

/// A resource of the web; `branches` are ids of organisations that are branches.
#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub fn made(dice: &mut Dice, name: &str, number: usize, branches: &[String]) -> Value {
    let id = format!("{}{number}", name[..1].to_lowercase());
    let mut body = json!({ "resourceType": name, "id": id });
    let family = dice.pick(FAMILIES);
    match name {
        "Organization" => {
            body["name"] = json!(format!("{family} House"));
            if number > 0 && dice.maybe() {
                let above = dice.roll(number);
                body["partOf"] = reference("Organization", above);
            }
        }
        "Practitioner" => {
            body["name"] = json!([{ "family": family }]);
            body["gender"] = json!(dice.pick(&["male", "female"]));
        }
        "Patient" => patient(dice, &mut body, family, branches),
        "Group" => {
            body["type"] = json!("person");
            body["actual"] = json!(true);
            let members: Vec<Value> = (0..dice.roll(4))
                .map(|_| json!({ "entity": reference("Patient", dice.roll(8)) }))
                .collect();
            if !members.is_empty() {
                body["member"] = json!(members);
            }
        }
        "Encounter" => {
            body["status"] = json!(dice.pick(&["finished", "planned"]));
            body["class"] = json!({ "system": "urn:class", "code": dice.pick(&["AMB", "IMP"]) });
            if dice.maybe() {
                body["subject"] = reference("Patient", dice.roll(8));
            }
            if dice.maybe() {
                body["serviceProvider"] = reference("Organization", dice.roll(4));
            }
            if dice.maybe() {
                body["participant"] =
                    json!([{ "individual": reference("Practitioner", dice.roll(3)) }]);
            }
        }
        "Observation" => observation(dice, &mut body, number),
        "List" => {
            body["status"] = json!("current");
            body["mode"] = json!("working");
            let entries: Vec<Value> = (0..dice.roll(4))
                .map(|_| match dice.roll(2) {
                    0 => json!({ "item": reference("Patient", dice.roll(8)) }),
                    _ => json!({ "item": reference("Observation", dice.roll(24)) }),
                })
                .collect();
            if !entries.is_empty() {
                body["entry"] = json!(entries);
            }
            if dice.maybe() {
                body["subject"] = reference("Patient", dice.roll(8));
            }
        }
        _ => {
            body["recorded"] = json!("2026-03-01T00:00:00Z");
            body["target"] = json!([match dice.roll(2) {
                0 => reference("Observation", dice.roll(24)),
                _ => reference("Encounter", dice.roll(10)),
            }]);
            body["agent"] = json!([{ "who": reference("Practitioner", dice.roll(3)) }]);
        }
    }
    body
}

fn patient(dice: &mut Dice, body: &mut Value, family: &str, branches: &[String]) {
    body["name"] = json!([{ "family": family, "given": [dice.pick(&["Ann", "Bo"])] }]);
    if dice.maybe() {
        body["gender"] = json!(dice.pick(&["male", "female"]));
    }
    if dice.maybe() {
        body["birthDate"] = json!(dice.pick(&["1950-01-01", "1950", "1961-07-09"]));
    }
    if dice.maybe() {
        body["generalPractitioner"] = json!([reference("Practitioner", dice.roll(3))]);
    }
    if !branches.is_empty() && dice.maybe() {
        let branch = &branches[dice.roll(branches.len())];
        body["managingOrganization"] = json!({ "reference": format!("Organization/{branch}") });
    }
}

fn observation(dice: &mut Dice, body: &mut Value, number: usize) {
    body["status"] = json!(dice.pick(&["final", "preliminary"]));
    body["code"] = json!({ "coding": [{ "system": "http://loinc.org", "code": dice.pick(CODES), "display": dice.pick(FAMILIES) }] });
    match dice.roll(4) {
        0 => {}
        1 => body["subject"] = reference("Group", dice.roll(2)),
        _ => body["subject"] = reference("Patient", dice.roll(8)),
    }
    if dice.maybe() {
        body["encounter"] = reference("Encounter", dice.roll(10));
    }
    if dice.maybe() {
        body["performer"] = json!([match dice.roll(2) {
            0 => reference("Practitioner", dice.roll(3)),
            _ => reference("Organization", dice.roll(4)),
        }]);
    }
    if dice.maybe() {
        body["effectiveDateTime"] = json!(dice.pick(DATES));
    }
    if dice.maybe() {
        body["valueQuantity"] = json!({ "value": dice.roll(5), "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min" });
    }
    if number > 0 && dice.roll(3) == 0 {
        body["hasMember"] = json!([reference("Observation", dice.roll(number))]);
    }
}

/// One stored resource.
pub struct Item {
    pub ty: TypeId,
    pub id: String,
    document: Document,
}

impl Item {
    fn extracted(&self) -> Extracted<'_> {
        extract(Definitions::r4(), self.ty, self.document.root())
    }
    pub fn name(&self) -> String {
        format!("{}/{}", Definitions::r4().resource_name(self.ty), self.id)
    }
}

/// The web as stored.
pub struct Web {
    pub items: Vec<Item>,
}

impl Web {
    /// Stores a web through somebody who may write everything; some resources in two versions, one deleted.
    pub async fn store(
        house: &House,
        writer: &Caller,
        dice: &mut Dice,
        branches: &[String],
    ) -> Self {
        let mut items = Vec::new();
        for branch in branches {
            let body = house
                .read(writer, &format!("Organization/{branch}"))
                .await
                .unwrap();
            items.push(item(&body));
        }
        for name in TYPES {
            let count = match *name {
                "Organization" => 4,
                "Practitioner" => 3,
                "Group" | "List" => 2,
                "Patient" => 8,
                "Observation" => 24,
                _ => 10,
            };
            for number in 0..count {
                if number % 4 == 1 {
                    let before = made(dice, name, number, branches);
                    house.put(writer, &before).await.unwrap();
                }
                let body = made(dice, name, number, branches);
                house.put(writer, &body).await.unwrap();
                items.push(item(&body));
            }
        }
        // What is deleted is followed by nothing.
        let gone = items.pop().unwrap();
        let key = house.key(&gone.name());
        record::delete::delete(&house.app, writer, &key, None)
            .await
            .unwrap();
        let key = house.key("Practitioner/p2");
        record::delete::delete(&house.app, writer, &key, None)
            .await
            .unwrap();
        items.retain(|item| item.name() != "Practitioner/p2");
        Self { items }
    }

    pub fn find(&self, ty: TypeId, id: &str) -> Option<&Item> {
        self.items
            .iter()
            .find(|item| item.ty == ty && item.id == id)
    }
}

fn item(body: &Value) -> Item {
    let document = Document::parse(body.to_string().into_bytes(), &Limits::default()).unwrap();
    Item {
        ty: ty(body["resourceType"].as_str().unwrap()),
        id: body["id"].as_str().unwrap().to_owned(),
        document,
    }
}

/// A condition of a search.
#[derive(Debug, Clone)]
pub enum Node {
    Plain {
        code: &'static str,
        modifier: &'static str,
        value: String,
    },
    Chain {
        code: &'static str,
        typed: Option<&'static str>,
        inner: Box<Node>,
    },
    Has {
        source: &'static str,
        code: &'static str,
        inner: Box<Node>,
    },
    Filter(Filter),
    List(String),
}

/// A condition of a `_filter`.
#[derive(Debug, Clone)]
pub enum Filter {
    Test {
        path: Vec<(&'static str, Option<&'static str>)>,
        code: &'static str,
        operation: &'static str,
        value: String,
    },
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

impl Node {
    /// As a parameter: name and value.
    pub fn written(&self) -> (String, String) {
        match self {
            Self::Plain {
                code,
                modifier,
                value,
            } => (join(code, modifier), value.clone()),
            Self::Chain { code, typed, inner } => {
                let (name, value) = inner.written();
                (format!("{}.{name}", join(code, typed.unwrap_or(""))), value)
            }
            Self::Has {
                source,
                code,
                inner,
            } => {
                let (name, value) = inner.written();
                (format!("_has:{source}:{code}:{name}"), value)
            }
            Self::Filter(filter) => ("_filter".to_owned(), filter.written()),
            Self::List(id) => ("_list".to_owned(), id.clone()),
        }
    }
}

fn join(code: &str, suffix: &str) -> String {
    if suffix.is_empty() {
        code.to_owned()
    } else {
        format!("{code}:{suffix}")
    }
}

impl Filter {
    fn written(&self) -> String {
        match self {
            Self::Test {
                path,
                code,
                operation,
                value,
            } => {
                let mut steps = String::new();
                for (code, typed) in path {
                    steps.push_str(&join(code, typed.unwrap_or("")));
                    steps.push('.');
                }
                format!("{steps}{code} {operation} {}", Value::from(value.as_str()))
            }
            Self::Not(inner) => format!("not ({})", inner.written()),
            Self::And(left, right) => format!("({}) and ({})", left.written(), right.written()),
            Self::Or(left, right) => format!("({}) or ({})", left.written(), right.written()),
        }
    }
}

/// What one caller sees of the web.
pub struct Sight<'w> {
    pub web: &'w Web,
    /// Names of what a plain search of its type shows.
    pub seen: BTreeSet<String>,
    pub now: kernel::Timestamp,
}

impl<'w> Sight<'w> {
    /// Asks for every type by a plain search.
    pub async fn of(house: &House, caller: &Caller, web: &'w Web) -> Sight<'w> {
        let mut seen = BTreeSet::new();
        for name in TYPES {
            match house.search(caller, &format!("{name}?_count=1000")).await {
                Ok((ids, _)) => seen.extend(ids.into_iter().map(|id| format!("{name}/{id}"))),
                Err(error) => assert!(matches!(error, AppError::Denied { .. }), "{error}"),
            }
        }
        Sight {
            web,
            seen,
            now: caller.context.received,
        }
    }

    fn sees(&self, item: &Item) -> bool {
        self.seen.contains(&item.name())
    }

    pub fn holds(&self, node: &Node, item: &Item) -> bool {
        match node {
            Node::Plain {
                code,
                modifier,
                value,
            } => self.plain(item, code, modifier, value),
            Node::Chain { code, typed, inner } => self
                .targets(item, code, *typed)
                .iter()
                .any(|target| defined(inner, target.ty) && self.holds(inner, target)),
            Node::Has {
                source,
                code,
                inner,
            } => self
                .pointing(item, source, code)
                .any(|source| self.holds(inner, source)),
            Node::Filter(filter) => self.filtered(filter, item),
            Node::List(id) => self
                .pointing(item, "List", "item")
                .any(|list| list.id == *id),
        }
    }

    fn plain(&self, item: &Item, code: &str, modifier: &str, value: &str) -> bool {
        let definitions = Definitions::r4();
        let param = definitions.search_param(item.ty, code).unwrap();
        let modifier = Modifier::parse(definitions, modifier).unwrap();
        let extracted = item.extracted();
        let mut each = split_alternatives(value).into_iter().map(|raw| {
            parse_query_value(param, modifier, raw, self.now)
                .is_ok_and(|value| matches(&extracted, param, modifier, &value))
        });
        if modifier.negates() {
            each.all(|one| one)
        } else {
            each.any(|one| one)
        }
    }

    fn targets(&self, item: &Item, code: &str, typed: Option<&str>) -> Vec<&'w Item> {
        let param = Definitions::r4().search_param(item.ty, code).unwrap();
        let extracted = item.extracted();
        extracted
            .values
            .iter()
            .filter(|(id, _)| *id == param.id)
            .filter_map(|(_, value)| match value {
                IndexValue::Reference {
                    target: RefTarget::Local { ty, id },
                } => self.web.find(*ty, id),
                _ => None,
            })
            .filter(|target| typed.is_none_or(|name| ty(name) == target.ty))
            .filter(|target| self.sees(target))
            .collect()
    }

    fn pointing<'a>(
        &'a self,
        item: &'a Item,
        source: &str,
        code: &'a str,
    ) -> impl Iterator<Item = &'w Item> + 'a {
        let source = ty(source);
        let param = Definitions::r4().search_param(source, code).unwrap();
        self.web
            .items
            .iter()
            .filter(move |other| other.ty == source && self.sees(other))
            .filter(move |other| {
                other.extracted().values.iter().any(|(id, value)| {
                    let to_us = RefTarget::Local {
                        ty: item.ty,
                        id: item.id.as_str().into(),
                    };
                    *id == param.id
                        && matches!(value, IndexValue::Reference { target } if *target == to_us)
                })
            })
    }

    fn filtered(&self, filter: &Filter, item: &Item) -> bool {
        match filter {
            Filter::Not(inner) => !self.filtered(inner, item),
            Filter::And(left, right) => self.filtered(left, item) && self.filtered(right, item),
            Filter::Or(left, right) => self.filtered(left, item) || self.filtered(right, item),
            Filter::Test {
                path,
                code,
                operation,
                value,
            } => {
                if *operation == "pr" {
                    return (value == "true")
                        == self.at(path, item, &|end| Self::present(end, code));
                }
                self.at(path, item, &|end| self.tested(end, code, operation, value))
            }
        }
    }

    fn at(
        &self,
        path: &[(&'static str, Option<&'static str>)],
        item: &Item,
        test: &dyn Fn(&Item) -> bool,
    ) -> bool {
        match path.split_first() {
            None => test(item),
            Some(((code, typed), rest)) => self
                .targets(item, code, *typed)
                .into_iter()
                .any(|target| self.at(rest, target, test)),
        }
    }

    fn present(item: &Item, code: &str) -> bool {
        Definitions::r4()
            .search_param(item.ty, code)
            .is_some_and(|param| item.extracted().present.contains(param.bit))
    }

    fn tested(&self, item: &Item, code: &str, operation: &str, value: &str) -> bool {
        let Some(param) = Definitions::r4().search_param(item.ty, code) else {
            return false;
        };
        let extracted = item.extracted();
        let mut own = extracted
            .values
            .iter()
            .filter(|(id, _)| *id == param.id)
            .map(|(_, value)| value);
        if param.kind == ParamKind::String {
            let wanted = fold(value);
            return own.any(|value| match (value, operation) {
                (IndexValue::Text { folded, .. }, "eq") => *folded == wanted,
                (IndexValue::Text { folded, .. }, "sw") => folded.starts_with(&*wanted),
                (IndexValue::Text { folded, .. }, "co") => folded.contains(&*wanted),
                _ => false,
            });
        }
        let raw = match param.kind {
            ParamKind::Date => format!("{operation}{value}"),
            _ => value.to_owned(),
        };
        parse_query_value(param, Modifier::None, &raw, self.now)
            .is_ok_and(|value| matches(&extracted, param, Modifier::None, &value))
    }
}

/// Whether every parameter of a condition is one of the types it meets.
pub fn defined(node: &Node, on: TypeId) -> bool {
    let definitions = Definitions::r4();
    match node {
        Node::Plain { code, .. } => definitions.search_param(on, code).is_some(),
        Node::Chain { code, typed, inner } => {
            definitions.search_param(on, code).is_some_and(|param| {
                let any: Vec<TypeId> = definitions.resource_types().collect();
                let targets = if param.targets.is_empty() {
                    &any
                } else {
                    param.targets
                };
                param.kind == ParamKind::Reference
                    && match typed {
                        Some(name) => targets.contains(&ty(name)) && defined(inner, ty(name)),
                        None => targets.iter().any(|target| defined(inner, *target)),
                    }
            })
        }
        Node::Has {
            source,
            code,
            inner,
        } => definitions
            .search_param(ty(source), code)
            .is_some_and(|param| {
                (param.targets.is_empty() || param.targets.contains(&on))
                    && defined(inner, ty(source))
            }),
        Node::Filter(filter) => filter_defined(filter, on),
        Node::List(_) => true,
    }
}

fn filter_defined(filter: &Filter, on: TypeId) -> bool {
    let definitions = Definitions::r4();
    match filter {
        Filter::Not(inner) => filter_defined(inner, on),
        Filter::And(left, right) | Filter::Or(left, right) => {
            filter_defined(left, on) && filter_defined(right, on)
        }
        Filter::Test { path, code, .. } => match path.first() {
            Some((first, typed)) => definitions.search_param(on, first).is_some_and(|param| {
                typed.is_none_or(|name| {
                    param.targets.is_empty() || param.targets.contains(&ty(name))
                })
            }),
            None => definitions.search_param(on, code).is_some(),
        },
    }
}

/// References of the web: source, parameter, target.
const EDGES: &[(&str, &str, &str)] = &[
    ("Organization", "partof", "Organization"),
    ("Patient", "general-practitioner", "Practitioner"),
    ("Patient", "organization", "Organization"),
    ("Group", "member", "Patient"),
    ("Encounter", "subject", "Patient"),
    ("Encounter", "service-provider", "Organization"),
    ("Encounter", "participant", "Practitioner"),
    ("Observation", "subject", "Patient"),
    ("Observation", "subject", "Group"),
    ("Observation", "patient", "Patient"),
    ("Observation", "encounter", "Encounter"),
    ("Observation", "performer", "Practitioner"),
    ("Observation", "performer", "Organization"),
    ("Observation", "has-member", "Observation"),
    ("List", "item", "Patient"),
    ("List", "item", "Observation"),
    ("List", "subject", "Patient"),
    ("Provenance", "target", "Observation"),
    ("Provenance", "target", "Encounter"),
    ("Provenance", "agent", "Practitioner"),
];

/// A random condition on a type that the web has.
pub fn condition(dice: &mut Dice, web: &Web, name: &'static str, depth: usize) -> Node {
    let out: Vec<&(&str, &str, &str)> = EDGES.iter().filter(|edge| edge.0 == name).collect();
    let into: Vec<&(&str, &str, &str)> = EDGES.iter().filter(|edge| edge.2 == name).collect();
    match dice.roll(8) {
        0..=2 if depth > 0 && !out.is_empty() => {
            let (_, code, target) = out[dice.roll(out.len())];
            Node::Chain {
                code,
                typed: (dice.roll(2) == 0).then_some(*target),
                inner: Box::new(condition(dice, web, target, depth - 1)),
            }
        }
        3 | 4 if depth > 0 && !into.is_empty() => {
            let (source, code, _) = into[dice.roll(into.len())];
            Node::Has {
                source,
                code,
                inner: Box::new(condition(dice, web, source, depth - 1)),
            }
        }
        5 if matches!(name, "Patient" | "Observation") => Node::List(format!("l{}", dice.roll(2))),
        6 => Node::Filter(filter(dice, web, name, depth.min(2))),
        _ => plain(dice, web, name),
    }
}

fn a_value<'w>(dice: &mut Dice, web: &'w Web, name: &str) -> (&'static SearchParam, Extracted<'w>) {
    let own: Vec<&Item> = web
        .items
        .iter()
        .filter(|item| item.ty == ty(name))
        .collect();
    let item = own[dice.roll(own.len())];
    let extracted = item.extracted();
    let usable: Vec<usize> = (0..extracted.values.len())
        .filter(|at| {
            let (id, _) = &extracted.values[*at];
            let param = Definitions::r4().search_param_by_id(*id).unwrap();
            !param.code.starts_with('_') && param.kind != ParamKind::Composite
        })
        .collect();
    let at = usable[dice.roll(usable.len())];
    let mut extracted = extracted;
    let chosen = extracted.values.swap_remove(at);
    let param = Definitions::r4().search_param_by_id(chosen.0).unwrap();
    extracted.values = vec![chosen];
    (param, extracted)
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn plain(dice: &mut Dice, web: &Web, name: &str) -> Node {
    let (param, found) = a_value(dice, web, name);
    let code = param.code;
    let (_, value) = &found.values[0];
    let (modifier, value) = match (value, dice.roll(6)) {
        (_, 0) => ("missing", dice.pick(&["true", "false"]).to_owned()),
        (
            IndexValue::Token {
                code: Some(one), ..
            },
            1,
        ) => ("not", escape(one)),
        (
            IndexValue::Token {
                code: Some(one), ..
            },
            2,
        ) => (
            "code-text",
            escape(&one.chars().take(2).collect::<String>()),
        ),
        (
            IndexValue::Token {
                text: Some(text), ..
            },
            3,
        ) => ("text", escape(&text.chars().take(3).collect::<String>())),
        (
            IndexValue::Token {
                system: Some(system),
                code: Some(one),
                ..
            },
            _,
        ) => ("", format!("{}|{}", escape(system), escape(one))),
        (
            IndexValue::Token {
                code: Some(one), ..
            },
            _,
        ) => ("", escape(one)),
        (IndexValue::Text { exact, .. }, 1) => ("exact", escape(exact)),
        (IndexValue::Text { exact, .. }, 2) => (
            "contains",
            escape(&exact.chars().skip(1).collect::<String>()),
        ),
        (IndexValue::Text { exact, .. }, _) => {
            ("", escape(&exact.chars().take(3).collect::<String>()))
        }
        (IndexValue::Range { .. }, _) => {
            let prefix = dice.pick(&["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]);
            ("", format!("{prefix}{}", dice.pick(DATES)))
        }
        (IndexValue::Quantity { .. } | IndexValue::Number { .. }, _) => {
            let prefix = dice.pick(&["", "gt", "lt", "ge", "le"]);
            ("", format!("{prefix}{}", dice.roll(5)))
        }
        (
            IndexValue::Reference {
                target: RefTarget::Local { ty, id },
            },
            roll,
        ) => {
            let one = format!("{}/{id}", Definitions::r4().resource_name(*ty));
            (if roll == 1 { "not" } else { "" }, one)
        }
        _ => ("missing", "false".to_owned()),
    };
    Node::Plain {
        code,
        modifier,
        value,
    }
}

fn filter(dice: &mut Dice, web: &Web, name: &'static str, depth: usize) -> Filter {
    if depth > 0 {
        let part = |dice: &mut Dice| Box::new(filter(dice, web, name, depth - 1));
        match dice.roll(5) {
            0 => return Filter::Not(part(dice)),
            1 => return Filter::And(part(dice), part(dice)),
            2 => return Filter::Or(part(dice), part(dice)),
            _ => {}
        }
    }
    let mut path = Vec::new();
    let mut at = name;
    for _ in 0..dice.roll(3) {
        let out: Vec<&(&'static str, &'static str, &'static str)> =
            EDGES.iter().filter(|edge| edge.0 == at).collect();
        let Some((_, code, target)) = out.get(dice.roll(out.len())).copied() else {
            break;
        };
        path.push((*code, Some(*target)));
        at = target;
    }
    let (param, found) = a_value(dice, web, at);
    let (_, value) = &found.values[0];
    let (operation, value) = match (value, dice.roll(5)) {
        (_, 0) => ("pr", dice.pick(&["true", "false"]).to_owned()),
        (IndexValue::Text { exact, .. }, 1) => ("sw", exact.chars().take(3).collect()),
        (IndexValue::Text { exact, .. }, 2) => ("co", exact.chars().skip(1).collect()),
        (IndexValue::Text { exact, .. }, _) => ("eq", exact.to_uppercase()),
        (
            IndexValue::Token {
                code: Some(code), ..
            },
            _,
        ) => ("eq", code.to_string()),
        (IndexValue::Range { .. }, _) => (
            dice.pick(&["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]),
            dice.pick(DATES).to_owned(),
        ),
        (
            IndexValue::Reference {
                target: RefTarget::Local { ty, id },
            },
            _,
        ) => (
            "re",
            format!("{}/{id}", Definitions::r4().resource_name(*ty)),
        ),
        _ => ("pr", "true".to_owned()),
    };
    Filter::Test {
        path,
        code: param.code,
        operation,
        value,
    }
}

/// Searches to the end, page by page; between the pages `meanwhile` may happen.
pub async fn every_page(
    house: &House,
    caller: &Caller,
    name: &str,
    params: &[(String, String)],
    meanwhile: &mut dyn AsyncMeanwhile,
) -> Result<Vec<String>, AppError> {
    let mut ids = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut params = params.to_vec();
        params.extend(cursor.take().map(|cursor| ("_cursor".to_owned(), cursor)));
        let request = SearchRequest {
            ty: ty(name),
            params,
            lenient: false,
        };
        let answer = record::search::search(&house.app, caller, &request).await?;
        ids.extend(
            answer
                .matches
                .iter()
                .map(|version| version.key.id.as_str().to_owned()),
        );
        match answer.next {
            Some(next) => cursor = Some(next),
            None => return Ok(ids),
        }
        meanwhile.happens(house).await;
    }
}
