//! A book that was kept elsewhere is taken over with its times and people, by the platform alone, and every
//! law of book and page is asked for again.

use app::Caller;
use app::init::system_caller;
use app::medicines::register::pages;
use app::medicines::stock::look;
use app::medicines::stock::takeover::{Book, Past, take_over};
use identity::SystemTask;
use kernel::{ActorId, Category, Timestamp};
use medication::ids::PremisesId;
use medication::register::{Leaving, Method, Party, Signature, Signed, What as Entry};
use medication::stock::{Account, Batch, Counted, Line, Meta, Units, VarianceReason, What};

use crate::doses::{order, scheduled};
use crate::house::House;
use crate::stock::{category, home, kept};

const MORPHINE: &str = "Morphine 10mg modified-release tablet";

fn batch() -> Batch {
    Batch {
        lot: Some("A1".to_owned()),
        ..Batch::default()
    }
}

fn cupboard() -> Account {
    Account::Location {
        location: "cupboard".parse().unwrap(),
    }
}

fn signature(number: u128, at: Timestamp) -> Signature {
    Signature {
        person: ActorId::from_uuid(uuid::Uuid::from_u128(number)),
        practitioner: None,
        name: format!("Person {number}"),
        role: "nurse".to_owned(),
        proved: at,
        method: Method::Password,
    }
}

fn past(id: &str, hours: i64, entry: Entry, moved: (What, Vec<Line>), now: Timestamp) -> Past {
    let at = now.plus_seconds(hours * 3_600);
    let (by, witness) = (signature(1, at), signature(2, at));
    Past {
        meta: Meta {
            id: id.parse().unwrap(),
            happened: at,
            recorded: at,
            by: by.person,
            witness: Some(witness.person),
            discrepancy: None,
        },
        moved: Some(moved),
        entry: Some((entry, Signed::two(by, witness, at).unwrap())),
        order: None,
    }
}

fn opening(hours: i64, now: Timestamp) -> Past {
    let entry = Entry::BroughtForward {
        balance: 20.into(),
        from: "book 3".to_owned(),
    };
    let counted = vec![Counted {
        batch: batch(),
        found: 20.into(),
    }];
    let count = What::Count {
        of: cupboard(),
        counted,
        reason: Some(VarianceReason::Opening),
    };
    past("opened", hours, entry, (count, Vec::new()), now)
}

fn given(hours: i64, units: u32, now: Timestamp) -> Past {
    let quantity = Units::new(units.into()).unwrap();
    let entry = Entry::Left {
        why: Leaving::Administered,
        to: Party {
            name: "Edith".to_owned(),
            address: "Home".to_owned(),
        },
        resident: Some("p".parse().unwrap()),
        authority: "Dr Hill".to_owned(),
        quantity,
        collected: None,
    };
    let line = Line {
        batch: batch(),
        units: quantity,
        from: cupboard(),
        to: Account::Administered {
            resident: "p".parse().unwrap(),
        },
    };
    past(
        &format!("given{hours}"),
        hours,
        entry,
        (What::Given, vec![line]),
        now,
    )
}

async fn start() -> (House, Caller, Caller, app::medicines::stock::Item) {
    let (house, nurse) = home(&[order("m1", MORPHINE, &scheduled(1))]).await;
    let item = kept(&house, &nurse, MORPHINE).await;
    let tenant = nurse.scope.tenant();
    let platform = system_caller(&house.app, tenant, SystemTask::Setup).unwrap();
    (house, nurse, platform, item)
}

fn premises() -> PremisesId {
    "home".parse().unwrap()
}

#[tokio::test]
async fn a_book_is_taken_over_once_with_its_own_times() {
    let (house, nurse, platform, item) = start().await;
    let now = house.app.now();
    let book = || {
        vec![Book {
            premises: Some(premises()),
            past: vec![opening(-72, now), given(-48, 1, now), given(-24, 1, now)],
        }]
    };
    let by_a_person = take_over(&house.app, &nurse, &item.id, book()).await;
    assert_eq!(category(by_a_person), Category::Unprocessable);
    for _ in 0..2 {
        take_over(&house.app, &platform, &item.id, book())
            .await
            .unwrap();
    }
    let pages = pages::list(&house.app, &nurse).await.unwrap();
    assert_eq!(pages.len(), 1);
    let page = pages::read(&house.app, &nurse, &pages[0].id).await.unwrap();
    assert_eq!((page.head.balance, page.head.entries), (18.into(), 3));
    let first = &page.lines[1].entry;
    assert_eq!(first.entered, now.plus_seconds(-48 * 3_600));
    assert_eq!(first.late, None);
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(seen.total, 18.into());
}

#[tokio::test]
async fn what_breaks_a_law_is_not_taken_over() {
    let (house, nurse, platform, item) = start().await;
    let now = house.app.now();
    let mut unsigned = opening(-72, now);
    unsigned.entry = None;
    for (past, premises, expected) in [
        (
            vec![opening(-72, now), given(-48, 21, now)],
            Some(premises()),
            Category::Conflict,
        ),
        (
            vec![opening(-72, now), given(-96, 1, now)],
            Some(premises()),
            Category::Unprocessable,
        ),
        (vec![unsigned], Some(premises()), Category::Unprocessable),
        (vec![opening(-72, now)], None, Category::Unprocessable),
    ] {
        let books = vec![Book { premises, past }];
        let refused = take_over(&house.app, &platform, &item.id, books).await;
        assert_eq!(category(refused), expected);
    }
    let seen = look::read(&house.app, &nurse, &item.id).await.unwrap();
    assert_eq!(seen.total, 0.into());
    assert!(pages::list(&house.app, &nurse).await.unwrap().is_empty());
}
