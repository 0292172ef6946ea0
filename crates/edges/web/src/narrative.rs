//! The narrative of a resource, made safe to show: allowed elements without any attribute, and escaped
//! text; everything else is left out. Must not let an attribute, an address, a script or a style through,
//! whatever the markup is.

use askama::filters::HtmlSafe;

/// A narrative as HTML that holds elements of [`ALLOWED`] alone, without attributes, balanced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrative {
    html: String,
    cut: bool,
}

impl HtmlSafe for Narrative {}

impl core::fmt::Display for Narrative {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.html)
    }
}

/// Elements that are kept: what is struck out stays so. Headings become bold paragraphs: the page has headings of its own.
const ALLOWED: [&str; 29] = [
    "p",
    "div",
    "b",
    "strong",
    "i",
    "em",
    "u",
    "s",
    "del",
    "ins",
    "small",
    "sub",
    "sup",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "caption",
    "pre",
    "code",
    "blockquote",
];
/// Elements that are left out with all they hold.
const DROPPED: [&str; 6] = ["script", "style", "template", "svg", "math", "title"];
/// Open elements at most; deeper ones lose their tags and keep their text.
const DEEPEST: usize = 48;
/// Bytes of a narrative at most; a longer one is cut there.
const LONGEST: usize = 200_000;

impl Narrative {
    /// Of a `Narrative.div`; `None` where there is nothing to show.
    #[must_use]
    pub fn of(div: &str) -> Option<Self> {
        let mut cleaning = Cleaning::default();
        let end = (0..=LONGEST.min(div.len()))
            .rev()
            .find(|end| div.is_char_boundary(*end))
            .unwrap_or_default();
        cleaning.run(div.get(..end).unwrap_or_default());
        let cut = cleaning.deep || end < div.len();
        (cleaning.shows || cut).then_some(Self {
            html: cleaning.out,
            cut,
        })
    }

    /// Whether it is longer or deeper than what is shown of it.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }
}

#[derive(Default)]
struct Cleaning {
    out: String,
    open: Vec<&'static str>,
    shows: bool,
    /// Elements lost their tags for being too deep.
    deep: bool,
}

impl Cleaning {
    fn run(&mut self, mut rest: &str) {
        while let Some(at) = rest.find('<') {
            let (text, tagged) = rest.split_at(at);
            self.text(text);
            rest = self.tag(tagged);
        }
        self.text(rest);
        while let Some(name) = self.open.pop() {
            self.close_tag(name);
        }
    }

    fn text(&mut self, text: &str) {
        let text = decoded(text);
        self.shows |= text.chars().any(|c| !c.is_whitespace());
        for c in text.chars() {
            match c {
                '<' => self.out.push_str("&#60;"),
                '>' => self.out.push_str("&#62;"),
                '&' => self.out.push_str("&#38;"),
                '"' => self.out.push_str("&#34;"),
                '\'' => self.out.push_str("&#39;"),
                c if c.is_control() && !c.is_whitespace() => {}
                c => self.out.push(c),
            }
        }
    }

    /// What follows the tag that `text` begins with.
    fn tag<'a>(&mut self, text: &'a str) -> &'a str {
        if let Some(comment) = text.strip_prefix("<!--") {
            return comment.split_once("-->").map_or("", |(_, rest)| rest);
        }
        let inside = text.get(1..).unwrap_or_default();
        let end = tag_end(inside);
        let rest = inside.get(end + 1..).unwrap_or_default();
        let tag = inside.get(..end).unwrap_or_default();
        let closes = tag.starts_with('/');
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        if DROPPED.contains(&name.as_str()) && !closes {
            return if tag.ends_with('/') {
                rest
            } else {
                after(rest, &name)
            };
        }
        if closes {
            self.close(&name);
        } else {
            self.begin(&name, tag.ends_with('/'));
        }
        rest
    }

    fn begin(&mut self, name: &str, empty: bool) {
        if matches!(name, "br" | "hr") {
            self.out
                .push_str(if name == "br" { "<br>" } else { "<hr>" });
            return;
        }
        let heading = is_heading(name);
        let Some(name) = kept(if heading { "p" } else { name }) else {
            return;
        };
        if empty {
            return;
        }
        if self.open.len() >= DEEPEST {
            self.deep = true;
            return;
        }
        self.open.push(if heading { "h" } else { name });
        self.out.push('<');
        self.out.push_str(name);
        self.out.push_str(if heading { "><strong>" } else { ">" });
    }

    fn close(&mut self, name: &str) {
        let name = if is_heading(name) {
            Some("h")
        } else {
            kept(name)
        };
        let Some(at) = name.and_then(|name| self.open.iter().rposition(|open| *open == name))
        else {
            return;
        };
        while self.open.len() > at {
            if let Some(name) = self.open.pop() {
                self.close_tag(name);
            }
        }
    }

    fn close_tag(&mut self, name: &str) {
        if name == "h" {
            self.out.push_str("</strong></p>");
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }
}

fn kept(name: &str) -> Option<&'static str> {
    let name = if name == "strike" { "s" } else { name };
    ALLOWED.into_iter().find(|known| *known == name)
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// The end of a tag: a `>` outside quotes, else the end of the text.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (None, b'>') => return at,
            _ => {}
        }
    }
    text.len()
}

/// What follows the end tag of an element that is left out; nothing where it has none.
fn after<'a>(text: &'a str, name: &str) -> &'a str {
    let ends = |at: &usize| {
        let begin = at + 2;
        text.get(begin..begin + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    let Some(at) = text.match_indices("</").map(|(at, _)| at).find(ends) else {
        return "";
    };
    let rest = text.get(at..).unwrap_or_default();
    rest.get(tag_end(rest) + 1..).unwrap_or_default()
}

/// Text with the entities that narratives use as characters; others stay as they are written.
fn decoded(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        shown.push_str(before);
        let end = entity.bytes().take(10).position(|byte| byte == b';');
        let found = end.and_then(|end| Some((character(entity.get(1..end)?)?, end)));
        if let Some((c, end)) = found {
            shown.push(c);
            rest = entity.get(end + 1..).unwrap_or_default();
        } else {
            shown.push('&');
            rest = entity.get(1..).unwrap_or_default();
        }
    }
    shown.push_str(rest);
    shown
}

fn character(name: &str) -> Option<char> {
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix)
            .ok()
            .and_then(char::from_u32)
    };
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        "deg" => Some('°'),
        "micro" => Some('µ'),
        "plusmn" => Some('±'),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(hex.get(1..)?, 16),
            digits => number(digits, 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(div: &str) -> String {
        Narrative::of(div).map_or_else(String::new, |narrative| narrative.html)
    }

    #[test]
    fn markup_is_kept_and_attributes_are_not() {
        for (div, html) in [
            (
                "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class='x'>Jane &amp; co</p></div>",
                "<div><p>Jane &#38; co</p></div>",
            ),
            (
                "<div><h2>Title</h2><ul><li>a<br/>b</li></ul></div>",
                "<div><p><strong>Title</strong></p><ul><li>a<br>b</li></ul></div>",
            ),
            (
                "<div><a href=\"https://evil.test\">there</a><img src='x' onerror='y'/></div>",
                "<div>there</div>",
            ),
            (
                "<p><s>10 mg</s> <strike>20 mg</strike> <del>30 mg</del> <ins cite='x'>5 mg</ins></p>",
                "<p><s>10 mg</s> <s>20 mg</s> <del>30 mg</del> <ins>5 mg</ins></p>",
            ),
            ("<p>5 &lt; 6 &#xB5;g</p>", "<p>5 &#60; 6 µg</p>"),
            (
                "<p>open <b>and <i>never",
                "<p>open <b>and <i>never</i></b></p>",
            ),
            ("<b>x</i></b></p>", "<b>x</b>"),
            ("&unknown; &#0; &#xD800;", "&#38;unknown;  &#38;#xD800;"),
            ("<div>  <br/> </div>", ""),
        ] {
            assert_eq!(shown(div), html, "{div}");
        }
    }

    #[test]
    fn nothing_hostile_comes_through() {
        for div in [
            "<script>alert(1)</script>x",
            "<SCRIPT src=//evil>alert(1)</SCRIPT >x",
            "<style>*{display:none}</style>x",
            "<svg onload=alert(1)><p>in</p></svg>x",
            "<p onclick=\"a>b\" style='x'>x</p>",
            "<p title='>' onmouseover=\"alert('x')\">x",
            "<<p>script>x",
            "<p/onclick=1>x",
            "<!-- --><!--><script>alert(1)</script>x",
            "<iframe srcdoc=\"<script>1</script>\">x</iframe>",
            "<form action=/t/a/users><input name=csrf><button>x</button></form>",
            "x<p \u{0} x=\"",
            "&lt;script&gt;x",
        ] {
            let html = shown(div);
            let mut rest = html.as_str();
            while let Some(at) = rest.find('<') {
                rest = &rest[at + 1..];
                let end = rest.find('>').unwrap();
                let name = rest[..end].trim_start_matches('/');
                assert!(
                    ALLOWED.contains(&name) || matches!(name, "br" | "hr"),
                    "{div} became {html}"
                );
            }
            assert!(!html.contains("alert(1)"), "{div} became {html}");
        }
    }

    #[test]
    fn what_is_not_shown_whole_says_so() {
        for (div, cut) in [
            ("<p>x</p>".to_owned(), false),
            ("x".repeat(LONGEST), false),
            ("x".repeat(LONGEST + 1), true),
            (" ".repeat(LONGEST + 1), true),
            ("<b>".repeat(DEEPEST) + "x", false),
            ("<b>".repeat(DEEPEST + 1) + "x", true),
        ] {
            assert_eq!(Narrative::of(&div).map(|found| found.is_cut()), Some(cut));
        }
    }

    #[test]
    fn what_is_deep_or_long_is_bounded_and_balanced() {
        let deep = "<div>".repeat(5000) + "x";
        let html = shown(&deep);
        assert_eq!(html.matches("<div>").count(), DEEPEST);
        assert_eq!(html.matches("</div>").count(), DEEPEST);
        let long = "é".repeat(LONGEST);
        assert!(shown(&long).len() <= LONGEST);
        // Pieces of markup in any order leave the elements balanced.
        let pieces = [
            "<p>", "</p>", "<b>", "</b>", "<h1>", "</h1>", "<td", ">", "\"", "x", "<!--", "-->",
        ];
        let mut seed = 1_u32;
        for _ in 0..3000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
            }
            let html = shown(&text);
            let begun = html.matches('<').count() - html.matches("</").count();
            assert_eq!(begun, html.matches("</").count(), "{text} became {html}");
        }
    }
}
