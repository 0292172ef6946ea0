//! HTTP calls: what is refused before a byte leaves, and what is bounded after.

use std::time::Duration;

use connect::{ConnectError, Outbound as _};
use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use testkit::receiver::{Receiver, Reply};
use testkit::tls::TestCertificate;

use crate::setting::{Setting, post, told};

fn listed(receiver: &Receiver, words: &str) -> Vec<String> {
    vec![format!(
        "http://hooks.test:{} {words}",
        receiver.address().port()
    )]
}

fn named(receiver: &Receiver, path: &str) -> String {
    format!("http://hooks.test:{}{path}", receiver.address().port())
}

#[tokio::test]
async fn a_call_arrives_as_it_was_made_and_its_answer_comes_back() {
    let receiver = Receiver::start(|_, _| Reply {
        body: b"thanks".to_vec(),
        ..Reply::status(202)
    });
    let client = Setting::allowing(&listed(&receiver, "private")).client();
    let mut request = post(named(&receiver, "/in?x=1"), "{\"a\":1}");
    request.headers.push((
        HeaderName::from_static("authorization"),
        HeaderValue::from_static("Bearer secret-1"),
    ));
    assert!(!format!("{request:?}").contains("secret-1"));
    let answer = client.call(request).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (202, &b"thanks"[..])
    );
    let seen = receiver.wait_for(1);
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("POST", "/in?x=1")
    );
    assert_eq!(seen[0].header("authorization"), Some("Bearer secret-1"));
    assert_eq!(seen[0].text(), "{\"a\":1}");
}

#[tokio::test]
async fn nothing_is_called_that_is_not_listed() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let closed = Setting::allowing(&[]).client();
    let refused = closed.call(post(named(&receiver, "/"), "")).await;
    assert_eq!(refused.unwrap_err(), ConnectError::Off);
    let client = Setting::allowing(&listed(&receiver, "private")).client();
    for url in [
        receiver.url("/"),
        format!("http://hooks.test:{}/", receiver.address().port() ^ 1),
        format!("http://user@hooks.test:{}/", receiver.address().port()),
        format!("smtp://hooks.test:{}/", receiver.address().port()),
    ] {
        let refused = client.call(post(&url, "")).await.unwrap_err();
        assert!(refused.is_permanent(), "{url}: {refused}");
        assert!(client.permits(&url).is_err());
    }
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused_unless_the_entry_says_so() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    for address in [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "169.254.169.254",
        "::ffff:127.0.0.1",
    ] {
        let mut setting = Setting::allowing(&listed(&receiver, ""));
        setting.resolver = told(&[&[address]]);
        let client = setting.client();
        let refused = client.call(post(named(&receiver, "/"), "")).await;
        assert!(
            matches!(refused, Err(ConnectError::Inside { .. })),
            "{address}: {refused:?}"
        );
        assert!(client.reaches(&named(&receiver, "/")).await.is_err());
    }
    // A public address beside a private one does not launder it.
    let mut setting = Setting::allowing(&listed(&receiver, ""));
    setting.resolver = told(&[&["8.8.8.8", "127.0.0.1"]]);
    let refused = setting.client().call(post(named(&receiver, "/"), "")).await;
    assert!(matches!(refused, Err(ConnectError::Inside { .. })));
    // Link-local addresses stay closed even where private ones are open.
    let mut setting = Setting::allowing(&listed(&receiver, "private"));
    setting.resolver = told(&[&["169.254.169.254"]]);
    let refused = setting.client().call(post(named(&receiver, "/"), "")).await;
    assert!(matches!(refused, Err(ConnectError::Inside { .. })));
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_call_gains_nothing() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let mut setting = Setting::allowing(&listed(&receiver, ""));
    // First a public address, for the check; then this machine's, for the call.
    setting.resolver = told(&[&["8.8.8.8"], &["127.0.0.1"]]);
    let client = setting.client();
    client.reaches(&named(&receiver, "/")).await.unwrap();
    let refused = client.call(post(named(&receiver, "/"), "")).await;
    assert!(
        matches!(refused, Err(ConnectError::Inside { .. })),
        "{refused:?}"
    );
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let inner = Receiver::start(|_, _| Reply::status(200));
    let target = inner.url("/secret");
    let receiver = Receiver::start(move |_, _| Reply::status(307).with("location", &target));
    let client = Setting::allowing(&listed(&receiver, "private")).client();
    let answer = client.call(post(named(&receiver, "/"), "x")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 307);
    assert_eq!((receiver.seen().len(), inner.seen().len()), (1, 0));
}

#[tokio::test]
async fn time_and_sizes_are_bounded() {
    let receiver = Receiver::start(|request, _| match request.path.as_str() {
        "/slow" => Reply::status(200).after(Duration::from_secs(5)),
        "/large" => Reply {
            body: vec![b'x'; 5000],
            ..Reply::status(200)
        },
        _ => Reply {
            hang_up: true,
            ..Reply::status(200)
        },
    });
    let client = Setting::allowing(&listed(&receiver, "private")).client();
    let mut slow = post(named(&receiver, "/slow"), "");
    slow.deadline = Some(Duration::from_millis(200));
    let failed = client.call(slow).await.unwrap_err();
    assert!(matches!(failed, ConnectError::TimedOut { .. }), "{failed}");
    let failed = client.call(post(named(&receiver, "/large"), "")).await;
    assert!(matches!(failed, Err(ConnectError::AnswerTooLarge { .. })));
    let failed = client
        .call(post(named(&receiver, "/gone"), ""))
        .await
        .unwrap_err();
    assert!(matches!(failed, ConnectError::Protocol { .. }), "{failed}");
    assert!(!failed.is_permanent());
    let before = receiver.seen().len();
    let failed = client
        .call(post(named(&receiver, "/"), &"x".repeat(5000)))
        .await;
    assert!(matches!(failed, Err(ConnectError::RequestTooLarge { .. })));
    assert_eq!(receiver.seen().len(), before);
}

#[tokio::test]
async fn a_destination_that_keeps_failing_is_left_alone_for_a_while() {
    let receiver = Receiver::start(|_, before| Reply::status(if before < 5 { 503 } else { 200 }));
    let setting = Setting::allowing(&listed(&receiver, "private"));
    let client = setting.client();
    let call = || client.call(post(named(&receiver, "/"), ""));
    for _ in 0..5 {
        assert_eq!(call().await.unwrap().status.as_u16(), 503);
    }
    let resting = call().await.unwrap_err();
    assert!(matches!(resting, ConnectError::Resting { .. }), "{resting}");
    assert!(resting.is_before_sending());
    assert_eq!(receiver.seen().len(), 5);
    setting.clock.advance(31);
    assert_eq!(call().await.unwrap().status.as_u16(), 200);
    assert_eq!(call().await.unwrap().status.as_u16(), 200);
}

#[tokio::test]
async fn a_slow_destination_does_not_hold_up_another() {
    let slow = Receiver::start(|_, _| Reply::status(200).after(Duration::from_secs(3)));
    let quick = Receiver::start(|_, _| Reply::status(200));
    let mut entries = listed(&slow, "private");
    entries.extend(listed(&quick, "private"));
    let mut setting = Setting::allowing(&entries);
    // Places for all: as many as the slow destination may take, and one more.
    setting.limits.calls = 3;
    let client = std::sync::Arc::new(setting.client());
    for _ in 0..10 {
        let (client, url) = (client.clone(), named(&slow, "/"));
        tokio::spawn(async move { client.call(post(url, "")).await });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = tokio::time::timeout(
        Duration::from_secs(1),
        client.call(post(named(&quick, "/"), "")),
    );
    assert_eq!(answer.await.unwrap().unwrap().status.as_u16(), 200);
    assert_eq!(slow.seen().len(), 2);
}

#[tokio::test]
async fn certificates_are_checked_and_pins_beside_them() {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCertificate::for_names(&["hooks.test"]);
    let receiver = Receiver::start_tls(&certificate, |_, _| Reply::status(200));
    let port = receiver.address().port();
    let url = format!("https://hooks.test:{port}/");
    let pin = |bytes: &[u8]| {
        let digest = Sha256::digest(bytes);
        base64::engine::general_purpose::STANDARD.encode(digest)
    };
    let own = pin(certificate.public_key());
    for (words, trusted, works) in [
        (String::new(), true, true),
        (String::new(), false, false),
        (format!("pin=sha256/{own}"), true, true),
        (format!("pin=sha256/{}", pin(b"another")), true, false),
        (
            format!("pin=sha256/{} pin=sha256/{own}", pin(b"next")),
            true,
            true,
        ),
        (format!("pin=sha256/{own}"), false, false),
    ] {
        let entry = format!("https://hooks.test:{port} private {words}");
        let mut setting = Setting::allowing(std::slice::from_ref(&entry));
        setting.roots = Some(if trusted {
            certificate.write_into(folder.path())
        } else {
            TestCertificate::for_names(&["other.test"]).write_into(folder.path())
        });
        let answer = setting.client().call(post(&url, "")).await;
        assert_eq!(answer.is_ok(), works, "{entry} {trusted}: {answer:?}");
        if let Err(error) = answer {
            assert!(matches!(error, ConnectError::Untrusted { .. }), "{error}");
        }
    }
}
