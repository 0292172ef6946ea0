//! `_include` and `_revinclude`: what goes with the matches of a page. Everything brought in is found by a
//! search of its own, narrowed to what the caller may search; circles end because nothing is brought in
//! twice; what does not fit the limits is said in the answer.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fhir::definitions::{Definitions, TypeId};
use fhir::json::{Document, Kind, Limits, Value};
use fhir::search::{
    IndexValue, ParamId, ParamKind, RefTarget, SearchParam, extract, local_reference,
};
use fhir::validate::{Issue, Severity};
use identity::Interaction;
use kernel::{LogicalId, VersionId};
use store::{
    Clause, KeyForm, Predicate, ResourceKey, SearchPlan, Sort, SortKey, StoredVersion, Total,
};

use crate::App;
use crate::authorise::{Allowed, Ask, authorise, would_allow};
use crate::context::Caller;
use crate::error::{AppError, QueryError};
use crate::record::canonical;
use crate::record::clauses::{Clauses, any_of, cut, malformed, points_to};
use crate::record::narrow::{self, Reach};
use crate::search_parameters;

/// Ids asked for in one search.
const CHUNK: usize = 400;

/// One `_include` or `_revinclude`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Include {
    /// The type whose references are followed; `None` for any.
    source: Option<TypeId>,
    /// The reference parameter; `None` for all.
    param: Option<&'static SearchParam>,
    /// Only to this type.
    target: Option<TypeId>,
    /// From what was brought in, too.
    iterate: bool,
    /// Against the direction of the references.
    reverse: bool,
}

impl Include {
    /// Whether a parameter is one, with whatever modifier.
    pub(crate) fn is_one(name: &str) -> bool {
        let code = name.split_once(':').map_or(name, |(code, _)| code);
        matches!(code, "_include" | "_revinclude")
    }

    /// Reads one; `types` are those searched.
    pub(crate) fn parse(
        clauses: &Clauses<'_>,
        types: &[TypeId],
        name: &str,
        value: &str,
    ) -> Result<Self, QueryError> {
        const FORM: &str =
            "give Type:parameter, Type:parameter:Target, Type:* or *, as in Observation:subject";
        let (code, suffix) = name.split_once(':').unwrap_or((name, ""));
        let iterate = match suffix {
            "" => false,
            "iterate" => true,
            _ => return Err(malformed(name, "the only modifier is :iterate")),
        };
        let app = clauses.app;
        let definitions = app.definitions();
        let mut include = Self {
            source: None,
            param: None,
            target: None,
            iterate,
            reverse: code == "_revinclude",
        };
        if value != "*" {
            let mut parts = value.split(':');
            let (source, param, target) = (parts.next(), parts.next(), parts.next());
            let (Some(source), Some(param), None) = (source, param, parts.next()) else {
                return Err(malformed(name, FORM));
            };
            let ty = |text: &str| {
                definitions
                    .resource(text)
                    .ok_or_else(|| malformed(name, format!("there is no type {}", cut(text))))
            };
            let source = ty(source)?;
            include.source = Some(source);
            include.target = target.map(ty).transpose()?;
            if param != "*" {
                include.param = Some(reference(clauses, source, param, name)?);
            }
        }
        include.check(app, types, name)?;
        Ok(include)
    }

    /// Refuses one that could never bring anything in: most likely something else was meant.
    fn check(&self, app: &App, types: &[TypeId], name: &str) -> Result<(), QueryError> {
        if let (Some(param), Some(target)) = (self.param, self.target)
            && !points_to(param, target)
        {
            return Err(malformed(
                name,
                format!(
                    "{} does not point to {}",
                    param.code,
                    app.definitions().resource_name(target)
                ),
            ));
        }
        if self.iterate {
            return Ok(());
        }
        let meets = if self.reverse {
            let hit = |param: &SearchParam| types.iter().any(|ty| points_to(param, *ty));
            self.target.is_none_or(|target| types.contains(&target)) && self.param.is_none_or(hit)
        } else {
            self.source.is_none_or(|source| types.contains(&source))
        };
        if meets {
            Ok(())
        } else {
            Err(malformed(
                name,
                "it begins at a type that is not searched: use :iterate where it follows another one",
            ))
        }
    }

    /// The reference parameters of a source type that it follows.
    fn params(&self, app: &App, source: TypeId) -> Vec<&'static SearchParam> {
        if self.source.is_some_and(|own| own != source) {
            return Vec::new();
        }
        match self.param {
            Some(param) => vec![param],
            None => app
                .definitions()
                .search_params(source)
                .iter()
                .filter(|param| param.kind == ParamKind::Reference)
                .collect(),
        }
    }
}

fn reference(
    clauses: &Clauses<'_>,
    source: TypeId,
    code: &str,
    name: &str,
) -> Result<&'static SearchParam, QueryError> {
    let param = clauses.param(source, code)?;
    if param.kind == ParamKind::Reference {
        Ok(param)
    } else {
        Err(malformed(
            name,
            format!(
                "{code} is no reference: it is a {} parameter",
                param.kind.code()
            ),
        ))
    }
}

/// What was brought in.
#[derive(Debug, Default)]
pub(crate) struct Included {
    /// Each once, none of them a match.
    pub versions: Vec<StoredVersion>,
    /// What the caller is told about it.
    pub notices: Vec<Issue>,
    /// On what each type's searches rest, for the entries.
    pub allowed: BTreeMap<TypeId, Allowed>,
}

/// Brings in what a page's includes ask for, of at most about so many bytes.
pub(crate) async fn collect(
    app: &App,
    caller: &Caller,
    includes: &[Include],
    matches: &[StoredVersion],
    bytes: usize,
) -> Result<Included, AppError> {
    let mut collector = Collector {
        app,
        caller,
        seen: matches.iter().map(|version| version.key.clone()).collect(),
        shown: matches
            .iter()
            .map(|version| (version.key.clone(), version.version))
            .collect(),
        out: Included::default(),
        bytes,
        searches: app.settings().limits.include_searches,
        full: false,
    };
    if includes.is_empty() || matches.is_empty() {
        return Ok(collector.out);
    }
    let iterating: Vec<Include> = includes.iter().copied().filter(|one| one.iterate).collect();
    let mut fresh = collector.round(includes, matches).await?;
    let most = app.settings().limits.include_rounds;
    for _ in 1..most {
        if fresh.is_empty() || iterating.is_empty() || collector.full {
            break;
        }
        fresh = collector.round(&iterating, &fresh).await?;
    }
    if collector.full && collector.searches == 0 {
        collector.notice(format!(
            "not everything that _include or _revinclude ask for is in this answer: it takes more than {} searches; name the types and parameters, or ask for fewer matches (_count)",
            app.settings().limits.include_searches
        ));
    } else if collector.full {
        collector.notice(format!(
            "not everything that _include or _revinclude ask for is in this answer: it ends at {} resources or {bytes} bytes; ask for fewer matches (_count)",
            app.settings().limits.included
        ));
    } else if !fresh.is_empty() && !iterating.is_empty() {
        let more = collector.round(&iterating, &fresh).await?;
        if !more.is_empty() || collector.full {
            collector.notice(format!(
                "_include:iterate went {most} steps far, and there may be more"
            ));
        }
    }
    Ok(collector.out)
}

/// Whether a value is a canonical with a version of a URL.
fn is_version_of(value: &IndexValue<'_>, url: &str) -> bool {
    match value {
        IndexValue::Reference {
            target: RefTarget::Absolute(other),
        } => other
            .strip_prefix(url)
            .is_some_and(|rest| rest.starts_with('|')),
        _ => false,
    }
}

/// What some sources point to.
#[derive(Default)]
struct Wanted {
    current: BTreeSet<ResourceKey>,
    versions: BTreeSet<(ResourceKey, VersionId)>,
    /// By the types that a canonical may name.
    canonicals: BTreeMap<TypeId, BTreeSet<String>>,
}

impl Wanted {
    fn add(
        &mut self,
        definitions: &Definitions,
        param: ParamId,
        target: &RefTarget<'_>,
        only: Option<TypeId>,
        versions: &Versions,
    ) {
        match target {
            RefTarget::Local { ty, id } if only.is_none_or(|only| only == *ty) => {
                let Ok(id) = id.parse::<LogicalId>() else {
                    return;
                };
                let key = ResourceKey { ty: *ty, id };
                let named = versions.0.get(&key);
                if named.is_none_or(|named| named.current) {
                    self.current.insert(key.clone());
                }
                let named = named.into_iter().flat_map(|named| &named.versions);
                self.versions
                    .extend(named.map(|version| (key.clone(), *version)));
            }
            RefTarget::Absolute(url) => {
                for ty in canonical::types(definitions, param, only) {
                    self.canonicals
                        .entry(ty)
                        .or_default()
                        .insert(url.to_string());
                }
            }
            _ => {}
        }
    }

    fn by_type(&self) -> BTreeMap<TypeId, Vec<LogicalId>> {
        let mut found: BTreeMap<TypeId, Vec<LogicalId>> = BTreeMap::new();
        for key in &self.current {
            found.entry(key.ty).or_default().push(key.id.clone());
        }
        found
    }
}

/// How a document refers to resources: to what they are now, to versions, or both.
#[derive(Default)]
struct Versions(BTreeMap<ResourceKey, Named>);

#[derive(Default)]
struct Named {
    current: bool,
    versions: BTreeSet<VersionId>,
}

impl Versions {
    fn read(&mut self, definitions: &Definitions, value: Value<'_>) {
        match value.kind() {
            Kind::Array => {
                for item in value.items() {
                    self.read(definitions, item);
                }
            }
            Kind::Object => {
                for (name, member) in value.members() {
                    match member.as_str().filter(|_| name == "reference") {
                        Some(text) => self.add(definitions, &text),
                        None => self.read(definitions, member),
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, definitions: &Definitions, text: &str) {
        let Some((ty, id)) = local_reference(definitions, text) else {
            return;
        };
        let Ok(id) = id.parse() else { return };
        let named = self.0.entry(ResourceKey { ty, id }).or_default();
        match text.split_once("/_history/") {
            None => named.current = true,
            // One that is no number of a version is none of ours.
            Some((_, version)) => named.versions.extend(version.parse().map(VersionId)),
        }
    }
}

struct Collector<'a> {
    app: &'a App,
    caller: &'a Caller,
    /// Whose current version is there.
    seen: HashSet<ResourceKey>,
    /// Which versions are there.
    shown: HashSet<(ResourceKey, VersionId)>,
    out: Included,
    bytes: usize,
    /// Searches that may still be made.
    searches: usize,
    /// Nothing more is brought in: there is no room, or it takes too many searches.
    full: bool,
}

impl Collector<'_> {
    fn notice(&mut self, diagnostics: String) {
        self.out.notices.push(Issue {
            severity: Severity::Warning,
            code: "incomplete",
            expression: String::new(),
            diagnostics,
        });
    }

    /// One step from some resources; answers of what is new.
    async fn round(
        &mut self,
        includes: &[Include],
        sources: &[StoredVersion],
    ) -> Result<Vec<StoredVersion>, AppError> {
        let mut fresh = Vec::new();
        let forward: Vec<Include> = includes
            .iter()
            .copied()
            .filter(|one| !one.reverse)
            .collect();
        let wanted = self.pointed_to(&forward, sources)?;
        for (ty, ids) in wanted.by_type() {
            for chunk in ids.chunks(CHUNK) {
                let ids = chunk.iter().cloned().map(Predicate::Id).collect();
                self.search(ty, any_of(ids), &mut fresh).await?;
            }
        }
        for (ty, canonicals) in &wanted.canonicals {
            let named: Vec<Predicate> = canonicals
                .iter()
                .filter_map(|canonical| canonical::names(self.app.definitions(), *ty, canonical))
                .collect();
            for chunk in named.chunks(CHUNK) {
                self.search(*ty, any_of(chunk.to_vec()), &mut fresh).await?;
            }
        }
        for (key, version) in wanted.versions {
            self.version(key, version, &mut fresh).await?;
        }
        for include in includes.iter().filter(|one| one.reverse) {
            // Type by type: the keys of all types at once could be very many.
            for ty in self.pointing_types(include) {
                if self.full {
                    break;
                }
                let keys = self.pointing(include, ty, sources);
                for chunk in keys.chunks(CHUNK) {
                    self.search(ty, any_of(chunk.to_vec()), &mut fresh).await?;
                }
            }
        }
        Ok(fresh)
    }

    /// What the sources point to, without what is there already.
    fn pointed_to(
        &self,
        includes: &[Include],
        sources: &[StoredVersion],
    ) -> Result<Wanted, AppError> {
        let own = search_parameters::last_known(self.app, self.caller.scope.tenant());
        let definitions = self.app.definitions();
        let mut wanted = Wanted::default();
        for source in sources {
            let params: Vec<(&SearchParam, Option<TypeId>)> = includes
                .iter()
                .flat_map(|include| {
                    let params = include.params(self.app, source.key.ty);
                    params.into_iter().map(|param| (param, include.target))
                })
                .collect();
            let Some(body) = source.body.as_ref().filter(|_| !params.is_empty()) else {
                continue;
            };
            let document = Document::parse(body.to_vec(), &Limits::default())?;
            let mut extracted = extract(definitions, source.key.ty, document.root());
            let (values, _) = own.values(definitions, source.key.ty, document.root());
            extracted.values.extend(values);
            let mut versions = Versions::default();
            versions.read(definitions, document.root());
            for (id, value) in &extracted.values {
                let IndexValue::Reference { target } = value else {
                    continue;
                };
                // A canonical with a version is there without it, too.
                if let RefTarget::Absolute(url) = target
                    && extracted
                        .values
                        .iter()
                        .any(|(other, value)| other == id && is_version_of(value, url))
                {
                    continue;
                }
                for (_, only) in params.iter().filter(|(param, _)| param.id == *id) {
                    wanted.add(definitions, *id, target, *only, &versions);
                }
            }
        }
        wanted.current.retain(|key| !self.seen.contains(key));
        wanted.versions.retain(|of| !self.shown.contains(of));
        Ok(wanted)
    }

    /// The types that may point to something.
    fn pointing_types(&self, include: &Include) -> Vec<TypeId> {
        match include.source {
            Some(source) => vec![source],
            None => self.app.definitions().resource_types().collect(),
        }
    }

    /// What of a type would point to the sources.
    fn pointing(&self, include: &Include, ty: TypeId, sources: &[StoredVersion]) -> Vec<Predicate> {
        let mut keys = Vec::new();
        for param in include.params(self.app, ty) {
            let meant = sources.iter().filter(|source| {
                points_to(param, source.key.ty)
                    && include.target.is_none_or(|only| only == source.key.ty)
            });
            for url in meant.filter_map(|source| canonical::url(self.app.definitions(), source)) {
                keys.push(Predicate::Key {
                    param: param.id,
                    form: KeyForm::Url(url),
                });
            }
            keys.extend(
                sources
                    .iter()
                    .map(|source| &source.key)
                    .filter(|key| {
                        points_to(param, key.ty) && include.target.is_none_or(|only| only == key.ty)
                    })
                    .map(|key| Predicate::Key {
                        param: param.id,
                        form: KeyForm::Local(key.ty, key.id.clone()),
                    }),
            );
        }
        keys
    }

    /// Brings one version of a resource that the caller may find as it is now: one about the same patients,
    /// where the role sees some patients alone.
    async fn version(
        &mut self,
        key: ResourceKey,
        version: VersionId,
        fresh: &mut Vec<StoredVersion>,
    ) -> Result<(), AppError> {
        let mut all_of = vec![any_of(vec![Predicate::Id(key.id.clone())])];
        let narrowed = match narrow::reach(self.app, self.caller, key.ty) {
            Reach::All => false,
            Reach::Within(clause) => {
                all_of.push(clause);
                true
            }
            Reach::Nothing => return Ok(()),
        };
        match self.searches.checked_sub(1) {
            Some(left) if !self.full => self.searches = left,
            _ => {
                self.full = true;
                return Ok(());
            }
        }
        let plan = SearchPlan {
            types: vec![key.ty],
            all_of,
            sort: Vec::new(),
            count: 1,
            bytes: usize::MAX,
            rows: u64::MAX,
            after: None,
            total: Total::None,
        };
        let store = self.app.store();
        let page = store.search(&self.caller.scope, &plan).await?;
        let Some(current) = page.matches.into_iter().next() else {
            return Ok(());
        };
        if current.version == version {
            return self.keep(current, fresh).await;
        }
        let Some(found) = store.vread(&self.caller.scope, &key, version).await? else {
            return Ok(());
        };
        if found.body.is_none() {
            return Ok(());
        }
        let about = self.app.patients_of(self.caller, &found)?;
        if narrowed && about != self.app.patients_of(self.caller, &current)? {
            return Ok(());
        }
        // What it was before is read, not found: a search may be allowed where that is not.
        let ask = Ask::record(Interaction::Read, &found.key, &about);
        if !would_allow(self.app, self.caller, &ask).await? {
            return Ok(());
        }
        self.bring(found, fresh).await
    }

    /// Searches a type as the caller may, and keeps what is new.
    async fn search(
        &mut self,
        ty: TypeId,
        wanted: Clause,
        fresh: &mut Vec<StoredVersion>,
    ) -> Result<(), AppError> {
        let mut all_of = vec![wanted];
        match narrow::reach(self.app, self.caller, ty) {
            Reach::All => {}
            Reach::Within(clause) => all_of.push(clause),
            // Left out as if nothing were there: the matches were asked for, this was not by itself.
            Reach::Nothing => return Ok(()),
        }
        let most = self.app.settings().limits.included;
        let mut after = None;
        while !self.full {
            match self.searches.checked_sub(1) {
                Some(left) => self.searches = left,
                None => self.full = true,
            }
            if self.full {
                break;
            }
            let left = most.saturating_sub(self.out.versions.len());
            let plan = SearchPlan {
                types: vec![ty],
                all_of: all_of.clone(),
                sort: vec![Sort {
                    key: SortKey::Row,
                    descending: true,
                }],
                // One more than fits, to tell the end from a cut.
                count: u32::try_from(left + 1).unwrap_or(u32::MAX),
                bytes: self.bytes.max(1),
                rows: u64::MAX,
                after,
                total: Total::None,
            };
            let page = self.app.store().search(&self.caller.scope, &plan).await?;
            for version in page.matches {
                self.keep(version, fresh).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    async fn keep(
        &mut self,
        version: StoredVersion,
        fresh: &mut Vec<StoredVersion>,
    ) -> Result<(), AppError> {
        if self.seen.contains(&version.key) {
            return Ok(());
        }
        let key = version.key.clone();
        self.bring(version, fresh).await?;
        if !self.full {
            self.seen.insert(key);
        }
        Ok(())
    }

    async fn bring(
        &mut self,
        version: StoredVersion,
        fresh: &mut Vec<StoredVersion>,
    ) -> Result<(), AppError> {
        let name = (version.key.clone(), version.version);
        if self.full || self.shown.contains(&name) {
            return Ok(());
        }
        if self.bytes == 0 || self.out.versions.len() >= self.app.settings().limits.included {
            self.full = true;
            return Ok(());
        }
        self.shown.insert(name);
        let ty = version.key.ty;
        if !self.out.allowed.contains_key(&ty) {
            let ask = Ask::of_type(Interaction::Search, ty);
            let allowed = authorise(self.app, self.caller, &ask).await?;
            self.out.allowed.insert(ty, allowed);
        }
        let size = version.body.as_ref().map_or(0, bytes::Bytes::len);
        self.bytes = self.bytes.saturating_sub(size);
        fresh.push(version.clone());
        self.out.versions.push(version);
        Ok(())
    }
}
