//! Terminology on 350,000 generated concepts: how long a page of an expansion, a validation and a
//! subsumption take, and what loading costs. `cargo bench -p theriac-terminology`.

#![expect(clippy::too_many_lines, reason = "one story from top to bottom")]

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use fhir::terminology::{Answer, Coded, Terminology as _};
use terminology::system::{Builder, CodeSystem, ConceptDraft, Head, PropertyKind, Usage};
use terminology::validate::{Asked, Manner, in_value_set};
use terminology::value_set::expand::{Wanted, expand};
use terminology::value_set::{Clause, Filter, ValueSet};
use terminology::{Engine, Library, Shelf, pack};

const CONCEPTS: u32 = 350_000;
const WORDS: u64 = 40_000;
const URL: &str = "http://snomed.info/sct";

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }

    /// Small numbers often, great ones rarely, as words are in a language.
    fn word(&mut self) -> String {
        let rank = self
            .below(WORDS)
            .min(self.below(WORDS))
            .min(self.below(WORDS));
        let mut text = String::new();
        let mut left = rank * 2_654_435_761 % 4_294_967_291;
        for _ in 0..4 {
            const HEADS: &[u8] = b"bcdfghlmnprstvz";
            const TAILS: &[u8] = b"aeiou";
            let head = HEADS.get((left % 15) as usize).copied().unwrap_or(b'b');
            let tail = TAILS.get((left / 15 % 5) as usize).copied().unwrap_or(b'a');
            text.push(char::from(head));
            text.push(char::from(tail));
            left /= 75;
        }
        text
    }
}

fn code(at: u32) -> String {
    format!("{}", 10_000_000 + u64::from(at) * 13)
}

/// Every concept but the first has one to three parents, most of them near the leaves' end.
fn build() -> CodeSystem {
    let mut numbers = Numbers(7);
    let mut builder = Builder::new(Head::new(URL, Some("bench"), "Bench"));
    let usage = Usage {
        system: URL.to_owned(),
        code: "900000000000013009".to_owned(),
        display: "Synonym".to_owned(),
    };
    let site = builder
        .property("363698007", None, PropertyKind::Code)
        .unwrap_or_default();
    for at in 0..CONCEPTS {
        let phrase = |numbers: &mut Numbers| {
            let count = 2 + numbers.below(5);
            let words: Vec<String> = (0..count).map(|_| numbers.word()).collect();
            words.join(" ")
        };
        let (display, other) = (phrase(&mut numbers), phrase(&mut numbers));
        let draft = ConceptDraft {
            code: &code(at),
            display: Some(&display),
            ..ConceptDraft::default()
        };
        let _ = builder.add(&draft);
        let _ = builder.designation(at, "en", &usage, &other);
        if at > 0 {
            let above = |numbers: &mut Numbers| {
                // A twentieth of all concepts have children: about as SNOMED CT is shaped.
                let span = u64::from(at).min(1 + u64::from(at) / 12);
                numbers.below(span.max(1)) as u32
            };
            let parents = 1 + u64::from(numbers.below(3) == 0) + u64::from(numbers.below(8) == 0);
            for _ in 0..parents {
                builder.parent(at, above(&mut numbers));
            }
            let target = code(numbers.below(u64::from(at)) as u32);
            let _ = builder.value(at, site, PropertyKind::Code, &target);
        }
    }
    match builder.finish() {
        Ok(system) => system,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            std::process::exit(1)
        }
    }
}

fn line(what: &str, figure: &str) {
    let _ = writeln!(std::io::stdout(), "| {what} | {figure} |");
}

/// Times many calls: median and the slowest of a hundred, in microseconds.
fn timed(what: &str, mut call: impl FnMut(usize)) {
    let mut times: Vec<f64> = Vec::new();
    for at in 0..400 {
        let begun = now();
        call(at);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    line(
        what,
        &format!("{:.1} us median, {:.1} us p99", at(200), at(396)),
    );
}

/// Times calls too short to time one by one, in nanoseconds.
fn each(what: &str, mut call: impl FnMut(u32)) {
    const CALLS: u32 = 1_000_000;
    let begun = now();
    (0..CALLS).for_each(&mut call);
    let nanoseconds = begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS);
    line(what, &format!("{nanoseconds:.0} ns"));
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn once<T>(what: &str, call: impl FnOnce() -> T) -> T {
    let begun = now();
    let made = call();
    line(
        what,
        &format!("{:.0} ms", begun.elapsed().as_secs_f64() * 1e3),
    );
    made
}

fn sets() -> Vec<ValueSet> {
    let filter = |value: String| Filter {
        property: "concept".to_owned(),
        op: "is-a".to_owned(),
        value,
    };
    let clause = |filters: Vec<Filter>| Clause {
        system: Some(URL.to_owned()),
        filters,
        ..Clause::default()
    };
    let all = ValueSet {
        url: "http://all".to_owned(),
        include: vec![clause(Vec::new())],
        ..ValueSet::default()
    };
    let branch = ValueSet {
        url: "http://branch".to_owned(),
        include: vec![clause(vec![filter(code(1))])],
        exclude: vec![clause(vec![filter(code(40))])],
        ..ValueSet::default()
    };
    vec![all, branch]
}

fn main() {
    line("what", "figure");
    line("---", "---");
    let mut system = once("build 350,000 concepts from parents", build);
    once("index their words", || system.store_words());
    let spans = system.hierarchy().extra_spans();
    line("ranges beside the spanning tree", &spans.to_string());
    line("in memory", &format!("{} MiB", system.bytes() >> 20));
    let Ok(packed) = once("pack", || pack::pack(&system)) else {
        return;
    };
    line(
        "packed",
        &format!("{:.1} MiB", packed.len() as f64 / 1_048_576.0),
    );
    let Ok(system) = once("unpack and check", || pack::unpack(&packed)) else {
        return;
    };
    let system = Arc::new(system);
    let mut numbers = Numbers(3);
    let codes: Vec<String> = (0..4096)
        .map(|_| code(numbers.below(350_000) as u32))
        .collect();
    let pick = |at: u32| codes.get(at as usize % 4096).map_or("", String::as_str);
    let places: Vec<u32> = codes.iter().filter_map(|code| system.find(code)).collect();
    let place = |at: u32| places.get(at as usize % places.len()).copied().unwrap_or(0);
    each("find a code", |at| {
        black_box(system.find(pick(at)));
    });
    let hierarchy = system.hierarchy();
    each("subsumption of two concepts", |at| {
        black_box(hierarchy.subsumes(place(at / 64), place(at)));
    });
    let mut shelf = Shelf::default();
    shelf.add_system(&system);
    for set in sets() {
        shelf.add_value_set(&Arc::new(set));
    }
    let engine = Engine::new(Library::new(vec![Arc::new(shelf)]));
    let Ok(all) = once("compile the whole system as a value set", || {
        engine.value_set("http://all")
    }) else {
        return;
    };
    let Ok(branch) = once("compile a branch less another", || {
        engine.value_set("http://branch")
    }) else {
        return;
    };
    let size: usize = branch
        .contents
        .parts
        .iter()
        .map(|part| part.members.len())
        .sum();
    line("concepts in that branch", &size.to_string());
    each("subsumption by codes", |at| {
        black_box(engine.subsumes(URL, pick(at / 64), pick(at)));
    });
    each("membership in the branch", |at| {
        let coded = Coded {
            system: Some(URL),
            version: None,
            code: pick(at),
        };
        black_box(engine.member_of("http://branch", &coded) == Answer::Yes);
    });
    each("validate-code with its answer", |at| {
        let asked = Asked {
            system: Some(URL),
            code: pick(at),
            ..Asked::default()
        };
        let manner = Manner::default();
        let _ = black_box(in_value_set(engine.library(), &branch, &asked, &manner));
    });
    let library = engine.library();
    let filters: Vec<String> = (0..400).map(|_| numbers.word()).collect();
    let word = |at: usize, length: usize| {
        let word = filters.get(at % 400).map_or("", String::as_str);
        word.get(..length).unwrap_or(word).to_owned()
    };
    for (name, set) in [("all", &all), ("the branch", &branch)] {
        for length in [1, 2, 4, 8] {
            timed(
                &format!("expand {name}, 100 by the first {length} letters of a word"),
                |at| {
                    let wanted = Wanted {
                        filter: Some(word(at, length)),
                        count: Some(100),
                        limit: 10_000,
                        ..Wanted::default()
                    };
                    let _ = black_box(expand(library, set, &wanted));
                },
            );
        }
        timed(
            &format!("expand {name}, 100 by two words of three letters"),
            |at| {
                let wanted = Wanted {
                    filter: Some(format!("{} {}", word(at, 3), word(at + 7, 3))),
                    count: Some(100),
                    limit: 10_000,
                    ..Wanted::default()
                };
                let _ = black_box(expand(library, set, &wanted));
            },
        );
        timed(&format!("expand {name}, a page of 100 anywhere"), |at| {
            let wanted = Wanted {
                offset: at * 800,
                count: Some(100),
                limit: 10_000,
                ..Wanted::default()
            };
            let _ = black_box(expand(library, set, &wanted));
        });
    }
}
