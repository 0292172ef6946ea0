//! Random trees of conditions over resources that refer to each other: chains, `_has`, nesting, negation,
//! several types, several sort keys, pages. The store answers as a naive evaluator judges, resource by
//! resource, in the naive order. The seed is printed on failure and can be set with `THERIAC_SEED`.

use std::cmp::Ordering;
use std::collections::HashSet;

use fhir::json::{Document, Limits};
use fhir::search::{Extracted, IndexValue, ParamId, ParamKind, RefTarget, SearchParam, extract};
use fhir::{Definitions, TypeId};
use kernel::RowId;
use store::{
    Clause, PositionValue, Predicate, SearchPage, SearchPlan, Sort, SortKey, Store, Total,
};

use super::oracle::{Asked, Dice, asked, observation, patient};
use super::world::{World, key, ty};
use super::{Bed, WINDOW};

/// A stored resource as the evaluator sees it.
struct Thing<'d> {
    ty: TypeId,
    name: String,
    row: RowId,
    version_row: RowId,
    found: Extracted<'d>,
}

/// A condition, as a tree.
enum Cond {
    Leaf(Asked),
    Chain(&'static SearchParam, TypeId, Vec<Cond>),
    Has(&'static SearchParam, Vec<Cond>),
    Any(Vec<Vec<Cond>>),
    Not(Box<Cond>),
}

fn refers(from: &Thing<'_>, param: &SearchParam, to: &Thing<'_>) -> bool {
    let url = Definitions::r4().search_param(to.ty, "url");
    from.found
        .values
        .iter()
        .filter(|(id, _)| *id == param.id)
        .any(|(_, value)| match value {
            IndexValue::Reference { target } => match target {
                RefTarget::Local { ty, id } => *ty == to.ty && *id == to.name,
                RefTarget::Absolute(wanted) => url.is_some_and(|url| {
                    to.found.values.iter().any(|(id, value)| {
                        *id == url.id && matches!(value, IndexValue::Uri(uri) if uri == wanted)
                    })
                }),
                RefTarget::Identifier { .. } => false,
            },
            _ => false,
        })
}

impl Cond {
    fn holds(&self, thing: &Thing<'_>, all: &[Thing<'_>]) -> bool {
        let every = |inner: &[Self], other: &Thing<'_>| inner.iter().all(|c| c.holds(other, all));
        match self {
            Self::Leaf(asked) => {
                asked.param.ty == thing.ty && asked.holds(&thing.found) || {
                    // A negated leaf holds for whatever has no such value, whatever its type.
                    asked.param.ty != thing.ty && asked.is_negated()
                }
            }
            Self::Chain(param, target, inner) => all
                .iter()
                .filter(|other| other.ty == *target)
                .any(|other| refers(thing, param, other) && every(inner, other)),
            Self::Has(param, inner) => all
                .iter()
                .filter(|other| other.ty == param.ty)
                .any(|other| refers(other, param, thing) && every(inner, other)),
            Self::Any(groups) => groups.iter().any(|group| every(group, thing)),
            Self::Not(inner) => !inner.holds(thing, all),
        }
    }

    fn clause(&self) -> Option<Clause> {
        let one = |predicate| Clause {
            negated: false,
            any_of: vec![predicate],
        };
        let clauses =
            |inner: &[Self]| -> Option<Vec<Clause>> { inner.iter().map(Self::clause).collect() };
        Some(match self {
            Self::Leaf(asked) => asked.clause()?,
            Self::Chain(param, target, inner) => one(Predicate::Chain {
                param: param.id,
                targets: vec![(*target, clauses(inner)?)],
            }),
            Self::Has(param, inner) => one(Predicate::Has {
                ty: param.ty,
                param: param.id,
                all_of: clauses(inner)?,
            }),
            Self::Any(groups) => Clause {
                negated: false,
                any_of: groups
                    .iter()
                    .map(|group| clauses(group).map(Predicate::All))
                    .collect::<Option<_>>()?,
            },
            Self::Not(inner) => Clause {
                negated: true,
                any_of: vec![Predicate::All(vec![inner.clause()?])],
            },
        })
    }

    fn text(&self) -> String {
        let inner = |group: &[Self]| group.iter().map(Self::text).collect::<Vec<_>>().join(" & ");
        match self {
            Self::Leaf(asked) => asked.text.clone(),
            Self::Chain(param, target, group) => {
                let target = Definitions::r4().resource_name(*target);
                format!("{}:{target}.({})", param.code, inner(group))
            }
            Self::Has(param, group) => {
                let source = Definitions::r4().resource_name(param.ty);
                format!("_has:{source}:{}.({})", param.code, inner(group))
            }
            Self::Any(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| inner(group)).collect();
                format!("[{}]", groups.join(" | "))
            }
            Self::Not(group) => format!("!({})", group.text()),
        }
    }
}

const TYPES: [&str; 6] = [
    "Patient",
    "Observation",
    "Encounter",
    "Organization",
    "Questionnaire",
    "QuestionnaireResponse",
];

/// Reference parameters that lead between the types of this world.
fn links() -> Vec<(&'static SearchParam, &'static str)> {
    let of = |ty_name: &str, code: &str, target| {
        let param = Definitions::r4().search_param(ty(ty_name), code).unwrap();
        (param, target)
    };
    vec![
        of("Patient", "organization", "Organization"),
        of("Patient", "general-practitioner", "Organization"),
        of("Patient", "link", "Patient"),
        of("Observation", "subject", "Patient"),
        of("Observation", "patient", "Patient"),
        of("Observation", "encounter", "Encounter"),
        of("Observation", "performer", "Organization"),
        of("Encounter", "subject", "Patient"),
        of("Encounter", "service-provider", "Organization"),
        of("Encounter", "part-of", "Encounter"),
        of("Organization", "partof", "Organization"),
        of("QuestionnaireResponse", "questionnaire", "Questionnaire"),
        of("QuestionnaireResponse", "subject", "Patient"),
    ]
}

fn refer(dice: &mut Dice, name: &str, ty_name: &str, sides: usize) -> String {
    let id = dice.roll(sides);
    dice.maybe(format!(
        r#","{name}":{{"reference":"{ty_name}/{}{id}"}}"#,
        &ty_name[..1].to_lowercase()
    ))
}

fn with(json: &str, more: &str) -> String {
    format!("{}{more}}}", &json[..json.len() - 1])
}

fn make(dice: &mut Dice, kind: &str, number: usize) -> String {
    let name = format!(
        "{}{number}",
        if kind == "QuestionnaireResponse" {
            "r".to_owned()
        } else {
            kind[..1].to_lowercase()
        }
    );
    match kind {
        "Patient" => {
            let mut more = refer(dice, "managingOrganization", "Organization", 7);
            if dice.roll(3) == 0 {
                more.push_str(r#","generalPractitioner":[{"reference":"Organization/o1"},{"reference":"Organization/o2"}]"#);
            }
            if dice.roll(4) == 0 {
                more.push_str(r#","link":[{"other":{"reference":"Patient/p3"},"type":"seealso"}]"#);
            }
            with(&patient(dice, &name), &more)
        }
        "Observation" => {
            // Its subjects are written by the generator as Patient/0 and so on.
            let text = observation(dice, &name).replace("Patient/", "Patient/p");
            let mut more = refer(dice, "encounter", "Encounter", 14);
            if dice.roll(2) == 0 {
                more.push_str(
                    r#","performer":[{"reference":"Organization/o4"},{"reference":"Patient/p1"}]"#,
                );
            }
            with(&text, &more)
        }
        "Encounter" => {
            let more = [
                refer(dice, "subject", "Patient", 26),
                refer(dice, "serviceProvider", "Organization", 7),
                refer(dice, "partOf", "Encounter", 14),
            ];
            let start = dice.pick(&["2026-01-01", "2026-01-02T10:00:00Z", "2025"]);
            format!(
                r#"{{"resourceType":"Encounter","id":"{name}","status":"{}","class":{{"code":"AMB"}},"period":{{"start":"{start}"}}{}}}"#,
                dice.pick(&["planned", "finished"]),
                more.concat()
            )
        }
        "Organization" => {
            let part = refer(dice, "partOf", "Organization", 7);
            format!(
                r#"{{"resourceType":"Organization","id":"{name}","name":"{}"{part}}}"#,
                dice.pick(&["North Wing", "South", "Süd"])
            )
        }
        "Questionnaire" => format!(
            r#"{{"resourceType":"Questionnaire","id":"{name}","url":"http://example.org/q{}","status":"{}","title":"Form"}}"#,
            number % 3,
            dice.pick(&["draft", "active"])
        ),
        _ => {
            let subject = refer(dice, "subject", "Patient", 26);
            let version = dice.pick(&["", "|1"]);
            format!(
                r#"{{"resourceType":"QuestionnaireResponse","id":"{name}","questionnaire":"http://example.org/q{}{version}","status":"{}"{subject}}}"#,
                dice.roll(5),
                dice.pick(&["completed", "in-progress"])
            )
        }
    }
}

fn leaf(dice: &mut Dice, world: &World, of: TypeId, all: &[Thing<'_>]) -> Option<Cond> {
    let things: Vec<&Extracted<'_>> = all
        .iter()
        .filter(|thing| thing.ty == of)
        .map(|thing| &thing.found)
        .collect();
    if things.is_empty() {
        return None;
    }
    (0..8)
        .find_map(|_| asked(dice, world, &things))
        .map(Cond::Leaf)
}

/// A condition on resources of a type, of at most so many levels.
fn grow(
    dice: &mut Dice,
    world: &World,
    of: TypeId,
    all: &[Thing<'_>],
    depth: usize,
) -> Option<Cond> {
    let definitions = Definitions::r4();
    if depth == 0 {
        return leaf(dice, world, of, all);
    }
    let group = |dice: &mut Dice, of: TypeId| -> Option<Vec<Cond>> {
        let count = [0, 1, 1, 1, 2][dice.roll(5)];
        (0..count)
            .map(|_| grow(dice, world, of, all, depth - 1))
            .collect()
    };
    match dice.roll(8) {
        0..3 => {
            let out: Vec<_> = links().into_iter().filter(|(p, _)| p.ty == of).collect();
            let (param, target) = *out.get(dice.roll(out.len().max(1)))?;
            let target = definitions.resource(target)?;
            Some(Cond::Chain(param, target, group(dice, target)?))
        }
        3..5 => {
            let name = definitions.resource_name(of);
            let inward: Vec<_> = links().into_iter().filter(|(_, to)| *to == name).collect();
            let (param, _) = *inward.get(dice.roll(inward.len().max(1)))?;
            Some(Cond::Has(param, group(dice, param.ty)?))
        }
        5 => Some(Cond::Any(vec![group(dice, of)?, group(dice, of)?])),
        6 => grow(dice, world, of, all, depth - 1).map(|inner| Cond::Not(Box::new(inner))),
        _ => leaf(dice, world, of, all),
    }
}

fn sort_value(thing: &Thing<'_>, sort: Sort, stored: &HashSet<String>) -> Option<PositionValue> {
    // In a search of several types a key stands for the parameter of each type with its code and kind.
    let values = |param: ParamId| {
        let definitions = Definitions::r4();
        let named = definitions.search_param_by_id(param);
        let own = named
            .and_then(|named| {
                let own = definitions.search_param(thing.ty, named.code)?;
                (own.kind == named.kind).then_some(own.id)
            })
            .unwrap_or(param);
        let found = thing.found.values.iter();
        found.filter(move |(id, _)| *id == own).map(|(_, v)| v)
    };
    let number = |numbers: Vec<i64>| {
        if sort.descending {
            numbers.into_iter().max()
        } else {
            numbers.into_iter().min()
        }
    };
    let text = |texts: Vec<String>| {
        let end = if sort.descending {
            texts.into_iter().max()
        } else {
            texts.into_iter().min()
        };
        end.map(PositionValue::Text)
    };
    match sort.key {
        SortKey::Row => None,
        SortKey::Updated => Some(PositionValue::Number(thing.version_row.0)),
        SortKey::Id => Some(PositionValue::Text(thing.name.clone())),
        SortKey::Range(param) => {
            let ends = values(param).filter_map(|value| match value {
                IndexValue::Range { lo, hi } | IndexValue::Number { lo, hi } => Some((*lo, *hi)),
                IndexValue::Quantity { lo, hi, unit } => {
                    matches!(unit, fhir::search::UnitKey::Any).then_some((*lo, *hi))
                }
                _ => None,
            });
            let ends = ends.map(|(lo, hi)| if sort.descending { hi } else { lo });
            number(ends.collect()).map(PositionValue::Number)
        }
        SortKey::Text(param) => {
            let texts = values(param).filter_map(|value| match value {
                IndexValue::Text { folded, .. } => Some(folded.clone()),
                IndexValue::Uri(uri) => Some(uri.to_string()),
                _ => None,
            });
            text(texts.collect())
        }
        SortKey::Code(param) => {
            let codes = values(param).filter_map(|value| match value {
                IndexValue::Token {
                    code: Some(code), ..
                } => Some(fhir::search::coded_text(&fhir::search::fold(code)).to_owned()),
                _ => None,
            });
            text(codes.collect())
        }
        SortKey::Reference(param) => {
            let definitions = Definitions::r4();
            let targets = values(param).filter_map(|value| match value {
                IndexValue::Reference {
                    target: RefTarget::Local { ty, id },
                } => {
                    let name = format!("{}/{id}", definitions.resource_name(*ty));
                    stored.contains(&name).then_some(name)
                }
                // Names of types begin with upper case: no URL does.
                IndexValue::Reference {
                    target: RefTarget::Absolute(url),
                } => Some(url.to_string()),
                _ => None,
            });
            text(targets.collect())
        }
    }
}

fn compare(a: &Thing<'_>, b: &Thing<'_>, sorts: &[Sort], stored: &HashSet<String>) -> Ordering {
    let turned = |order: Ordering, descending| if descending { order.reverse() } else { order };
    for sort in sorts {
        let order = match (
            sort.key,
            sort_value(a, *sort, stored),
            sort_value(b, *sort, stored),
        ) {
            (SortKey::Row, ..) => turned(a.row.cmp(&b.row), sort.descending),
            (_, Some(PositionValue::Number(a)), Some(PositionValue::Number(b))) => {
                turned(a.cmp(&b), sort.descending)
            }
            (_, Some(PositionValue::Text(a)), Some(PositionValue::Text(b))) => {
                turned(a.cmp(&b), sort.descending)
            }
            (_, Some(_), None) => Ordering::Less,
            (_, None, Some(_)) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    turned(
        a.row.cmp(&b.row),
        sorts.last().is_none_or(|sort| sort.descending),
    )
}

fn sorts(dice: &mut Dice, types: &[TypeId]) -> Vec<Sort> {
    let definitions = Definitions::r4();
    let mut keys = vec![SortKey::Row, SortKey::Updated, SortKey::Id];
    for ty in types {
        keys.extend(
            definitions
                .search_params(*ty)
                .iter()
                .filter_map(|param| match param.kind {
                    ParamKind::Date | ParamKind::Quantity if !param.code.starts_with('_') => {
                        Some(SortKey::Range(param.id))
                    }
                    ParamKind::String | ParamKind::Uri => Some(SortKey::Text(param.id)),
                    ParamKind::Token => Some(SortKey::Code(param.id)),
                    ParamKind::Reference => Some(SortKey::Reference(param.id)),
                    _ => None,
                }),
        );
    }
    (0..dice.roll(4))
        .map(|_| Sort {
            key: keys[dice.roll(keys.len())],
            descending: dice.roll(2) == 0,
        })
        .collect()
}

fn names(page: &SearchPage) -> Vec<String> {
    let name = |key: &store::ResourceKey| {
        format!("{}/{}", Definitions::r4().resource_name(key.ty), key.id)
    };
    page.matches.iter().map(|found| name(&found.key)).collect()
}

/// All pages; `busy` writes between them what matches nothing that was there and refers to nothing.
async fn all_pages(
    world: &World,
    store: &dyn Store,
    plan: &SearchPlan,
    busy: bool,
) -> (Vec<String>, Option<u64>) {
    let (mut plan, mut found, mut total) = (plan.clone(), Vec::new(), None);
    let mut made = 0;
    loop {
        let page = store.search(&world.scope, &plan).await.unwrap();
        assert!(page.matches.len() <= plan.count as usize);
        found.extend(
            names(&page)
                .into_iter()
                .filter(|name| !name.contains("/new")),
        );
        total = total.or(page.total);
        if busy && made < 4 {
            let name = format!("new{made}");
            let json = format!(
                r#"{{"resourceType":"Patient","id":"{name}","name":[{{"family":"Müller"}}],"birthDate":"1970-02-03"}}"#
            );
            world.put(store, &[&json]).await.unwrap();
            if made % 2 == 1 {
                let name = format!("new{}", made - 1);
                world
                    .delete(store, &format!("Patient/{name}"), Some(&name))
                    .await
                    .unwrap();
            }
            made += 1;
        }
        match page.next {
            Some(next) => {
                // As it comes back from a client.
                let text = serde_json::to_string(&next).unwrap();
                plan.after = Some(serde_json::from_str(&text).unwrap());
            }
            None => break,
        }
        plan.total = Total::None;
    }
    for number in 0..made {
        let name = format!("new{number}");
        let head = world.head(store, &key(&format!("Patient/{name}"))).await;
        if head.is_some_and(|head| !head.is_deleted()) {
            world
                .delete(store, &format!("Patient/{name}"), Some(&name))
                .await
                .unwrap();
        }
    }
    (found, total)
}

/// Everything stored, in the order of the rows; some of it updated, some deleted, some erased with its
/// patient. The names are those of all that ever was.
async fn populate(
    dice: &mut Dice,
    world: &World,
    store: &dyn Store,
) -> (Vec<(TypeId, String, String)>, HashSet<String>) {
    let mut texts = Vec::new();
    for (kind, count) in TYPES.into_iter().zip([26, 60, 14, 7, 5, 12]) {
        for number in 0..count {
            let first = make(dice, kind, number);
            world.put(store, &[&first]).await.unwrap();
            let last = if dice.roll(3) == 0 {
                let next = make(dice, kind, number);
                world.put(store, &[&next]).await.unwrap();
                next
            } else {
                first
            };
            let name = last
                .split("\"id\":\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            texts.push((ty(kind), name.unwrap().to_owned(), last));
        }
    }
    let gone = [
        "Patient/p4",
        "Encounter/e2",
        "Organization/o3",
        "Observation/o9",
        "Questionnaire/q1",
    ];
    for name in gone {
        world.delete(store, name, None).await.unwrap();
    }
    let entry = world.entry(store::Log::Changes, ledger::leaf::Class::Erase, Some("p7"));
    store
        .erase(&world.scope, &super::world::id("p7"), entry)
        .await
        .unwrap();
    let mut left = Vec::new();
    let mut ever = HashSet::new();
    for (ty, name, text) in texts {
        ever.insert(format!("{}/{name}", Definitions::r4().resource_name(ty)));
        let key = store::ResourceKey {
            ty,
            id: super::world::id(&name),
        };
        let found = store.read(&world.scope, &key).await.unwrap().unwrap();
        if found.body.is_some() {
            left.push((ty, name, text));
        }
    }
    (left, ever)
}

pub async fn random_trees_answer_as_the_naive_evaluator(bed: &mut impl Bed) {
    let seed = std::env::var_os("THERIAC_SEED")
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or(20_261_123);
    let mut dice = Dice(seed);
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let (left, stored) = populate(&mut dice, &world, &*store).await;
    let documents: Vec<Document> = left
        .iter()
        .map(|(_, _, text)| Document::parse(text.clone().into_bytes(), &Limits::default()).unwrap())
        .collect();
    let mut all = Vec::new();
    for ((ty, name, _), document) in left.iter().zip(&documents) {
        let key = store::ResourceKey {
            ty: *ty,
            id: super::world::id(name),
        };
        let head = world.head(&*store, &key).await.unwrap();
        all.push(Thing {
            ty: *ty,
            name: name.clone(),
            row: head.row,
            version_row: head.version_row,
            found: extract(Definitions::r4(), *ty, document.root()),
        });
    }
    let (mut hits, mut nested) = (0, 0);
    for round in 0..700 {
        let mut types: Vec<TypeId> = (0..[1, 1, 1, 2, 3][dice.roll(5)])
            .map(|_| ty(TYPES[dice.roll(TYPES.len())]))
            .collect();
        let mut seen = HashSet::new();
        types.retain(|ty| seen.insert(*ty));
        let conds: Vec<Cond> = (0..=dice.roll(2))
            .filter_map(|_| {
                let (of, depth) = (types[dice.roll(types.len())], dice.roll(4));
                grow(&mut dice, &world, of, &all, depth)
            })
            .collect();
        let Some(all_of) = conds.iter().map(Cond::clause).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let sort = sorts(&mut dice, &types);
        let mut expected: Vec<&Thing<'_>> = all
            .iter()
            .filter(|thing| types.contains(&thing.ty))
            .filter(|thing| conds.iter().all(|cond| cond.holds(thing, &all)))
            .collect();
        expected.sort_by(|a, b| compare(a, b, &sort, &stored));
        let expected: Vec<String> = expected
            .iter()
            .map(|thing| {
                format!(
                    "{}/{}",
                    Definitions::r4().resource_name(thing.ty),
                    thing.name
                )
            })
            .collect();
        let busy = round % 10 == 0;
        let plan = SearchPlan {
            types: types.clone(),
            all_of,
            sort,
            count: [1, 3, 7, 100][dice.roll(4)],
            bytes: usize::MAX,
            rows: u64::MAX,
            after: None,
            total: if busy {
                Total::None
            } else {
                [Total::Accurate, Total::Estimate][dice.roll(2)]
            },
        };
        let text: Vec<String> = conds.iter().map(Cond::text).collect();
        let (found, total) = all_pages(&world, &*store, &plan, busy).await;
        assert_eq!(
            found, expected,
            "seed {seed} round {round}: {text:?} {:?} by {}",
            plan.sort, plan.count
        );
        if !busy {
            assert_eq!(
                total,
                Some(expected.len() as u64),
                "seed {seed} round {round}: {text:?}"
            );
        }
        let discriminates = !expected.is_empty() && expected.len() < all.len();
        hits += usize::from(discriminates && !conds.is_empty());
        nested += usize::from(discriminates && conds.iter().any(|c| !matches!(c, Cond::Leaf(_))));
    }
    assert!(
        hits > 200 && nested > 120,
        "the trees discriminate: {hits}, {nested} nested"
    );
}
