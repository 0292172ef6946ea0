//! The choice of what drives a search: the rarest clause where one is rare, an ordered walk otherwise.
//! Asks for estimates one by one, so that each adapter runs them in its own way. Must not know SQL.

use fhir::TypeId;

use super::render::{self, Dialect, Sql};
use super::tree::{Link, Query, Test, TestClause};
use crate::index::RESERVED;
use crate::port::error::StoreError;
use crate::port::search::{Counting, SortKey};

/// The number of the type Patient.
///
/// # Errors
/// [`StoreError::Unsupported`] where the definitions have none.
pub fn patient_type() -> Result<TypeId, StoreError> {
    super::hashing::patient_type()
}

/// What drives a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// List the rows of this clause (by index), test the rest, then sort.
    Driven(usize),
    /// Walk the rows of this clause, a single key, in row order, and stop when the page is full. Of a clause
    /// that lies within a key: the rows of that, each tested.
    WalkKey(usize),
    /// Of each resource that this clause, a chain, leads to, the rows first in row order; merged.
    Ends(usize),
    /// Walk in the order of the sort key, and stop when the page is full.
    Walk,
}

/// Below this many rows a clause is listed and sorted; above, an ordered walk fills a page sooner.
pub const RARE: u64 = 2000;
/// So few rows that looking for a rarer clause costs more than it saves.
pub const FEW: u64 = 16;

/// Coarse counts begin here.
pub const COARSE: u64 = 1000;

/// A count rounded up to a power of ten, from [`COARSE`].
pub(super) fn coarse(rows: u64) -> u64 {
    let mut bound = COARSE;
    while bound < rows {
        bound = bound.saturating_mul(10);
    }
    bound
}

/// How many candidates an estimated total looks at.
pub const SAMPLE: u64 = 5000;

/// An estimated total, from how many candidates were seen, how many of them match, and how many there are.
#[must_use]
pub fn estimated(seen: u64, matching: u64, candidates: u64) -> u64 {
    let all = u128::from(candidates.max(seen));
    let total = u128::from(matching) * all / u128::from(seen.max(1));
    u64::try_from(total).unwrap_or(u64::MAX)
}

/// The clause that lists a group's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver {
    /// Its place among the group's clauses.
    pub clause: usize,
    /// How many rows it has.
    pub rows: u64,
}

/// What was decided: how the search runs, and what lists the rows of each group that can be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// How the search runs.
    pub strategy: Strategy,
    /// By group.
    pub drivers: Vec<Option<Driver>>,
    /// What was counted of the search's own clauses, by clause.
    pub counted: Vec<Option<u64>>,
}

impl Decided {
    /// A walk, with nothing listed.
    #[must_use]
    pub fn walk(query: &Query) -> Self {
        Self {
            strategy: Strategy::Walk,
            drivers: vec![None; query.groups.len()],
            counted: vec![None; query.clauses().len()],
        }
    }

    /// Whether a clause's rows can be listed.
    #[must_use]
    pub fn can_list(&self, clause: &TestClause) -> bool {
        let listed = |group: usize| self.drivers.get(group).is_some_and(Option::is_some);
        !clause.negated
            && clause
                .any_of
                .iter()
                .all(|test| test.is_listed() || test.group().is_some_and(listed))
    }
}

/// Asks for estimates and decides.
pub struct Planner<'q> {
    query: &'q Query,
    decided: Decided,
    /// Groups and clauses still to be looked at, the next one last.
    steps: Vec<(usize, usize)>,
    asked: Option<(usize, usize)>,
    counting: Counting,
}

impl<'q> Planner<'q> {
    /// Begins. What the search itself can list comes first: where that is little, nothing nested need be
    /// counted.
    #[must_use]
    pub fn new(query: &'q Query) -> Self {
        let root = query.root();
        let plain = |at: usize| {
            let clause = query.clauses().get(at);
            clause.is_some_and(TestClause::is_listed)
        };
        let own = 0..query.clauses().len();
        let first = own.clone().filter(|at| plain(*at)).map(|at| (root, at));
        let nested = (0..root).flat_map(|group| {
            let clauses = 0..query.clauses_of(group).len();
            clauses.map(move |at| (group, at))
        });
        let last = own.filter(|at| !plain(*at)).map(|at| (root, at));
        let mut steps: Vec<(usize, usize)> = first.chain(nested).chain(last).collect();
        steps.reverse();
        Self {
            query,
            decided: Decided::walk(query),
            steps,
            asked: None,
            counting: Counting::Exact,
        }
    }

    /// Begins, and decides by counts as fine as `counting` says.
    #[must_use]
    pub fn counting(query: &'q Query, counting: Counting) -> Self {
        Self {
            counting,
            ..Self::new(query)
        }
    }

    fn least(&self, group: usize) -> u64 {
        let driver = self.decided.drivers.get(group).copied().flatten();
        driver.map_or(RARE, |driver| driver.rows)
    }

    /// The next count to make, until there is none.
    pub fn question(&mut self, dialect: &dyn Dialect) -> Option<Sql> {
        let root = self.query.root();
        while let Some((group, at)) = self.steps.pop() {
            if self.least(root) <= FEW {
                break;
            }
            let least = self.least(group);
            if least <= FEW {
                continue;
            }
            let Some(clause) = self.query.clauses_of(group).get(at) else {
                continue;
            };
            // To list what contains a text, all texts are looked through: little that is known serves better.
            let is_known = self.decided.drivers.get(group).copied().flatten().is_some();
            if !self.decided.can_list(clause) || (is_known && clause.looks_through_texts()) {
                continue;
            }
            self.asked = Some((group, at));
            if let Some(rows) = clause.known_rows() {
                self.answer(rows);
                continue;
            }
            return Some(render::estimate(
                dialect,
                self.query,
                &self.decided,
                clause,
                least,
            ));
        }
        None
    }

    /// The answer to the last question.
    pub fn answer(&mut self, rows: u64) {
        let Some((group, clause)) = self.asked.take() else {
            return;
        };
        let rows = match self.counting {
            Counting::Exact => rows,
            Counting::Coarse => coarse(rows),
        };
        if group == self.query.root()
            && let Some(counted) = self.decided.counted.get_mut(clause)
        {
            *counted = Some(rows);
        }
        if rows < self.least(group)
            && let Some(driver) = self.decided.drivers.get_mut(group)
        {
            *driver = Some(Driver { clause, rows });
        }
    }

    /// Whether all that is asked is a chain to few resources, though many lead to them.
    fn leads_to_few(&self) -> bool {
        let ([clause], [_]) = (self.query.clauses(), self.query.types()) else {
            return false;
        };
        let [
            Test::Chain {
                p,
                link: Link::Name,
                group,
            },
        ] = clause.any_of.as_slice()
        else {
            return false;
        };
        let listed = self.decided.drivers.get(*group);
        !clause.negated && *p < i64::from(RESERVED) && listed.is_some_and(Option::is_some)
    }

    /// A clause whose rows are many and lie within those of one key: walked in row order, each is tested.
    fn within_key(&self) -> Option<usize> {
        let mut clauses = self.query.clauses().iter();
        clauses.position(|clause| clause.key_within().is_some())
    }

    /// The decision.
    #[must_use]
    pub fn decide(mut self) -> Decided {
        let rarest = self.decided.drivers.get(self.query.root()).copied();
        let by_row = self
            .query
            .sort
            .first()
            .is_some_and(|sort| sort.key == SortKey::Row);
        let clauses = self.query.clauses();
        let is_one_key = |at: usize| clauses.get(at).is_some_and(TestClause::is_one_key);
        self.decided.strategy = match rarest.flatten() {
            // Its rows lie in the order asked for: the walk ends with the page, at the latest with them.
            Some(Driver { clause, .. }) if by_row && is_one_key(clause) => {
                Strategy::WalkKey(clause)
            }
            Some(Driver { clause, .. }) => Strategy::Driven(clause),
            None if by_row && self.leads_to_few() => Strategy::Ends(0),
            None if by_row => clauses
                .iter()
                .position(TestClause::is_one_key)
                .or_else(|| self.within_key())
                .map_or(Strategy::Walk, Strategy::WalkKey),
            None => Strategy::Walk,
        };
        self.decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::search::{RangeOp, Sort};
    use crate::query::tree::Group;

    struct Plain;
    impl Dialect for Plain {
        fn place(&self, n: usize) -> String {
            format!("?{n}")
        }
        fn tenant(&self, _alias: &str) -> String {
            String::new()
        }
        fn ordered_join(&self, table: &str, alias: &str, on: &str) -> String {
            format!("JOIN {table} {alias} ON {on}")
        }
        fn contains(&self, column: &str, place: &str) -> String {
            format!("{column} ~ {place}")
        }
    }

    fn decide(query: &Query, answers: &[u64]) -> (Strategy, usize) {
        let mut planner = Planner::new(query);
        let mut asked = 0;
        while planner.question(&Plain).is_some() {
            planner.answer(answers[asked]);
            asked += 1;
        }
        (planner.decide().strategy, asked)
    }

    fn clause(negated: bool, test: Test) -> TestClause {
        TestClause {
            negated,
            any_of: vec![test],
        }
    }

    fn query(groups: Vec<Vec<TestClause>>, key: SortKey) -> Query {
        let groups = groups.into_iter().map(|clauses| Group {
            types: vec![TypeId(1)],
            clauses,
        });
        Query {
            groups: groups.collect(),
            sort: vec![Sort {
                key,
                descending: true,
            }],
            after: None,
        }
    }

    #[test]
    fn the_rarest_clause_drives_and_common_ones_are_walked() {
        let key = || Test::Key { p: 1, v: 2 };
        let range = Test::Range {
            p: 2,
            u: 0,
            op: RangeOp::Within,
            lo: 0,
            hi: 1,
            within: None,
        };
        let clauses = vec![
            clause(true, key()),
            clause(false, range),
            clause(false, key()),
        ];
        let mut query = query(vec![clauses], SortKey::Row);
        assert_eq!(decide(&query, &[900, 5]), (Strategy::WalkKey(2), 2));
        assert_eq!(decide(&query, &[7]), (Strategy::Driven(1), 1));
        assert_eq!(decide(&query, &[RARE, RARE]), (Strategy::WalkKey(2), 2));
        query.sort[0].key = SortKey::Updated;
        assert_eq!(decide(&query, &[900, 17]), (Strategy::Driven(2), 2));
        assert_eq!(decide(&query, &[RARE, RARE]), (Strategy::Walk, 2));
        query.groups[0].clauses.clear();
        assert_eq!(decide(&query, &[]), (Strategy::Walk, 0));
    }

    #[test]
    fn coarse_counts_decide_alike_whatever_few_there_are() {
        let key = |p| clause(false, Test::Key { p, v: 2 });
        let query = query(vec![vec![key(1), key(2)]], SortKey::Updated);
        let decided = |counting, answers: [u64; 2]| {
            let mut planner = Planner::counting(&query, counting);
            let mut answers = answers.into_iter();
            while planner.question(&Plain).is_some() {
                planner.answer(answers.next().unwrap());
            }
            planner.decide()
        };
        let known = decided(Counting::Coarse, [0, 0]);
        assert_eq!(known.counted, [Some(COARSE), Some(COARSE)]);
        for answers in [[0, 1], [1, 0], [500, 17], [17, 999], [999, 1000]] {
            assert_eq!(decided(Counting::Coarse, answers), known, "{answers:?}");
        }
        assert_ne!(decided(Counting::Exact, [0, 0]).counted, known.counted);
        for (rows, shown) in [(0, 1000), (1000, 1000), (1001, 10_000), (99_999, 100_000)] {
            assert_eq!(coarse(rows), shown);
        }
    }

    #[test]
    fn a_chain_drives_where_its_end_is_rare() {
        let key = |p| Test::Key { p, v: 2 };
        let chain = |group| Test::Chain {
            p: 7,
            link: Link::Name,
            group,
        };
        let query = query(
            vec![
                vec![clause(false, key(1))],
                vec![clause(false, chain(0)), clause(false, key(2))],
                vec![clause(false, key(3)), clause(false, chain(1))],
            ],
            SortKey::Row,
        );
        // Own key, innermost key, middle key, middle chain, own chain.
        let rare = decide(&query, &[RARE, 100, RARE, 50, 60]);
        assert_eq!(rare, (Strategy::Driven(1), 5));
        // Alone, a chain to few that many lead to is followed from them; where they are many, it is not.
        let mut alone = query.clone();
        alone.groups[2].clauses.remove(0);
        assert_eq!(
            decide(&alone, &[100, RARE, 50, RARE]),
            (Strategy::Ends(0), 4)
        );
        assert_eq!(decide(&alone, &[RARE, RARE]), (Strategy::Walk, 2));
        alone.groups[2].types.push(TypeId(2));
        assert_eq!(decide(&alone, &[100, RARE, 50, RARE]), (Strategy::Walk, 4));
        // The own key has few rows: nothing else is counted.
        assert_eq!(decide(&query, &[3]), (Strategy::WalkKey(0), 1));
        // Nothing nested is rare: the chain cannot be listed and is not counted.
        let common = decide(&query, &[RARE, RARE, RARE]);
        assert_eq!(common, (Strategy::WalkKey(0), 3));
    }
}
