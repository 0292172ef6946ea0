//! The settings of the tree operators into flat trees. Must not trust that lists have equal lengths.

use std::collections::{HashMap, HashSet};

use super::forest::{Aggregate, Forest, Node, Question, Weight};
use crate::embedded::kernel::Settings;
use crate::error::RuntimeError;

/// A positive number that is not absurd.
pub fn count(settings: &Settings<'_, '_>, name: &str, default: i64) -> Result<usize, RuntimeError> {
    usize::try_from(settings.int(name, default))
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))
        .ok_or_else(|| settings.wrong(format!("{name} is not between 1 and 1,000,000")))
}

/// Floats of a setting, or of its `_as_tensor` form.
fn numbers(settings: &Settings<'_, '_>, name: &str) -> Result<Vec<f64>, RuntimeError> {
    if let Some(values) = settings.floats(name) {
        return Ok(values.iter().map(|v| f64::from(*v)).collect());
    }
    let whole = format!("{name}_as_tensor");
    for name in [name, whole.as_str()] {
        if let Some(value) = settings.tensor(name)? {
            return value
                .data
                .to_f64()
                .ok_or_else(|| settings.wrong(format!("{name} holds no numbers")));
        }
    }
    Ok(Vec::new())
}

/// Base values, of either form.
pub fn base_values(settings: &Settings<'_, '_>) -> Result<Vec<f64>, RuntimeError> {
    numbers(settings, "base_values")
}

fn number_at(list: &[i64], place: usize) -> u32 {
    list.get(place)
        .and_then(|value| u32::try_from(*value).ok())
        .unwrap_or(u32::MAX)
}

fn question(word: &[u8]) -> Option<Question> {
    Some(match word {
        b"BRANCH_LEQ" => Question::LessOrEqual,
        b"BRANCH_LT" => Question::Less,
        b"BRANCH_GTE" => Question::GreaterOrEqual,
        b"BRANCH_GT" => Question::Greater,
        b"BRANCH_EQ" => Question::Equal,
        b"BRANCH_NEQ" => Question::NotEqual,
        b"LEAF" => Question::Leaf,
        _ => return None,
    })
}

/// The trees of `TreeEnsembleClassifier` (`stem` class) and `TreeEnsembleRegressor` (`stem` target).
pub fn forest(
    settings: &Settings<'_, '_>,
    stem: &str,
    targets: usize,
    aggregate: Aggregate,
) -> Result<Forest, RuntimeError> {
    let ints = |name: &str| settings.ints(name).unwrap_or_default();
    let trees = ints("nodes_treeids");
    let ids = ints("nodes_nodeids");
    let modes = settings.texts("nodes_modes").unwrap_or_default();
    let lists = [
        "nodes_featureids",
        "nodes_truenodeids",
        "nodes_falsenodeids",
    ]
    .map(ints);
    let values = numbers(settings, "nodes_values")?;
    let even = [ids.len(), modes.len(), values.len()]
        .into_iter()
        .chain(lists.iter().map(|list| list.len()))
        .all(|length| length == trees.len());
    if !even || trees.is_empty() {
        return Err(settings.wrong("the lists that describe the nodes have different lengths"));
    }
    let places: HashMap<(i64, i64), u32> = trees
        .iter()
        .zip(ids)
        .zip(0_u32..)
        .map(|((tree, id), place)| ((*tree, *id), place))
        .collect();
    if places.len() != trees.len() {
        return Err(settings.wrong("two nodes have the same number"));
    }
    let weights = leaf_weights(settings, stem, &places)?;
    let mut forest = Forest {
        targets,
        aggregate,
        ..Forest::default()
    };
    let children = add_nodes(
        settings,
        &mut forest,
        (trees, modes),
        lists,
        &values,
        &places,
        &weights,
    )?;
    let mut rooted = HashSet::new();
    for (tree, place) in trees.iter().zip(0_u32..) {
        if !children.contains(&place) && rooted.insert(*tree) {
            forest.roots.push(place);
        }
    }
    let named: HashSet<&i64> = trees.iter().collect();
    if named.len() != rooted.len() {
        return Err(settings.wrong("a tree has no root: its nodes point in a circle"));
    }
    forest.check(settings.node.called())?;
    Ok(forest)
}

type Places = HashMap<(i64, i64), u32>;

/// Appends the nodes in the order of the lists and tells which of them are children of others.
fn add_nodes(
    settings: &Settings<'_, '_>,
    forest: &mut Forest,
    (trees, modes): (&[i64], &[&[u8]]),
    [features, yes, no]: [&[i64]; 3],
    values: &[f64],
    places: &Places,
    weights: &HashMap<u32, Vec<Weight>>,
) -> Result<HashSet<u32>, RuntimeError> {
    let missing = settings
        .ints("nodes_missing_value_tracks_true")
        .unwrap_or_default();
    let mut children = HashSet::new();
    for (place, (tree, mode)) in trees.iter().zip(modes).enumerate() {
        let asked =
            question(mode).ok_or_else(|| settings.wrong("a mode of a node does not exist"))?;
        let mut node = Node {
            question: asked,
            feature: 0,
            value: values.get(place).copied().unwrap_or_default(),
            yes: 0,
            no: 0,
            missing_is_yes: missing.get(place).is_some_and(|flag| *flag != 0),
        };
        if asked == Question::Leaf {
            node.yes = forest.weights.len() as u32;
            forest
                .weights
                .extend(weights.get(&(place as u32)).into_iter().flatten());
            node.no = forest.weights.len() as u32;
        } else {
            node.feature = number_at(features, place);
            forest.features = forest.features.max(node.feature as usize + 1);
            let child = |list: &[i64]| {
                let id = list.get(place).copied().unwrap_or(-1);
                places.get(&(*tree, id)).copied().unwrap_or(u32::MAX)
            };
            (node.yes, node.no) = (child(yes), child(no));
            children.extend([node.yes, node.no]);
        }
        forest.nodes.push(node);
    }
    Ok(children)
}

fn leaf_weights(
    settings: &Settings<'_, '_>,
    stem: &str,
    places: &HashMap<(i64, i64), u32>,
) -> Result<HashMap<u32, Vec<Weight>>, RuntimeError> {
    let ints = |name: String| settings.ints(&name).unwrap_or_default();
    let trees = ints(format!("{stem}_treeids"));
    let ids = ints(format!("{stem}_nodeids"));
    let targets = ints(format!("{stem}_ids"));
    let values = numbers(settings, &format!("{stem}_weights"))?;
    if [ids.len(), targets.len(), values.len()] != [trees.len(); 3] {
        return Err(settings.wrong("the lists that describe the leaves have different lengths"));
    }
    let mut weights: HashMap<u32, Vec<Weight>> = HashMap::new();
    for (((tree, id), target), value) in trees.iter().zip(ids).zip(targets).zip(values) {
        let place = places
            .get(&(*tree, *id))
            .ok_or_else(|| settings.wrong("a weight belongs to no node"))?;
        let target = u32::try_from(*target).map_err(|_| settings.wrong("a target is negative"))?;
        weights
            .entry(*place)
            .or_default()
            .push(Weight { target, value });
    }
    Ok(weights)
}

/// The trees of `TreeEnsemble`: branches and leaves in lists of their own.
pub fn forest_of_leaves(
    settings: &Settings<'_, '_>,
    targets: usize,
    aggregate: Aggregate,
) -> Result<Forest, RuntimeError> {
    let ints = |name: &str| settings.ints(name).unwrap_or_default();
    let features = ints("nodes_featureids");
    let (yes, no) = (ints("nodes_truenodeids"), ints("nodes_falsenodeids"));
    let (yes_leaf, no_leaf) = (ints("nodes_trueleafs"), ints("nodes_falseleafs"));
    let splits = numbers(settings, "nodes_splits")?;
    let modes = numbers(settings, "nodes_modes")?;
    let even = [
        yes.len(),
        no.len(),
        yes_leaf.len(),
        no_leaf.len(),
        splits.len(),
        modes.len(),
    ];
    if even != [features.len(); 6] || features.is_empty() {
        return Err(settings.wrong("the lists that describe the nodes have different lengths"));
    }
    let leaf_targets = ints("leaf_targetids");
    let leaf_weights = numbers(settings, "leaf_weights")?;
    if leaf_targets.len() != leaf_weights.len() {
        return Err(settings.wrong("the lists that describe the leaves have different lengths"));
    }
    let mut forest = Forest {
        targets,
        aggregate,
        sets: sets(&numbers(settings, "membership_values")?),
        ..Forest::default()
    };
    let branches = features.len() as u32;
    add_branches(
        settings,
        &mut forest,
        [features, yes, no, yes_leaf, no_leaf],
        &splits,
        &modes,
    )?;
    for ((target, value), place) in leaf_targets.iter().zip(leaf_weights).zip(0_u32..) {
        let target = u32::try_from(*target).map_err(|_| settings.wrong("a target is negative"))?;
        forest.weights.push(Weight { target, value });
        forest.nodes.push(leaf(place));
    }
    forest.roots = roots(settings, &mut forest, branches);
    forest.check(settings.node.called())?;
    Ok(forest)
}

/// Appends the branches; a side that ends in a leaf points behind them.
fn add_branches(
    settings: &Settings<'_, '_>,
    forest: &mut Forest,
    [features, yes, no, yes_leaf, no_leaf]: [&[i64]; 5],
    splits: &[f64],
    modes: &[f64],
) -> Result<(), RuntimeError> {
    let missing = settings
        .ints("nodes_missing_value_tracks_true")
        .unwrap_or_default();
    let branches = features.len() as u32;
    let mut set = 0;
    for (place, (split, mode)) in splits.iter().zip(modes).enumerate() {
        let child = |nodes: &[i64], leaf: &[i64]| {
            let number = number_at(nodes, place);
            // Leaves stand behind the branches.
            if leaf.get(place) == Some(&1) {
                number.saturating_add(branches)
            } else if number < branches {
                number
            } else {
                u32::MAX
            }
        };
        let asked = match *mode as i64 {
            0 => Question::LessOrEqual,
            1 => Question::Less,
            2 => Question::GreaterOrEqual,
            3 => Question::Greater,
            4 => Question::Equal,
            5 => Question::NotEqual,
            6 => {
                set += 1;
                Question::Member(set - 1)
            }
            _ => return Err(settings.wrong("a mode of a node does not exist")),
        };
        let feature = number_at(features, place);
        forest.features = forest.features.max(feature as usize + 1);
        forest.nodes.push(Node {
            question: asked,
            feature,
            value: *split,
            yes: child(yes, yes_leaf),
            no: child(no, no_leaf),
            missing_is_yes: missing.get(place).is_some_and(|flag| *flag != 0),
        });
    }
    Ok(())
}

fn leaf(place: u32) -> Node {
    Node {
        question: Question::Leaf,
        feature: 0,
        value: 0.0,
        yes: place,
        no: place + 1,
        missing_is_yes: false,
    }
}

/// Roots by number. A tree of one leaf is written as a branch whose two sides are that leaf; its second
/// side gets a copy, so that every node is reached once.
fn roots(settings: &Settings<'_, '_>, forest: &mut Forest, branches: u32) -> Vec<u32> {
    let copies: Vec<(usize, u32)> = forest
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| {
            node.question != Question::Leaf && node.yes == node.no && node.yes >= branches
        })
        .map(|(place, node)| (place, node.no))
        .collect();
    for (place, target) in copies {
        let Some(copy) = forest.nodes.get(target as usize).cloned() else {
            continue;
        };
        let at = forest.nodes.len() as u32;
        forest.nodes.push(copy);
        if let Some(node) = forest.nodes.get_mut(place) {
            node.no = at;
        }
    }
    settings
        .ints("tree_roots")
        .unwrap_or_default()
        .iter()
        .map(|root| u32::try_from(*root).unwrap_or(u32::MAX))
        .collect()
}

/// Sets are written one after another, each ended by NaN.
fn sets(values: &[f64]) -> Vec<Vec<f64>> {
    values
        .split(|value| value.is_nan())
        .map(|set| {
            let mut sorted: Vec<f64> = set.iter().map(|v| v + 0.0).collect();
            sorted.sort_by(f64::total_cmp);
            sorted
        })
        .collect()
}
