//! Signing in and out, forged forms, codes, forced password changes, colours, headers.

#![expect(
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use axum::http::Method;

use crate::browser::Browser;
use crate::house::{House, PASSWORD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_and_out() {
    let house = House::build().await;
    let mut browser = Browser::new(house.router.clone());
    let front = browser.get("/").await;
    assert_eq!((front.status, front.location()), (303, "/sign-in"));
    let answer = browser.sign_in("ash", "doctor", PASSWORD).await;
    assert_eq!((answer.status, answer.location()), (303, "/t/ash/"));
    assert!(
        browser
            .cookies
            .contains_key(&("/t/ash".to_owned(), "theriac_session".to_owned()))
    );
    let today = browser.get("/t/ash/").await;
    assert_eq!(today.status, 200);
    assert!(today.body.contains("<h1>Today</h1>"));
    let out = browser.submit("/t/ash/", "/t/ash/sign-out", &[]).await;
    assert_eq!((out.status, out.location()), (303, "/sign-in"));
    let gone = browser.get("/t/ash/").await;
    assert_eq!(
        (gone.status, gone.location()),
        (303, "/sign-in?next=/t/ash/")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_name_and_organisation_look_the_same() {
    let house = House::build().await;
    let mut seen = Vec::new();
    for (slug, name, password) in [
        ("ash", "doctor", "wrong password here"),
        ("ash", "nobody", PASSWORD),
        ("oak", "doctor", PASSWORD),
        ("instance", "x", PASSWORD),
    ] {
        let mut browser = Browser::new(house.router.clone());
        let fields = [("tenant", slug), ("user", name), ("password", password)];
        let answer = browser.submit("/sign-in", "/sign-in", &fields).await;
        assert!(!answer.body.contains(password));
        let shown = answer
            .comparable()
            .replace(&format!("value=\"{slug}\""), "")
            .replace(&format!("value=\"{name}\""), "");
        seen.push((answer.status, shown));
    }
    assert_eq!(seen[0].0, 401);
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_forms_do_nothing() {
    let house = House::build().await;
    let mut outside = Browser::new(house.router.clone());
    let page = outside.get("/sign-in").await;
    let token = page.hidden("csrf");
    for (csrf, headers) in [
        ("", vec![]),
        (
            "0000000000000000000000000000000000000000000000000000000000000000",
            vec![],
        ),
        (token.as_str(), vec![("sec-fetch-site", "cross-site")]),
        (token.as_str(), vec![("origin", "https://evil.example")]),
    ] {
        let body = format!("csrf={csrf}&tenant=ash&user=doctor&password=quartz+lantern+meadow");
        let answer = outside.send(Method::POST, "/sign-in", &headers, body).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(
            !outside
                .cookies
                .keys()
                .any(|(_, name)| name == "theriac_session")
        );
    }
    let mut admin = house.signed_in("ash", "admin").await;
    let mut other = house.signed_in("ash", "auditor").await;
    let foreign = other.get("/t/ash/").await.hidden("csrf");
    for csrf in ["", "nonsense", foreign.as_str()] {
        let answer = admin
            .post(
                "/t/ash/branches",
                &[("csrf", csrf), ("name", "Forged"), ("kind", "ward")],
            )
            .await;
        assert_eq!(answer.status, 403, "{csrf}");
    }
    assert!(!admin.get("/t/ash/branches").await.body.contains("Forged"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_the_headers() {
    let house = House::build().await;
    let mut browser = house.signed_in("ash", "doctor").await;
    for path in [
        "/sign-in",
        "/t/ash/",
        "/t/ash/patients/ash-p1",
        "/t/ash/patients/none",
        "/nowhere",
    ] {
        let answer = browser.get(path).await;
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let page = browser.get("/t/ash/").await;
    let css = page
        .body
        .split("<link rel=\"stylesheet\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let answer = browser.get(&css).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/css; charset=utf-8")
    );
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_signing_in_one_goes_where_one_wanted_but_nowhere_else() {
    let house = House::build().await;
    for (next, to) in [
        ("/t/ash/patients?name=Smith", "/t/ash/patients?name=Smith"),
        ("/t/birch/patients", "/t/ash/"),
        ("//evil.example/", "/t/ash/"),
        ("https://evil.example/", "/t/ash/"),
        ("/t/ash\r\nX: y", "/t/ash/"),
    ] {
        let mut browser = Browser::new(house.router.clone());
        let fields = [
            ("tenant", "ash"),
            ("user", "doctor"),
            ("password", PASSWORD),
            ("next", next),
        ];
        let answer = browser.submit("/sign-in", "/sign-in", &fields).await;
        assert_eq!((answer.status, answer.location()), (303, to));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_time_codes_are_set_up_and_asked_for() {
    let house = House::build().await;
    let mut browser = house.signed_in("ash", "doctor").await;
    let enrolling = browser
        .submit("/t/ash/account", "/t/ash/account/codes", &[])
        .await;
    assert_eq!(enrolling.status, 200);
    assert!(enrolling.body.contains("class=\"qr\"") && enrolling.body.contains("otpauth://totp/"));
    let typed = enrolling
        .body
        .split("Type this key into the app: <code class=\"secret-value\">")
        .nth(1)
        .unwrap();
    let typed: String = typed
        .split('<')
        .next()
        .unwrap()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let bytes = data_encoding::BASE32_NOPAD
        .decode(typed.to_ascii_uppercase().as_bytes())
        .unwrap();
    let secret = identity::SecretBytes::new(<[u8; 20]>::try_from(bytes).unwrap());
    let code = identity::totp::code_at(&secret, house.app.now());
    let csrf = enrolling.hidden("csrf");
    let wrong = browser
        .post(
            "/t/ash/account/codes/confirm",
            &[("csrf", &csrf), ("code", "000000")],
        )
        .await;
    assert_eq!(wrong.status, 401);
    let done = browser
        .post(
            "/t/ash/account/codes/confirm",
            &[("csrf", &csrf), ("code", &code)],
        )
        .await;
    assert!(
        done.status == 200 && done.body.contains("Recovery codes"),
        "{}",
        done.body
    );
    house.clock.advance(31);
    let mut again = Browser::new(house.router.clone());
    let first = again.sign_in("ash", "doctor", PASSWORD).await;
    assert_eq!(
        (first.status, first.location()),
        (303, "/t/ash/sign-in/code?")
    );
    // The password alone opens nothing.
    let held = again.get("/t/ash/patients").await;
    assert_eq!((held.status, held.location()), (303, "/t/ash/sign-in/code"));
    let refused = again
        .submit(
            "/t/ash/sign-in/code",
            "/t/ash/sign-in/code",
            &[("code", "123456")],
        )
        .await;
    assert_eq!(refused.status, 401);
    let code = identity::totp::code_at(&secret, house.app.now());
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let through = again
        .submit(
            "/t/ash/sign-in/code",
            "/t/ash/sign-in/code",
            &[("code", &spaced)],
        )
        .await;
    assert_eq!((through.status, through.location()), (303, "/t/ash/"));
    assert_eq!(again.get("/t/ash/patients").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_colour_is_kept() {
    let house = House::build().await;
    let mut browser = house.signed_in("ash", "doctor").await;
    let fields = [("theme", "dark"), ("back", "/t/ash/patients")];
    let answer = browser
        .submit("/t/ash/patients", "/t/ash/theme", &fields)
        .await;
    assert_eq!((answer.status, answer.location()), (303, "/t/ash/patients"));
    assert!(
        browser
            .get("/t/ash/patients")
            .await
            .body
            .contains("data-theme=\"dark\"")
    );
    assert!(
        browser
            .get("/sign-in")
            .await
            .body
            .contains("data-theme=\"dark\"")
    );
    let outside = browser
        .submit(
            "/sign-in",
            "/theme",
            &[("theme", "light"), ("back", "//evil.example")],
        )
        .await;
    assert_eq!((outside.status, outside.location()), (303, "/"));
    assert!(
        browser
            .get("/t/ash/")
            .await
            .body
            .contains("data-theme=\"light\"")
    );
}
