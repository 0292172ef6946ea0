//! A release in the layout of NHSBSA, whole and broken.

use super::*;
use crate::dictionary::Dictionary;
use crate::knowledge::builtin::built_in;

const VTM: &str = "<V><VTM><VTMID>1</VTMID><NM>Co-amilofruse</NM></VTM></V>";
const VMP: &str = "<V><VMPS><VMP><VPID>318136009</VPID><VTMID>1</VTMID><NM>Co-amilofruse 5mg/40mg tablets</NM></VMP></VMPS>
<VIRTUAL_PRODUCT_INGREDIENT>
<VPI><VPID>318136009</VPID><ISID>387516008</ISID><STRNT_NMRTR_VAL>5</STRNT_NMRTR_VAL><STRNT_NMRTR_UOMCD>258684004</STRNT_NMRTR_UOMCD></VPI>
<VPI><VPID>318136009</VPID><ISID>387475002</ISID><STRNT_NMRTR_VAL>40</STRNT_NMRTR_VAL><STRNT_NMRTR_UOMCD>258684004</STRNT_NMRTR_UOMCD></VPI>
</VIRTUAL_PRODUCT_INGREDIENT>
<DRUG_FORM><DFORM><VPID>318136009</VPID><FORMCD>385055001</FORMCD></DFORM></DRUG_FORM>
<DRUG_ROUTE><DROUTE><VPID>318136009</VPID><ROUTECD>26643006</ROUTECD></DROUTE></DRUG_ROUTE>
<CONTROL_DRUG_INFO><CONTROL_INFO><VPID>318136009</VPID><CATCD>0002</CATCD></CONTROL_INFO></CONTROL_DRUG_INFO></V>";
const AMP: &str = "<A><AMPS><AMP><APID>7</APID><VPID>318136009</VPID><NM>x</NM><DESC>Co-amilofruse (Maw &amp; Co)</DESC></AMP></AMPS></A>";
const AMPP: &str = "<A><AMPPS><AMPP><APPID>9</APPID><NM>x</NM><APID>7</APID></AMPP></AMPPS></A>";
const GTIN: &str = "<G><AMPPS><AMPP><AMPPID>9</AMPPID><GTINDATA><GTIN>5037563003235</GTIN><STARTDT>2019-03-13</STARTDT></GTINDATA></AMPP>
<AMPP><AMPPID>9</AMPPID><GTINDATA><GTIN>5012617019844</GTIN><STARTDT>2015-06-01</STARTDT><ENDDT>2019-03-12</ENDDT></GTINDATA></AMPP></AMPPS></G>";
const ING: &str = "<I><ING><ISID>387516008</ISID><NM>Amiloride hydrochloride</NM></ING><ING><ISID>387475002</ISID><NM>Furosemide</NM></ING></I>";
const LOOKUP: &str = "<L><UNIT_OF_MEASURE><INFO><CD>258684004</CD><DESC>mg</DESC></INFO></UNIT_OF_MEASURE><FORM><INFO><CD>385055001</CD><DESC>Tablet</DESC></INFO></FORM><ROUTE><INFO><CD>26643006</CD><DESC>Oral</DESC></INFO></ROUTE></L>";

const FILES: [(&str, &str); 7] = [
    ("gtin", GTIN),
    ("vtm", VTM),
    ("vmp", VMP),
    ("amp", AMP),
    ("ampp", AMPP),
    ("ingredient", ING),
    ("lookup", LOOKUP),
];

#[test]
fn a_number_leads_to_ingredients_strengths_form_route_and_schedule() {
    let mut release = Release::default();
    for (file, text) in FILES {
        release.read(file, text.as_bytes()).unwrap();
    }
    assert_eq!(
        release.counts(),
        Counts {
            moieties: 1,
            virtual_products: 1,
            actual_products: 1,
            virtual_packs: 0,
            packs: 1,
            numbers: 1
        }
    );
    let known = built_in().unwrap();
    let list = Dictionary::of(release.finish(known).unwrap());
    let product = list.by_gtin("5037563003235".parse().unwrap()).unwrap();
    assert_eq!(product.name, "Co-amilofruse (Maw & Co)");
    assert_eq!(
        (product.form.as_deref(), product.route.as_deref()),
        (Some("Tablet"), Some("oral"))
    );
    assert_eq!(product.schedule, Some(Schedule::Two));
    let parts: Vec<_> = product
        .components
        .iter()
        .map(|one| (one.ingredient, one.strength.as_ref().unwrap().milligrams()))
        .collect();
    assert_eq!(
        parts,
        [
            (known.ingredient("amiloride"), Some(5.into())),
            (known.ingredient("furosemide"), Some(40.into()))
        ]
    );
    // A number that ended is found no more.
    assert_eq!(list.by_gtin("5012617019844".parse().unwrap()), None);
    assert_eq!(
        list.by_code(System::Dmd, "318136009").unwrap().name,
        "Co-amilofruse 5mg/40mg tablets"
    );
}

#[test]
fn a_fault_names_file_and_line() {
    for (text, expected) in [
        (
            "<V>\n<VTM>\n<NM>x</NM></VTM></V>",
            "f line 3: a record has no VTMID",
        ),
        (
            "<!DOCTYPE x><V></V>",
            "f line 1: a document type is not taken",
        ),
        (
            "<G>\n<AMPP><AMPPID>9</AMPPID><GTIN>5037563003236</GTIN></AMPP></G>",
            "f line 2: the check digit of 5037563003236 is wrong: scan again or type it again",
        ),
        (
            "<V>\n\n<CONTROL_INFO><VPID>1</VPID><CATCD>0099</CATCD></CONTROL_INFO></V>",
            "f line 3: controlled-drug category 0099 is not known",
        ),
        ("<V><VTM>", "f line 1: the file ends inside an element"),
        ("<V>&bomb;</V>", "f line 1: the entity bomb is not taken"),
    ] {
        let error = Release::default().read("f", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn what_points_nowhere_is_refused() {
    let known = built_in().unwrap();
    for without in ["vmp", "ampp"] {
        let mut release = Release::default();
        for (file, text) in FILES.iter().filter(|(file, _)| *file != without) {
            release.read(file, text.as_bytes()).unwrap();
        }
        assert!(release.finish(known).is_err(), "{without}");
    }
}
