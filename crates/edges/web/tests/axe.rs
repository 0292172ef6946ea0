//! The accessibility gate: axe-core in the system's Chromium over every fixture page, light and dark, at
//! 320, 768 and 1280 pixels; any violation fails. One browser run per colour and width.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use testkit::chromium::Chromium;
use testkit::peers::{PeerMissing, required, setting};
use web_edge::pages::Theme;

mod fixtures;

const CSS: &str = include_str!("../assets/theriac.css");
const RULES: &str = "['wcag2a','wcag2aa','wcag21a','wcag21aa','wcag22aa','best-practice']";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ui-check")
}

fn axe() -> Result<String, PeerMissing> {
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
fn standalone(html: &str) -> String {
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
fn harness(axe: &str, pages: &[fixtures::Page], width: u32) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap().replace("</", "<\\/");
    let mut list = String::new();
    for page in pages {
        write!(
            list,
            "[{},{}],",
            quoted(page.name),
            quoted(&standalone(&page.html))
        )
        .unwrap();
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

#[test]
fn no_page_breaks_an_axe_rule() {
    let (Some(chromium), Some(axe)) = (required(Chromium::find()), required(axe())) else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut broken = String::new();
    for theme in [Theme::Light, Theme::Dark] {
        let pages = fixtures::pages(theme);
        for width in [320, 768, 1280] {
            let file = scratch
                .path()
                .join(format!("{}-{width}.html", theme.name()));
            std::fs::write(&file, harness(&axe, &pages, width)).unwrap();
            let dom = chromium
                .dump_dom(&format!("file://{}", file.display()), 1400, false)
                .unwrap();
            let found = dom
                .split("<pre id=\"found\">")
                .nth(1)
                .and_then(|rest| rest.split("</pre>").next())
                .unwrap_or("no answer");
            let expected = format!("checked {}\n\nend", pages.len());
            if found != expected {
                writeln!(broken, "{} {width}:\n{found}", theme.name()).unwrap();
            }
        }
    }
    assert!(broken.is_empty(), "{broken}");
}

/// The gate itself must be able to fail.
#[test]
fn the_gate_sees_a_violation() {
    let (Some(chromium), Some(axe)) = (required(Chromium::find()), required(axe())) else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut page = fixtures::pages(Theme::Light).remove(0);
    page.html = page
        .html
        .replace("<main id=\"main\"", "<img src=\"data:,\"><main id=\"main\"");
    let file = scratch.path().join("broken.html");
    std::fs::write(&file, harness(&axe, &[page], 768)).unwrap();
    let dom = chromium
        .dump_dom(&format!("file://{}", file.display()), 1400, false)
        .unwrap();
    assert!(
        dom.contains("image-alt"),
        "{}",
        dom.chars().take(400).collect::<String>()
    );
}

/// Writes the pages as files and pictures into the folder named by `THERIAC_SCREENSHOTS`, for looking at.
#[test]
fn screenshots_on_demand() {
    let Some(into) = setting("THERIAC_SCREENSHOTS").map(PathBuf::from) else {
        return;
    };
    let Some(chromium) = required(Chromium::find()) else {
        return;
    };
    let wanted = setting("THERIAC_SCREENSHOT_PAGES").unwrap_or_default();
    std::fs::create_dir_all(&into).unwrap();
    for theme in [Theme::Light, Theme::Dark] {
        for page in fixtures::pages(theme)
            .iter()
            .filter(|page| wanted.is_empty() || wanted.split(',').any(|name| name == page.name))
        {
            let name = format!("{}-{}", page.name, theme.name());
            let file = into.join(format!("{name}.html"));
            std::fs::write(&file, standalone(&page.html)).unwrap();
            for (width, height) in [(1280, 1400), (320, 2400)] {
                let picture = into.join(format!("{name}-{width}.png"));
                chromium
                    .screenshot(
                        &format!("file://{}", file.display()),
                        (width, height),
                        false,
                        &picture,
                    )
                    .unwrap();
            }
        }
    }
}
