//! Somebody proves to be there, beside whoever is signed in.

use app::sign_in::{self, Confirmed, Proof, account, confirm};
use app::{AppError, Caller, Log, SignInError};
use identity::totp::{TotpSecret, code_at};
use identity::{Role, UserState};
use medication::register::Method;
use zeroize::Zeroizing;

use crate::house::{House, PASSWORD};

async fn proved(
    house: &House,
    caller: &Caller,
    name: &str,
    password: &str,
    code: Option<&str>,
) -> Result<Confirmed, AppError> {
    let proof = Proof {
        name: name.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        code: code.map(str::to_owned),
    };
    confirm(&house.app, caller, proof, "controlled drug").await
}

fn is_silent(answer: &Result<Confirmed, AppError>) -> bool {
    matches!(answer, Err(AppError::SignIn(SignInError::Proof)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_person_proves_to_be_there_without_a_session() {
    let house = House::build().await;
    let nurse = house.caller("ash", Role::Nurse).await;
    let doctor = house.doctor().await;
    let proof = proved(&house, &nurse, " DOCTOR ", PASSWORD, None).await;
    let proof = proof.unwrap();
    assert_eq!(&proof.actor, doctor.subject.actor());
    assert_eq!(
        (proof.at, proof.method),
        (house.app.now(), Method::Password)
    );
    let signature = proof.signature();
    assert_eq!(signature.person, doctor.subject.actor().id);
    assert_eq!(signature.proved, house.app.now());
    // Written down as a sign-in of that person, and no session is there.
    let trail = house.trail("ash", Log::Access, 2).await;
    assert_eq!(trail[1], "login success - -");
    let scope = identity::system_scope(nurse.scope.tenant(), identity::SystemTask::SignIn);
    let sessions = house
        .store
        .docs(&scope, store::DocKind::Session, None, 10)
        .await
        .unwrap();
    assert!(sessions.is_empty());
    // Whatever is wrong, the answer is the same.
    for (name, password) in [
        ("doctor", "wrong password"),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("admin\u{0}", PASSWORD),
    ] {
        let answer = proved(&house, &nurse, name, password, None).await;
        assert!(is_silent(&answer), "{name}: {answer:?}");
    }
    let elsewhere = house.caller("birch", Role::Nurse).await;
    let answer = proved(&house, &elsewhere, "doctor", PASSWORD, None).await;
    assert!(is_silent(&answer), "nobody of that house");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_lock_as_signing_in_does_and_count_with_it() {
    let house = House::build().await;
    let nurse = house.caller("ash", Role::Nurse).await;
    house.doctor().await;
    for name in ["doctor", "nobody"] {
        for _ in 0..3 {
            let answer = proved(&house, &nurse, name, "wrong password", None).await;
            assert!(is_silent(&answer), "{name}");
        }
        for _ in 0..2 {
            let wrong = Zeroizing::new("wrong password".to_owned());
            let tried = sign_in::password(&house.app, "ash", name, wrong, house.context()).await;
            assert!(tried.is_err(), "{name}");
        }
        let answer = proved(&house, &nurse, name, PASSWORD, None).await;
        assert!(
            matches!(answer, Err(AppError::SignIn(SignInError::Locked(1..=2)))),
            "{name}: {answer:?}"
        );
        let right = Zeroizing::new(PASSWORD.to_owned());
        let signed = sign_in::password(&house.app, "ash", name, right, house.context()).await;
        assert!(
            matches!(signed, Err(AppError::SignIn(SignInError::Locked(_)))),
            "{name}"
        );
    }
    let trail = house.trail("ash", Log::Access, 50).await;
    let failed = trail.iter().filter(|line| line.starts_with("login-failed"));
    assert_eq!(failed.count(), 14);
    // A burst does not get more tries than one after the other.
    let house = House::build().await;
    let nurse = house.caller("ash", Role::Nurse).await;
    house.doctor().await;
    let burst = (0..12).map(|_| proved(&house, &nurse, "doctor", "wrong password", None));
    let burst = futures_util::future::join_all(burst).await;
    assert_eq!(burst.iter().filter(|answer| is_silent(answer)).count(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_step_is_part_of_the_proof_and_its_code_counts_once() {
    let house = House::build().await;
    let nurse = house.caller("ash", Role::Nurse).await;
    let doctor = house.doctor().await;
    let enrolment = account::begin_second_step(&house.app, &doctor)
        .await
        .unwrap();
    let typed = enrolment.typed.replace(' ', "");
    let secret = data_encoding::BASE32_NOPAD.decode(typed.as_bytes());
    let secret: [u8; 20] = secret.unwrap().try_into().unwrap();
    let code = |house: &House| code_at(&TotpSecret::new(secret), house.app.now());
    let recovery = account::confirm_second_step(&house.app, &doctor, &code(&house))
        .await
        .unwrap();
    house.clock.advance(30);
    let right = code(&house);
    for (password, code) in [
        (PASSWORD, None),
        (PASSWORD, Some("000000")),
        ("wrong password", Some(right.as_str())),
    ] {
        let answer = proved(&house, &nurse, "doctor", password, code).await;
        assert!(is_silent(&answer), "{answer:?}");
    }
    // Of two that use one code at the same time, one is there.
    let tries = (0..2).map(|_| proved(&house, &nurse, "doctor", PASSWORD, Some(&right)));
    let tries = futures_util::future::join_all(tries).await;
    let there: Vec<_> = tries
        .iter()
        .filter_map(|answer| answer.as_ref().ok())
        .collect();
    assert_eq!(there.len(), 1, "{tries:?}");
    assert_eq!(there[0].method, Method::PasswordAndCode);
    let spare = proved(&house, &nurse, "doctor", PASSWORD, Some(&recovery[0])).await;
    assert!(spare.is_ok());
    let again = proved(&house, &nurse, "doctor", PASSWORD, Some(&recovery[0])).await;
    assert!(is_silent(&again), "a recovery code counts once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_signs_who_may_not_sign_in_or_whose_password_others_know() {
    let house = House::build().await;
    let nurse = house.caller("ash", Role::Nurse).await;
    let admin = house.admin("ash").await;
    house.doctor().await;
    let users = app::admin::users::list(&house.app, &admin).await.unwrap();
    let doctor = users.iter().find(|user| user.has_role(Role::Doctor));
    let doctor = doctor.unwrap().id;
    app::admin::users::set_state(&house.app, &admin, doctor, UserState::Suspended)
        .await
        .unwrap();
    let answer = proved(&house, &nurse, "doctor", PASSWORD, None).await;
    assert!(is_silent(&answer), "{answer:?}");
    app::admin::users::set_state(&house.app, &admin, doctor, UserState::Active)
        .await
        .unwrap();
    let made = app::admin::users::reset_password(&house.app, &admin, doctor).await;
    let made = made.unwrap().password.unwrap();
    let answer = proved(&house, &nurse, "doctor", &made, None).await;
    assert!(
        matches!(&answer, Err(AppError::Denied { code, .. }) if code == "password-change"),
        "{answer:?}"
    );
}
