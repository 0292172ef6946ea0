//! A small reader of our own HTML for the guards: tags with attributes, and texts of elements. Must not
//! be used on other people's HTML.

#![expect(
    clippy::assigning_clones,
    reason = "a test fails by panicking, and its pages are long lists"
)]

/// A start or end tag.
#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub closing: bool,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Every tag in order.
pub fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with('!') {
            continue;
        }
        let end = tag_end(rest);
        found.push(tag(&rest[..end]));
        rest = &rest[end..];
    }
    found
}

/// The end of a tag: a `>` outside quotes.
fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn tag(text: &str) -> Tag {
    let (closing, text) = text
        .strip_prefix('/')
        .map_or((false, text), |text| (true, text));
    let (name, mut rest) = text
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((text, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/' || c == '=');
        if rest.is_empty() {
            break;
        }
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix("=\"") {
            let end = after.find('"').unwrap_or(after.len());
            value = after[..end].to_owned();
            rest = after.get(end + 1..).unwrap_or_default();
        }
        attributes.push((name, value));
    }
    Tag {
        name: name.trim_end_matches('/').to_owned(),
        closing,
        attributes,
    }
}

/// The texts of every element of a name, without the tags inside.
pub fn texts(html: &str, name: &str) -> Vec<String> {
    html.split(&format!("<{name}"))
        .skip(1)
        .filter(|part| part.starts_with([' ', '>']))
        .map(|part| {
            let inner = &part[tag_end(part) + 1..];
            let inner = inner
                .split(&format!("</{name}>"))
                .next()
                .unwrap_or_default();
            let mut shown = String::new();
            let mut inside = false;
            for c in inner.chars() {
                match c {
                    '<' => inside = true,
                    '>' => inside = false,
                    c if !inside => shown.push(c),
                    _ => {}
                }
            }
            shown
        })
        .collect()
}

/// The text of the first element of a name.
pub fn text_of(html: &str, name: &str) -> String {
    texts(html, name).into_iter().next().unwrap_or_default()
}
