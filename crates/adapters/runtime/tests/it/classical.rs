//! Classical operators against ONNX Runtime over the combinations of their settings: every post transform,
//! aggregate, number of classes, sign of weights and form of base values. The models are made here, seeded.

use runtime::embedded::Embedded;
use runtime::{Budget, LoadLimits, Runtime, RuntimeError, Tensor, TensorData};

use super::proto::{Message, node, value};
use super::{cases, onnx_runtime};

const TRANSFORMS: [&str; 5] = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"];
const FEATURES: i64 = 4;

/// A small generator (xorshift), so that the models are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> i64 {
        (self.next() % limit) as i64
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    fn floats(&mut self, count: i64) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

fn ints(name: &str, values: &[i64]) -> Message {
    let list = values
        .iter()
        .fold(Message::default().text(1, name), |list, value| {
            list.int(8, *value)
        });
    list.int(20, 7)
}

fn floats(name: &str, values: &[f32]) -> Message {
    let list = values
        .iter()
        .fold(Message::default().text(1, name), |list, value| {
            list.float(7, *value)
        });
    list.int(20, 6)
}

fn texts(name: &str, values: &[&str]) -> Message {
    let list = values
        .iter()
        .fold(Message::default().text(1, name), |list, value| {
            list.text(9, value)
        });
    list.int(20, 8)
}

fn text(name: &str, value: &str) -> Message {
    Message::default().text(1, name).text(4, value).int(20, 3)
}

fn int(name: &str, value: i64) -> Message {
    Message::default().text(1, name).int(3, value).int(20, 2)
}

/// A model of one classical operator; a classifier has two outputs.
fn model(op: &str, outputs: &[(&str, i64)], attributes: &[Message]) -> Vec<u8> {
    let names: Vec<&str> = outputs.iter().map(|(name, _)| *name).collect();
    let mut operator = node(op, "ai.onnx.ml", &["X"], &names);
    for attribute in attributes {
        operator = operator.message(5, attribute);
    }
    let mut graph = Message::default()
        .message(1, &operator)
        .text(2, "g")
        .message(11, &value("X", 1, &[-1, FEATURES]));
    for (name, element) in outputs {
        let dims: &[i64] = if outputs.len() == 2 && *name == "L" {
            &[-1]
        } else {
            &[-1, -1]
        };
        graph = graph.message(12, &value(name, *element, dims));
    }
    super::proto::model(&graph)
}

const CLASSIFIER: [(&str, i64); 2] = [("L", 7), ("P", 1)];
const REGRESSOR: [(&str, i64); 1] = [("Y", 1)];

/// Random trees of depth two; targets are drawn by `target`, weights by `weight`.
fn trees(
    random: &mut Random,
    stem: &str,
    mut target: impl FnMut(&mut Random) -> i64,
    mut weight: impl FnMut(&mut Random) -> f32,
) -> Vec<Message> {
    let (mut tree_ids, mut node_ids, mut features, mut yes, mut no) =
        (vec![], vec![], vec![], vec![], vec![]);
    let (mut values, mut modes, mut missing) = (vec![], vec![], vec![]);
    let (mut leaf_trees, mut leaf_nodes, mut leaf_targets, mut weights) =
        (vec![], vec![], vec![], vec![]);
    let asks = [
        "BRANCH_LEQ",
        "BRANCH_LT",
        "BRANCH_GTE",
        "BRANCH_GT",
        "BRANCH_EQ",
        "BRANCH_NEQ",
    ];
    for tree in 0..3 {
        let ask = asks[random.below(6) as usize];
        for place in 0..7_i64 {
            let leaf = place > 2;
            tree_ids.push(tree);
            node_ids.push(place);
            features.push(if leaf {
                0
            } else {
                random.below(FEATURES as u64)
            });
            values.push(if leaf { 0.0 } else { random.float() });
            modes.push(if leaf { "LEAF" } else { ask });
            missing.push(i64::from(!leaf) * random.below(2));
            yes.push(if leaf { 0 } else { 2 * place + 1 });
            no.push(if leaf { 0 } else { 2 * place + 2 });
            if leaf {
                leaf_trees.push(tree);
                leaf_nodes.push(place);
                leaf_targets.push(target(random));
                weights.push(weight(random));
            }
        }
    }
    let name = |rest: &str| format!("{stem}_{rest}");
    vec![
        ints("nodes_treeids", &tree_ids),
        ints("nodes_nodeids", &node_ids),
        ints("nodes_featureids", &features),
        floats("nodes_values", &values),
        texts("nodes_modes", &modes),
        ints("nodes_truenodeids", &yes),
        ints("nodes_falsenodeids", &no),
        ints("nodes_missing_value_tracks_true", &missing),
        ints(&name("treeids"), &leaf_trees),
        ints(&name("nodeids"), &leaf_nodes),
        ints(&name("ids"), &leaf_targets),
        floats(&name("weights"), &weights),
    ]
}

fn tree_classifiers(random: &mut Random, into: &mut Vec<(String, Vec<u8>)>) {
    for transform in TRANSFORMS {
        for (classes, which) in [(2_i64, "first"), (2, "second"), (2, "both"), (3, "all")] {
            for positive in [true, false] {
                for bases in [0, 1, classes] {
                    if transform == "PROBIT" && which != "all" {
                        continue; // ONNX Runtime leaves the second column unset
                    }
                    let mut attributes = trees(
                        random,
                        "class",
                        |random| match which {
                            "first" => 0,
                            "second" => 1,
                            _ => random.below(classes as u64),
                        },
                        |random| {
                            if positive {
                                random.float().abs() / 3.0
                            } else {
                                random.float()
                            }
                        },
                    );
                    let labels: Vec<i64> = (0..classes).collect();
                    attributes.push(ints("classlabels_int64s", &labels));
                    attributes.push(text("post_transform", transform));
                    if bases > 0 {
                        let base: Vec<f32> = (0..bases).map(|_| random.float() / 3.0).collect();
                        attributes.push(floats("base_values", &base));
                    }
                    into.push((
                        format!("trees, {transform}, {classes} classes ({which}), positive {positive}, {bases} base values"),
                        model("TreeEnsembleClassifier", &CLASSIFIER, &attributes),
                    ));
                }
            }
        }
    }
}

fn tree_regressors(random: &mut Random, into: &mut Vec<(String, Vec<u8>)>) {
    for transform in TRANSFORMS {
        for aggregate in ["SUM", "AVERAGE", "MIN", "MAX"] {
            for targets in [1_i64, 3] {
                for based in [false, true] {
                    let mut attributes = trees(
                        random,
                        "target",
                        |random| random.below(targets as u64),
                        |random| random.float().abs() / 4.0,
                    );
                    attributes.push(int("n_targets", targets));
                    attributes.push(text("post_transform", transform));
                    attributes.push(text("aggregate_function", aggregate));
                    if based {
                        attributes.push(floats("base_values", &vec![0.125; targets as usize]));
                    }
                    into.push((
                        format!(
                            "trees, {transform}, {aggregate} of {targets} targets, base {based}"
                        ),
                        model("TreeEnsembleRegressor", &REGRESSOR, &attributes),
                    ));
                }
            }
        }
    }
}

fn linear(random: &mut Random, into: &mut Vec<(String, Vec<u8>)>) {
    for transform in TRANSFORMS {
        for (targets, labels) in [(1_i64, 2_i64), (2, 2), (3, 3)] {
            if transform == "PROBIT" && targets == 1 {
                continue; // the same
            }
            let attributes = [
                floats("coefficients", &random.floats(targets * FEATURES)),
                floats("intercepts", &random.floats(targets)),
                ints(
                    "classlabels_ints",
                    &(0..labels).map(|label| label + 5).collect::<Vec<_>>(),
                ),
                text("post_transform", transform),
            ];
            into.push((
                format!("linear classifier, {transform}, {targets} targets"),
                model("LinearClassifier", &CLASSIFIER, &attributes),
            ));
            let attributes = [
                floats("coefficients", &random.floats(targets * FEATURES)),
                floats("intercepts", &random.floats(targets)),
                int("targets", targets),
                text("post_transform", transform),
            ];
            into.push((
                format!("linear regressor, {transform}, {targets} targets"),
                model("LinearRegressor", &REGRESSOR, &attributes),
            ));
        }
    }
}

fn vectors(random: &mut Random, into: &mut Vec<(String, Vec<u8>)>) {
    for kernel in ["LINEAR", "POLY", "RBF", "SIGMOID"] {
        let shared = |random: &mut Random, supports: i64| {
            vec![
                text("kernel_type", kernel),
                floats("kernel_params", &[0.3, 0.2, 2.0]),
                floats("support_vectors", &random.floats(supports * FEATURES)),
            ]
        };
        let mut attributes = shared(random, 5);
        attributes.push(floats("coefficients", &random.floats(5)));
        attributes.push(floats("rho", &[0.1]));
        attributes.push(int("n_supports", 5));
        into.push((
            format!("vector regressor, {kernel}"),
            model("SVMRegressor", &REGRESSOR, &attributes),
        ));
        for (classes, likely) in [(2_i64, false), (3, false), (2, true), (3, true)] {
            let supports = 3 * classes;
            let pairs = classes * (classes - 1) / 2;
            let mut attributes = shared(random, supports);
            attributes.push(floats(
                "coefficients",
                &random.floats(supports * (classes - 1)),
            ));
            attributes.push(floats("rho", &random.floats(pairs)));
            attributes.push(ints("vectors_per_class", &vec![3; classes as usize]));
            attributes.push(ints("classlabels_ints", &(0..classes).collect::<Vec<_>>()));
            if likely {
                attributes.push(floats("prob_a", &vec![-1.5; pairs as usize]));
                attributes.push(floats("prob_b", &vec![0.1; pairs as usize]));
            }
            into.push((
                format!("vector classifier, {kernel}, {classes} classes, probabilities {likely}"),
                model("SVMClassifier", &CLASSIFIER, &attributes),
            ));
        }
    }
}

fn rows(random: &mut Random) -> Vec<Tensor> {
    let mut values = random.floats(16 * FEATURES);
    values[3] = f32::NAN;
    vec![Tensor::new("X", vec![16, FEATURES as usize], TensorData::F32(values)).unwrap()]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one comparison with its exceptions")]
fn every_setting_answers_as_onnx_runtime_does() {
    let Some(theirs) = onnx_runtime::open() else {
        return;
    };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut models = Vec::new();
    tree_classifiers(&mut random, &mut models);
    tree_regressors(&mut random, &mut models);
    linear(&mut random, &mut models);
    vectors(&mut random, &mut models);
    assert!(models.len() > 200, "{} models", models.len());
    let limits = LoadLimits::default();
    let mut different = Vec::new();
    let mut compared = 0;
    for (name, bytes) in &models {
        let mut inputs = rows(&mut random);
        if !name.starts_with("trees") {
            // Missing numbers go through sums in an order that is nobody's promise.
            let (name, shape, data) = inputs.remove(0).into_parts();
            let TensorData::F32(mut values) = data else {
                panic!("floats");
            };
            values[3] = 0.5;
            inputs.push(Tensor::new(name, shape, TensorData::F32(values)).unwrap());
        }
        let Ok(session) = theirs.load(bytes, &limits) else {
            // What it refuses, so do we.
            if Embedded.load(bytes, &limits).is_ok() {
                different.push(format!("{name}: refused by ONNX Runtime, taken by us"));
            }
            continue;
        };
        let unclear = [
            "(second), positive true, 2",
            "(second), positive false, 2",
            "(both), positive true, 1",
            "(both), positive false, 1",
            "(both), positive true, 2",
            "(both), positive false, 2",
        ];
        if unclear.iter().any(|words| name.contains(words)) {
            // What these mean is open; ours says so instead of guessing.
            let refused = Embedded.load(bytes, &limits).err();
            assert!(
                matches!(refused, Some(RuntimeError::UnknownOperator { .. })),
                "{name}: {refused:?}"
            );
            continue;
        }
        let wanted = session.run(inputs.clone(), &Budget::default());
        let wanted = wanted.unwrap_or_else(|error| panic!("{name}: {error}"));
        compared += 1;
        let ours = Embedded
            .load(bytes, &limits)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        // The probit's slope near its ends magnifies the last digit of a sum.
        let tolerance = if name.contains("PROBIT") { 1e-4 } else { 1e-5 };
        match ours.run(inputs, &Budget::default()) {
            Ok(made) => {
                if let Some(words) = cases::difference(&wanted, &made, tolerance) {
                    different.push(format!("{name}: {words}"));
                }
            }
            Err(error) => different.push(format!("{name}: {error}")),
        }
    }
    assert!(compared > 180, "{compared} models");
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        models.len(),
        different.join("\n")
    );
}
