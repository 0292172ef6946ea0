//! Views by table: rows, writers, typed columns, refusals, bombs.

use fhir::json::{Document, Limits as JsonLimits};
use views::{Limits, RowError, Table, Values, View, write_csv, write_csv_header, write_ndjson};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"multipleBirthInteger":2,
 "name":[{"family":"Lovelace, \"Countess\"","given":["Ada","Augusta"]},{"use":"old"}],
 "extension":[{"url":"http://x/d","valueDecimal":1.50}]}"#;

fn json(text: &str) -> Document {
    Document::parse(text.as_bytes().to_vec(), &JsonLimits::default()).unwrap()
}

fn view(select: &str) -> Result<View, views::ViewError> {
    let text = format!(r#"{{"resource":"Patient","select":{select}}}"#);
    View::compile(json(&text).root())
}

const WIDE: &str = r#"[{"column":[{"name":"id","path":"id","type":"id"},{"name":"d","path":"extension('http://x/d').value","type":"decimal"}]},
 {"forEach":"name","column":[{"name":"at","path":"%rowIndex","type":"integer"},{"name":"family","path":"family","type":"string"},
 {"name":"given","path":"given","type":"string","collection":true}]}]"#;

#[test]
fn writes_rows_as_ndjson_and_csv() {
    let (view, patient) = (view(WIDE).unwrap(), json(PATIENT));
    let rows = view.rows(patient.root(), None, &Limits::default()).unwrap();
    let (mut lines, mut table) = (Vec::new(), Vec::new());
    write_csv_header(view.columns(), &mut table);
    for row in &rows {
        write_ndjson(view.columns(), row, &mut lines);
        write_csv(row, &mut table);
    }
    insta::assert_snapshot!(String::from_utf8(lines).unwrap(), @r#"
    {"id":"p","d":1.50,"at":0,"family":"Lovelace, \"Countess\"","given":["Ada","Augusta"]}
    {"id":"p","d":1.50,"at":1,"family":null,"given":[]}
    "#);
    assert_eq!(
        String::from_utf8(table).unwrap(),
        "id,d,at,family,given\r\np,1.50,0,\"Lovelace, \"\"Countess\"\"\",\"[\"\"Ada\"\",\"\"Augusta\"\"]\"\r\np,1.50,1,,[]\r\n"
    );
}

#[test]
fn gathers_typed_columns_with_levels() {
    let (view, patient) = (view(WIDE).unwrap(), json(PATIENT));
    let mut table = Table::new(&view);
    for row in view.rows(patient.root(), None, &Limits::default()).unwrap() {
        table.push(row).unwrap();
    }
    assert_eq!(table.len(), 2);
    let column = |name: &str| table.columns().iter().find(|one| one.name == name).unwrap();
    assert_eq!(column("at").values, Values::Integer(vec![0, 1]));
    assert_eq!(column("family").definition, [1, 0]);
    assert_eq!(column("given").definition, [1, 1, 0]);
    assert_eq!(column("given").repetition, [0, 1, 0]);
    assert!(column("given").repeated && !column("given").nullable);
}

#[test]
fn leaves_other_resources_out() {
    let view = view(WIDE).unwrap();
    let other = json(r#"{"resourceType":"Observation","id":"p"}"#);
    assert_eq!(
        view.rows(other.root(), None, &Limits::default()),
        Ok(Vec::new())
    );
}

#[test]
fn refuses_views_that_break_a_rule() {
    for (select, refused) in [
        ("[]", "there is none"),
        ("[{}]", "nothing is selected"),
        (r#"[{"column":[{"name":"1a","path":"id"}]}]"#, "is no name"),
        (
            r#"[{"column":[{"name":"a","path":"id"},{"name":"a","path":"id"}]}]"#,
            "two columns",
        ),
        (
            r#"[{"column":[{"name":"a","path":"id("}]}]"#,
            "select[0].column[0].path",
        ),
        (
            r#"[{"column":[{"name":"a","path":"%none"}]}]"#,
            "%none is not defined",
        ),
        (
            r#"[{"column":[{"name":"a","path":"name","type":"HumanName"}]}]"#,
            "no primitive type",
        ),
        (
            r#"[{"forEach":"name","repeat":["x"],"column":[{"name":"a","path":"id"}]}]"#,
            "exclude",
        ),
        (r#"{"column":[]}"#, "no array"),
    ] {
        let error = view(select).unwrap_err().to_string();
        assert!(error.contains(refused), "{select}: {error}");
    }
    let nested = format!(
        "{}{{\"column\":[{{\"name\":\"a\",\"path\":\"id\"}}]}}{}",
        "[{\"select\":".repeat(30) + "[",
        "]".to_owned() + &"}]".repeat(30)
    );
    assert!(view(&nested).unwrap_err().to_string().contains("deeper"));
}

#[test]
fn bombs_end_with_a_limit() {
    let patient = json(PATIENT);
    let twelve = (0..16)
        .map(|at| format!(r#"{{"forEach":"name.given | name.use","column":[{{"name":"c{at}","path":"$this","type":"string"}}]}}"#))
        .collect::<Vec<_>>()
        .join(",");
    let product = view(&format!("[{twelve}]")).unwrap();
    let error = product.rows(patient.root(), None, &Limits::default());
    assert!(matches!(error, Err(RowError::TooMany(_))), "{error:?}");
    let endless = view(r#"[{"repeat":["$this"],"column":[{"name":"a","path":"id"}]}]"#).unwrap();
    let error = endless.rows(patient.root(), None, &Limits::default());
    assert!(matches!(error, Err(RowError::TooMany(_))), "{error:?}");
}
