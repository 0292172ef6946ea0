//! Trees as flat arrays, and their walk. Must not know where the numbers came from.

use crate::error::RuntimeError;

/// How the trees' answers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// Added up.
    #[default]
    Sum,
    /// Added up, divided by the number of trees.
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// What a node asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// x <= value.
    LessOrEqual,
    /// x < value.
    Less,
    /// x >= value.
    GreaterOrEqual,
    /// x > value.
    Greater,
    /// x == value.
    Equal,
    /// x != value.
    NotEqual,
    /// Whether x is in a set, by its place.
    Member(u32),
    /// Nothing: here the walk ends.
    Leaf,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it asks.
    pub question: Question,
    /// Of which feature.
    pub feature: u32,
    /// Compared with.
    pub value: f64,
    /// Where to go on yes; of a leaf, where its weights start.
    pub yes: u32,
    /// Where to go on no; of a leaf, where its weights end.
    pub no: u32,
    /// Whether a missing number means yes.
    pub missing_is_yes: bool,
}

/// What a leaf says of one target.
#[derive(Debug, Clone, Copy)]
pub struct Weight {
    /// Which target.
    pub target: u32,
    /// How much.
    pub value: f64,
}

/// Trees, ready to be walked.
#[derive(Debug, Default)]
pub struct Forest {
    /// All nodes of all trees.
    pub nodes: Vec<Node>,
    /// Weights of all leaves.
    pub weights: Vec<Weight>,
    /// Sets that `Member` asks about, sorted.
    pub sets: Vec<Vec<f64>>,
    /// First node of each tree.
    pub roots: Vec<u32>,
    /// How many targets or classes.
    pub targets: usize,
    /// One more than the greatest feature asked for.
    pub features: usize,
    /// How answers are joined.
    pub aggregate: Aggregate,
}

/// Scores of one row.
#[derive(Debug)]
pub struct Scores {
    /// One for each target.
    pub values: Vec<f64>,
    /// Whether any leaf said something about it.
    pub told: Vec<bool>,
}

impl Scores {
    /// Of so many targets.
    pub fn new(targets: usize) -> Self {
        Self {
            values: vec![0.0; targets],
            told: vec![false; targets],
        }
    }

    fn clear(&mut self) {
        self.values.fill(0.0);
        self.told.fill(false);
    }

    /// Adds to one target.
    pub fn add(&mut self, place: usize, by: f64) {
        if let (Some(value), Some(told)) = (self.values.get_mut(place), self.told.get_mut(place)) {
            *value += by;
            *told = true;
        }
    }
}

impl Forest {
    /// Refuses trees in which a node is reached twice or points nowhere.
    pub fn check(&self, name: &str) -> Result<(), RuntimeError> {
        let wrong = |detail: &str| RuntimeError::shape(name, detail);
        let mut reached = vec![false; self.nodes.len()];
        let mut open: Vec<u32> = self.roots.clone();
        while let Some(place) = open.pop() {
            let place = place as usize;
            let (Some(node), Some(seen)) = (self.nodes.get(place), reached.get_mut(place)) else {
                return Err(wrong("a branch of a tree points to no node"));
            };
            if std::mem::replace(seen, true) {
                return Err(wrong("a node of a tree is reached twice"));
            }
            match node.question {
                Question::Leaf => {
                    if self
                        .weights
                        .get(node.yes as usize..node.no as usize)
                        .is_none()
                    {
                        return Err(wrong("a leaf has no weights"));
                    }
                }
                _ => open.extend([node.yes, node.no]),
            }
        }
        let target = self.weights.iter().map(|weight| weight.target).max();
        if target.is_some_and(|target| target as usize >= self.targets) {
            return Err(wrong(
                "a leaf speaks of a target that the model does not have",
            ));
        }
        Ok(())
    }

    /// Whether all weights speak of one target.
    pub fn has_one_target(&self) -> bool {
        let mut targets = self.weights.iter().map(|weight| weight.target);
        let first = targets.next();
        first.is_some() && targets.all(|target| Some(target) == first)
    }

    /// Whether any weight speaks of this target.
    pub fn speaks_of(&self, target: u32) -> bool {
        self.weights.iter().any(|weight| weight.target == target)
    }

    /// Whether no weight is below zero.
    pub fn is_never_negative(&self) -> bool {
        self.weights.iter().all(|weight| weight.value >= 0.0)
    }

    #[expect(clippy::float_cmp, reason = "a tree asks whether numbers are the same")]
    fn asks(&self, node: &Node, x: f64) -> bool {
        let yes = match node.question {
            Question::LessOrEqual => x <= node.value,
            Question::Less => x < node.value,
            Question::GreaterOrEqual => x >= node.value,
            Question::Greater => x > node.value,
            Question::Equal => x == node.value,
            Question::NotEqual => x != node.value,
            Question::Member(set) => self
                .sets
                .get(set as usize)
                .is_some_and(|set| set.binary_search_by(|member| member.total_cmp(&x)).is_ok()),
            Question::Leaf => false,
        };
        yes || (node.missing_is_yes && x.is_nan())
    }

    fn leaf(&self, root: u32, row: &[f64]) -> &[Weight] {
        let mut place = root;
        while let Some(node) = self.nodes.get(place as usize) {
            if node.question == Question::Leaf {
                return self
                    .weights
                    .get(node.yes as usize..node.no as usize)
                    .unwrap_or_default();
            }
            let x = row.get(node.feature as usize).copied().unwrap_or(f64::NAN);
            place = if self.asks(node, x) {
                node.yes
            } else {
                node.no
            };
        }
        &[]
    }

    /// Scores one row. Unless `wide`, sums are kept in single precision, as ONNX Runtime keeps them.
    pub fn score(&self, row: &[f64], wide: bool, scores: &mut Scores) {
        scores.clear();
        for root in &self.roots {
            for weight in self.leaf(*root, row) {
                let place = weight.target as usize;
                let (Some(score), Some(told)) =
                    (scores.values.get_mut(place), scores.told.get_mut(place))
                else {
                    continue;
                };
                *score = match self.aggregate {
                    Aggregate::Min if *told => score.min(weight.value),
                    Aggregate::Max if *told => score.max(weight.value),
                    Aggregate::Min | Aggregate::Max => weight.value,
                    _ if wide => *score + weight.value,
                    _ => f64::from(*score as f32 + weight.value as f32),
                };
                *told = true;
            }
        }
        if self.aggregate == Aggregate::Average {
            let trees = self.roots.len() as f64;
            scores.values.iter_mut().for_each(|score| *score /= trees);
        }
    }
}
