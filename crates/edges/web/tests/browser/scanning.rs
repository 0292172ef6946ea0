//! Scanning packs in a browser: by a hand-held scanner that types, by the camera where the browser reads
//! codes, and on a device without a network, which decides as the server does.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and its cases are made in one go"
)]

use medication::administration::PackState;
use medication::content::Article;
use medication::dictionary::pack::{Recall, scan};
use medication::dictionary::{Dictionary, built_in};
use medication::knowledge::builtin;
use medication::rounds::Packs;
use serde_json::{Value, json};
use testkit::browser::Browser;
use testkit::clock::FixedClock;
use testkit::peers::required;

use crate::house::House;
use crate::limits::Dice;
use crate::rounds::{at, found, given_on, home, order, recorded, taken_along};

fn below(dice: &mut Dice, sides: usize) -> usize {
    usize::try_from(dice.roll(sides as u64)).unwrap()
}

fn pick<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[below(dice, of.len())]
}

const GS: &str = "\u{1d}";

/// What a scanner may send: whole codes, and codes that are broken in every way that we know.
fn code(dice: &mut Dice, gtins: &[String]) -> String {
    let gtin = gtins[below(dice, gtins.len())].clone();
    let bare = gtin.trim_start_matches('0').to_owned();
    let (batch, serial) = (
        pick(dice, &["A", "BAD1", "20260A", "a b", "(17)", ""]),
        "S1",
    );
    let day = pick(
        dice,
        &[
            "260304", "260305", "260306", "260200", "240200", "991231", "760101", "770101",
            "261301", "260230",
        ],
    );
    let text = match below(dice, 10) {
        0 => bare,
        1 => format!("(01){gtin}(17){day}(10){batch}"),
        2 => format!("(01){gtin}(10){batch}(21){serial}"),
        3 => format!("]d201{gtin}17{day}10{batch}{GS}21{serial}"),
        4 => format!("{GS}01{gtin}10{batch}{GS}17{day}"),
        5 => format!(
            "01{gtin}{GS}11{day}30{}{GS}37{}",
            below(dice, 3),
            below(dice, 3)
        ),
        6 => format!("01{gtin}10{batch}{GS}10{}", pick(dice, &["A", "B"])),
        7 => format!(
            "(01){gtin}({}){day}",
            pick(dice, &["99", "15", "7003", "400", "713", ""])
        ),
        8 => format!(
            "{}{gtin}{}",
            pick(dice, &["02", "]C101", "]E0", "]I1"]),
            pick(dice, &["", "\r\n", " "])
        ),
        _ => pick(
            dice,
            &[
                "",
                "hello",
                "5012345678900",
                "5012345678901",
                "00000000",
                "(01)",
                "01",
                "]d2",
            ],
        )
        .to_owned(),
    };
    // Now and then a character is lost, doubled or another one.
    let mut letters: Vec<char> = text.chars().collect();
    if !letters.is_empty() && below(dice, 4) == 0 {
        let place = below(dice, letters.len());
        match below(dice, 3) {
            0 => drop(letters.remove(place)),
            1 => letters.insert(place, letters[place]),
            _ => {
                letters[place] = pick(dice, &["0", "9", "(", "x", "é", GS])
                    .chars()
                    .next()
                    .unwrap();
            }
        }
    }
    letters.into_iter().collect()
}

/// What the server says with the products that were taken along.
fn said(list: &Dictionary, recalls: &[Recall], text: &str, ordered: &Article) -> PackState {
    let known = builtin::built_in().unwrap();
    match scan(list, recalls, text, (2026, 3, 5)) {
        Ok(found) => found.against(ordered, known),
        Err(_) => PackState::Unreadable,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_device_reads_packs_as_the_server_does() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let house = House::start().await;
    let device = browser.device(800, 600).await;
    let page = device.open(&house.address("/sign-in")).await;
    let known = builtin::built_in().unwrap();
    let all = built_in(known).unwrap();
    let names = [
        "Paracetamol 500mg tablet",
        "Co-codamol 500mg/8mg tablet",
        "Morphine 10mg modified-release tablet",
    ];
    let articles: Vec<Article> = names
        .iter()
        .map(|name| Article::of(all.by_name(name).unwrap(), known))
        .collect();
    let number = |name: &str| all.by_name(name).unwrap().gtins[0].digits();
    let recalls = [
        Recall::read(&number(names[0]), Some("BAD1"), "Class 2").unwrap(),
        Recall::read(&number("Ibuprofen 400mg tablet"), None, "Class 1").unwrap(),
    ];
    let packs = Packs::of(&all, articles.iter(), known);
    let along = packs.device(&all, &recalls);
    assert!(along.products.len() > 3, "{:?}", along.products.len());
    let taken: Vec<_> = all
        .products()
        .iter()
        .filter(|own| along.products.iter().any(|other| other.name == own.name))
        .cloned()
        .collect();
    let taken = Dictionary::of(taken);
    let gtins: Vec<String> = all
        .all()
        .flat_map(|own| own.gtins.iter().map(|own| own.digits()))
        .collect();
    let mut dice = Dice(20_260_305);
    let mut cases = Vec::new();
    let mut wanted = Vec::new();
    for _ in 0..3000 {
        let text = if below(&mut dice, 3) == 0 {
            code(&mut dice, &gtins)
        } else {
            let own: Vec<String> = along
                .products
                .iter()
                .flat_map(|own| own.gtins.clone())
                .collect();
            code(&mut dice, &own)
        };
        let ordered = below(&mut dice, articles.len());
        wanted.push(said(&taken, &recalls, &text, &articles[ordered]));
        cases.push(json!([text, ordered]));
    }
    let states: Vec<Value> = articles
        .iter()
        .map(|own| json!(packs.states(own, known)))
        .collect();
    let module = web_edge::assets::address("pack-scan.js");
    let run = format!(
        "import('{module}').then((m) => {{ const [packs, states, cases] = {}; return cases.map(([text, at]) => {{ const {{ state }} = m.stands(text, packs, states[at], '2026-03-05'); return [state, m.verdict(state) || null, m.words(state) || null]; }}); }})",
        json!([along, states, cases])
    );
    let answers = page.run(&run).await;
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), wanted.len());
    for ((answer, wanted), case) in answers.iter().zip(&wanted).zip(&cases) {
        assert_eq!(answer[0], wanted.code(), "{case}");
        assert_eq!(answer[1], json!(wanted.verdict()), "{case}");
        assert!(answer[2].is_string(), "{case}");
    }
    let mut seen: Vec<&str> = wanted.iter().map(|own| own.code()).collect();
    seen.sort_unstable();
    seen.dedup();
    for state in PackState::ALL {
        let shown = seen.contains(&state.code());
        // No order of these is to be had in another form.
        let never = matches!(state, PackState::NotScanned | PackState::OtherForm);
        assert!(shown || never, "the cases show {}: {seen:?}", state.code());
    }
    page.clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_is_matched_without_a_network() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [order(
        "fixed",
        "Paracetamol 500mg tablet",
        &at(&["08:00:00", "20:00:00"], 2),
    )];
    let house = home(FixedClock::START, &orders).await;
    let phone = browser.device(390, 844).await;
    let page = taken_along(&house, &phone, "nurse").await;
    phone.offline(true).await;
    page.reload().await;
    page.wait_for_text("No network.").await;
    page.click("#round-gate button").await;
    page.click("#round-people summary").await;
    let scanned = async |text: &str| {
        page.fill("#p0-0-scan", text).await;
        page.run("document.querySelector('#p0-0-scan').dispatchEvent(new Event('change', { bubbles: true }))").await;
    };
    // Co-codamol holds paracetamol and is another medicine; a number that nobody took along says nothing.
    let known = builtin::built_in().unwrap();
    let list = built_in(known).unwrap();
    let number = |name: &str| list.by_name(name).unwrap().gtins[0].digits();
    scanned(&number("Co-codamol 500mg/8mg tablet")).await;
    page.wait_for_text("The pack holds another medicine than ordered.")
        .await;
    page.click("#round-people summary").await;
    given_on(&page).await;
    page.wait_for_text("Nothing was recorded.").await;
    scanned("5012345678900").await;
    page.wait_for_text("Not verified: the pack's number was not taken along.")
        .await;
    page.click("#round-people form button.button:not(.button-quiet)")
        .await;
    page.wait_for_text("To go on, give a reason.").await;
    scanned(&format!(
        "(01){}(17)280131(10)20260A",
        number("Paracetamol 500mg tablet")
    ))
    .await;
    page.wait_for_text("The pack is what was ordered.").await;
    page.click("#round-people form button.button:not(.button-quiet)")
        .await;
    page.wait_for_text("1 dose waits to be sent.").await;
    phone.offline(false).await;
    page.wait_for_text("Everything is sent.").await;
    let stored = found(&house, "MedicationAdministration").await;
    let text = stored[0].to_string();
    assert!(
        text.contains("administration-pack") && text.contains("20260A"),
        "{text}"
    );
    page.clean();
}

/// A browser that reads codes, as far as the page can tell: the camera shows a picture, and a code is found.
const READER: &str = "(() => { \
    window.BarcodeDetector = class { constructor(asked) { window.askedFor = asked.formats; } \
        static async getSupportedFormats() { return ['data_matrix', 'ean_13', 'aztec']; } \
        async detect() { return window.codeAtHand ? [{ rawValue: window.codeAtHand }] : []; } }; \
    navigator.mediaDevices.getUserMedia = async () => { const own = document.createElement('canvas'); own.getContext('2d').fillRect(0, 0, 9, 9); \
        window.stream = own.captureStream(5); return window.stream; }; })()";

#[tokio::test(flavor = "multi_thread")]
async fn the_camera_fills_in_the_pack_where_the_browser_reads_codes() {
    let Some(browser) = required(Browser::start().await) else {
        return;
    };
    let orders = [order(
        "fixed",
        "Paracetamol 500mg tablet",
        &at(&["08:00:00"], 2),
    )];
    let house = home(FixedClock::START, &orders).await;
    let phone = browser.device(390, 844).await;
    let page = house
        .signed_in(&phone, "nurse", "/medicines/round/p1")
        .await;
    page.click(".round-line summary").await;
    // A scanner that types ends with Enter: that alone records nothing.
    page.run("document.querySelector('[name^=scan-]').focus()")
        .await;
    page.type_text("5012345678900").await;
    page.press("Enter").await;
    assert!(page.address().await.ends_with("/medicines/round/p1"));
    assert_eq!(
        page.run("document.querySelector('[name^=scan-]').value")
            .await,
        "5012345678900"
    );
    assert!(found(&house, "MedicationAdministration").await.is_empty());
    // Where no reader is, no button is: the field works by itself.
    if page.run("'BarcodeDetector' in window").await == json!(false) {
        assert!(!page.has("[name^=scan-] + button").await);
    }
    page.run(READER).await;
    let module = web_edge::assets::address("scan.js");
    page.run(&format!(
        "delete document.querySelector('[name^=scan-]').dataset.scans; import('{module}').then((m) => m.wire(document.querySelector('[name^=scan-]')))"
    ))
    .await;
    page.click("[name^=scan-] + button").await;
    page.wait_for_text("Looking for a code.").await;
    assert_eq!(
        page.run("window.askedFor").await,
        json!(["data_matrix", "ean_13"])
    );
    page.run("window.codeAtHand = '(01)02000000000107(17)280131(10)20260A'")
        .await;
    page.wait_until("the dialog to close", "!document.querySelector('dialog')")
        .await;
    assert_eq!(
        page.run("document.querySelector('[name^=scan-]').value")
            .await,
        "(01)02000000000107(17)280131(10)20260A"
    );
    page.wait_until(
        "the camera to be let go",
        "window.stream.getTracks().every((own) => own.readyState === 'ended')",
    )
    .await;
    // A camera that may not be used is said, and the field stays.
    page.run("navigator.mediaDevices.getUserMedia = async () => { throw new Error('no'); }")
        .await;
    page.click("[name^=scan-] + button").await;
    page.wait_for_text("The camera is not to be had").await;
    page.click("dialog button").await;
    recorded(&page, "Paracetamol", &[("reason", "known here")]).await;
    page.wait_for_text("Saved.").await;
    let stored = found(&house, "MedicationAdministration").await;
    assert!(stored[0].to_string().contains("20260A"));
    page.clean();
}
