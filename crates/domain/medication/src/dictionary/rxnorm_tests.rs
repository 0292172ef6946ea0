//! A release in the layout of NLM, made up, whole and broken.

use super::*;
use crate::dictionary::Dictionary;
use crate::knowledge::builtin::built_in;

fn concept(cui: &str, kind: &str, name: &str) -> String {
    format!("{cui}|ENG||||||{cui}1|{cui}1|{cui}||RXNORM|{kind}|{cui}|{name}||N|4096|\n")
}

/// `whole` has `part`, as RXNREL states it: the second has the relationship to the first.
fn has(whole: &str, name: &str, part: &str) -> String {
    format!("{part}||CUI|RO|{whole}||CUI|{name}|1||RXNORM|RXNORM|||N|4096|\n")
}

fn code(cui: &str, ndc: &str) -> String {
    format!("{cui}|||1|AUI|{cui}|||NDC|RXNORM|{ndc}|N|4096|\n")
}

fn release() -> [(File, String); 3] {
    let other = "11289|ENG||||||9|9|4||MTHSPL|SU|x|WARFARIN||N||\n".to_owned();
    let obsolete = "5|ENG||||||9|9|4||RXNORM|SCD|5|old tablets||O||\n".to_owned();
    let concepts = [
        concept("11289", "IN", "warfarin"),
        concept("114194", "PIN", "warfarin sodium"),
        concept("855331", "SCDC", "warfarin sodium 5 MG"),
        concept("317541", "DF", "Oral Tablet"),
        concept("855332", "SCD", "warfarin sodium 5 MG Oral Tablet"),
        concept(
            "855334",
            "SBD",
            "warfarin sodium 5 MG Oral Tablet [Coumadin]",
        ),
        concept("161", "IN", "acetaminophen"),
        concept("2670", "IN", "codeine"),
        concept("315266", "SCDC", "acetaminophen 300 MG"),
        concept("900", "SCDC", "codeine phosphate 30 MG"),
        concept(
            "993781",
            "SCD",
            "acetaminophen 300 MG / codeine phosphate 30 MG Oral Tablet",
        ),
        other,
        obsolete,
    ];
    let relationships = [
        has("855331", "has_ingredient", "11289"),
        has("855331", "has_precise_ingredient", "114194"),
        has("855332", "consists_of", "855331"),
        has("855332", "has_dose_form", "317541"),
        has("855334", "tradename_of", "855332"),
        has("315266", "has_ingredient", "161"),
        has("900", "has_ingredient", "2670"),
        has("993781", "consists_of", "315266"),
        has("993781", "consists_of", "900"),
        has("993781", "has_dose_form", "317541"),
        // The other way is there too, and says nothing new.
        has("11289", "ingredient_of", "855331"),
    ];
    let attributes = [
        // One part begins with a zero; of the other code two do.
        code("855334", "00056172710"),
        code("855334", "00056017270"),
        "855332|||1|AUI|9|||RXTERM_FORM|RXNORM|Tab|N||\n".to_owned(),
    ];
    [
        (File::Attributes, attributes.concat()),
        (File::Relationships, relationships.concat()),
        (File::Concepts, concepts.concat()),
    ]
}

fn read() -> Release {
    let mut own = Release::default();
    for (file, text) in release() {
        own.read(file, text.as_bytes()).unwrap();
    }
    own
}

#[test]
fn a_drug_leads_to_ingredients_strengths_form_and_route() {
    let release = read();
    let counts = Counts {
        ingredients: 4,
        clinical_drugs: 2,
        branded_drugs: 1,
        drug_codes: 2,
        numbers: 1,
    };
    assert_eq!(release.counts(), counts);
    let known = built_in().unwrap();
    let list = Dictionary::of(release.finish(known).unwrap());
    assert_eq!(list.products().len(), 3);
    for cui in ["855332", "855334"] {
        let product = list.by_code(System::RxNorm, cui).unwrap();
        let [part] = product.components.as_slice() else {
            panic!("one ingredient");
        };
        assert_eq!(part.ingredient, known.ingredient("warfarin"));
        assert_eq!(part.strength.as_ref().unwrap().milligrams(), Some(5.into()));
        let stated = (product.form.as_deref(), product.route.as_deref());
        assert_eq!(stated, (Some("Oral Tablet"), Some("oral")));
        assert_eq!(product.schedule, None);
    }
    let both = list.by_code(System::RxNorm, "993781").unwrap();
    let names: Vec<&str> = both
        .components
        .iter()
        .map(|own| own.name.as_str())
        .collect();
    assert_eq!(names, ["acetaminophen", "codeine"]);
    assert_eq!(list.by_code(System::RxNorm, "5"), None, "obsolete");
}

#[test]
fn a_drug_code_states_a_number_only_without_doubt() {
    for (ndc, expected) in [
        // 5-3-2: 50580-488-10 padded in its second part.
        ("50580048810", Some("00350580488102")),
        // 4-4-2: 1234-5678-90 padded in its first.
        ("01234567890", Some("00312345678906")),
        // 5-4-1: 12345-6789-1 padded in its last.
        ("12345678901", Some("00312345678913")),
        ("00056017270", None),
        ("12345678912", None),
    ] {
        let found = trade_item(ndc).unwrap().map(|own| own.to_string());
        assert_eq!(found.as_deref(), expected, "{ndc}");
    }
    for bad in ["", "1234567890", "1234-5678-90", "123456789012"] {
        assert!(trade_item(bad).is_err(), "{bad}");
    }
    let list = Dictionary::of(read().finish(built_in().unwrap()).unwrap());
    let gtin = list
        .by_code(System::RxNorm, "855334")
        .unwrap()
        .gtins
        .clone();
    assert_eq!(gtin.len(), 1);
    let found = list.by_gtin(gtin[0]).unwrap();
    assert_eq!(found.name, "warfarin sodium 5 MG Oral Tablet [Coumadin]");
}

#[test]
fn strengths_and_routes_are_read_or_left_out() {
    for (name, expected) in [
        ("warfarin sodium 5 MG", Some(("5", "mg", None))),
        ("morphine sulfate 10 MG/ML", Some(("10", "mg", Some("mL")))),
        ("fentanyl 0.05 MG/HR", Some(("0.05", "mg", Some("h")))),
        (
            "insulin glargine 100 UNT/ML",
            Some(("100", "[USP'U]", Some("mL"))),
        ),
        (
            "albuterol 0.09 MG/ACTUAT",
            Some(("0.09", "mg", Some("{actuation}"))),
        ),
        ("pollen 100 BAU/ML", None),
        ("warfarin", None),
        ("zero 0 MG", None),
    ] {
        let found = strength(name);
        let found = found.as_ref().map(|own| {
            let per = own.per.as_ref().map(|(_, unit)| unit.as_str());
            (own.value.to_string(), own.unit.as_str(), per)
        });
        let expected = expected.map(|(value, unit, per)| (value.to_owned(), unit, per));
        assert_eq!(found, expected, "{name}");
        if let Some(own) = strength(name) {
            assert!(kernel::ucum::UcumUnit::parse(&own.unit).is_ok());
        }
    }
    for (form, expected) in [
        ("Oral Tablet", Some("oral")),
        ("Chewable Tablet", Some("oral")),
        ("Nasal Spray", Some("nasal")),
        ("Ophthalmic Solution", Some("ocular")),
        ("Otic / Ophthalmic Solution", None),
        ("Injectable Solution", None),
    ] {
        assert_eq!(route(form), expected, "{form}");
    }
}

#[test]
fn a_fault_names_file_and_line() {
    let good = concept("1", "IN", "x");
    let long = "x".repeat(70_000);
    for (file, text, expected) in [
        (
            File::Concepts,
            format!("{good}1|ENG|\n"),
            "RXNCONSO.RRF line 2: a line has 18 columns, not 2",
        ),
        (
            File::Concepts,
            good.trim_end_matches("|\n").to_owned(),
            "RXNCONSO.RRF line 1: a line ends with a bar",
        ),
        (
            File::Concepts,
            format!("{good}{good}"),
            "RXNCONSO.RRF line 2: concept 1 is there twice",
        ),
        (
            File::Concepts,
            concept("x1", "IN", "x"),
            "RXNCONSO.RRF line 1: \"x1\" is no concept identifier of 1 to 8 digits",
        ),
        (
            File::Concepts,
            concept("1", "IN", " "),
            "RXNCONSO.RRF line 1: a concept has no name",
        ),
        (
            File::Relationships,
            has("1", "has_ingredient", "123456789"),
            "RXNREL.RRF line 1: \"123456789\" is no concept identifier of 1 to 8 digits",
        ),
        (
            File::Attributes,
            code("1", "12"),
            "RXNSAT.RRF line 1: \"12\" is no drug code of 11 digits",
        ),
        (
            File::Attributes,
            format!("{}{long}", code("1", "12345678912")),
            "RXNSAT.RRF line 2: the line is longer than 64 KiB",
        ),
    ] {
        let error = Release::default().read(file, text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = Release::default().read(File::Concepts, &b"\xff|\n"[..]);
    assert!(error.unwrap_err().to_string().contains("no UTF-8"));
}

#[test]
fn what_points_nowhere_is_refused() {
    let known = built_in().unwrap();
    let mut alone = Release::default();
    let [_, _, (file, concepts)] = release();
    alone.read(file, concepts.as_bytes()).unwrap();
    let error = alone.finish(known).unwrap_err();
    assert_eq!(
        error.to_string(),
        "RXNREL.RRF line 0: drug 855332 has no ingredient"
    );
    let branded = concept("1", "SBD", "x [Y]");
    let mut alone = Release::default();
    alone.read(File::Concepts, branded.as_bytes()).unwrap();
    let error = alone.finish(known).unwrap_err();
    assert!(error.to_string().contains("is of 0 clinical drugs"));
}
