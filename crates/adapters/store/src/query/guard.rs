//! What a decided search would cost, by estimate, before it is run: rows that it walks until its page is
//! full. Refuses what is beyond a limit, names what makes it costly and says what to add. Asks for counts one
//! by one, like the planner, and none where little can be walked. Must not know SQL.

use fhir::Definitions;
use fhir::search::ParamKind;

use super::explain::{clause_text, parameters_of};
use super::plan::{Decided, Strategy, coarse};
use super::render::{self, Dialect, Sql};
use super::tree::{Query, Test, TestClause};
use crate::index::COMPARTMENT;
use crate::port::error::StoreError;
use crate::port::search::{Counting, SearchPlan, SortKey, Total};

/// Candidates that are tested to see how many of them match.
const PROBE: u64 = 500;
/// Parameters by which few resources are found, the best first.
const NARROW: [&str; 6] = [
    "patient",
    "subject",
    "identifier",
    "encounter",
    "code",
    "url",
];

/// What makes a search costly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// All texts of a clause's parameter are looked through.
    Texts(usize),
    /// Everything is sorted by what no index holds in order.
    Sort,
    /// Everything is counted.
    Count,
    /// Few of very many match.
    Walk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Texts(usize),
    Probe,
    Candidates,
    Done,
}

/// Asks and judges.
pub struct Guard<'q> {
    query: &'q Query,
    decided: &'q Decided,
    limit: u64,
    /// Matches after which the walk ends; none: it goes to the end.
    wanted: Option<u64>,
    why: Why,
    counting: Counting,
    step: Step,
    /// Matches among the probed.
    matching: u64,
    walked: u64,
    refused: Option<Why>,
}

impl<'q> Guard<'q> {
    /// Of a search as it was decided.
    #[must_use]
    pub fn new(query: &'q Query, decided: &'q Decided, plan: &SearchPlan) -> Self {
        let (wanted, why) = if plan.total == Total::Accurate && !render::counts_keys(query, decided)
        {
            (None, Why::Count)
        } else if sorts_all(query, decided) {
            (None, Why::Sort)
        } else {
            (Some(u64::from(plan.count) + 1), Why::Walk)
        };
        Self {
            query,
            decided,
            limit: plan.rows,
            wanted,
            why,
            counting: Counting::Exact,
            step: Step::Texts(0),
            matching: 0,
            walked: wanted.unwrap_or(0),
            refused: None,
        }
    }

    /// The same with counts as fine as `counting` says.
    #[must_use]
    pub fn counting(self, counting: Counting) -> Self {
        Self { counting, ..self }
    }

    /// The next count to make, until there is none. None at all of a search that cannot be refused.
    pub fn question(&mut self, dialect: &dyn Dialect) -> Option<Sql> {
        if self.limit == u64::MAX {
            return None;
        }
        let most = self.limit.saturating_add(1);
        if let Step::Texts(from) = self.step {
            if let Some((at, p)) = self.looked_through(from) {
                self.step = Step::Texts(at);
                return Some(render::texts(dialect, p, most));
            }
            self.step = self.first_of_walk();
        }
        let sql = match self.step {
            Step::Probe => render::probe(dialect, self.query, self.decided, PROBE),
            Step::Candidates => {
                render::candidates_up_to(dialect, self.query, self.decided, Some(most))
            }
            Step::Texts(_) | Step::Done => return None,
        };
        Some(sql)
    }

    /// The answer to the last question.
    pub fn answer(&mut self, rows: u64) {
        match self.step {
            Step::Texts(at) => {
                let rows = self.shown(rows);
                self.walked = self.walked.max(rows);
                if rows > self.limit {
                    self.refused = Some(Why::Texts(at));
                    self.step = Step::Done;
                } else {
                    self.step = Step::Texts(at + 1);
                }
            }
            Step::Probe => {
                self.matching = rows;
                self.step = Step::Candidates;
                if let (Some(wanted), 1..) = (self.wanted, rows) {
                    let walked = wanted.saturating_mul(PROBE) / rows;
                    // Even if there are so many: no need to count them.
                    if walked <= self.limit {
                        self.walked = self.walked.max(walked.max(PROBE.min(self.limit)));
                        self.step = Step::Done;
                    }
                }
            }
            Step::Candidates => {
                let candidates = self.shown(rows);
                let until_full = match (self.wanted, self.matching) {
                    (Some(wanted), 1..) => wanted.saturating_mul(PROBE) / self.matching,
                    _ => candidates,
                };
                self.walked = self.walked.max(until_full.min(candidates));
                if self.walked > self.limit {
                    self.refused = Some(self.why);
                }
                self.step = Step::Done;
            }
            Step::Done => {}
        }
    }

    /// Rows walked, by estimate; no more is told than that the limit is passed.
    #[must_use]
    pub const fn walked(&self) -> u64 {
        self.walked
    }

    /// Refuses a search that would walk more than its limit.
    ///
    /// # Errors
    /// [`StoreError::TooWide`] names what makes it costly and what to add.
    pub fn verdict(&self) -> Result<(), StoreError> {
        match self.refused {
            None => Ok(()),
            Some(why) => Err(StoreError::TooWide(self.text(why))),
        }
    }

    fn shown(&self, rows: u64) -> u64 {
        match self.counting {
            Counting::Exact => rows,
            Counting::Coarse => coarse(rows),
        }
    }

    /// The first clause from a place on whose parameter's texts are all looked through.
    fn looked_through(&self, from: usize) -> Option<(usize, i64)> {
        let clauses = self.query.clauses().iter().enumerate().skip(from);
        clauses
            .filter(|(at, _)| {
                let counted = self.decided.counted.get(*at).copied().flatten();
                counted.is_some() || self.decided.strategy == Strategy::Driven(*at)
            })
            .find_map(|(at, clause)| {
                let mut tests = clause.any_of.iter();
                tests.find_map(|test| match test {
                    Test::TextContains { p, .. } => Some((at, *p)),
                    _ => None,
                })
            })
    }

    /// What is asked of a walk. Driven searches look at few rows, and walks that test nothing end with
    /// the page.
    fn first_of_walk(&self) -> Step {
        let walks = matches!(self.decided.strategy, Strategy::Walk | Strategy::WalkKey(_));
        match self.wanted {
            _ if !walks => Step::Done,
            None => Step::Candidates,
            Some(_) if self.tested().next().is_none() => Step::Done,
            // How many of the probed match would tell of single resources.
            Some(_) if self.counting == Counting::Coarse => Step::Candidates,
            Some(_) => Step::Probe,
        }
    }

    /// The clauses that the walked rows are tested by.
    fn tested(&self) -> impl DoubleEndedIterator<Item = &'q TestClause> {
        let walked = match self.decided.strategy {
            Strategy::WalkKey(at) => Some(at),
            _ => None,
        };
        let clauses = self.query.clauses().iter().enumerate();
        clauses
            .filter(move |(at, clause)| Some(*at) != walked || !clause.is_one_key())
            .map(|(_, clause)| clause)
    }

    fn text(&self, why: Why) -> String {
        let limit = self.limit;
        let types = self.types();
        // The last clause is the costliest to test.
        let costly = self.tested().next_back();
        let costly = costly.map_or_else(
            || "nothing narrows it".to_owned(),
            |clause| format!("each is tested by: {}", clause_text(self.query, clause)),
        );
        let remedy = self.remedy();
        match why {
            Why::Texts(at) => {
                let clause = self.query.clauses().get(at);
                let tests =
                    clause.map_or_else(String::new, |clause| clause_text(self.query, clause));
                format!(
                    "the search would look through more than {limit} texts ({tests}): ask for how they begin instead of :contains, or {remedy}"
                )
            }
            Why::Sort => format!(
                "the search would sort more than {limit} {types} by what no index holds in order: leave out _sort, or {remedy}"
            ),
            Why::Count => format!(
                "the search would count more than {limit} {types} one by one ({costly}): ask for _total=estimate, or {remedy}"
            ),
            Why::Walk => {
                format!("the search would walk more than {limit} {types} ({costly}): {remedy}")
            }
        }
    }

    fn types(&self) -> String {
        match self.query.types() {
            [ty] => format!("{} rows", Definitions::r4().resource_name(*ty)),
            many => format!("rows of {} types", many.len()),
        }
    }

    /// What narrows a search of these types, without what it asks for already.
    fn remedy(&self) -> String {
        let [ty] = self.query.types() else {
            return "name fewer types (_type), or add _lastUpdated or another criterion that few match"
                .to_owned();
        };
        let asked = parameters_of(self.query.clauses());
        let definitions = Definitions::r4();
        let is_new = |p: u16| !asked.contains(&i64::from(p));
        let in_record = asked.contains(&i64::from(COMPARTMENT));
        let few: Vec<&str> = NARROW
            .iter()
            .filter(|code| !(in_record && matches!(**code, "patient" | "subject")))
            .filter_map(|code| definitions.search_param(*ty, code))
            .filter(|param| is_new(param.id.0))
            .map(|param| param.code)
            .take(3)
            .collect();
        let date = definitions
            .search_params(*ty)
            .iter()
            .filter(|param| param.kind == ParamKind::Date && is_new(param.id.0))
            .map(|param| param.code)
            .find(|code| !code.starts_with('_'))
            .unwrap_or("_lastUpdated");
        if few.is_empty() {
            return format!("add a criterion that few match, such as a range of {date}");
        }
        format!(
            "add a criterion that few match, such as {}, or a range of {date}",
            few.join(", ")
        )
    }
}

/// Whether a walk must see everything before it knows what comes first.
fn sorts_all(query: &Query, decided: &Decided) -> bool {
    if decided.strategy != Strategy::Walk && !matches!(decided.strategy, Strategy::WalkKey(_)) {
        return false;
    }
    let mut keys = query.sort.iter().map(|sort| sort.key);
    match keys.next() {
        Some(SortKey::Reference(_)) => true,
        Some(SortKey::Range(_) | SortKey::Text(_)) => !render::walks_values(query, decided),
        // Very many share a code: their order by the next key is made by sorting them.
        Some(SortKey::Code(_)) => {
            !render::walks_values(query, decided) || keys.any(|key| key != SortKey::Row)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use fhir::TypeId;

    use super::*;
    use crate::port::search::Sort;
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

    fn query(tests: Vec<(bool, Test)>, key: SortKey) -> Query {
        let clauses = tests.into_iter().map(|(negated, test)| TestClause {
            negated,
            any_of: vec![test],
        });
        Query {
            groups: vec![Group {
                types: vec![Definitions::r4().resource("Observation").unwrap()],
                clauses: clauses.collect(),
            }],
            sort: vec![Sort {
                key,
                descending: true,
            }],
            after: None,
        }
    }

    fn plan(total: Total) -> SearchPlan {
        SearchPlan {
            types: Vec::new(),
            all_of: Vec::new(),
            sort: Vec::new(),
            count: 20,
            bytes: 1,
            rows: 100_000,
            after: None,
            total,
        }
    }

    /// The estimate, what is said where it is refused, and how many counts it took.
    fn judged(
        query: &Query,
        strategy: Strategy,
        total: Total,
        answers: &[u64],
    ) -> (u64, Option<String>, usize) {
        let decided = Decided {
            strategy,
            ..Decided::walk(query)
        };
        let plan = plan(total);
        let mut guard = Guard::new(query, &decided, &plan);
        let mut asked = 0;
        while guard.question(&Plain).is_some() {
            guard.answer(answers[asked]);
            asked += 1;
        }
        let said = guard.verdict().err().map(|error| error.to_string());
        (guard.walked(), said, asked)
    }

    fn number(code: &str) -> i64 {
        let ty = Definitions::r4().resource("Observation").unwrap();
        i64::from(Definitions::r4().search_param(ty, code).unwrap().id.0)
    }

    #[test]
    fn a_walk_is_refused_by_how_rare_its_matches_are() {
        let key = |code| Test::Key {
            p: number(code),
            v: 1,
        };
        let rare = query(
            vec![(false, key("status")), (true, key("code"))],
            SortKey::Row,
        );
        let walk = Strategy::WalkKey(0);
        // Half of the probed match: nothing else is counted.
        assert_eq!(judged(&rare, walk, Total::None, &[250]), (500, None, 1));
        // None of them: all that there are.
        assert_eq!(
            judged(&rare, walk, Total::None, &[0, 99_000]),
            (99_000, None, 2)
        );
        let (walked, said, _) = judged(&rare, walk, Total::None, &[0, 100_001]);
        assert_eq!(walked, 100_001);
        assert_eq!(
            said.unwrap(),
            "the search would walk more than 100000 Observation rows (each is tested by: not (code)): add a criterion that few match, such as patient, subject, identifier, or a range of date"
        );
        // One of the probed: so many that the page is full.
        assert_eq!(judged(&rare, walk, Total::None, &[1]), (21 * 500, None, 1));
        // What drives is little, and what is not tested ends with the page.
        assert_eq!(
            judged(&rare, Strategy::Driven(0), Total::None, &[]),
            (21, None, 0)
        );
        let plain = query(vec![(false, key("status"))], SortKey::Row);
        assert_eq!(judged(&plain, walk, Total::None, &[]), (21, None, 0));
        assert_eq!(judged(&plain, walk, Total::Accurate, &[]), (21, None, 0));
        let (_, said, asked) = judged(&rare, walk, Total::Accurate, &[100_001]);
        assert!(said.unwrap().contains("_total=estimate"));
        assert_eq!(asked, 1);
    }

    #[test]
    fn texts_that_are_looked_through_and_orders_without_index_are_costly() {
        let contains = Test::TextContains {
            p: number("code"),
            text: "x".to_owned(),
        };
        let texts = query(vec![(false, contains)], SortKey::Row);
        let (_, said, asked) = judged(&texts, Strategy::Driven(0), Total::None, &[100_001]);
        assert_eq!(asked, 1);
        let said = said.unwrap();
        assert!(said.contains("texts (code contains)"), "{said}");
        assert_eq!(
            judged(&texts, Strategy::Driven(0), Total::None, &[70_000]),
            (70_000, None, 1)
        );
        let param = fhir::search::ParamId(u16::try_from(number("subject")).unwrap());
        let sorted = query(Vec::new(), SortKey::Reference(param));
        assert_eq!(
            judged(&sorted, Strategy::Walk, Total::None, &[5_000]),
            (5_000, None, 1)
        );
        let (_, said, _) = judged(&sorted, Strategy::Walk, Total::None, &[100_001]);
        assert!(said.unwrap().contains("_sort"));
        let mut many = sorted.clone();
        many.sort[0].key = SortKey::Row;
        many.groups[0].types.push(TypeId(1));
        let (_, said, _) = judged(&many, Strategy::Walk, Total::Accurate, &[100_001]);
        assert!(said.unwrap().contains("_type"));
    }
}
