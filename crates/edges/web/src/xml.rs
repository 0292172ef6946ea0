//! FHIR XML indented for reading. Must not change it: line breaks and spaces are added between elements
//! alone, and narratives stay as they are.

/// Spaces of one level.
const STEP: usize = 2;

/// The XML of a resource, indented.
#[must_use]
pub fn indented(xml: &str) -> String {
    let mut shown = String::with_capacity(xml.len() * 2);
    let mut rest = xml.trim();
    let mut depth = 0_usize;
    while let Some(end) = tag_end(rest) {
        let is_div = rest.starts_with("<div");
        let cut = if is_div { div_end(rest) } else { end };
        let (tag, after) = rest.split_at(cut);
        let closes = tag.starts_with("</");
        if closes {
            depth = depth.saturating_sub(1);
        }
        if !shown.is_empty() {
            shown.push('\n');
        }
        shown.extend(core::iter::repeat_n(' ', depth * STEP));
        shown.push_str(tag);
        let stays = closes || is_div || tag.ends_with("/>") || tag.starts_with("<?");
        if !stays {
            depth += 1;
        }
        rest = after.trim_start();
    }
    shown.push_str(rest);
    shown
}

/// Behind the tag a text begins with; a `>` inside an attribute is written `&gt;`.
fn tag_end(text: &str) -> Option<usize> {
    text.find('>').map(|at| at + 1)
}

/// Behind the `div` a text begins with, with all it holds.
fn div_end(text: &str) -> usize {
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('<')) {
        let begin = at + found;
        let rest = text.get(begin..).unwrap_or_default();
        let Some(end) = tag_end(rest) else {
            return text.len();
        };
        let tag = rest.get(..end).unwrap_or_default();
        at = begin + end;
        let named = tag.trim_start_matches(['<', '/']);
        let is_div = named.strip_prefix("div").is_some_and(|more| {
            more.starts_with(|c: char| c == '>' || c == '/' || c.is_whitespace())
        });
        if is_div && tag.starts_with("</") {
            open = open.saturating_sub(1);
        } else if is_div && !tag.ends_with("/>") {
            open += 1;
        }
        if open == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use fhir::Definitions;

    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn levels_are_shown_and_narratives_left_alone() {
        let xml = "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"a\"/><text><status value=\"generated\"/><div xmlns=\"x\"><div><p>a  b</p></div> c</div></text><name><given value=\"J&gt;\"/></name></Patient>";
        assert_eq!(
            indented(xml),
            "<Patient xmlns=\"http://hl7.org/fhir\">\n  <id value=\"a\"/>\n  <text>\n    <status value=\"generated\"/>\n    <div xmlns=\"x\"><div><p>a  b</p></div> c</div>\n  </text>\n  <name>\n    <given value=\"J&gt;\"/>\n  </name>\n</Patient>"
        );
    }

    #[test]
    fn it_reads_back_to_the_same_resource() {
        let json = r#"{"resourceType":"Observation","id":"o1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">K <b>5.80</b></div>"},"status":"final","code":{"text":"a > b & \"c\""},"valueQuantity":{"value":5.80,"unit":"mmol/L"}}"#;
        let document = parse(json);
        let written = fhir::xml::from_json(Definitions::r4(), document.root()).unwrap();
        let shown = indented(core::str::from_utf8(&written).unwrap());
        let back = fhir::xml::to_json(
            Definitions::r4(),
            shown.as_bytes(),
            &fhir::xml::Limits::default(),
        )
        .unwrap();
        let same =
            fhir::xml::to_json(Definitions::r4(), &written, &fhir::xml::Limits::default()).unwrap();
        assert_eq!(back, same);
        assert!(
            shown.contains("\n  <valueQuantity>\n    <value value=\"5.80\"/>"),
            "{shown}"
        );
    }
}
