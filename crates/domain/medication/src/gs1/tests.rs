//! Scans of packs, good and bad, as tables and as properties.

use proptest::prelude::*;

use super::*;

const GTIN: &str = "09506000134352";

fn date_of(text: &str) -> Result<String, ScanError> {
    read(&format!("01{GTIN}17{text}"), 2026).map(|pack| pack.expiry.unwrap().to_string())
}

#[test]
fn a_pack_says_what_it_is() {
    let scan = format!("]d201{GTIN}1728020010AB-12\u{1d}21SN/9\u{1d}7141234567\u{1d}3024");
    let pack = read(&scan, 2026).unwrap();
    assert_eq!(pack.gtin.digits(), GTIN);
    assert_eq!(pack.batch.as_deref(), Some("AB-12"));
    assert_eq!(pack.serial.as_deref(), Some("SN/9"));
    assert_eq!(
        pack.expiry,
        Some(PackDate {
            year: 2028,
            month: 2,
            day: None
        })
    );
    assert_eq!(pack.expiry.unwrap().to_string(), "2028-02-29");
    assert_eq!(pack.national, [("714".to_owned(), "1234567".to_owned())]);
    assert_eq!(pack.count, Some(24));
    let people = format!("(01){GTIN}(17)280200(10)AB-12(21)SN/9(714)1234567(30)24");
    assert_eq!(read(&people, 2026), Ok(pack));
}

#[test]
fn plain_codes_are_products() {
    for (scan, digits) in [
        ("9506000134352", GTIN),
        ("5037563003235", "05037563003235"),
        ("96385074", "00000096385074"),
        ("036000291452", "00036000291452"),
        ("]E09506000134352", GTIN),
        ("9506000134352\r\n", GTIN),
    ] {
        assert_eq!(read(scan, 2026).unwrap().gtin.digits(), digits, "{scan}");
    }
}

#[test]
fn departures_are_refused_by_kind() {
    let name = |text: &str| text.to_owned();
    for (scan, error) in [
        (name(""), ScanError::Length),
        (
            name("9506000134353"),
            ScanError::CheckDigit(name("9506000134353")),
        ),
        (
            name("00000000000000"),
            ScanError::Gtin(name("00000000000000")),
        ),
        (format!("01{GTIN}99x"), ScanError::Identifier(16)),
        (format!("01{GTIN}17"), ScanError::Element(name("17"))),
        (format!("01{GTIN}1728AB00"), ScanError::Element(name("17"))),
        (
            format!("01{GTIN}10\u{1d}21A"),
            ScanError::Element(name("10")),
        ),
        (
            format!("01{GTIN}10{}", "A".repeat(21)),
            ScanError::Element(name("10")),
        ),
        (format!("01{GTIN}10A B"), ScanError::Element(name("10"))),
        (
            format!("01{GTIN}10A\u{1d}10A"),
            ScanError::Twice(name("10")),
        ),
        (
            format!("01{GTIN}10A\u{1d}10B"),
            ScanError::Conflict(name("10")),
        ),
        (format!("01{GTIN}01{GTIN}"), ScanError::Twice(name("01"))),
        (
            format!("01{GTIN}305\u{1d}376"),
            ScanError::Conflict(name("37")),
        ),
        (name("10ABC"), ScanError::NoProduct),
        (format!("(01){GTIN}(10"), ScanError::Element(name("01"))),
        (name("01é"), ScanError::Length),
    ] {
        assert_eq!(read(&scan, 2026), Err(error), "{scan:?}");
    }
}

#[test]
fn dates_follow_the_calendar_and_the_century() {
    for (text, expected) in [
        ("261231", Some("2026-12-31")),
        ("260200", Some("2026-02-28")),
        ("280229", Some("2028-02-29")),
        ("270229", None),
        ("261301", None),
        ("260001", None),
        ("260431", None),
        ("760101", Some("2076-01-01")),
        ("770101", Some("1977-01-01")),
        ("000101", Some("2000-01-01")),
    ] {
        assert_eq!(date_of(text).ok().as_deref(), expected, "{text}");
    }
    let late = read(&format!("01{GTIN}17050100"), 2098).unwrap();
    assert_eq!(late.expiry.unwrap().to_string(), "2105-01-31");
}

#[test]
fn numbers_of_ones_own_are_known_as_such() {
    for (text, own) in [
        ("2000000000015", true),
        ("0401234567893", true),
        (GTIN, false),
        ("5037563003235", false),
    ] {
        let body: u64 = text[..text.len() - 1].parse().unwrap();
        let gtin = Gtin::read(&format!("{body:012}{}", check_digit(body))).unwrap();
        assert_eq!(gtin.is_restricted(), own, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(scan in "\\PC{0,60}|[0-9()\u{1d}A-Z]{0,60}|\\]d201[0-9]{14}[0-9A-Z\u{1d}]{0,60}", year in 1950_u16..2150) {
        if let Ok(pack) = read(&scan, year) {
            prop_assert!(Gtin::read(&pack.gtin.digits()).is_ok());
        }
    }

    #[test]
    fn what_is_written_is_read_back(body in 1_u64..9_999_999_999_999, batch in "[!\"%&'*-9:-?A-Z_a-z]{1,20}", serial in "[A-Za-z0-9]{1,20}", month in 1_u8..=12, day in 0_u8..=28, swap: bool) {
        let gtin = format!("{body:013}{}", check_digit(body));
        let scan = if swap {
            format!("]d221{serial}\u{1d}10{batch}\u{1d}01{gtin}1727{month:02}{day:02}")
        } else {
            format!("\u{1d}01{gtin}1727{month:02}{day:02}10{batch}\u{1d}21{serial}")
        };
        let pack = read(&scan, 2026).unwrap();
        prop_assert_eq!(pack.gtin.digits(), gtin);
        prop_assert_eq!(pack.batch, Some(batch));
        prop_assert_eq!(pack.serial, Some(serial));
        prop_assert_eq!(pack.expiry, Some(PackDate { year: 2027, month, day: (day != 0).then_some(day) }));
    }

    /// One wrong digit never passes, nor do most swaps of neighbours.
    #[test]
    fn a_wrong_digit_is_found(body in 1_u64..9_999_999_999_999, at in 0_usize..14, add in 1_u8..10) {
        let good = format!("{body:013}{}", check_digit(body));
        let mut bad = good.into_bytes();
        bad[at] = b'0' + (bad[at] - b'0' + add) % 10;
        let bad = String::from_utf8(bad).unwrap();
        prop_assert!(Gtin::read(&bad).is_err());
    }
}
