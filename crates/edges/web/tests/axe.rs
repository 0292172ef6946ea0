//! The accessibility gate: axe-core in the system's Chromium over every fixture page, light and dark, at
//! 320, 768 and 1280 pixels; any violation fails. One browser run per colour and width.

use std::path::PathBuf;

use testkit::chromium::Chromium;
use testkit::peers::{required, setting};
use web_edge::pages::Theme;

mod fixtures;
mod gate;

use gate::{axe, broken, harness, standalone};

#[test]
fn no_page_breaks_an_axe_rule() {
    let (Some(chromium), Some(axe)) = (required(Chromium::find()), required(axe())) else {
        return;
    };
    let mut found = String::new();
    for theme in [Theme::Light, Theme::Dark] {
        let pages = fixtures::pages(theme);
        let pages: Vec<(&str, &str)> = pages.iter().map(|page| (page.name, &*page.html)).collect();
        found.push_str(&broken(&chromium, &axe, theme.name(), &pages));
    }
    assert!(found.is_empty(), "{found}");
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
    std::fs::write(&file, harness(&axe, &[(page.name, &page.html)], 768)).unwrap();
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
