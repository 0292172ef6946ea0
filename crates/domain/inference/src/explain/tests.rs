//! Tests of explanations: closed forms, three ways to the same values, errors that cover, and sums that hold.

use core::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::chance::Chance;
use crate::steps::Image;

/// A model of one column from a function of a row.
fn per_row(of: impl Fn(&[f64]) -> f64) -> impl FnMut(&Matrix) -> Result<Matrix, Infallible> {
    move |rows| Ok(Matrix::of_column(rows.iter().map(&of).collect()))
}

fn background(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut chance = Chance::new(seed);
    let values = (0..rows * columns).map(|_| chance.normal()).collect();
    Matrix::new(rows, columns, values).unwrap()
}

fn close(left: &[f64], right: &[f64], by: f64) {
    assert_eq!(left.len(), right.len());
    for (place, (left, right)) in left.iter().zip(right).enumerate() {
        assert!(
            (left - right).abs() <= by,
            "place {place}: {left} and {right}"
        );
    }
}

#[test]
fn a_linear_model_has_its_closed_form() {
    let background = background(50, 6, 1);
    let weights = [2.0, -1.0, 0.5, 0.0, 3.0, 1.0];
    let row = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut calls = 0;
    let linear = |row: &[f64]| -> f64 { row.iter().zip(weights).map(|(x, w)| x * w).sum() };
    let mut model = per_row(linear);
    let mut counted = |rows: &Matrix| {
        calls += 1;
        model(rows)
    };
    let found = exact(&row, &background, 0, &mut counted).unwrap();
    let expected: Vec<f64> = (0..6)
        .map(|place| {
            let mean = background.column(place).iter().sum::<f64>() / 50.0;
            weights[place] * (row[place] - mean)
        })
        .collect();
    close(&found.values, &expected, 1e-9);
    assert!(found.adds_up(), "gap {}", found.gap());
    assert_eq!(found.ranked()[..2], [4, 5]);
    assert_eq!(
        calls, 2,
        "64 coalitions of 50 rows are one call, the case another"
    );
}

#[test]
fn an_interaction_is_shared() {
    // f = x0 x1 with a background of zeros: half to each; x2 gets nothing.
    let zeros = Matrix::new(1, 3, vec![0.0; 3]).unwrap();
    let mut model = per_row(|row| row[0] * row[1]);
    let found = exact(&[3.0, 4.0, 9.0], &zeros, 0, &mut model).unwrap();
    close(&found.values, &[6.0, 6.0, 0.0], 1e-12);
}

fn curved(row: &[f64]) -> f64 {
    let squares: f64 = row.iter().map(|x| x * x).sum();
    row[0] * row[1] + (row[2] - row[3]).max(0.0) + squares.sin()
}

#[test]
fn samples_approach_the_exact_values_within_their_error() {
    let background = background(30, 8, 2);
    let row: Vec<f64> = (0..8).map(|n| f64::from(n) / 4.0 - 1.0).collect();
    let truth = exact(&row, &background, 0, &mut per_row(curved)).unwrap();
    let (mut beyond, mut all) = (0, 0);
    for seed in 0..40 {
        let sampling = Sampling {
            seed,
            bound: 0.02,
            most_rounds: 60,
        };
        let found = sampled(&row, &background, 0, sampling, &mut per_row(curved)).unwrap();
        assert!(
            found.adds_up(),
            "sampled values add up too: {}",
            found.gap()
        );
        assert!(matches!(
            found.method,
            Method::Sampled { settled: true, .. }
        ));
        for ((found, error), truth) in found.values.iter().zip(&found.errors).zip(&truth.values) {
            assert!(*error <= 0.02);
            all += 1;
            beyond += usize::from((found - truth).abs() > 2.0 * error);
        }
    }
    // About 5 % of 320 beyond two errors, a little more since the error is estimated from few rounds.
    assert!(beyond * 100 <= all * 12, "{beyond} of {all}");
    let short = Sampling {
        seed: 1,
        bound: 1e-9,
        most_rounds: 2,
    };
    let found = sampled(&row, &background, 0, short, &mut per_row(curved)).unwrap();
    let method = Method::Sampled {
        pairs: 60,
        settled: false,
    };
    assert_eq!(found.method, method);
    let again = sampled(&row, &background, 0, short, &mut per_row(curved)).unwrap();
    assert_eq!(found, again, "the same seed gives the same values");
}

/// Random trees of a depth.
fn forest(trees: usize, depth: u32, features: usize, seed: u64) -> Trees {
    fn grow(chance: &mut Chance, nodes: &mut Vec<Node>, depth: u32, features: usize) -> usize {
        let place = nodes.len();
        if depth == 0 || chance.unit() < 0.1 {
            nodes.push(Node::Leaf(chance.normal()));
            return place;
        }
        nodes.push(Node::Leaf(0.0));
        let yes = grow(chance, nodes, depth - 1, features);
        let no = grow(chance, nodes, depth - 1, features);
        nodes[place] = Node::Split {
            feature: chance.below(features),
            comparison: Comparison::AtMost,
            threshold: chance.normal() * 0.7,
            yes,
            no,
            missing_yes: chance.unit() < 0.5,
        };
        place
    }
    let mut chance = Chance::new(seed);
    let mut nodes = Vec::new();
    let roots = (0..trees)
        .map(|_| grow(&mut chance, &mut nodes, depth, features))
        .collect();
    Trees::new(features, nodes, roots, 0.25).unwrap()
}

#[test]
fn trees_equal_enumeration() {
    for seed in 0..12 {
        let features = 3 + usize::try_from(seed % 7).unwrap();
        let trees = forest(8, 5, features, seed);
        let row = background(1, features, 200 + seed);
        let background = background(12, features, 100 + seed);
        let found = trees.explain(row.row(0), &background).unwrap();
        let mut model = per_row(|row| trees.of(row));
        let truth = exact(row.row(0), &background, 0, &mut model).unwrap();
        close(&found.values, &truth.values, 1e-10);
        assert!((found.base - truth.base).abs() < 1e-10 && found.adds_up());
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    let split = |feature, yes, no| Node::Split {
        feature,
        comparison: Comparison::Below,
        threshold: 0.0,
        yes,
        no,
        missing_yes: false,
    };
    let leaf = Node::Leaf(1.0);
    let wrong = [
        (vec![split(0, 0, 1), leaf], vec![0], TreeError::Edge(0)),
        (vec![split(0, 1, 5), leaf], vec![0], TreeError::Edge(0)),
        (
            vec![split(2, 1, 2), leaf, leaf],
            vec![0],
            TreeError::Feature(0),
        ),
        (vec![Node::Leaf(f64::NAN)], vec![0], TreeError::Number(0)),
        (vec![leaf], vec![3], TreeError::Edge(3)),
    ];
    for (nodes, roots, error) in wrong {
        assert_eq!(Trees::new(2, nodes, roots, 0.0), Err(error));
    }
    // Node 2n leads to leaf 2n + 1 and split 2n + 2; the last two places are leaves.
    let deep: Vec<Node> = (0..600)
        .map(|place| match place % 2 {
            0 if place < 598 => split(0, place + 1, place + 2),
            _ => leaf,
        })
        .collect();
    assert_eq!(Trees::new(1, deep, vec![0], 0.0), Err(TreeError::Depth));
}

#[test]
fn every_comparison_goes_its_way() {
    let cases = [
        (Comparison::AtMost, [1.0, 1.0, 0.0]),
        (Comparison::Below, [1.0, 0.0, 0.0]),
        (Comparison::AtLeast, [0.0, 1.0, 1.0]),
        (Comparison::Above, [0.0, 0.0, 1.0]),
        (Comparison::Equal, [0.0, 1.0, 0.0]),
        (Comparison::NotEqual, [1.0, 0.0, 1.0]),
    ];
    for (comparison, expected) in cases {
        let node = Node::Split {
            feature: 0,
            comparison,
            threshold: 2.0,
            yes: 1,
            no: 2,
            missing_yes: true,
        };
        let trees = Trees::new(
            1,
            vec![node, Node::Leaf(1.0), Node::Leaf(0.0)],
            vec![0],
            0.0,
        )
        .unwrap();
        let found = [1.0, 2.0, 3.0].map(|value| trees.of(&[value]));
        assert_eq!(found.to_vec(), expected, "{comparison:?}");
        assert!((trees.of(&[f64::NAN]) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn models_that_lie_are_errors() {
    let two = background(2, 3, 1);
    let mut short = |_: &Matrix| Ok::<_, Infallible>(Matrix::of_column(vec![1.0; 5]));
    let found = exact(&[0.0; 3], &two, 0, &mut short);
    assert!(matches!(found, Err(ExplainError::Answer { rows: 5, .. })));
    let mut failing = |_: &Matrix| Err::<Matrix, &str>("down");
    assert_eq!(
        exact(&[0.0; 3], &two, 0, &mut failing),
        Err(ExplainError::Model("down"))
    );
    let mut fine = per_row(|_| 0.0);
    assert!(exact(&[0.0; 2], &two, 0, &mut fine).is_err());
    assert!(exact(&[0.0; 3], &two, 1, &mut fine).is_err());
    let wide = background(2, 13, 1);
    assert_eq!(
        exact(&[0.0; 13], &wide, 0, &mut fine),
        Err(ExplainError::TooMany(13))
    );
}

#[test]
fn occlusion_finds_the_patch_that_matters() {
    // The answer is the mean of the 2 by 2 pixels at row 4, column 2.
    let image = Image::new(1, 8, 8, vec![1.0; 64]).unwrap();
    let mut model = per_row(|p| (p[34] + p[35] + p[42] + p[43]) / 4.0);
    let patches = Patches {
        patch: 2,
        stride: 2,
        baseline: vec![0.0],
        batch: 5,
    };
    let heat = occlusion(&image, 0, &patches, &mut model).unwrap();
    assert_eq!((heat.patches, heat.height, heat.width), (16, 8, 8));
    for (place, value) in heat.values.iter().enumerate() {
        let expected = if [34, 35, 42, 43].contains(&place) {
            1.0
        } else {
            0.0
        };
        assert!((value - expected).abs() < 1e-12, "{place}");
    }
    for (patch, stride) in [(0, 1), (9, 1), (2, 3), (2, 0)] {
        let patches = Patches {
            patch,
            stride,
            ..patches.clone()
        };
        assert!(
            occlusion(&image, 0, &patches, &mut model).is_err(),
            "{patch} {stride}"
        );
    }
    // A side that the stride does not divide is covered to its end.
    let patches = Patches {
        patch: 3,
        stride: 3,
        ..patches
    };
    let heat = occlusion(&image, 0, &patches, &mut model).unwrap();
    assert!(heat.patches == 9 && heat.values.iter().all(|v| v.is_finite()));
}

#[test]
fn neighbours_come_nearest_first() {
    let cases = Neighbours {
        rows: Matrix::of_rows(&[[0.0, 0.0], [10.0, 1.0], [1.0, 3.0]]).unwrap(),
        outcomes: ["well", "ill", "well"].map(str::to_owned).to_vec(),
        statement: "published with consent".to_owned(),
    };
    let near = neighbours(&cases, &[9.0, 1.0], &[10.0, 1.0], 2);
    let found: Vec<(usize, &str)> = near.iter().map(|n| (n.place, n.outcome.as_str())).collect();
    assert_eq!(found, [(1, "ill"), (0, "well")]);
    assert!(neighbours(&cases, &[f64::NAN, 1.0], &[1.0, 1.0], 2).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn values_add_up_and_unused_features_get_nothing(
        row in prop::collection::vec(-3.0_f64..3.0, 4..7),
        seed in any::<u64>(),
    ) {
        let background = background(7, row.len(), seed);
        let unused = row.len() - 1;
        let of = |r: &[f64]| curved(&[&r[..unused], &[0.0]].concat()[..]);
        let found = exact(&row, &background, 0, &mut per_row(of)).unwrap();
        prop_assert!(found.adds_up());
        prop_assert!(found.values[unused].abs() < 1e-9);
    }
}
