//! Imports of files that lie on other servers: fetched in ranges, gone on with after failures, held to the
//! egress allow list and to one state of the file.

use std::sync::Arc;
use std::time::Duration;

use app::bulk::{self, ImportRequest, InputSource, Status};
use app::{App, AppError, Settings};
use connect::{Client, ClientSettings, EgressPolicy, Limits, SystemResolver};
use serde_json::Value;
use testkit::receiver::{Received, Receiver, Reply};
use uuid::Uuid;

use crate::bulk::{Jobs, lines};
use crate::house::{House, patient};

fn file(count: usize) -> Vec<u8> {
    let all: Vec<Value> = (0..count)
        .map(|n| patient(&format!("p{n:02}"), "Ash"))
        .collect();
    lines(&all)
}

fn range(asked: &Received) -> Option<(usize, usize)> {
    let (first, last) = asked
        .header("range")?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// What a server that knows ranges answers.
fn part(file: &[u8], asked: &Received, tag: &str) -> Reply {
    let (first, last) = range(asked).unwrap();
    let last = last.min(file.len() - 1);
    let mut reply = Reply::status(206)
        .with(
            "content-range",
            &format!("bytes {first}-{last}/{}", file.len()),
        )
        .with("etag", tag);
    reply.body = file[first..=last].to_vec();
    reply
}

pub fn outbound(house: &House, allow: &str) -> Arc<Client> {
    let settings = ClientSettings {
        policy: EgressPolicy::parse([allow]).unwrap(),
        limits: Limits {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(1),
            ..Limits::default()
        },
        root_certificates: None,
        mail: None,
    };
    let client = Client::new(settings, Arc::new(SystemResolver), house.clock.clone());
    Arc::new(client.unwrap())
}

/// Jobs in small pieces, and the way to a server.
async fn reaching(server: &Receiver) -> Jobs {
    let jobs = Jobs::begin_with(|settings| settings.bulk.chunk_bytes = 150).await;
    let allow = format!(
        "http://127.0.0.1:{} private import",
        server.address().port()
    );
    let client = outbound(&jobs.house, &allow);
    let _ = jobs.house.app.clone().reaching_out(client);
    jobs
}

async fn begin(jobs: &Jobs, url: &str) -> Result<Uuid, AppError> {
    let request = ImportRequest {
        inputs: vec![(Some("Patient".to_owned()), InputSource::Url(url.to_owned()))],
        url: "http://localhost/t/ash/fhir/$import".to_owned(),
    };
    bulk::begin_import(&jobs.house.app, &jobs.program, request).await
}

/// Why it failed; `None` when it is done.
async fn ended(jobs: &Jobs, app: &App, job: Uuid) -> Option<String> {
    for _ in 0..1000 {
        match jobs.status(job).await.unwrap() {
            Status::Done(_) => return None,
            Status::Failed(why) => return Some(why),
            Status::Going { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        bulk::resume_all(app).await.unwrap();
    }
    panic!("the job did not end");
}

async fn counts(jobs: &Jobs, job: Uuid) -> (u64, u64) {
    let progress = jobs.stored(job).await.0["progress"].clone();
    let count = |name: &str| progress[name].as_u64().unwrap();
    (count("stored"), count("unchanged"))
}

#[tokio::test]
async fn a_file_elsewhere_is_read_in_ranges_and_again_after_a_failure() {
    let server = Receiver::start(|asked, number| match number {
        2 => Reply::status(503),
        _ => part(&file(12), asked, "\"a\""),
    });
    let jobs = reaching(&server).await;
    let job = begin(&jobs, &server.url("/p.ndjson?key=s3cret"))
        .await
        .unwrap();
    assert_eq!(ended(&jobs, &jobs.house.app, job).await, None);
    assert_eq!(counts(&jobs, job).await, (12, 0));
    let seen = server.seen();
    assert!(seen.len() > 5, "{}", seen.len());
    let ranges: Vec<_> = seen.iter().map(|one| range(one).unwrap()).collect();
    assert_eq!(ranges.iter().filter(|(first, _)| *first == 0).count(), 1);
    assert!(ranges.is_sorted(), "{ranges:?}");
    assert!(ranges.iter().all(|(first, last)| last - first < 150));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    // Again: nothing changes.
    let again = begin(&jobs, &server.url("/p.ndjson")).await.unwrap();
    assert_eq!(ended(&jobs, &jobs.house.app, again).await, None);
    assert_eq!(counts(&jobs, again).await, (0, 12));
}

#[tokio::test]
pub async fn another_replica_goes_on_where_one_was_stopped() {
    // The first replica hangs at the fourth piece.
    let server = Receiver::start(|asked, number| {
        let reply = part(&file(12), asked, "\"a\"");
        match number {
            3 => reply.after(Duration::from_secs(30)),
            _ => reply,
        }
    });
    let jobs = reaching(&server).await;
    let job = begin(&jobs, &server.url("/p.ndjson")).await.unwrap();
    for _ in 0..500 {
        if server.seen().len() > 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let house = &jobs.house;
    let mut settings = Settings::with_secret([9; 32]);
    settings.bulk.chunk_bytes = 150;
    let other = App::new(
        house.store.clone(),
        house.clock.clone(),
        house.ids.clone(),
        settings,
    );
    let allow = format!(
        "http://127.0.0.1:{} private import",
        server.address().port()
    );
    let other = other
        .unwrap()
        .with_files(jobs.files.clone())
        .reaching_out(outbound(house, &allow));
    house.clock.advance(120);
    assert_eq!(ended(&jobs, &other, job).await, None);
    assert_eq!(counts(&jobs, job).await, (12, 0));
    let seen = server.seen();
    let firsts = seen.iter().filter(|one| range(one).unwrap().0 == 0);
    assert_eq!(firsts.count(), 1, "it began again");
}

#[tokio::test]
async fn a_server_without_ranges_gives_the_whole_file() {
    let server = Receiver::start(|_, _| {
        let mut reply = Reply::status(200);
        reply.body = file(5);
        reply
    });
    let jobs = reaching(&server).await;
    let job = begin(&jobs, &server.url("/p.ndjson")).await.unwrap();
    assert_eq!(ended(&jobs, &jobs.house.app, job).await, None);
    assert_eq!((counts(&jobs, job).await, server.seen().len()), ((5, 0), 1));
}

#[tokio::test]
async fn what_cannot_be_fetched_ends_the_job_with_its_reason() {
    let server = Receiver::start(|asked, number| match asked.path.as_str() {
        "/changed" => part(&file(9), asked, if number == 0 { "\"a\"" } else { "\"b\"" }),
        "/moved" => Reply::status(302).with("location", "http://127.0.0.1:1/"),
        "/wrong" => Reply::status(206).with("content-range", "bytes 7-9/10"),
        _ => Reply::status(404),
    });
    let jobs = reaching(&server).await;
    for (path, says) in [
        ("/changed", "changed while it was imported"),
        ("/moved", "redirects are not followed"),
        ("/wrong", "another range"),
        ("/gone?key=s3cret", "404"),
    ] {
        let job = begin(&jobs, &server.url(path)).await.unwrap();
        let why = ended(&jobs, &jobs.house.app, job).await.unwrap();
        assert!(
            why.contains(says) && !why.contains("s3cret"),
            "{path}: {why}"
        );
    }
    for (url, says) in [
        ("http://10.0.0.1/p.ndjson", "egress"),
        ("http://169.254.169.254/latest", "egress"),
        ("ftp://127.0.0.1/p.ndjson", "https://"),
        ("not an address", "no address"),
    ] {
        let refused = begin(&jobs, url).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{url}: {refused}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_where_their_entry_does_not_say_so() {
    let server = Receiver::start(|asked, _| part(&file(2), asked, "\"a\""));
    let jobs = Jobs::begin_with(|_| {}).await;
    let allow = format!("http://127.0.0.1:{} import", server.address().port());
    let client = outbound(&jobs.house, &allow);
    let _ = jobs.house.app.clone().reaching_out(client);
    let why = match begin(&jobs, &server.url("/p.ndjson")).await {
        Err(error) => error.to_string(),
        Ok(job) => ended(&jobs, &jobs.house.app, job).await.unwrap(),
    };
    assert!(why.contains("not a public address"), "{why}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn servers_that_are_listed_for_calls_alone_are_refused() {
    let server = Receiver::start(|asked, _| part(&file(2), asked, "\"a\""));
    let jobs = Jobs::begin_with(|_| {}).await;
    let allow = format!("http://127.0.0.1:{} private", server.address().port());
    let client = outbound(&jobs.house, &allow);
    let _ = jobs.house.app.clone().reaching_out(client);
    let refused = begin(&jobs, &server.url("/p.ndjson")).await.unwrap_err();
    assert!(refused.to_string().contains("the word import"), "{refused}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_trickles_or_pauses_holds_no_place_for_ever() {
    let clock: Arc<std::sync::OnceLock<Arc<testkit::clock::FixedClock>>> = Arc::default();
    let own = clock.clone();
    let server = Receiver::start(move |asked, number| {
        let wait = |seconds| own.get().map(|clock| clock.advance(seconds));
        match asked.path.as_str() {
            "/trickles" => {
                wait(25 * 3_600);
                let mut reply = part(&file(1), asked, "\"a\"");
                reply.body.truncate(1);
                let first = range(asked).unwrap().0;
                let length = file(1).len();
                reply.with("content-range", &format!("bytes {first}-{first}/{length}"))
            }
            // Hours between its pieces, and a failure after more than a day.
            _ if number % 2 == 1 => Reply::status(503),
            _ => {
                wait(20 * 3_600);
                part(&file(4), asked, "\"a\"")
            }
        }
    });
    let jobs = reaching(&server).await;
    let _ = clock.set(jobs.house.clock.clone());
    let job = begin(&jobs, &server.url("/pauses")).await.unwrap();
    assert_eq!(ended(&jobs, &jobs.house.app, job).await, None);
    assert_eq!(counts(&jobs, job).await, (4, 0));
    let job = begin(&jobs, &server.url("/trickles")).await.unwrap();
    let why = ended(&jobs, &jobs.house.app, job).await.unwrap();
    assert!(why.contains("too little at a time"), "{why}");
}
