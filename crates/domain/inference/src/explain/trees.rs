//! Interventional Shapley values of tree ensembles, exact and in time linear in the leaves reached: for one
//! background case, a leaf is reached by coalitions that take the features A from the case and B from the
//! background, and is worth (|A|-1)! |B|! / (|A|+|B|)! to each of A and minus |A|! (|B|-1)! / (|A|+|B|)! to
//! each of B (Lundberg et al., Nature Machine Intelligence 2, 2020, "independent TreeExplainer"; Laberge and
//! Pequignot, arXiv 2209.15123, theorem 4.4). Equal to enumeration, which tests compare.

use kernel::{Categorised, Category};

use crate::matrix::Matrix;
use crate::special::ln_gamma;

use super::{Attribution, ExplainError, Method};

/// Deepest path that is followed.
const MOST_DEPTH: usize = 256;

/// How a node compares (the modes of ONNX `ai.onnx.ml.TreeEnsemble*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// value <= threshold
    AtMost,
    /// value < threshold
    Below,
    /// value >= threshold
    AtLeast,
    /// value > threshold
    Above,
    /// value = threshold
    Equal,
    /// value is not the threshold
    NotEqual,
}

impl Comparison {
    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::AtMost => value <= threshold,
            Self::Below => value < threshold,
            Self::AtLeast => value >= threshold,
            Self::Above => value > threshold,
            Self::Equal => value.total_cmp(&threshold).is_eq(),
            Self::NotEqual => value.total_cmp(&threshold).is_ne(),
        }
    }
}

/// A node; its place in the list of its ensemble is its name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    /// Adds its value.
    Leaf(f64),
    /// Goes one of two ways.
    Split {
        /// The feature looked at.
        feature: usize,
        /// How.
        comparison: Comparison,
        /// Against what.
        threshold: f64,
        /// Where to go where it holds.
        yes: usize,
        /// Where to go where it does not.
        no: usize,
        /// Whether a missing value goes the way of `yes`.
        missing_yes: bool,
    },
}

/// Why nodes are no trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A node leads to none, or to itself or an earlier one.
    #[error("tree node {0} leads nowhere or backwards; export the model again")]
    Edge(usize),
    /// A node looks at no feature of the model.
    #[error("tree node {0} looks at a feature that the model does not have")]
    Feature(usize),
    /// A number is not finite.
    #[error("tree node {0} holds a number that is not finite")]
    Number(usize),
    /// Deeper than is followed.
    #[error("trees are deeper than {MOST_DEPTH} nodes")]
    Depth,
}

impl Categorised for TreeError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

/// Trees whose leaves are added to a base value.
#[derive(Debug, Clone, PartialEq)]
pub struct Trees {
    features: usize,
    nodes: Vec<Node>,
    roots: Vec<usize>,
    base: f64,
}

impl Trees {
    /// An ensemble. Children stand after their parents, so that there are no cycles.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn new(
        features: usize,
        nodes: Vec<Node>,
        roots: Vec<usize>,
        base: f64,
    ) -> Result<Self, TreeError> {
        let mut depths = vec![0_usize; nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            let (feature, threshold, yes, no) = match *node {
                Node::Leaf(value) if value.is_finite() => continue,
                Node::Leaf(_) => return Err(TreeError::Number(place)),
                Node::Split {
                    feature,
                    threshold,
                    yes,
                    no,
                    ..
                } => (feature, threshold, yes, no),
            };
            if feature >= features {
                return Err(TreeError::Feature(place));
            }
            if threshold.is_nan() {
                return Err(TreeError::Number(place));
            }
            let depth = depths.get(place).map_or(0, |depth| depth + 1);
            if depth > MOST_DEPTH {
                return Err(TreeError::Depth);
            }
            for child in [yes, no] {
                let below = depths.get_mut(child).filter(|_| child > place);
                let below = below.ok_or(TreeError::Edge(place))?;
                *below = (*below).max(depth);
            }
        }
        if let Some(root) = roots.iter().find(|root| **root >= nodes.len()) {
            return Err(TreeError::Edge(*root));
        }
        if !base.is_finite() {
            return Err(TreeError::Number(0));
        }
        Ok(Self {
            features,
            nodes,
            roots,
            base,
        })
    }

    fn way(&self, node: usize, row: &[f64]) -> Option<usize> {
        match *self.nodes.get(node)? {
            Node::Leaf(_) => None,
            Node::Split {
                feature,
                comparison,
                threshold,
                yes,
                no,
                missing_yes,
            } => {
                let value = *row.get(feature)?;
                let holds = if value.is_nan() {
                    missing_yes
                } else {
                    comparison.holds(value, threshold)
                };
                Some(if holds { yes } else { no })
            }
        }
    }

    /// The sum of the leaves a row reaches.
    #[must_use]
    pub fn of(&self, row: &[f64]) -> f64 {
        let mut sum = self.base;
        for root in &self.roots {
            let mut node = *root;
            while let Some(next) = self.way(node, row) {
                node = next;
            }
            if let Some(Node::Leaf(value)) = self.nodes.get(node) {
                sum += value;
            }
        }
        sum
    }

    /// Exact interventional values.
    ///
    /// # Errors
    /// [`ExplainError::Background`] where case or background are of another width.
    pub fn explain(
        &self,
        row: &[f64],
        background: &Matrix,
    ) -> Result<Attribution, ExplainError<TreeError>> {
        let wanted = self.features;
        let found = background.columns();
        if background.rows() == 0 || found != wanted || row.len() != wanted {
            return Err(ExplainError::Background { found, wanted });
        }
        let mut walk = Walk {
            trees: self,
            row,
            other: &[],
            owner: vec![Owner::Open; wanted],
            taken: Vec::new(),
            worth: worth(wanted),
            values: vec![0.0; wanted],
        };
        let mut base = 0.0;
        for other in background.iter() {
            walk.other = other;
            base += self.of(other);
            for root in &self.roots {
                walk.node(*root, 0, 0);
            }
        }
        let count = background.rows() as f64;
        Ok(Attribution {
            base: base / count,
            output: self.of(row),
            values: walk.values.into_iter().map(|value| value / count).collect(),
            errors: vec![0.0; wanted],
            method: Method::Trees,
        })
    }
}

/// Whose value of a feature the path follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Not decided: the ways were the same so far.
    Open,
    /// The case's.
    Case,
    /// The background's.
    Background,
}

/// (a - 1)! b! / (a + b)! for a from 1 and b from 0, up to so many features.
fn worth(features: usize) -> Vec<Vec<f64>> {
    (1..=features)
        .map(|a| {
            (0..=features)
                .map(|b| {
                    let (a, b) = (a as f64, b as f64);
                    (ln_gamma(a) + ln_gamma(b + 1.0) - ln_gamma(a + b + 1.0)).exp()
                })
                .collect()
        })
        .collect()
}

struct Walk<'a> {
    trees: &'a Trees,
    row: &'a [f64],
    other: &'a [f64],
    owner: Vec<Owner>,
    /// Decided features, in the order of the path.
    taken: Vec<usize>,
    worth: Vec<Vec<f64>>,
    values: Vec<f64>,
}

impl Walk<'_> {
    fn node(&mut self, node: usize, of_case: usize, of_background: usize) {
        let feature = match self.trees.nodes.get(node) {
            Some(Node::Leaf(value)) => return self.leaf(*value, of_case, of_background),
            Some(Node::Split { feature, .. }) => *feature,
            None => return,
        };
        let trees = self.trees;
        let (Some(own), Some(other)) = (trees.way(node, self.row), trees.way(node, self.other))
        else {
            return;
        };
        let owner = self.owner.get(feature).copied().unwrap_or(Owner::Open);
        match owner {
            Owner::Case => self.node(own, of_case, of_background),
            Owner::Background => self.node(other, of_case, of_background),
            Owner::Open if own == other => self.node(own, of_case, of_background),
            Owner::Open => {
                self.taken.push(feature);
                self.decide(feature, Owner::Case);
                self.node(own, of_case + 1, of_background);
                self.decide(feature, Owner::Background);
                self.node(other, of_case, of_background + 1);
                self.decide(feature, Owner::Open);
                self.taken.pop();
            }
        }
    }

    fn decide(&mut self, feature: usize, owner: Owner) {
        if let Some(cell) = self.owner.get_mut(feature) {
            *cell = owner;
        }
    }

    fn leaf(&mut self, value: f64, of_case: usize, of_background: usize) {
        let at = |a: usize, b: usize| -> f64 {
            let row = a.checked_sub(1).and_then(|a| self.worth.get(a));
            row.and_then(|row| row.get(b)).copied().unwrap_or_default()
        };
        let gain = value * at(of_case, of_background);
        let loss = value * at(of_background, of_case);
        for feature in &self.taken {
            let owner = self.owner.get(*feature);
            if let Some(cell) = self.values.get_mut(*feature) {
                match owner {
                    Some(Owner::Case) => *cell += gain,
                    Some(Owner::Background) => *cell -= loss,
                    _ => {}
                }
            }
        }
    }
}
