//! A small clinic in motion: builds resources, changes and entries for the cases.

use std::sync::Arc;

use fhir::json::{Document, Limits};
use fhir::search::{Modifier, extract, parse_query_value, split_alternatives, words};
use fhir::{Definitions, TypeId};
use kernel::{
    Actor, ActorId, ActorKind, Clock, Ids, LogicalId, PurposeOfUse, TenantId, TenantScope,
    VersionId,
};
use ledger::leaf::Class;
use ledger::payload::{Payload, ResourceFacts};
use store::index::predicate;
use store::{
    Change, ChangeKind, Clause, CommitError, Entry, Expected, Head, Log, Receipt, ResourceKey,
    SearchPage, SearchPlan, Sort, SortKey, Store, TenantSpec, Total, Unit,
};
use testkit::clock::FixedClock;
use testkit::ids::SeededIds;

/// Clock, ids and a tenant.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<FixedClock>,
    pub ids: Arc<SeededIds>,
    pub scope: TenantScope,
}

/// Newest created first.
pub const NEWEST: Sort = Sort {
    key: SortKey::Row,
    descending: true,
};

impl World {
    pub fn new() -> Self {
        Self::of_tenant(1)
    }

    pub fn of_tenant(number: u128) -> Self {
        Self {
            scope: scope(number),
            ..Self::of_seed(7)
        }
    }

    /// Tenant 1 with ids of their own: what another process would make.
    pub fn of_seed(seed: u64) -> Self {
        let clock = Arc::new(FixedClock::default());
        let ids = Arc::new(SeededIds::new(seed, Arc::clone(&clock) as Arc<dyn Clock>));
        Self {
            clock,
            ids,
            scope: scope(1),
        }
    }

    /// The same clock and ids in another tenant.
    pub fn beside(&self, number: u128) -> Self {
        Self {
            scope: scope(number),
            ..self.clone()
        }
    }

    pub async fn found(&self, store: &dyn Store) {
        let spec = TenantSpec {
            tenant: self.scope.tenant(),
            dedicated: None,
        };
        store
            .create_tenant(&self.scope, &spec)
            .await
            .expect("the tenant is made");
    }

    pub fn entry(&self, log: Log, class: Class, subject: Option<&str>) -> Entry {
        let actor = Actor {
            id: ActorId::from_uuid(uuid::Uuid::from_u128(0xac)),
            kind: ActorKind::User,
            name: "Ada Quinn".to_owned(),
            role: "nurse".to_owned(),
            branch: None,
        };
        let mut payload = Payload::new(&actor, class.as_str(), PurposeOfUse::Treatment);
        payload.patient = subject.map(str::to_owned);
        let mut entry = Entry::new(self.ids.uuid(), self.clock.now(), log, class, payload);
        entry.subject = subject.map(id);
        entry
    }

    /// The change that makes `json` the next version after `head`.
    pub fn change(&self, store: &dyn Store, json: &str, head: Option<Head>) -> Change {
        let document = Document::parse(json.as_bytes().to_vec(), &Limits::default())
            .expect("test resources parse");
        let root = document.root();
        let definitions = Definitions::r4();
        let ty = ty(&root.get_str("resourceType").expect("a resource type"));
        let key = ResourceKey {
            ty,
            id: id(&root.get_str("id").expect("an id")),
        };
        let mut extracted = extract(definitions, ty, root);
        extracted.words = words(root);
        extracted.words.add_order(root);
        let index = store
            .pack_index(&self.scope, ty, &extracted)
            .expect("packs");
        let subject = match extracted.patients.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
        let (kind, class) = match head {
            Some(head) if !head.is_deleted() => (ChangeKind::Update, Class::Update),
            _ => (ChangeKind::Create, Class::Create),
        };
        self.version(
            key,
            head,
            kind,
            class,
            json.as_bytes().to_vec(),
            index,
            subject,
        )
    }

    pub fn deletion(&self, key: &ResourceKey, head: Head, subject: Option<&str>) -> Change {
        let index = store::index::PackedIndex::default();
        self.version(
            key.clone(),
            Some(head),
            ChangeKind::Delete,
            Class::Delete,
            Vec::new(),
            index,
            subject.map(id),
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one place that fills in a change"
    )]
    fn version(
        &self,
        key: ResourceKey,
        head: Option<Head>,
        kind: ChangeKind,
        class: Class,
        body: Vec<u8>,
        index: store::index::PackedIndex,
        subject: Option<LogicalId>,
    ) -> Change {
        let version_row = self.ids.row_id();
        let version = head.map_or(VersionId::FIRST, |head| head.version.next());
        let mut entry = self.entry(Log::Changes, class, subject.as_ref().map(LogicalId::as_str));
        entry.object = Some((key.clone(), Some(version)));
        entry.payload.resource = Some(ResourceFacts {
            ty: Definitions::r4().resource_name(key.ty).into(),
            id: Some(key.id.as_str().to_owned()),
            version: Some(version.0),
        });
        Change {
            key,
            expected: head.map_or(Expected::Absent, |head| Expected::Version(head.version)),
            row: head.map_or(version_row, |head| head.row),
            version,
            version_row,
            kind,
            body,
            index,
            subject,
            entry,
        }
    }

    pub async fn head(&self, store: &dyn Store, key: &ResourceKey) -> Option<Head> {
        store
            .heads(&self.scope, std::slice::from_ref(key))
            .await
            .expect("heads")
            .pop()
            .flatten()
    }

    /// Stores resources in one unit, as next versions of whatever is there.
    pub async fn put(&self, store: &dyn Store, resources: &[&str]) -> Result<Receipt, CommitError> {
        let mut unit = Unit::default();
        for json in resources {
            let mut change = self.change(store, json, None);
            if let Some(head) = self.head(store, &change.key).await {
                change = self.change(store, json, Some(head));
            }
            unit.changes.push(change);
        }
        store.commit(&self.scope, unit).await
    }

    pub async fn delete(
        &self,
        store: &dyn Store,
        name: &str,
        subject: Option<&str>,
    ) -> Result<Receipt, CommitError> {
        let key = key(name);
        let head = self.head(store, &key).await.expect("something to delete");
        let unit = Unit {
            changes: vec![self.deletion(&key, head, subject)],
            ..Unit::default()
        };
        store.commit(&self.scope, unit).await
    }

    pub fn plan(&self, ty_name: &str, query: &str) -> SearchPlan {
        let ty = ty(ty_name);
        let all_of = query
            .split('&')
            .filter(|part| !part.is_empty())
            .map(|part| self.clause(ty, part))
            .collect();
        SearchPlan {
            types: vec![ty],
            all_of,
            sort: vec![NEWEST],
            count: 100,
            bytes: usize::MAX,
            rows: u64::MAX,
            after: None,
            total: Total::None,
        }
    }

    /// A clause from `code[:modifier]=value,value`.
    pub fn clause(&self, ty: TypeId, text: &str) -> Clause {
        let definitions = Definitions::r4();
        let (name, raw) = text.split_once('=').expect("name=value");
        let (code, modifier) = name.split_once(':').unwrap_or((name, ""));
        let param = definitions
            .search_param(ty, code)
            .unwrap_or_else(|| panic!("parameter {code}"));
        let modifier = Modifier::parse(definitions, modifier).expect("a modifier");
        let any_of = split_alternatives(raw)
            .into_iter()
            .flat_map(|raw| {
                let value =
                    parse_query_value(param, modifier, raw, self.clock.now()).expect("a value");
                predicate(param, &value).expect("a predicate")
            })
            .collect();
        Clause {
            negated: modifier == Modifier::Not,
            any_of,
        }
    }

    pub async fn search(&self, store: &dyn Store, ty_name: &str, query: &str) -> Vec<String> {
        ids_of(
            &store
                .search(&self.scope, &self.plan(ty_name, query))
                .await
                .expect("searches"),
        )
    }
}

pub fn ids_of(page: &SearchPage) -> Vec<String> {
    page.matches
        .iter()
        .map(|found| found.key.id.as_str().to_owned())
        .collect()
}

pub fn scope(number: u128) -> TenantScope {
    identity::system_scope(
        TenantId::from_uuid(uuid::Uuid::from_u128(number)),
        identity::SystemTask::Setup,
    )
}

pub fn ty(name: &str) -> TypeId {
    Definitions::r4()
        .resource(name)
        .unwrap_or_else(|| panic!("type {name}"))
}

pub fn id(text: &str) -> LogicalId {
    text.parse().expect("a logical id")
}

/// From `Type/id`.
pub fn key(name: &str) -> ResourceKey {
    let (kind, logical) = name.split_once('/').expect("Type/id");
    ResourceKey {
        ty: ty(kind),
        id: id(logical),
    }
}

pub fn patient(name: &str, family: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{name}","name":[{{"family":"{family}"}}],"gender":"female","birthDate":"1970-02-03"}}"#
    )
}

pub fn observation(name: &str, patient: &str, code: &str, value: &str, time: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{name}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"subject":{{"reference":"Patient/{patient}"}},"effectiveDateTime":"{time}","valueQuantity":{{"value":{value},"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}}}"#
    )
}
