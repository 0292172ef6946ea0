//! Tiny synthetic releases, sound and damaged.

use super::*;
use crate::ecl;

fn tabs(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.replace(' ', "\t").replace('_', " ") + "\r\n")
        .collect()
}

#[expect(clippy::too_many_lines, reason = "a release in one piece")]
/// 1000001 { 1000002 { 1000003, 1000004 (inactive) }, 1000005 }, 1000003 is below 1000005 as well.
fn snomed(wish: &Wish) -> (crate::system::CodeSystem, Report) {
    let names: Vec<String> = [
        "Snapshot/Terminology/sct2_Concept_Snapshot_INT_20240101.txt",
        "Snapshot/Terminology/sct2_Description_Snapshot-en_INT_20240101.txt",
        "Snapshot/Terminology/sct2_Relationship_Snapshot_INT_20240101.txt",
        "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20240101.txt",
        "Snapshot/Refset/Content/der2_Refset_SimpleSnapshot_INT_20240101.txt",
        "Snapshot/Terminology/sct2_StatedRelationship_Snapshot_INT_20240101.txt",
        "Full/Terminology/sct2_Concept_Full_INT_20240101.txt",
        "Readme.txt",
    ]
    .map(str::to_owned)
    .to_vec();
    let kinds: Vec<Option<rf2::Kind>> = names.iter().map(|name| rf2::Kind::of(name)).collect();
    assert_eq!(
        kinds,
        [
            Some(rf2::Kind::Concept),
            Some(rf2::Kind::Description),
            Some(rf2::Kind::Relationship),
            Some(rf2::Kind::Language),
            Some(rf2::Kind::SimpleRefset),
            None,
            None,
            None
        ]
    );
    let concepts = tabs(&[
        "id effectiveTime active moduleId definitionStatusId",
        "1000001 20240101 1 900000000000207008 900000000000074008",
        "1000002 20240101 1 900000000000207008 900000000000073002",
        "1000003 20240101 1 900000000000207008 900000000000074008",
        "1000004 20240101 0 900000000000207008 900000000000074008",
        "1000005 20240101 1 900000000000207008 900000000000074008",
        "1000005 20240101 1 900000000000207008 900000000000074008",
        "10x0006 20240101 1 900000000000207008 900000000000074008",
        "1000007 20240101 2 900000000000207008 900000000000074008",
        "1000008",
    ]);
    let languages = tabs(&[
        "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
        "a 20240101 1 m 900000000000509007 22 900000000000548007",
        "b 20240101 1 m 900000000000508004 23 900000000000548007",
        "c 20240101 0 m 900000000000509007 21 900000000000548007",
    ]);
    let descriptions = tabs(&[
        "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
        "20 20240101 1 m 1000002 en 900000000000003001 Anemia_(disorder) c",
        "21 20240101 1 m 1000002 en 900000000000013009 Low_blood c",
        "22 20240101 1 m 1000002 en 900000000000013009 Anemia c",
        "23 20240101 1 m 1000002 en 900000000000013009 Anaemia c",
        "24 20240101 0 m 1000002 en 900000000000013009 Gone c",
        "25 20240101 1 m 1000003 en 900000000000003001 Iron_deficiency_(disorder) c",
        "26 20240101 1 m 1009999 en 900000000000013009 Nobody c",
    ]);
    let relationships = tabs(&[
        "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId",
        "30 20240101 1 m 1000002 1000001 0 116680003 c m",
        "31 20240101 1 m 1000003 1000002 0 116680003 c m",
        "32 20240101 1 m 1000005 1000001 0 116680003 c m",
        "33 20240101 1 m 1000003 1000005 0 116680003 c m",
        "34 20240101 0 m 1000004 1000002 0 116680003 c m",
        "35 20240101 1 m 1000003 1000005 1 363698007 c m",
    ]);
    let refsets = tabs(&[
        "id effectiveTime active moduleId refsetId referencedComponentId",
        "x 20240101 1 m 723264001 1000003",
        "y 20240101 1 m 723264001 20",
    ]);
    let mut rf2 = rf2::Rf2::new(wish, &names).unwrap();
    for (kind, file, text) in [
        (rf2::Kind::Concept, "concepts", concepts),
        (rf2::Kind::Language, "languages", languages),
        (rf2::Kind::Description, "descriptions", descriptions),
        (rf2::Kind::Relationship, "relationships", relationships),
        (rf2::Kind::SimpleRefset, "refsets", refsets),
    ] {
        rf2.read(kind, file, text.as_bytes()).unwrap();
    }
    rf2.finish().unwrap()
}

#[test]
fn a_snomed_release_is_read_with_its_faults_counted() {
    let (system, report) = snomed(&Wish::default());
    assert_eq!(
        system.canonical(),
        "http://snomed.info/sct|http://snomed.info/sct/900000000000207008/version/20240101"
    );
    assert_eq!(system.len(), 5);
    let at = |code| system.find(code).unwrap();
    assert_eq!(system.display(at("1000002")), "Anemia");
    assert_eq!(system.display(at("1000003")), "Iron deficiency (disorder)");
    assert_eq!(system.designations(at("1000002")).count(), 4);
    assert!(system.is_inactive(at("1000004")));
    let members = ecl::evaluate(&system, "<< 1000005 AND << 1000002 AND ^ 723264001").unwrap();
    assert_eq!(
        members.iter().map(|at| system.code(at)).collect::<Vec<_>>(),
        ["1000003"]
    );
    let site = system
        .values(at("1000003"))
        .find(|value| value.code == "363698007");
    assert_eq!(site.unwrap().text, "1000005");
    let places: Vec<(&str, u64)> = report
        .refusals
        .iter()
        .map(|one| (one.file.as_str(), one.line))
        .collect();
    assert_eq!(
        places,
        [
            ("concepts", 7),
            ("concepts", 8),
            ("concepts", 9),
            ("concepts", 10),
            ("descriptions", 8)
        ]
    );
    let british = Wish {
        languages: vec!["900000000000508004".to_owned()],
        edition: Some("83821000000107".to_owned()),
        ..Wish::default()
    };
    let (system, _) = snomed(&british);
    assert_eq!(system.display(system.find("1000002").unwrap()), "Anaemia");
    assert!(system.canonical().contains("/83821000000107/version/"));
}

#[test]
fn files_of_another_kind_are_refused() {
    let mut rf2 = rf2::Rf2::new(&Wish::default(), &[]).unwrap();
    let wrong = rf2.read(rf2::Kind::Concept, "f", "id\tterm\n".as_bytes());
    assert!(matches!(wrong, Err(LoadError::Format { .. })));
    assert!(matches!(rf2.finish(), Err(LoadError::Missing(_))));
    let mut loinc = loinc::Loinc::new(&Wish::default()).unwrap();
    let wrong = loinc.read(loinc::Kind::Terms, "f", "LOINC_NUM,STATUS\n".as_bytes());
    assert!(wrong.unwrap_err().to_string().contains("LONG_COMMON_NAME"));
    let mut icd = icd10::Icd10::new(&Wish::default());
    assert!(icd.read_claml("f", "<a/>".as_bytes()).is_err());
    assert!(icd.read_table("f", "a,b\n".as_bytes()).is_err());
}

#[test]
fn a_loinc_release_is_read() {
    let terms = "\"LOINC_NUM\",\"COMPONENT\",\"PROPERTY\",\"SCALE_TYP\",\"STATUS\",\"LONG_COMMON_NAME\",\"SHORTNAME\",\"VersionLastChanged\"\n\
        \"718-7\",\"Hemoglobin\",\"MCnc\",\"Qn\",\"ACTIVE\",\"Hemoglobin [Mass/volume] in Blood\",\"Hgb\",\"2.73\"\n\
        \"1-8\",\"Acyclovir\",\"Susc\",\"OrdQn\",\"DEPRECATED\",\"Acyclovir, \"\"old\"\"\",\"\",\"2.9\"\n\
        \"nonsense\",\"\",\"\",\"\",\"ACTIVE\",\"x\",\"\",\"\"\n";
    let hierarchy = "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n\
        ,1,,LP432695-7,{component}\nLP432695-7,1,LP432695-7,LP14449-0,Hemoglobin\n\
        LP432695-7.LP14449-0,1,LP14449-0,718-7,Hemoglobin Bld\n";
    let answers = "AnswerListId,AnswerListName,AnswerStringId,DisplayText\n\
        LL360-9,Smoking,LA1-2,Yes\nLL360-9,Smoking,LA3-4,No\nLL1-1,External,,\n";
    let links = "LoincNumber,AnswerListId\n718-7,LL360-9\n9999-9,LL360-9\n";
    let mut loinc = loinc::Loinc::new(&Wish::default()).unwrap();
    for (name, text) in [
        ("LoincTable/Loinc.csv", terms),
        ("x/ComponentHierarchyBySystem.csv", hierarchy),
        ("AnswerFile/AnswerList.csv", answers),
        ("AnswerFile/LoincAnswerListLink.csv", links),
    ] {
        let kind = loinc::Kind::of(name).unwrap();
        loinc.read(kind, name, text.as_bytes()).unwrap();
    }
    let (system, report) = loinc.finish().unwrap();
    assert_eq!(system.canonical(), "http://loinc.org|2.73");
    let at = |code| system.find(code).unwrap();
    assert_eq!(
        system.display(at("718-7")),
        "Hemoglobin [Mass/volume] in Blood"
    );
    assert!(system.hierarchy().subsumes(at("LP432695-7"), at("718-7")));
    assert_eq!(system.display(at("1-8")), "Acyclovir, \"old\"");
    assert!(system.is_inactive(at("1-8")) && system.is_abstract(at("LL360-9")));
    let lists: Vec<&str> = system.values(at("LA1-2")).map(|one| one.text).collect();
    assert_eq!(lists, ["LL360-9"]);
    let places: Vec<u64> = report.refusals.iter().map(|one| one.line).collect();
    assert_eq!((report.refused, places), (2, vec![4, 3]));
}

#[test]
fn a_dmd_release_is_read() {
    let vtm = "<?xml version=\"1.0\"?><VIRTUAL_THERAPEUTIC_MOIETIES><VTM><VTMID>100</VTMID><NM>Alpha &amp; Beta</NM></VTM></VIRTUAL_THERAPEUTIC_MOIETIES>";
    let vmp = "<VIRTUAL_MED_PRODUCTS><VMPS>\n<VMP><VPID>200</VPID><VTMID>100</VTMID><NM>Alpha 5mg tablets</NM><PRES_STATCD>0001</PRES_STATCD></VMP>\n\
        <VMP><VPID>201</VPID><VTMID>999</VTMID><NM>Lost</NM></VMP>\n<VMP><NM>No id</NM></VMP></VMPS>\
        <CONTROL_DRUG_INFO><CONTROL_INFO><VPID>200</VPID><CATCD>0002</CATCD></CONTROL_INFO></CONTROL_DRUG_INFO></VIRTUAL_MED_PRODUCTS>";
    let amp = "<A><AMPS><AMP><APID>300</APID><VPID>200</VPID><INVALID>1</INVALID><NM>Alpha 5mg</NM><DESC>Alpha 5mg (Maker)</DESC></AMP></AMPS></A>";
    let mut dmd = dmd::Dmd::new(&Wish::default());
    for (file, text) in [
        ("f_vtm2_3260821.xml", vtm),
        ("f_vmp2_3260821.xml", vmp),
        ("f_amp2_3260821.xml", amp),
    ] {
        assert!(dmd::Kind::of(file).is_some());
        dmd.read(file, text.as_bytes()).unwrap();
    }
    let (system, report) = dmd.finish().unwrap();
    assert_eq!(system.canonical(), "https://dmd.nhs.uk|2021-08-26");
    let at = |code| system.find(code).unwrap();
    assert_eq!(system.display(at("100")), "Alpha & Beta");
    assert_eq!(system.display(at("300")), "Alpha 5mg (Maker)");
    assert!(system.is_inactive(at("300")));
    assert!(system.hierarchy().subsumes(at("100"), at("300")));
    let control = system.values(at("200")).find(|value| value.code == "CATCD");
    assert_eq!(control.unwrap().text, "0002");
    let lines: Vec<u64> = report.refusals.iter().map(|one| one.line).collect();
    assert_eq!(lines, [3, 4]);
}

#[test]
fn icd_10_is_read_from_claml_and_from_a_table() {
    let claml = r#"<?xml version="1.0"?><ClaML version="2.0.0"><Title name="ICD-10" version="2019">t</Title>
        <Class code="I" kind="chapter"><Rubric kind="preferred"><Label xml:lang="en">Infections</Label></Rubric></Class>
        <Class code="A00" kind="category" usage="dagger"><SuperClass code="I"/>
          <Rubric kind="preferred"><Label xml:lang="en">Cholera <Reference>A01</Reference></Label></Rubric>
          <Rubric kind="exclusion"><Label>carrier</Label></Rubric></Class>
        <Class code="B00" kind="category"><SuperClass code="nowhere"/></Class></ClaML>"#;
    let mut icd = icd10::Icd10::new(&Wish::default());
    icd.read_claml("icd.xml", claml.as_bytes()).unwrap();
    let (system, report) = icd.finish().unwrap();
    assert_eq!(system.canonical(), "http://hl7.org/fhir/sid/icd-10|2019");
    let at = |code| system.find(code).unwrap();
    assert_eq!(system.display(at("A00")), "Cholera A01");
    assert!(system.hierarchy().subsumes(at("I"), at("A00")));
    assert!(system.is_abstract(at("I")) && !system.is_abstract(at("A00")));
    assert_eq!(report.refused, 1);

    let wish = Wish {
        url: Some("http://x".to_owned()),
        version: Some("9".to_owned()),
        ..Wish::default()
    };
    let mut icd = icd10::Icd10::new(&wish);
    let table =
        "Code;Title;Parent;Age\nA00;Cholera;;\nA00.0;Classic;A00;adult\n;x;;\nA01;Typhoid;Z;\n";
    icd.read_table("icd.csv", table.as_bytes()).unwrap();
    let (system, report) = icd.finish().unwrap();
    assert_eq!(
        (system.canonical().as_str(), system.len()),
        ("http://x|9", 3)
    );
    let below = system.find("A00.0").unwrap();
    assert!(
        system
            .hierarchy()
            .subsumes(system.find("A00").unwrap(), below)
    );
    assert_eq!(system.values(below).next().unwrap().text, "adult");
    assert_eq!(report.refused, 2);
}

#[test]
fn hostile_xml_is_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><ClaML>&b;</ClaML>".to_owned();
    let deep = format!("<ClaML>{}", "<x>".repeat(1000));
    let entity =
        "<ClaML><Class code=\"a\"><Rubric><Label>&b;</Label></Rubric></Class></ClaML>".to_owned();
    let cut = "<ClaML><Class code=\"a\">".to_owned();
    let long = format!("<ClaML><Title>{}</Title></ClaML>", "x".repeat(3 << 20));
    for text in [bomb, deep, entity, cut, long] {
        let mut icd = icd10::Icd10::new(&Wish::default());
        let read = icd.read_claml("f.xml", text.as_bytes());
        assert!(
            matches!(read, Err(LoadError::Format { .. })),
            "{}",
            &text[..40]
        );
    }
}

mod noise {
    use proptest::prelude::*;

    use super::super::*;

    proptest! {
        #[test]
        fn no_noise_makes_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let wish = Wish::default();
            let mut rf2 = rf2::Rf2::new(&wish, &[]).unwrap();
            let mut lines = b"id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n".to_vec();
            lines.extend(&bytes);
            let _ = rf2.read(rf2::Kind::Concept, "f", lines.as_slice());
            let mut loinc = loinc::Loinc::new(&wish).unwrap();
            let mut lines = b"LOINC_NUM,LONG_COMMON_NAME,STATUS\n".to_vec();
            lines.extend(&bytes);
            let _ = loinc.read(loinc::Kind::Terms, "f", lines.as_slice());
            let mut xml = b"<ClaML><Class code='a'>".to_vec();
            xml.extend(&bytes);
            let _ = icd10::Icd10::new(&wish).read_claml("f", xml.as_slice());
            let _ = dmd::Dmd::new(&wish).read("f_vmp2_1.xml", xml.as_slice());
        }
    }
}

#[test]
fn groups_and_concrete_values_are_kept() {
    let names = ["sct2_RelationshipConcreteValues_Snapshot_INT_20240101.txt".to_owned()];
    assert_eq!(rf2::Kind::of(&names[0]), Some(rf2::Kind::ConcreteValues));
    let codes = ["1000001", "1000002", "1000003", "7620000", "1142135"];
    let concepts = codes.map(|code| format!("{code} 20240101 1 m 900000000000074008"));
    let header = "id effectiveTime active moduleId definitionStatusId".to_owned();
    let lines: Vec<&str> = core::iter::once(&header)
        .chain(&concepts)
        .map(String::as_str)
        .collect();
    let relationships = tabs(&[
        "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId",
        "30 20240101 1 m 1000003 1000001 1 7620000",
        "31 20240101 1 m 1000003 1000002 2 7620000",
        "32 20240101 1 m 1000003 1000002 256 7620000",
    ]);
    let values = tabs(&[
        "id effectiveTime active moduleId sourceId value relationshipGroup typeId",
        "40 20240101 1 m 1000003 #2.5 2 1142135",
        "41 20240101 0 m 1000003 #9 2 1142135",
        "42 20240101 1 m 1000003 nine 2 1142135",
    ]);
    let mut rf2 = rf2::Rf2::new(&Wish::default(), &names).unwrap();
    for (kind, text) in [
        (rf2::Kind::Concept, tabs(&lines)),
        (rf2::Kind::Relationship, relationships),
        (rf2::Kind::ConcreteValues, values),
    ] {
        rf2.read(kind, "file", text.as_bytes()).unwrap();
    }
    let (system, report) = rf2.finish().unwrap();
    assert_eq!(report.refusals.len(), 2, "{:?}", report.refusals);
    // As it is installed.
    let packed = crate::pack::pack(&system).unwrap();
    let system = crate::pack::unpack(&packed).unwrap();
    for (text, expected) in [
        ("* : { 7620000 = 1000002, 1142135 = #2.50 }", 1),
        ("* : { 7620000 = 1000001, 1142135 = #2.5 }", 0),
        ("* : 1142135 = #9", 0),
    ] {
        assert_eq!(
            ecl::evaluate(&system, text).unwrap().len(),
            expected,
            "{text}"
        );
    }
}
