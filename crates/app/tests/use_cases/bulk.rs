//! Bulk jobs that are begun again after a crash, and what an erasure leaves of them.

use std::time::Duration;

use app::bulk::{self, ExportLevel, ExportRequest, ImportRequest, InputSource, Status};
use app::{App, AppError, Caller, Settings};
use identity::{Interaction, Role, RoleAssignment, SystemTask, system_scope};
use kernel::TenantScope;
use serde_json::{Value, json};
use store::blob::Blobs;
use store::{DocExpected, DocKind, DocWrite};
use uuid::Uuid;

use crate::house::{House, observation, patient};

pub struct Jobs {
    pub house: House,
    pub program: Caller,
    pub files: Blobs,
    folder: tempfile::TempDir,
}

impl Jobs {
    async fn begin() -> Self {
        Self::begin_with(|_| {}).await
    }

    pub async fn begin_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let imports = folder.path().join("imports");
        std::fs::create_dir_all(imports.join("ash")).unwrap();
        let house = House::build_with(|settings| {
            settings.bulk.import_folder = Some(imports);
            settings.bulk.settle_ms = 0;
            change(settings);
        })
        .await;
        let files = Blobs::in_folder(&folder.path().join("files")).unwrap();
        let _ = house.app.clone().with_files(files.clone());
        let program = program(&house).await;
        Self {
            house,
            program,
            files,
            folder,
        }
    }

    fn scope(&self) -> TenantScope {
        system_scope(self.program.tenant.id, SystemTask::Jobs)
    }

    async fn paths(&self) -> Vec<String> {
        self.files.files(&self.scope(), "bulk").await.unwrap()
    }

    async fn export(&self) -> Uuid {
        let request = ExportRequest {
            level: ExportLevel::System,
            params: Vec::new(),
            lenient: false,
            url: "http://localhost/t/ash/fhir/$export".to_owned(),
        };
        let job = bulk::begin_export(&self.house.app, &self.program, &request)
            .await
            .unwrap();
        self.done(job).await;
        job
    }

    async fn import(&self, input: InputSource) -> Uuid {
        let request = ImportRequest {
            inputs: vec![(None, input)],
            url: "http://localhost/t/ash/fhir/$import".to_owned(),
        };
        let job = bulk::begin_import(&self.house.app, &self.program, request)
            .await
            .unwrap();
        self.done(job).await;
        job
    }

    pub async fn status(&self, job: Uuid) -> Result<Status, AppError> {
        bulk::status(&self.house.app, &self.program, &job.to_string()).await
    }

    async fn done(&self, job: Uuid) {
        for _ in 0..1500 {
            match self.status(job).await.unwrap() {
                Status::Done(_) => return,
                Status::Failed(why) => panic!("{why}"),
                Status::Going { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            bulk::resume_all(&self.house.app).await.unwrap();
        }
        panic!("the job did not end");
    }

    pub async fn stored(&self, job: Uuid) -> (Value, u32) {
        let id = format!("bulk-{job}");
        let store = &self.house.store;
        let doc = store.doc(&self.scope(), DocKind::Job, &id).await.unwrap();
        let doc = doc.unwrap();
        (serde_json::from_slice(&doc.body).unwrap(), doc.version)
    }

    /// As a crash leaves it that came before the first piece of work was noted; and done again.
    async fn again(&self, job: Uuid) {
        let (mut body, version) = self.stored(job).await;
        body["state"] = json!("going");
        body["ended"] = Value::Null;
        body["progress"] = json!({
            "steps": 0, "after": null, "files": 0, "open": [], "resources": 0, "bytes": 0,
        });
        let write = DocWrite {
            kind: DocKind::Job,
            id: format!("bulk-{job}"),
            expected: DocExpected::Version(version),
            body: Some(serde_json::to_vec(&body).unwrap()),
            time: self.house.app.now(),
            expires: None,
            lookups: Vec::new(),
        };
        self.house
            .store
            .operate(&self.scope(), vec![write])
            .await
            .unwrap();
        self.done(job).await;
    }

    async fn family(&self, id: &str) -> Value {
        let name = format!("Patient/{id}");
        let found = self.house.read(&self.program, &name).await.unwrap();
        found["name"][0]["family"].clone()
    }
}

async fn program(house: &House) -> Caller {
    let admin = house.admin("ash").await;
    let new = app::admin::clients::NewClient {
        name: "bulk engine".to_owned(),
        roles: vec![RoleAssignment::of(Role::IntegrationService)],
        scopes: vec![identity::Scope {
            types: identity::Types::All,
            interactions: identity::InteractionSet::ALL,
        }],
        operations: vec![Interaction::Export, Interaction::Import],
        jwks: Vec::new(),
    };
    let client = app::admin::clients::create(&house.app, &admin, new)
        .await
        .unwrap();
    let token = app::admin::tokens::NewToken {
        owner: identity::TokenOwner::Client(client.id),
        name: "test".to_owned(),
        scopes: None,
        days: 30,
    };
    let made = app::admin::tokens::create(&house.app, &admin, token)
        .await
        .unwrap();
    app::sign_in::bearer(&house.app, "ash", &made.text, house.context())
        .await
        .unwrap()
}

pub fn lines(resources: &[Value]) -> Vec<u8> {
    resources
        .iter()
        .flat_map(|resource| format!("{resource}\n").into_bytes())
        .collect()
}

#[tokio::test]
pub async fn a_block_that_was_loaded_before_a_crash_is_not_loaded_over_what_came_since() {
    let jobs = Jobs::begin().await;
    let file = jobs.folder.path().join("imports/ash/people.ndjson");
    let people = [patient("p1", "Ash"), patient("p2", "Birch")];
    std::fs::write(&file, lines(&people)).unwrap();
    let input = || InputSource::File("people.ndjson".to_owned());
    let job = jobs.import(input()).await;
    let newer = patient("p1", "Newer");
    jobs.house.put(&jobs.program, &newer).await.unwrap();
    jobs.again(job).await;
    assert_eq!(jobs.family("p1").await, "Newer");
    let (body, _) = jobs.stored(job).await;
    assert_eq!(body["progress"]["stored"], 2, "{body}");
    // The same where nothing was new the first time.
    jobs.house.put(&jobs.program, &people[0]).await.unwrap();
    let job = jobs.import(input()).await;
    let (body, _) = jobs.stored(job).await;
    assert_eq!(body["progress"]["unchanged"], 2, "{body}");
    jobs.house.put(&jobs.program, &newer).await.unwrap();
    jobs.again(job).await;
    assert_eq!(jobs.family("p1").await, "Newer");
}

#[tokio::test]
async fn small_types_are_written_together_and_counted_apart() {
    let jobs = Jobs::begin().await;
    for id in ["p1", "p2"] {
        let (house, caller) = (&jobs.house, &jobs.program);
        house.put(caller, &patient(id, "Ash")).await.unwrap();
        for number in 1..=3 {
            let body = observation(&format!("o{number}-{id}"), id);
            house.put(caller, &body).await.unwrap();
        }
    }
    let job = jobs.export().await;
    let Status::Done(manifest) = jobs.status(job).await.unwrap() else {
        panic!("it is done");
    };
    let mut files: Vec<(&str, u64)> = manifest
        .output
        .iter()
        .map(|file| (file.ty.as_str(), file.count))
        .collect();
    files.sort_unstable();
    assert_eq!(files, [("Observation", 6), ("Patient", 2)]);
    assert_eq!(jobs.paths().await.len(), 2);
    let (body, version) = jobs.stored(job).await;
    assert_eq!(body["progress"]["resources"], 8, "{body}");
    assert_eq!(body["progress"]["open"], json!([]), "{body}");
    // Written when it was begun and when it was done, not once for each type.
    assert_eq!(version, 2);
}

#[tokio::test]
pub async fn whoever_goes_on_with_an_export_writes_over_no_file_of_the_one_before() {
    let jobs = Jobs::begin().await;
    for id in ["p1", "p2"] {
        jobs.house
            .put(&jobs.program, &patient(id, "Ash"))
            .await
            .unwrap();
    }
    let job = jobs.export().await;
    let before = jobs.paths().await;
    assert!(!before.is_empty());
    jobs.again(job).await;
    let after = jobs.paths().await;
    assert_eq!(after.len(), 2 * before.len(), "{before:?} {after:?}");
    assert!(before.iter().all(|path| after.contains(path)));
}

#[tokio::test]
pub async fn no_copy_outlives_an_erasure_whatever_process_ends_before_it_is_through() {
    let jobs = Jobs::begin().await;
    let sent = lines(&[patient("p1", "Ash"), observation("o1", "p1")]);
    let import = jobs.import(InputSource::Lines(sent.into())).await;
    // It is dropped right behind the commit that says the import is done.
    let is_sent = |path: &String| path.contains("/2147483648/");
    let mut looks = 0;
    while jobs.paths().await.iter().any(is_sent) {
        looks += 1;
        assert!(looks < 500, "what was sent is kept");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let export = jobs.export().await;
    assert!(!jobs.paths().await.is_empty());
    // A process that cannot reach the files erases; so far as they are concerned it was killed.
    let (house, settings) = (&jobs.house, Settings::with_secret([9; 32]));
    let (clock, ids) = (house.clock.clone(), house.ids.clone());
    let other = App::new(house.store.clone(), clock, ids, settings).unwrap();
    let admin = house.admin("ash").await;
    let patient = "p1".parse().unwrap();
    app::erase::erase(&other, &admin, &patient, "request-1")
        .await
        .unwrap();
    bulk::sweep(&house.app, &jobs.scope()).await.unwrap();
    for job in [export, import] {
        let gone = jobs.status(job).await;
        assert!(matches!(gone, Err(AppError::NotFound { .. })), "{gone:?}");
    }
    assert_eq!(jobs.paths().await, Vec::<String>::new());
    // Once: what is exported afterwards stays.
    let export = jobs.export().await;
    bulk::sweep(&house.app, &jobs.scope()).await.unwrap();
    jobs.done(export).await;
}

#[tokio::test]
async fn those_who_run_the_house_see_how_far_a_job_is_and_stop_it_but_get_no_files() {
    let jobs = Jobs::begin().await;
    let (house, app) = (&jobs.house, &jobs.house.app);
    house
        .put(&jobs.program, &patient("p1", "Ash"))
        .await
        .unwrap();
    let job = jobs.export().await.to_string();
    let admin = house.admin("ash").await;
    let listed = bulk::overview(app, &admin, &job).await.unwrap();
    assert_eq!((listed.kind, listed.state), ("export", "done"));
    assert!(listed.resources >= 1 && listed.bytes > 0 && listed.files >= 1);
    let kept = app.settings().bulk.keep_s;
    assert_eq!(
        listed.expires,
        listed.ended.map(|ended| ended.plus_seconds(kept))
    );
    assert_eq!(bulk::list(app, &admin).await.unwrap(), [listed]);
    // The files are for the program that asked: a job of somebody else does not exist.
    let files = bulk::status(app, &admin, &job).await;
    assert!(matches!(files, Err(AppError::Denied { .. })), "{files:?}");
    // Neither the program's own nor a clinician's is the view of the whole house, nor another house's.
    let doctor = house.doctor().await;
    for other in [&jobs.program, &doctor] {
        let seen = bulk::overview(app, other, &job).await;
        assert!(matches!(seen, Err(AppError::Denied { .. })), "{seen:?}");
        let stopped = bulk::stop(app, other, &job).await;
        assert!(matches!(stopped, Err(AppError::Denied { .. })));
    }
    let birch = house.admin("birch").await;
    for id in [job.as_str(), "no-job"] {
        let foreign = bulk::overview(app, &birch, id).await;
        assert!(matches!(foreign, Err(AppError::NotFound { .. })), "{id}");
        let stopped = bulk::stop(app, &birch, id).await;
        assert!(matches!(stopped, Err(AppError::NotFound { .. })), "{id}");
    }
    assert!(matches!(
        bulk::status(app, &jobs.program, &job).await,
        Ok(Status::Done(_))
    ));
    bulk::stop(app, &admin, &job).await.unwrap();
    assert_eq!(jobs.paths().await, Vec::<String>::new());
    for gone in [
        bulk::overview(app, &admin, &job).await.map(drop),
        bulk::status(app, &jobs.program, &job).await.map(drop),
        bulk::stop(app, &admin, &job).await,
    ] {
        assert!(matches!(gone, Err(AppError::NotFound { .. })), "{gone:?}");
    }
    assert_eq!(bulk::list(app, &admin).await.unwrap(), []);
    let trail = house.trail("ash", app::Log::Access, 12).await;
    assert!(
        trail.iter().any(|line| line.starts_with("job success")),
        "{trail:?}"
    );
}
