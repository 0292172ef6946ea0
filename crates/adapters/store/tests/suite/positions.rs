//! Positions and phrases: what lies within a distance, across the antimeridian and at the poles, and words
//! that stand side by side, each against an evaluator that looks at the values themselves.

use std::collections::BTreeSet;

use fhir::Definitions;
use store::{Clause, KeyForm, Predicate, SearchPlan, Total, WordScope};

use super::world::{World, id, ids_of, ty};
use super::{Bed, WINDOW};

/// A number below another one, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Kilometres along the sphere, by the half-angle formula.
fn kilometres((a, b): (f64, f64), (c, d): (f64, f64)) -> f64 {
    let [a, b, c, d] = [a, b, c, d].map(f64::to_radians);
    let half = ((c - a) / 2.0).sin().powi(2) + a.cos() * c.cos() * ((d - b) / 2.0).sin().powi(2);
    2.0 * 6371.0088 * half.sqrt().min(1.0).asin()
}

pub async fn positions_are_found_across_antimeridian_and_poles(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let mut dice = Dice(11);
    let mut places = Vec::new();
    for number in 0..90u64 {
        let small = |dice: &mut Dice| dice.roll(2000) as f64 / 1000.0 - 1.0;
        // Around the north pole, the south pole, the antimeridian, the equator and London.
        let (latitude, longitude) = match number % 5 {
            0 => (
                89.0 + dice.roll(1000) as f64 / 1000.0,
                dice.roll(360) as f64 - 180.0,
            ),
            1 => (
                -90.0 + dice.roll(1000) as f64 / 1000.0,
                dice.roll(360) as f64 - 180.0,
            ),
            2 => {
                let beside = dice.roll(1000) as f64 / 1000.0;
                let east = dice.roll(2) == 0;
                (
                    -17.0 + small(&mut dice),
                    if east {
                        180.0 - beside
                    } else {
                        -180.0 + beside
                    },
                )
            }
            3 => (small(&mut dice), small(&mut dice)),
            _ => (51.5 + small(&mut dice), small(&mut dice)),
        };
        let status = if number % 2 == 0 {
            "active"
        } else {
            "suspended"
        };
        let body = format!(
            r#"{{"resourceType":"Location","id":"l{number}","status":"{status}","position":{{"longitude":{longitude},"latitude":{latitude}}}}}"#
        );
        world.put(&*store, &[&body]).await.unwrap();
        places.push((format!("l{number}"), status, (latitude, longitude)));
    }
    let nowhere = r#"{"resourceType":"Location","id":"nowhere","status":"active"}"#;
    world.put(&*store, &[nowhere]).await.unwrap();
    let centres = [
        (90.0, 0.0),
        (-90.0, 77.0),
        (-17.0, 180.0),
        (-17.0, -180.0),
        (-17.0, -179.5),
        (0.0, 0.0),
        (51.5, -0.1),
        (89.5, 170.0),
    ];
    let (mut told_apart, mut asked) = (0, 0);
    for centre in centres {
        for distance in [1.0, 30.0, 60.0, 111.0, 2500.0] {
            for only in ["", "status=active&", "status:not=active&"] {
                let query = format!("{only}near={}|{}|{distance}|km", centre.0, centre.1);
                let mut plan = world.plan("Location", &query);
                plan.total = Total::Accurate;
                let page = store.search(&world.scope, &plan).await.unwrap();
                let found: BTreeSet<String> = ids_of(&page).into_iter().collect();
                assert_eq!(page.total, Some(found.len() as u64), "{query}");
                let expected = places.iter().filter(|(id, status, place)| {
                    let way = kilometres(centre, *place);
                    assert!((way - distance).abs() > 0.001, "{id} is too close to call");
                    way < distance
                        && match only {
                            "" => true,
                            "status=active&" => *status == "active",
                            _ => *status != "active",
                        }
                });
                let expected: BTreeSet<String> = expected.map(|(id, ..)| id.clone()).collect();
                assert_eq!(found, expected, "{query}");
                asked += 1;
                told_apart += usize::from(!found.is_empty() && found.len() < places.len());
            }
        }
    }
    assert!(told_apart * 2 > asked, "{told_apart} of {asked}");
    // A Location that moves is found where it is.
    let moved = r#"{"resourceType":"Location","id":"nowhere","status":"active","position":{"longitude":-180,"latitude":0.001}}"#;
    world.put(&*store, &[moved]).await.unwrap();
    assert_eq!(
        world.search(&*store, "Location", "near=0|180|1").await,
        ["nowhere"]
    );
    let nearest = world.search(&*store, "Location", "near=0|180|0.1").await;
    assert!(nearest.is_empty(), "{nearest:?}");
}

/// Whether words stand side by side in a run.
fn has(run: &[&str], phrase: &[&str]) -> bool {
    run.windows(phrase.len()).any(|window| window == phrase)
}

pub async fn phrases_are_words_side_by_side(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let mut dice = Dice(5);
    let vocabulary = ["eins", "zwei", "drei"];
    let run = |dice: &mut Dice| -> Vec<&'static str> {
        let length = dice.roll(7);
        (0..length)
            .map(|_| vocabulary[dice.roll(3) as usize])
            .collect()
    };
    let mut documents = Vec::new();
    for number in 0..60 {
        let (told, first, second) = (run(&mut dice), run(&mut dice), run(&mut dice));
        let note = |words: &[&str]| format!(r#"{{"text":"- {}."}}"#, words.join(", "));
        let body = format!(
            r#"{{"resourceType":"Condition","id":"c{number}","subject":{{"reference":"Patient/p"}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><b>{}</b></div>"}},"note":[{},{}]}}"#,
            told.join("</b>\u{a0}<b>")
                .to_uppercase()
                .replace("<B>", "<b>")
                .replace("</B>", "</b>"),
            note(&first),
            note(&second),
        );
        world.put(&*store, &[&body]).await.unwrap();
        documents.push((format!("c{number}"), told, [first, second]));
    }
    let (mut asked, mut told_apart) = (0, 0);
    for round in 0..60 {
        let length = 2 + dice.roll(3) as usize;
        let phrase: Vec<&str> = (0..length)
            .map(|_| vocabulary[dice.roll(3) as usize])
            .collect();
        let scope = [WordScope::Narrative, WordScope::Content][round % 2];
        let predicate = Predicate::Phrase {
            scope,
            words: phrase.iter().map(|word| (*word).to_owned()).collect(),
        };
        let negated = round % 5 == 0;
        let plan = SearchPlan {
            all_of: vec![Clause {
                negated,
                any_of: vec![predicate],
            }],
            total: Total::Accurate,
            ..world.plan("Condition", "")
        };
        let page = store.search(&world.scope, &plan).await.unwrap();
        let found: BTreeSet<String> = ids_of(&page).into_iter().collect();
        assert_eq!(page.total, Some(found.len() as u64));
        let expected = documents.iter().filter(|(_, told, notes)| {
            let stands = has(told, &phrase)
                || (scope == WordScope::Content && notes.iter().any(|note| has(note, &phrase)));
            stands != negated
        });
        let expected: BTreeSet<String> = expected.map(|(id, ..)| id.clone()).collect();
        assert_eq!(found, expected, "{phrase:?} {scope:?} {negated}");
        asked += 1;
        told_apart += usize::from(!found.is_empty() && found.len() < documents.len());
    }
    assert!(told_apart * 2 > asked, "{told_apart} of {asked}");
}

/// All that lies below `root` or above it, and `root`, by the parents of each.
fn reached(parents: &[(usize, usize)], root: usize, below: bool) -> BTreeSet<usize> {
    let mut found = BTreeSet::from([root]);
    loop {
        let next: Vec<usize> = parents
            .iter()
            .map(|(child, parent)| {
                if below {
                    (*parent, *child)
                } else {
                    (*child, *parent)
                }
            })
            .filter(|(from, to)| found.contains(from) && !found.contains(to))
            .map(|(_, to)| to)
            .collect();
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

/// Locations of the hierarchy.
const PLACES: usize = 30;

pub async fn hierarchies_are_followed_and_circles_end(bed: &mut impl Bed) {
    let world = World::new();
    let store = bed.open(&world, WINDOW).await;
    world.found(&*store).await;
    let mut dice = Dice(3);
    let mut parents = Vec::new();
    for number in 0..PLACES {
        // A forest, and two circles.
        let parent = match number {
            0 => Some(0),
            1 => Some(2),
            2 => Some(1),
            _ if number % 7 == 0 => None,
            _ => Some(dice.roll(number as u64) as usize),
        };
        let part = parent.map_or_else(String::new, |parent| {
            parents.push((number, parent));
            format!(r#","partOf":{{"reference":"Location/l{parent}"}}"#)
        });
        let body =
            format!(r#"{{"resourceType":"Location","id":"l{number}","status":"active"{part}}}"#);
        world.put(&*store, &[&body]).await.unwrap();
    }
    for number in 0..60 {
        let at = dice.roll(PLACES as u64);
        let body = format!(
            r#"{{"resourceType":"Encounter","id":"e{number}-{at}","status":"finished","class":{{"code":"AMB"}},"location":[{{"location":{{"reference":"Location/l{at}"}}}}]}}"#
        );
        world.put(&*store, &[&body]).await.unwrap();
    }
    // What was deleted is part of nothing any more.
    world.delete(&*store, "Location/l9", None).await.unwrap();
    parents.retain(|(child, _)| *child != 9);
    let param = |name: &str, code: &str| Definitions::r4().search_param(ty(name), code).unwrap().id;
    for root in 0..PLACES {
        for below in [false, true] {
            let mut plan = world.plan("Encounter", "");
            plan.total = Total::Accurate;
            plan.all_of.push(Clause {
                negated: false,
                any_of: vec![Predicate::Hierarchy {
                    param: param("Encounter", "location"),
                    parent: param("Location", "partof"),
                    root: KeyForm::Local(ty("Location"), id(&format!("l{root}"))),
                    below,
                }],
            });
            let wanted = reached(&parents, root, below);
            for status in ["", "status=finished"] {
                let mut plan = plan.clone();
                if !status.is_empty() {
                    plan.all_of.push(world.clause(ty("Encounter"), status));
                }
                let page = store.search(&world.scope, &plan).await.unwrap();
                let found: BTreeSet<usize> = ids_of(&page)
                    .iter()
                    .map(|id| id.split_once('-').unwrap().1.parse().unwrap())
                    .collect();
                assert_eq!(page.total, Some(page.matches.len() as u64));
                assert!(
                    found.is_subset(&wanted),
                    "{root} {below}: {found:?} {wanted:?}"
                );
                let all = store
                    .search(&world.scope, &world.plan("Encounter", ""))
                    .await
                    .unwrap();
                let expected = ids_of(&all)
                    .iter()
                    .filter(|id| wanted.contains(&id.split_once('-').unwrap().1.parse().unwrap()))
                    .count();
                assert_eq!(page.matches.len(), expected, "{root} {below}");
            }
        }
    }
}
