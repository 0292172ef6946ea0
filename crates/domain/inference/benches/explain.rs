//! How long explanations and checks of one answer take. `cargo bench -p theriac-inference`.

use std::hint::black_box;
use std::time::Instant;

use inference::chance::Chance;
use inference::conformal::{Level, Scores};
use inference::explain::{Comparison, Node, Trees, exact};
use inference::linear::{inverse, ledoit_wolf, means, scales, standardised};
use inference::matrix::Matrix;
use inference::outside::{Detector, Distance};

const FEATURES: usize = 10;

/// A hundred trees of depth 3, as gradient boosting makes them.
fn forest(chance: &mut Chance) -> Option<Trees> {
    let mut nodes = Vec::new();
    let mut roots = Vec::new();
    for _ in 0..100 {
        let start = nodes.len();
        roots.push(start);
        for place in 0..15 {
            nodes.push(if place < 7 {
                Node::Split {
                    feature: chance.below(FEATURES),
                    comparison: Comparison::AtMost,
                    threshold: chance.normal() * 0.5,
                    yes: start + 2 * place + 1,
                    no: start + 2 * place + 2,
                    missing_yes: false,
                }
            } else {
                Node::Leaf(0.1 * chance.normal())
            });
        }
    }
    Trees::new(FEATURES, nodes, roots, 0.0).ok()
}

fn detector(rows: &Matrix) -> Option<Detector> {
    let center = means(rows)?;
    let scale = scales(rows, &center);
    let values = rows
        .iter()
        .flat_map(|row| standardised(row, &center, &scale));
    let z = Matrix::new(rows.rows(), rows.columns(), values.collect())?;
    let precision = inverse(&ledoit_wolf(&z)?.covariance)?;
    let distance = Distance::mahalanobis(center, scale, precision).ok()?;
    let known = rows.iter().filter_map(|row| distance.of(row)).collect();
    Some(Detector {
        known: Scores::new(known, "distance").ok()?,
        distance,
        level: Level::new(0.01).ok()?,
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the time")]
fn timed(name: &str, rounds: usize, mut work: impl FnMut()) {
    let mut times: Vec<u128> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let median = times.get(rounds / 2).copied().unwrap_or_default();
    #[expect(clippy::print_stdout, reason = "a bench prints")]
    {
        println!("{name}: median {:.1} us", median as f64 / 1_000.0);
    }
}

fn main() {
    let mut chance = Chance::new(1);
    let Some(trees) = forest(&mut chance) else {
        return;
    };
    let mut draw = |rows: usize| {
        let values = (0..rows * FEATURES).map(|_| chance.normal()).collect();
        Matrix::new(rows, FEATURES, values)
    };
    let (Some(background), Some(known)) = (draw(100), draw(400)) else {
        return;
    };
    let row = known.row(0);
    timed(
        "exact Shapley, 100 trees, 10 features, 100 background rows, through the trees",
        51,
        || {
            let _ = black_box(trees.explain(black_box(row), &background));
        },
    );
    let mut rows_asked = 0;
    let mut linear = |rows: &Matrix| {
        rows_asked = rows.rows();
        let values = rows.iter().map(|row| row.iter().sum()).collect();
        Ok::<_, core::convert::Infallible>(Matrix::of_column(values))
    };
    timed(
        "exact Shapley, 10 features, 100 background rows, 1,024 coalitions of a sum",
        21,
        || {
            let _ = black_box(exact(black_box(row), &background, 0, &mut linear));
        },
    );
    if let Some(detector) = detector(&known) {
        timed(
            "Mahalanobis distance of 10 features and its p-value among 400",
            201,
            || {
                black_box(detector.check(black_box(row)));
            },
        );
    }
}
