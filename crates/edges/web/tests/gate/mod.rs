//! The accessibility gate: axe-core in the system's Chromium over pages, at 320, 768 and 1280 pixels. Must
//! not know where the pages come from.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use testkit::chromium::Chromium;
use testkit::peers::PeerMissing;

const CSS: &str = include_str!("../../assets/theriac.css");
const RULES: &str = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-check")
}

pub fn axe() -> Result<String, PeerMissing> {
    let path = folder().join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).map_err(|error| {
        PeerMissing::new(
            "axe-core",
            format!(
                "{}: {error}; run `npm ci` in crates/edges/web/ui-check",
                path.display()
            ),
        )
    })
}

/// The page as a file of its own: stylesheet inlined, script left out.
pub fn standalone(html: &str) -> String {
    let link_start = html.find("<link rel=\"stylesheet\"").unwrap();
    let link_end = link_start + html[link_start..].find('>').unwrap() + 1;
    let script_start = html.find("<script").unwrap();
    let script_end =
        script_start + html[script_start..].find("</script>").unwrap() + "</script>".len();
    assert!(script_start >= link_end);
    format!(
        "{}<style>{CSS}</style>{}{}",
        &html[..link_start],
        &html[link_end..script_start],
        &html[script_end..]
    )
}

/// A page that puts every fixture into a frame of the wanted width, one after the other, runs axe inside
/// and writes what it found.
pub fn harness(axe: &str, pages: &[(&str, &str)], width: u32) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap().replace("</", "<\\/");
    let mut list = String::new();
    for (name, html) in pages {
        write!(list, "[{},{}],", quoted(name), quoted(&standalone(html))).unwrap();
    }
    format!(
        r"<!DOCTYPE html><html lang='en'><title>axe</title><body><pre id='found'>unfinished</pre><script>
const axe = {axe}; const found = []; let checked = 0;
for (const [name, html] of [{list}]) {{
  const frame = document.createElement('iframe');
  frame.width = {width}; frame.height = 1200; frame.title = name;
  await_load: await new Promise((done) => {{ frame.onload = done; frame.srcdoc = html; document.body.append(frame); }});
  const script = frame.contentDocument.createElement('script');
  script.textContent = axe; frame.contentDocument.head.append(script);
  const result = await frame.contentWindow.axe.run(frame.contentDocument, {{ runOnly: {RULES}, resultTypes: ['violations'] }});
  if (frame.contentDocument.documentElement.scrollWidth > {width}) found.push(`${{name}}: scrolls sideways, ${{frame.contentDocument.documentElement.scrollWidth}} wide`);
  for (const broken of result.violations) for (const node of broken.nodes)
    found.push(`${{name}}: ${{broken.id}} (${{broken.impact}}): ${{node.target.join(' ')}}: ${{node.failureSummary.replaceAll('\n', ' ')}}`);
  checked += 1; frame.remove();
}}
document.getElementById('found').textContent = `checked ${{checked}}\n` + found.join('\n') + '\nend';
</script></body></html>",
        axe = quoted(axe),
    )
    .replace("<script>\nconst axe", "<script type='module'>\nconst axe")
    .replace("await_load: ", "")
}

/// What axe finds on pages of one colour, at each width; empty where nothing is wrong.
pub fn broken(chromium: &Chromium, axe: &str, colour: &str, pages: &[(&str, &str)]) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let mut broken = String::new();
    for width in [320, 768, 1280] {
        let file = scratch.path().join(format!("{colour}-{width}.html"));
        std::fs::write(&file, harness(axe, pages, width)).unwrap();
        let dom = chromium
            .dump_dom(&format!("file://{}", file.display()), 1400, false)
            .unwrap();
        let found = dom
            .split("<pre id=\"found\">")
            .nth(1)
            .and_then(|rest| rest.split("</pre>").next())
            .unwrap_or("no answer");
        if found != format!("checked {}\n\nend", pages.len()) {
            writeln!(broken, "{colour} {width}:\n{found}").unwrap();
        }
    }
    broken
}
