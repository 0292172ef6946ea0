//! The ways to a pharmacy, each against a server that speaks its format, with what goes wrong.

use std::time::Duration;

use connect::pharmacy::{
    Api, Asked, CalledOff, Letter, Messaging, PharmacyConnector, PharmacyError, Reach, Receipt, api,
};
use connect::{Client, ConnectError, MailSecurity, MailSettings, Outbound};
use kernel::{Categorised as _, Category, TenantId, Timestamp, ZoneName};
use medication::quantity::Unit;
use medication::stock::Units;
use medication::supply::resources::{Parties, Patient, Prescriber};
use medication::supply::{
    Chase, Control, IdempotencyKey, Legal, Order, Packs, Product, Received, State, order_supply,
    request_repeat,
};
use serde_json::json;
use testkit::pharmacy::{Pharmacy, html};
use testkit::receiver::Reply;
use testkit::smtp::{MailServer, Manners};
use testkit::tls::TestCertificate;

use crate::setting::Setting;

fn units(text: &str) -> Units {
    Units::new(text.parse().unwrap()).unwrap()
}

fn product(legal: Legal) -> Product {
    Product {
        item: "item-1".parse().unwrap(),
        code: "322236009".to_owned(),
        name: "Paracetamol 500 mg tablets".to_owned(),
        unit: Unit::ucum("{tablet}"),
        legal: Some(legal),
        control: Some(Control::No),
        packs: Vec::new(),
    }
}

struct Case {
    order: Order,
    key: IdempotencyKey,
    parties: Parties,
    zone: ZoneName,
}

fn case(repeat: bool) -> Case {
    let packs = Packs {
        count: 2,
        holds: units("28"),
    };
    let (party, place) = ("pharmacy".parse().unwrap(), "cupboard".parse().unwrap());
    let verb = if repeat {
        let product = product(Legal::PrescriptionOnly);
        let wanted = [(&product, units("56"), Some(packs))];
        request_repeat(party, "ada".parse().unwrap(), place, &wanted).unwrap()
    } else {
        let product = product(Legal::GeneralSale);
        let wanted = [(&product, units("56"), Some(packs))];
        order_supply(party, None, place, &wanted).unwrap()
    };
    Case {
        key: IdempotencyKey::derive(TenantId::INSTANCE, &verb, "2026-03", 0),
        order: Order::draft("o-1".parse().unwrap(), verb),
        zone: "Europe/London".parse().unwrap(),
        parties: Parties {
            sender: "A1B2C".to_owned(),
            source: ("Rosewood".to_owned(), "https://rosewood.test".to_owned()),
            receiver: "X26".to_owned(),
            pharmacy: "FCP99".to_owned(),
            patient: Patient {
                nhs_number: "9446362962".to_owned(),
                family: "Lovelace".to_owned(),
                given: vec!["Ada".to_owned()],
                gender: "female".to_owned(),
                born: "1940-12-10".to_owned(),
                postcode: "LS1 1AB".to_owned(),
            },
            prescriber: Prescriber {
                role: "555086415105".to_owned(),
                name: "Dr Byron".to_owned(),
                practice: "A83008".to_owned(),
            },
        },
    }
}

impl Case {
    fn asked(&self) -> Asked<'_> {
        Asked {
            order: &self.order,
            key: &self.key,
            authored: Timestamp::from_rfc3339("2026-03-05T08:00:00Z").unwrap(),
            zone: &self.zone,
            acknowledged: false,
            parties: Some(&self.parties),
            doses: &[],
            home: "Rosewood House",
            deliver_to: "Cupboard, ground floor",
            resident: self
                .order
                .verb
                .resident()
                .map(|_| "Ada Lovelace, 1940-12-10"),
        }
    }
}

fn client(pharmacy: &Pharmacy) -> Client {
    let mut setting = Setting::allowing(&[pharmacy.egress()]);
    setting.limits.request_bytes = 1 << 20;
    setting.client()
}

fn reach<'a>(outbound: &'a dyn Outbound, base: &'a str) -> Reach<'a> {
    Reach {
        outbound,
        base,
        token: Some("t0ken".to_owned().into()),
        deadline: None,
    }
}

#[tokio::test]
async fn goods_are_ordered_once_by_their_key_and_followed() {
    let pharmacy = Pharmacy::start();
    pharmacy.wants("t0ken");
    let (client, base) = (client(&pharmacy), pharmacy.base());
    let way = Api(reach(&client, &base));
    let case = case(false);
    let asked = case.asked();
    // What was taken, but not said: the same key again is the same order.
    pharmacy.next_after_work(html(502));
    let lost = way.order_supply(&asked).await.unwrap_err();
    assert!(
        matches!(lost, PharmacyError::Failing { status: 502 }),
        "{lost}"
    );
    assert!(lost.may_have_arrived() && !lost.is_permanent());
    let taken = way.order_supply(&asked).await.unwrap();
    assert_eq!(taken.state, Some(State::Acknowledged));
    assert!(taken.reference.unwrap().starts_with("PH-"));
    let held = pharmacy.orders();
    assert_eq!((held.len(), held[0].sent), (1, 2));
    assert_eq!(
        held[0].body["lines"][0],
        json!({ "item": "item-1", "code": "322236009", "name": "Paracetamol 500 mg tablets",
            "quantity": "56", "unit": "{tablet}", "packs": { "count": 2, "holds": "28" } })
    );
    assert!(held[0].body.get("resident").is_none());
    pharmacy.moves("o-1", "with_dispenser");
    assert_eq!(
        way.status(&asked).await.unwrap().state,
        State::WithDispenser
    );
    let received = [Received {
        note: "n-1".to_owned(),
        item: "item-1".parse().unwrap(),
        quantity: units("28"),
    }];
    let missing = [Chase {
        item: "item-1".parse().unwrap(),
        name: String::new(),
        missing: units("28"),
    }];
    let receipt = Receipt {
        note: "n-1",
        at: asked.authored,
        received: &received,
        missing: &missing,
        problems: &[],
    };
    way.receipt(&asked, &receipt).await.unwrap();
    assert_eq!(
        pharmacy.orders()[0].receipts[0]["lines"],
        json!([{ "item": "item-1", "received": "28", "missing": "28" }])
    );
}

#[tokio::test]
async fn orders_are_called_off_until_they_are_on_their_way() {
    let pharmacy = Pharmacy::start();
    let (client, base) = (client(&pharmacy), pharmacy.base());
    let way = Api(reach(&client, &base));
    let case = case(false);
    let asked = case.asked();
    way.order_supply(&asked).await.unwrap();
    pharmacy.moves("o-1", "dispatched");
    let late = way.cancel(&asked, "not needed").await.unwrap();
    assert_eq!(late, CalledOff::No("it is on its way".to_owned()));
    pharmacy.moves("o-1", "acknowledged");
    assert_eq!(
        way.cancel(&asked, "not needed").await.unwrap(),
        CalledOff::Yes
    );
    // An order that never arrived need not be called off, and is not known.
    let mut other = self::case(false);
    other.order.id = "o-2".parse().unwrap();
    let vanished = Asked {
        acknowledged: true,
        ..other.asked()
    };
    let error = way.cancel(&vanished, "x").await.unwrap_err();
    assert!(matches!(error, PharmacyError::Garbage { .. }), "{error}");
    assert_eq!(
        way.cancel(&other.asked(), "x").await.unwrap(),
        CalledOff::Yes
    );
    let error = way.status(&other.asked()).await.unwrap_err();
    assert!(matches!(error, PharmacyError::NotKnown), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_is_none() {
    let pharmacy = Pharmacy::start();
    let (client, base) = (client(&pharmacy), pharmacy.base());
    let case = case(true);
    let asked = case.asked();
    let api = Api(reach(&client, &base));
    let messaging = Messaging(Reach {
        deadline: Some(Duration::from_millis(150)),
        ..reach(&client, &base)
    });
    let mut other = Reply::status(200);
    other.body = br#"{"order":"o-9","state":"acknowledged"}"#.to_vec();
    let mut ours = Reply::status(200);
    ours.body = br#"{"order":"o-1","state":"reconciled"}"#.to_vec();
    let busy = Reply::status(429).with("retry-after", "120");
    let plain = Reply::status(422);
    let mut said = Reply::status(422);
    said.body = br#"{"title":"no","detail":"we do not sell it"}"#.to_vec();
    // (answer, permanent, may have arrived, wait in seconds)
    let table = [
        ("html", html(200), false, true, None),
        ("another order", other, false, true, None),
        ("a state of ours", ours, false, true, None),
        ("busy", busy, false, false, Some(120)),
        ("a bare refusal", plain, false, true, None),
        ("a failure", Reply::status(500), false, true, None),
        ("the token", Reply::status(401), false, false, None),
        ("a redirect", Reply::status(302), false, true, None),
    ];
    for (name, reply, permanent, arrived, wait) in table {
        for way in [&api as &dyn PharmacyConnector, &messaging] {
            pharmacy.next(reply.clone());
            let error = way.request_repeat(&asked).await.unwrap_err();
            assert_eq!(error.is_permanent(), permanent, "{name}: {error}");
            assert_eq!(error.may_have_arrived(), arrived, "{name}: {error}");
            assert_eq!(error.wait().map(|own| own.as_secs()), wait, "{name}");
            assert_eq!(error.category(), Category::Unavailable, "{name}: {error}");
            assert!(!error.to_string().contains("Lovelace"), "{error}");
        }
    }
    pharmacy.next(said);
    let refused = api.request_repeat(&asked).await.unwrap_err();
    assert!(refused.is_permanent() && !refused.may_have_arrived());
    assert_eq!(
        refused.to_string(),
        "the pharmacy refused with 422: we do not sell it"
    );
    pharmacy.next(Reply::status(200).after(Duration::from_millis(400)));
    let late = messaging.request_repeat(&asked).await.unwrap_err();
    assert!(
        matches!(late, PharmacyError::Connect(ConnectError::TimedOut { .. })),
        "{late}"
    );
    assert!(late.may_have_arrived());
    assert!(pharmacy.orders().is_empty());
}

#[tokio::test]
async fn nothing_is_called_that_the_allow_list_lacks() {
    let pharmacy = Pharmacy::start();
    let setting = Setting::allowing(&["https://elsewhere.test".to_owned()]);
    let (client, base) = (setting.client(), pharmacy.base());
    let case = case(false);
    let error = Api(reach(&client, &base)).order_supply(&case.asked()).await;
    let error = error.unwrap_err();
    assert!(error.is_permanent() && !error.may_have_arrived(), "{error}");
    assert!(pharmacy.seen().is_empty());
}

#[tokio::test]
async fn a_catalogue_is_read_to_its_end() {
    let pharmacy = Pharmacy::start();
    pharmacy.sells(vec![
        json!({ "code": "322236009", "name": "Paracetamol 500 mg tablets", "unit": "{tablet}", "legal": "general_sale",
            "control": "0000", "packs": [{ "holds": "32", "price": { "amount": "0.89", "currency": "GBP" } }] }),
        json!({ "code": "36126411000001103", "name": "Morphine 10 mg tablets", "unit": "{tablet}",
            "legal": "prescription_only", "control": "0002", "packs": [{ "holds": "56" }] }),
        json!({ "code": "1", "name": "Herbal drops", "unit": "drop bottle", "control": "0099", "packs": [] }),
    ]);
    let (client, base) = (client(&pharmacy), pharmacy.base());
    let way = Api(reach(&client, &base));
    let all = way.catalogue(None).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all[0].is_uncontrolled() && all[0].packs[0].price.is_some());
    assert!(matches!(all[1].control, Some(Control::Yes(_))));
    // A category and a class that nobody knows are not free ones.
    assert_eq!((all[2].control, all[2].legal), (None, None));
    assert_eq!(way.catalogue(Some("322236009")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_goes_as_a_message_and_its_prescription_is_followed() {
    let pharmacy = Pharmacy::start();
    let (client, base) = (client(&pharmacy), pharmacy.base());
    let way = Messaging(reach(&client, &base));
    let case = case(true);
    let asked = case.asked();
    assert!(matches!(
        way.status(&asked).await,
        Err(PharmacyError::NotKnown)
    ));
    let taken = way.request_repeat(&asked).await.unwrap();
    let number = taken.reference.unwrap();
    assert_eq!(taken.state, Some(State::Acknowledged));
    way.request_repeat(&asked).await.unwrap();
    let held = pharmacy.orders();
    assert_eq!((held.len(), held[0].sent, &held[0].order), (1, 2, &number));
    for (code, state) in [
        ("0001", State::Prescribed),
        ("0002", State::WithDispenser),
        ("0004", State::Expired),
        ("0006", State::Dispatched),
        ("0007", State::Rejected),
    ] {
        pharmacy.moves(&number, code);
        assert_eq!(way.status(&asked).await.unwrap().state, state, "{code}");
    }
    pharmacy.moves(&number, "4711");
    assert!(matches!(
        way.status(&asked).await,
        Err(PharmacyError::Garbage { .. })
    ));
    pharmacy.moves(&number, "0006");
    let late = way.cancel(&asked, "x").await.unwrap();
    assert_eq!(late, CalledOff::No("it was dispensed".to_owned()));
    pharmacy.moves(&number, "0001");
    // The cancellation is a message of its own, with its own ids.
    assert_eq!(way.cancel(&asked, "x").await.unwrap(), CalledOff::Yes);
    assert_eq!(pharmacy.orders()[0].state, "0005");
    let seen = pharmacy.seen();
    let ids: Vec<&str> = seen
        .iter()
        .filter_map(|own| own.header("x-request-id"))
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert!(ids.last() != Some(&ids[0]));
    // Goods are not ordered so, and without parties nothing is sent.
    let before = pharmacy.seen().len();
    let goods = self::case(false);
    let error = way.order_supply(&goods.asked()).await.unwrap_err();
    assert!(matches!(error, PharmacyError::NotHere(_)), "{error}");
    let unknown = Asked {
        parties: None,
        ..case.asked()
    };
    let error = way.request_repeat(&unknown).await.unwrap_err();
    assert!(matches!(error, PharmacyError::Content(_)), "{error}");
    assert_eq!(pharmacy.seen().len(), before);
}

/// The text of the form in a mail.
fn form_of(mail: &str) -> String {
    let text = mail.replace(['\r', '\n'], "");
    let begin = text.find("JVBER").expect("a PDF in base64");
    let length = text[begin..].find("--").unwrap();
    let pdf = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        &text[begin..begin + length],
    );
    String::from_utf8_lossy(&pdf.unwrap()).into_owned()
}

/// A mail server, and a setting that may reach a pharmacy by it.
fn post_office(folder: &std::path::Path) -> (MailServer, Setting) {
    let certificate = TestCertificate::for_names(&["mail.test"]);
    let server = MailServer::start(&certificate, Manners::default());
    let port = server.address().port();
    let mut setting = Setting::allowing(&[format!("smtp://mail.test:{port} private")]);
    setting.roots = Some(certificate.write_into(folder));
    setting.mail = Some(MailSettings {
        server: format!("mail.test:{port}"),
        security: MailSecurity::StartTls,
        from: "orders@house.test".to_owned(),
        credentials: None,
        recipients: vec!["*@pharmacy.test".to_owned()],
    });
    (server, setting)
}

#[tokio::test]
async fn a_form_goes_by_mail_and_names_nobody_outside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, setting) = post_office(folder.path());
    let client = setting.client();
    let way = Letter {
        outbound: &client,
        to: "orders@pharmacy.test",
    };
    let case = case(true);
    let asked = case.asked();
    let taken = way.request_repeat(&asked).await.unwrap();
    assert_eq!(taken.state, None, "a mail server is no pharmacy");
    assert_eq!(
        way.cancel(&asked, "not needed").await.unwrap(),
        CalledOff::Told
    );
    let mails = server.wait_for(2);
    let [order, cancellation] = &mails[..] else {
        panic!("{} mails", mails.len())
    };
    assert!(!order.content.contains("Lovelace") && order.content.contains("Request o-1"));
    assert!(cancellation.content.contains("Cancellation o-1"));
    let called_off = form_of(&cancellation.content);
    for wanted in [
        "(CANCELLATION: SUPPLY NOTHING)",
        "not needed",
        "tablets (dm+d 322236009) - CANCELLED",
    ] {
        assert!(
            called_off.contains(wanted),
            "{wanted} is not in\n{called_off}"
        );
    }
    assert!(!called_off.contains("Request for a prescription"));
    assert!(
        cancellation
            .content
            .contains("filename=\"cancellation-o-1.pdf\"")
    );
    let pdf = form_of(&order.content);
    for wanted in [
        "%PDF-1.",
        "(Request for a prescription)",
        "Ada Lovelace, 1940-12-10 (ada)",
        "05-Mar-2026 08:00 GMT",
        "1. Paracetamol 500 mg tablets (dm+d 322236009)",
        "56 tablets, 2 packs of 28",
        "%%EOF",
    ] {
        assert!(pdf.contains(wanted), "{wanted} is not in\n{pdf}");
    }
    let mut odd = asked.clone();
    odd.resident = Some("\u{10d}\u{1eef}");
    let error = way.request_repeat(&odd).await.unwrap_err();
    assert!(matches!(error, PharmacyError::Content(_)), "{error}");
    let stranger = Letter {
        outbound: &client,
        to: "x@elsewhere.test",
    };
    let error = stranger.request_repeat(&asked).await.unwrap_err();
    assert!(error.is_permanent() && !error.may_have_arrived(), "{error}");
}

#[test]
fn the_published_interface_is_this_one() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../docs/reference/pharmacy-api.json"
    );
    let made = api::document().unwrap();
    if std::env::var_os("THERIAC_UPDATE").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "run `THERIAC_UPDATE=1 cargo test -p theriac-connect published_interface` and look at what changed"
    );
}
