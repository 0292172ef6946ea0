//! Passwords, locks, second steps, sessions, tokens, assertions.

use app::sign_in::{self, account};
use app::{AppError, Log, SignInError};
use identity::totp::{TotpSecret, code_at};
use identity::{Pending, Role, UserState};
use kernel::UserId;
use zeroize::Zeroizing;

use crate::house::{House, PASSWORD, patient};

async fn attempt(house: &House, name: &str, password: &str) -> Result<sign_in::SignedIn, AppError> {
    let password = Zeroizing::new(password.to_owned());
    sign_in::password(&house.app, "ash", name, password, house.context()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_begins_lives_and_ends() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let signed = attempt(&house, " DOCTOR ", PASSWORD).await.unwrap();
    assert_eq!(signed.pending, None);
    let live = sign_in::session(&house.app, "ash", &signed.cookie, house.context())
        .await
        .unwrap();
    assert_eq!(live.caller.subject.actor(), doctor.subject.actor());
    house
        .put(&live.caller, &patient("p1", "One"))
        .await
        .unwrap();
    let token = sign_in::form_token(&house.app, &live.session);
    assert!(sign_in::check_form(&live.session, &token).is_ok());
    assert!(sign_in::check_form(&live.session, &token[1..]).is_err());
    let elsewhere = sign_in::session(&house.app, "birch", &signed.cookie, house.context()).await;
    assert!(matches!(
        elsewhere,
        Err(AppError::SignIn(SignInError::Session))
    ));
    for _ in 0..3 {
        house.clock.advance(14 * 60);
        let again = sign_in::session(&house.app, "ash", &signed.cookie, house.context()).await;
        assert!(again.is_ok(), "use keeps it alive");
    }
    sign_in::sign_out(&house.app, "ash", &signed.cookie, house.context())
        .await
        .unwrap();
    let over = sign_in::session(&house.app, "ash", &signed.cookie, house.context()).await;
    assert!(matches!(over, Err(AppError::SignIn(SignInError::Session))));
    let trail = house.trail("ash", Log::Access, 4).await;
    assert_eq!(trail[1], "logout success - -");
    assert!(trail.contains(&"login success - -".to_owned()), "{trail:?}");

    let idle = attempt(&house, "doctor", PASSWORD).await.unwrap();
    house.clock.advance(16 * 60);
    let over = sign_in::session(&house.app, "ash", &idle.cookie, house.context()).await;
    assert!(matches!(over, Err(AppError::SignIn(SignInError::Session))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_lock_known_and_unknown_names_alike() {
    let house = House::build().await;
    house.doctor().await;
    for name in ["doctor", "nobody"] {
        for _ in 0..5 {
            let error = attempt(&house, name, "wrong password").await.unwrap_err();
            assert!(
                matches!(error, AppError::SignIn(SignInError::Credentials)),
                "{name}"
            );
        }
        let error = attempt(&house, name, PASSWORD).await.unwrap_err();
        assert!(
            matches!(error, AppError::SignIn(SignInError::Locked(1..=2))),
            "{name}: {error:?}"
        );
    }
    let trail = house.trail("ash", Log::Access, 50).await;
    let failed = trail
        .iter()
        .filter(|line| line.starts_with("login-failed failed"))
        .count();
    assert_eq!(failed, 12);
    let admin = house.admin("ash").await;
    let users = app::admin::users::list(&house.app, &admin).await.unwrap();
    let doctor = users
        .iter()
        .find(|user| user.sign_in_name.as_str() == "doctor")
        .unwrap();
    app::admin::users::unlock(&house.app, &admin, doctor.id)
        .await
        .unwrap();
    assert!(attempt(&house, "doctor", PASSWORD).await.is_ok());
    app::admin::users::set_state(&house.app, &admin, doctor.id, UserState::Suspended)
        .await
        .unwrap();
    let error = attempt(&house, "doctor", PASSWORD).await.unwrap_err();
    assert!(matches!(error, AppError::SignIn(SignInError::Credentials)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_step_is_asked_for_and_codes_count_once() {
    let house = House::build().await;
    let doctor = house.doctor().await;
    let enrolment = account::begin_second_step(&house.app, &doctor)
        .await
        .unwrap();
    let typed = enrolment.typed.replace(' ', "");
    let secret: [u8; 20] = data_encoding::BASE32_NOPAD
        .decode(typed.as_bytes())
        .unwrap()
        .try_into()
        .unwrap();
    let code = |house: &House| code_at(&TotpSecret::new(secret), house.app.now());
    let recovery = account::confirm_second_step(&house.app, &doctor, &code(&house))
        .await
        .unwrap();
    assert_eq!(recovery.len(), 10);

    house.clock.advance(30);
    let first = attempt(&house, "doctor", PASSWORD).await.unwrap();
    assert_eq!(first.pending, Some(Pending::SecondStep));
    let early = house.read(&first.caller, "Patient/p1").await.unwrap_err();
    assert!(matches!(early, AppError::Denied { .. }), "{early:?}");
    let step = async |cookie: &str, code: &str| {
        sign_in::second_step(&house.app, "ash", cookie, code, house.context()).await
    };
    assert!(matches!(
        step(&first.cookie, "000000").await,
        Err(AppError::SignIn(SignInError::Code))
    ));
    let right = code(&house);
    let signed = step(&first.cookie, &right).await.unwrap();
    assert_eq!(signed.pending, None);
    assert_ne!(
        *signed.cookie, *first.cookie,
        "a new session after the second step"
    );
    assert!(
        step(&first.cookie, &right).await.is_err(),
        "the first session is over"
    );
    let other = attempt(&house, "doctor", PASSWORD).await.unwrap();
    assert!(
        step(&other.cookie, &right).await.is_err(),
        "a code counts once"
    );
    assert!(step(&other.cookie, &recovery[0]).await.is_ok());
    let third = attempt(&house, "doctor", PASSWORD).await.unwrap();
    assert!(
        step(&third.cookie, &recovery[0]).await.is_err(),
        "so does a recovery code"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_password_must_be_changed_first() {
    let house = House::build().await;
    let admin = house.admin("ash").await;
    house.doctor().await;
    let users = app::admin::users::list(&house.app, &admin).await.unwrap();
    let doctor = users
        .iter()
        .find(|user| user.has_role(Role::Doctor))
        .unwrap();
    let made = app::admin::users::reset_password(&house.app, &admin, doctor.id)
        .await
        .unwrap();
    let text = made.password.unwrap();
    let signed = attempt(&house, "doctor", &text).await.unwrap();
    assert_eq!(signed.pending, Some(Pending::PasswordChange));
    assert!(house.search(&signed.caller, "Patient?_id=a").await.is_err());
    let new = |text: &str| Zeroizing::new(text.to_owned());
    let weak =
        account::change_password(&house.app, &signed.caller, text.clone(), new("short"), None)
            .await;
    assert!(matches!(weak, Err(AppError::Unprocessable(_))));
    let wrong = account::change_password(
        &house.app,
        &signed.caller,
        new("x"),
        new("another lantern meadow"),
        None,
    )
    .await;
    assert!(matches!(
        wrong,
        Err(AppError::SignIn(SignInError::Credentials))
    ));
    account::change_password(
        &house.app,
        &signed.caller,
        text,
        new("another lantern meadow"),
        None,
    )
    .await
    .unwrap();
    let again = attempt(&house, "doctor", "another lantern meadow")
        .await
        .unwrap();
    assert_eq!(again.pending, None);
    let id = UserId::from_uuid(admin.subject.actor().id.as_uuid());
    let last = app::admin::users::set_state(&house.app, &admin, id, UserState::Left).await;
    assert!(
        matches!(last, Err(AppError::Conflict(_))),
        "the last administrator stays"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_bound_narrowed_and_revoked_at_once() {
    let house = House::build().await;
    let only = vec![identity::Scope {
        types: identity::Types::Named(vec!["Patient".to_owned()]),
        interactions: identity::InteractionSet::parse("rs").unwrap(),
    }];
    let (text, id) = house.client_token("ash", Some(only)).await;
    let caller = sign_in::bearer(&house.app, "ash", &text, house.context())
        .await
        .unwrap();
    assert!(house.search(&caller, "Patient?_id=a").await.is_ok());
    assert!(house.search(&caller, "Observation?_id=a").await.is_err());
    assert!(house.put(&caller, &patient("p1", "One")).await.is_err());
    for (slug, token) in [
        ("birch", text.as_str()),
        ("ash", "thr_x"),
        ("ash", &text[..text.len() - 1]),
    ] {
        let error = sign_in::bearer(&house.app, slug, token, house.context())
            .await
            .unwrap_err();
        assert!(
            matches!(error, AppError::SignIn(SignInError::Token)),
            "{slug}"
        );
    }
    let admin = house.admin("ash").await;
    app::admin::tokens::revoke(&house.app, &admin, id)
        .await
        .unwrap();
    let error = sign_in::bearer(&house.app, "ash", &text, house.context())
        .await
        .unwrap_err();
    assert!(matches!(error, AppError::SignIn(SignInError::Token)));
    let (text, _) = house.client_token("ash", None).await;
    sign_in::bearer(&house.app, "ash", &text, house.context())
        .await
        .unwrap();
    house.clock.advance(31 * 86_400);
    assert!(
        sign_in::bearer(&house.app, "ash", &text, house.context())
            .await
            .is_err(),
        "expired"
    );
}

async fn user(house: &House, name: &str) -> identity::User {
    let admin = house.admin("ash").await;
    let users = app::admin::users::list(&house.app, &admin).await.unwrap();
    users
        .into_iter()
        .find(|user| user.sign_in_name.as_str() == name)
        .unwrap()
}

async fn entries(house: &House, start: &str) -> usize {
    let trail = house.trail("ash", Log::Access, 200).await;
    trail.iter().filter(|line| line.starts_with(start)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_the_same_time_are_all_counted() {
    let house = House::build().await;
    house.doctor().await;
    let wrong = (0..4).map(|_| attempt(&house, "doctor", "wrong password"));
    for answer in futures_util::future::join_all(wrong).await {
        assert!(matches!(
            answer,
            Err(AppError::SignIn(SignInError::Credentials))
        ));
    }
    assert_eq!(user(&house, "doctor").await.lock_out.failures, 4);
    assert!(attempt(&house, "doctor", PASSWORD).await.is_ok());
    assert_eq!(
        user(&house, "doctor").await.lock_out.failures,
        0,
        "forgotten after a success"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_tries_locks_and_the_right_one_in_it_gives_nothing() {
    for name in ["doctor", "nobody"] {
        let house = House::build().await;
        house.doctor().await;
        let wrong = (0..20).map(|_| attempt(&house, name, "wrong password"));
        // It comes when all others are under way, and is hashed last.
        let last = async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            attempt(&house, name, PASSWORD).await
        };
        let (burst, right) = tokio::join!(futures_util::future::join_all(wrong), last);
        let counted = burst
            .iter()
            .filter(|answer| matches!(answer, Err(AppError::SignIn(SignInError::Credentials))))
            .count();
        assert_eq!(counted, 5, "{name}: as many as one after the other");
        for answer in burst.iter().chain([&right]) {
            assert!(
                matches!(
                    answer,
                    Err(AppError::SignIn(
                        SignInError::Credentials | SignInError::Locked(_)
                    ))
                ),
                "{name}: {answer:?}"
            );
        }
        assert!(
            matches!(right, Err(AppError::SignIn(SignInError::Locked(_)))),
            "{name}: {right:?}"
        );
        assert_eq!(entries(&house, "login-failed failed").await, 21, "{name}");
        assert_eq!(entries(&house, "login success").await, 0, "{name}");
        if name == "doctor" {
            let lock_out = user(&house, "doctor").await.lock_out;
            assert_eq!(lock_out.failures, 5);
            assert!(lock_out.locked_until.is_some());
        }
    }
}

/// Signs in with the right password while something else commits between the check and the commit.
async fn meddled<F: Future + Send>(
    house: &House,
    meddle: impl FnOnce(app::App) -> F + Send + 'static,
) -> Result<sign_in::SignedIn, AppError> {
    let app = house.app.clone();
    let handle = tokio::runtime::Handle::current();
    house.ids.at_the_next_secret(move || {
        tokio::task::block_in_place(|| handle.block_on(meddle(app)));
    });
    attempt(house, "doctor", PASSWORD).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_while_somebody_signs_in_counts() {
    let house = House::build().await;
    house.doctor().await;
    let admin = house.admin("ash").await;
    let doctor = user(&house, "doctor").await.id;

    let context = house.context();
    let locked = meddled(&house, async move |app| {
        for _ in 0..5 {
            let wrong = Zeroizing::new("wrong password".to_owned());
            let tried = sign_in::password(&app, "ash", "doctor", wrong, context.clone()).await;
            assert!(tried.is_err());
        }
    })
    .await;
    assert!(
        matches!(locked, Err(AppError::SignIn(SignInError::Locked(_)))),
        "{locked:?}"
    );
    app::admin::users::unlock(&house.app, &admin, doctor)
        .await
        .unwrap();

    let context = house.context();
    let counted = meddled(&house, async move |app| {
        let wrong = Zeroizing::new("wrong password".to_owned());
        let tried = sign_in::password(&app, "ash", "doctor", wrong, context).await;
        assert!(tried.is_err());
    })
    .await;
    assert!(counted.is_ok(), "one failure beside it locks nobody out");

    let by = admin.clone();
    let suspended = meddled(&house, async move |app| {
        app::admin::users::set_state(&app, &by, doctor, UserState::Suspended)
            .await
            .unwrap();
    })
    .await;
    assert!(
        matches!(suspended, Err(AppError::SignIn(SignInError::Credentials))),
        "{suspended:?}"
    );
    app::admin::users::set_state(&house.app, &admin, doctor, UserState::Active)
        .await
        .unwrap();

    let replaced = meddled(&house, async move |app| {
        app::admin::users::reset_password(&app, &admin, doctor)
            .await
            .unwrap();
    })
    .await;
    assert!(
        matches!(replaced, Err(AppError::SignIn(SignInError::Credentials))),
        "{replaced:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_use_of_a_token_is_written_down_once_an_hour() {
    let house = House::build().await;
    let admin = house.admin("ash").await;
    let (text, id) = house.client_token("ash", None).await;
    let (_, unused) = house.client_token("ash", None).await;
    let last_used = async |id| {
        let tokens = app::admin::tokens::list(&house.app, &admin).await.unwrap();
        let found = tokens.into_iter().find(|token| token.id == id).unwrap();
        found.last_used
    };
    let mut expected = None;
    // Seconds that pass before the use, and whether it is written down.
    for (pass, written) in [
        (0, true),
        (1800, false),
        (1793, false),
        (7, true),
        (10, false),
    ] {
        house.clock.advance(pass);
        if written {
            expected = Some(house.app.now());
        }
        sign_in::bearer(&house.app, "ash", &text, house.context())
            .await
            .unwrap();
        if !written {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        // Nobody waits for it.
        for _ in 0..200 {
            if last_used(id).await == expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(last_used(id).await, expected, "after {pass} s more");
    }
    assert_eq!(last_used(unused).await, None);
    // A wrong secret is no use.
    let wrong = format!("{}x", &text[..text.len() - 1]);
    house.clock.advance(7200);
    let refused = sign_in::bearer(&house.app, "ash", &wrong, house.context()).await;
    assert!(refused.is_err());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(last_used(id).await, expected);
    app::admin::tokens::revoke(&house.app, &admin, id)
        .await
        .unwrap();
}
