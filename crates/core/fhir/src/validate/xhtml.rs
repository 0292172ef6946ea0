//! The narrative: well-formed, within the elements FHIR allows, and without anything that runs or loads
//! (FHIR R4, narrative, section 2.4.1; invariants txt-1 and txt-2). Must not mend: it is served as sent.

use smallvec::SmallVec;

const ALLOWED: [&str; 62] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];
const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const MAX_DEPTH: usize = 256;

const NOT_A_DIV: &str = "a narrative is one <div> element";
const MALFORMED: &str =
    "the narrative is not well-formed XHTML: close every element and quote every attribute";

/// Checks a narrative; an error is the sentence that says what is wrong.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    let mut rest = text.trim();
    let starts = rest
        .strip_prefix("<div")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/'));
    if !starts {
        return Err(NOT_A_DIV);
    }
    let mut open: SmallVec<[&str; 16]> = SmallVec::new();
    let mut says_something = false;
    let mut is_first = true;
    while !rest.is_empty() {
        let at = rest.find('<').unwrap_or(rest.len());
        let (plain, markup) = rest.split_at(at);
        let is_blank = plain.trim().is_empty();
        if open.is_empty() && !(is_first || markup.starts_with("<!--") || markup.is_empty())
            || open.is_empty() && !is_blank
        {
            return Err(NOT_A_DIV);
        }
        says_something |= !is_blank;
        rest = markup;
        if let Some(comment) = markup.strip_prefix("<!--") {
            let (_, behind) = comment.split_once("-->").ok_or(MALFORMED)?;
            rest = behind;
        } else if let Some(closing) = markup.strip_prefix("</") {
            let (name, behind) = closing.split_once('>').ok_or(MALFORMED)?;
            if open.pop() != Some(name.trim_end()) {
                return Err(MALFORMED);
            }
            rest = behind;
        } else if let Some(tag) = markup.strip_prefix('<') {
            let (name, closed, behind) = element(tag)?;
            says_something |= name == "img";
            if !closed {
                open.push(name);
            }
            if open.len() > MAX_DEPTH {
                return Err("the narrative nests more than 256 elements: flatten it");
            }
            rest = behind;
        }
        is_first = false;
    }
    match (open.is_empty(), says_something) {
        (false, _) => Err(MALFORMED),
        (_, false) => Err("the narrative says nothing: put text in it or leave it out"),
        _ => Ok(()),
    }
}

/// Reads an opening tag behind its `<`: its name, whether it is closed too, and what follows.
fn element(tag: &str) -> Result<(&str, bool, &str), &'static str> {
    let end = tag
        .find(|c: char| !c.is_ascii_alphanumeric())
        .ok_or(MALFORMED)?;
    let (name, mut rest) = tag.split_at(end);
    if ALLOWED.binary_search(&name).is_err() {
        return Err(
            "the narrative uses an element or markup that FHIR does not allow: keep to text, lists, tables, links and images",
        );
    }
    loop {
        let attribute = rest.trim_start();
        if let Some(behind) = attribute.strip_prefix('>') {
            return Ok((name, false, behind));
        }
        if let Some(behind) = attribute.strip_prefix("/>") {
            return Ok((name, true, behind));
        }
        if attribute.len() == rest.len() {
            return Err(MALFORMED);
        }
        let (key, value) = attribute.split_once('=').ok_or(MALFORMED)?;
        let key = key.trim_end();
        let value = value.trim_start();
        let quote = value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or(MALFORMED)?;
        let (value, behind) = value
            .get(1..)
            .and_then(|value| value.split_once(quote))
            .ok_or(MALFORMED)?;
        check_attribute(key, value)?;
        rest = behind;
    }
}

fn check_attribute(key: &str, value: &str) -> Result<(), &'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
    if key.is_empty() || !key.chars().all(is_name) || value.contains('<') {
        return Err(MALFORMED);
    }
    let key = key.to_ascii_lowercase();
    if key.starts_with("on") {
        return Err("the narrative holds an event attribute: remove it");
    }
    let allowed = match key.as_str() {
        "xmlns" => value == NAMESPACE,
        "href" | "src" | "cite" | "longdesc" | "background" | "action" | "usemap" => {
            is_harmless_link(value)
        }
        "style" => {
            let value = value.to_ascii_lowercase();
            !["url(", "expression(", "javascript:", "@import", "&#", "\\"]
                .iter()
                .any(|bad| value.contains(bad))
        }
        _ => true,
    };
    if allowed {
        Ok(())
    } else {
        Err(
            "the narrative links, styles or names something that runs or loads: remove that attribute",
        )
    }
}

/// No scheme that runs anything; no character references that could hide one.
fn is_harmless_link(value: &str) -> bool {
    let link = value.trim().to_ascii_lowercase();
    if link.contains("&#") || link.chars().any(char::is_control) {
        return false;
    }
    let before_path = link.split(['/', '?', '#']).next().unwrap_or_default();
    match before_path.split_once(':') {
        None => !before_path.contains("&colon"),
        Some((scheme, rest)) => match scheme {
            "http" | "https" | "mailto" | "tel" | "urn" | "cid" => true,
            "data" => rest == "image" && !link.starts_with("data:image/svg"),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_elements_are_sorted() {
        assert!(ALLOWED.is_sorted());
    }

    #[test]
    fn takes_plain_narratives() {
        for good in [
            "<div xmlns=\"http://www.w3.org/1999/xhtml\">Hello</div>",
            " <div><p class='a' style=\"color: red\">1 &lt; 2<br/></p><!-- x < y --></div>\n",
            "<div><a href=\"https://example.org/a:b?c\">x</a><a href='#top'>y</a><a href=\"Patient/1\">z</a></div>",
            "<div><img src=\"data:image/png;base64,AA==\" alt=\"\" /></div>",
            "<div><table><tr><td colspan=\"2\">é</td></tr></table></div>",
            "<div><div>a</div><div>b</div></div><!-- done -->",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn refuses_what_runs_or_is_broken() {
        for bad in [
            "",
            "text",
            "<p>x</p>",
            "<divx>x</divx>",
            "<div>",
            "<div>x",
            "<div/>",
            "<div> </div>",
            "<div>x</p>",
            "<div>x</div>y",
            "<div>x</div><div>y</div>",
            "<div>x</div><p>y</p>",
            "<div><b>x</div></b>",
            "<div><script>x</script></div>",
            "<div><SCRIPT>x</SCRIPT></div>",
            "<div><iframe src='x'/>y</div>",
            "<div onclick=\"x\">y</div>",
            "<div><p OnLoad = 'x'>y</p></div>",
            "<div><a href=\"javascript:x\">y</a></div>",
            "<div><a href=\" JaVaScript:x\">y</a></div>",
            "<div><a href=\"java&#115;cript:x\">y</a></div>",
            "<div><img src=\"data:text/html,x\"/></div>",
            "<div><img src=\"data:image/svg+xml,x\"/></div>",
            "<div style=\"background:url(x)\">y</div>",
            "<div><style>x</style></div>",
            "<div><form>x</form></div>",
            "<div xmlns=\"urn:x\">y</div>",
            "<div class=a>y</div>",
            "<div class>y</div>",
            "<div class=\"a>y</div>",
            "<div><!DOCTYPE x>y</div>",
            "<div><?x?>y</div>",
            "<div><!-- y</div>",
            "<div>< b>x</div>",
            "<div a=\"1\"b=\"2\">x</div>",
            "<div>x</div",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let deep = format!("{}x{}", "<div>".repeat(300), "</div>".repeat(300));
        assert!(check(&deep).is_err());
    }
}
