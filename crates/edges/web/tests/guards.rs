//! What every page must keep to, checked on every fixture: nothing off-origin, nothing inline, labels,
//! headings, landmarks, known classes, contrast, weight. Must not need a browser: that is `axe.rs`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

mod fixtures;
mod markup;

use std::collections::{BTreeMap, BTreeSet};

use fixtures::{Page, pages};
use markup::{Tag, tags, text_of};
use web_edge::pages::Theme;

const CSS: &str = include_str!("../assets/theriac.css");
const JS: &str = include_str!("../assets/theriac.js");
const PRESCRIBE: &str = include_str!("../assets/prescribe.js");
const SCAN: &str = include_str!("../assets/scan.js");

fn each(check: impl Fn(&Page, &[Tag]) -> Vec<String>) {
    let mut found = Vec::new();
    let pages = pages(Theme::System);
    assert!(pages.len() >= 35, "only {} pages", pages.len());
    for page in &pages {
        found.extend(
            check(page, &tags(&page.html))
                .into_iter()
                .map(|problem| format!("{}: {problem}", page.name)),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nothing_comes_from_another_origin() {
    each(|_, tags| {
        let addresses = [
            "href",
            "src",
            "action",
            "formaction",
            "poster",
            "srcset",
            "xlink:href",
            "data",
        ];
        tags.iter()
            .flat_map(|tag| addresses.iter().filter_map(|name| tag.attribute(name)))
            .filter(|address| {
                // A patient's picture is part of the page.
                let picture = address.starts_with("data:image/");
                !(address.is_empty() || picture || address.starts_with(['/', '#', '?']))
                    || address.starts_with("//")
            })
            .map(|address| format!("address {address}"))
            .collect()
    });
    // The preview of an order is the one thing that is fetched, from the form's own address.
    let fetches: Vec<&str> = PRESCRIBE.split("fetch(").skip(1).collect();
    assert!(fetches.len() == 1 && fetches[0].starts_with("form.dataset.preview"));
    let prescribe = PRESCRIBE.replace("await fetch(form.dataset.preview", "");
    for text in [CSS, JS, &prescribe] {
        for word in [
            "http:",
            "https:",
            "@import",
            "url(",
            "fetch(",
            "XMLHttpRequest",
            "eval(",
            "innerHTML",
            "localStorage",
            "sessionStorage",
        ] {
            assert!(!text.contains(word), "an asset holds {word}");
        }
    }
}

#[test]
fn nothing_is_inline() {
    each(|_, tags| {
        let mut found = Vec::new();
        for tag in tags {
            for (name, _) in &tag.attributes {
                if name == "style" || name.starts_with("on") {
                    found.push(format!("<{}> has {name}", tag.name));
                }
            }
            if tag.name == "style"
                || (tag.name == "script" && !tag.closing && tag.attribute("src").is_none())
            {
                found.push(format!("inline <{}>", tag.name));
            }
        }
        found
    });
}

#[test]
fn every_input_has_a_label() {
    each(|_, tags| {
        let labelled: BTreeSet<&str> = tags
            .iter()
            .filter(|t| t.name == "label")
            .filter_map(|t| t.attribute("for"))
            .collect();
        tags.iter()
            .filter(|tag| ["input", "select", "textarea"].contains(&tag.name.as_str()))
            .filter(|tag| !tag.closing && tag.attribute("type") != Some("hidden"))
            .filter(|tag| !tag.attribute("id").is_some_and(|id| labelled.contains(id)))
            .map(|tag| format!("no label for {:?}", tag.attributes))
            .collect()
    });
}

#[test]
fn ids_are_unique_and_references_lead_somewhere() {
    each(|_, tags| {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for id in tags.iter().filter_map(|tag| tag.attribute("id")) {
            if !seen.insert(id) {
                found.push(format!("id {id} twice"));
            }
        }
        for tag in tags {
            for name in ["aria-labelledby", "aria-describedby", "for"] {
                for id in tag
                    .attribute(name)
                    .unwrap_or_default()
                    .split_whitespace()
                    .filter(|id| !seen.contains(id))
                {
                    found.push(format!("{name} names {id}, which is not there"));
                }
            }
            if let Some(id) = tag
                .attribute("href")
                .and_then(|href| href.strip_prefix('#'))
                && !seen.contains(id)
            {
                found.push(format!("link to #{id}, which is not there"));
            }
        }
        found
    });
}

#[test]
fn one_h1_and_headings_in_order() {
    each(|_, tags| {
        let levels: Vec<u32> = tags
            .iter()
            .filter(|tag| !tag.closing && tag.name.len() == 2 && tag.name.starts_with('h'))
            .filter_map(|tag| tag.name[1..].parse().ok())
            .collect();
        let mut found = Vec::new();
        if levels.iter().filter(|level| **level == 1).count() != 1 || levels.first() != Some(&1) {
            found.push(format!("headings {levels:?} do not begin with the one h1"));
        }
        if levels.windows(2).any(|pair| pair[1] > pair[0] + 1) {
            found.push(format!("headings {levels:?} skip a level"));
        }
        found
    });
}

#[test]
fn language_title_and_landmarks() {
    each(|page, tags| {
        let mut found = Vec::new();
        let count = |name: &str| {
            tags.iter()
                .filter(|tag| !tag.closing && tag.name == name)
                .count()
        };
        if tags
            .iter()
            .find(|tag| tag.name == "html")
            .and_then(|tag| tag.attribute("lang"))
            != Some("en-GB")
        {
            found.push("no lang".to_owned());
        }
        if text_of(&page.html, "title").len() < "x – Theriac".len() {
            found.push("no title".to_owned());
        }
        for landmark in ["main", "header", "footer"] {
            if count(landmark) != 1 {
                found.push(format!("{} <{landmark}>", count(landmark)));
            }
        }
        if tags
            .iter()
            .find(|tag| tag.name == "a")
            .and_then(|tag| tag.attribute("href"))
            != Some("#main")
        {
            found.push("the first link does not skip to the content".to_owned());
        }
        found
    });
}

#[test]
fn every_post_carries_the_csrf_token() {
    each(|page, _| {
        page.html
            .split("<form method=\"post\"")
            .skip(1)
            .filter(|form| {
                !form
                    .split("</form>")
                    .next()
                    .unwrap_or_default()
                    .contains("name=\"csrf\" value=\"c5rf\"")
            })
            .map(|form| {
                format!(
                    "form without token: {}",
                    form.chars().take(80).collect::<String>()
                )
            })
            .collect()
    });
}

#[test]
fn pages_are_light() {
    assert!(
        CSS.len() + JS.len() < 60_000,
        "{} bytes of assets",
        CSS.len() + JS.len()
    );
    each(|page, _| {
        if page.html.len() > 120_000 {
            vec![format!("{} bytes", page.html.len())]
        } else {
            Vec::new()
        }
    });
}

#[test]
fn nothing_is_left_unrendered_or_unescaped() {
    each(|page, _| {
        ["{{", "{%", "&amp;amp;", "&#38;#"]
            .iter()
            .filter(|mark| page.html.contains(**mark))
            .map(|mark| format!("holds {mark}"))
            .collect()
    });
}

fn defined_classes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = CSS;
    while let Some(dot) = rest.find('.') {
        rest = &rest[dot + 1..];
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_class_is_defined_and_used() {
    let defined = defined_classes();
    let mut used: BTreeSet<String> = BTreeSet::new();
    for page in pages(Theme::System) {
        for class in tags(&page.html)
            .iter()
            .filter_map(|tag| tag.attribute("class"))
            .flat_map(str::split_whitespace)
        {
            used.insert(class.to_owned());
        }
    }
    // Hooks without a look of their own.
    let bare = ["who-link", "card-search", "med"];
    let undefined: Vec<_> = used
        .iter()
        .filter(|class| !defined.contains(*class) && !bare.contains(&class.as_str()))
        .collect();
    assert!(undefined.is_empty(), "used and not defined: {undefined:?}");
    let unused: Vec<_> = defined
        .iter()
        .filter(|class| !used.contains(*class))
        .filter(|class| {
            ![JS, PRESCRIBE, SCAN]
                .iter()
                .any(|own| own.contains(class.as_str()))
        })
        .collect();
    assert!(
        unused.is_empty(),
        "defined and not used by any fixture: {unused:?}"
    );
}

/// The tokens: name to (light, dark).
fn tokens() -> BTreeMap<String, ([u8; 3], [u8; 3])> {
    let colour = |text: &str| {
        let hex = text.trim().trim_start_matches('#');
        [0, 2, 4].map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
    };
    CSS.split("@media")
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| {
            let (name, value) = line
                .trim()
                .strip_prefix("--")?
                .split_once(": light-dark(")?;
            let (light, dark) = value.trim_end_matches(");").split_once(", ")?;
            Some((name.to_owned(), (colour(light), colour(dark))))
        })
        .collect()
}

fn luminance(rgb: [u8; 3]) -> f64 {
    let [r, g, b] = rgb.map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Text on ground: at least 4.5 (WCAG 1.4.3).
const TEXT_PAIRS: [(&str, &[&str]); 24] = [
    ("ink", &["ground", "surface", "surface-2"]),
    ("ink-2", &["ground", "surface", "surface-2"]),
    ("link", &["ground", "surface", "surface-2"]),
    ("link-hover", &["ground", "surface", "surface-2"]),
    ("danger", &["surface"]),
    ("surface", &["ink"]),
    ("bar-ink", &["bar", "bar-2"]),
    ("action-ink", &["action", "action-hover"]),
    ("danger-ink", &["danger", "danger-hover"]),
    ("focus-ink", &["focus"]),
    ("info-ink", &["info-ground"]),
    ("good-ink", &["good-ground"]),
    ("warn-ink", &["warn-ground"]),
    ("bad-ink", &["bad-ground"]),
    ("plain-ink", &["plain-ground"]),
    (
        "banner-ink",
        &["banner-ground", "died-ground", "died-stripe"],
    ),
    ("banner-label", &["banner-ground"]),
    ("died-label", &["died-ground", "died-stripe"]),
    ("del-ink", &["del-ground"]),
    ("ins-ink", &["ins-ground"]),
    ("link", &["surface"]),
    ("ink", &["plot-band"]),
    ("ink-2", &["surface"]),
    ("bad-ink", &["bad-ground"]),
];
/// Lines, icons and marks on ground: at least 3 (WCAG 1.4.11).
const MARK_PAIRS: [(&str, &[&str]); 12] = [
    ("line-strong", &["surface", "ground"]),
    ("action", &["surface", "ground"]),
    ("danger", &["surface"]),
    ("info-line", &["surface"]),
    ("good-line", &["surface"]),
    ("warn-line", &["surface"]),
    ("bad-line", &["surface"]),
    ("banner-line", &["ground"]),
    ("died-line", &["died-ground"]),
    ("plot-line", &["surface", "plot-band"]),
    ("plot-raised", &["surface", "plot-band"]),
    ("focus-ink", &["focus"]),
];

#[test]
fn token_pairs_have_contrast_in_both_themes() {
    let tokens = tokens();
    assert!(tokens.len() > 50, "only {} tokens were read", tokens.len());
    let mut found = Vec::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (pairs, least) in [(&TEXT_PAIRS[..], 4.5), (&MARK_PAIRS[..], 3.0)] {
        for (front, grounds) in pairs {
            for ground in *grounds {
                seen.extend([*front, *ground]);
                let (a, b) = (tokens[*front], tokens[*ground]);
                for (theme, ratio) in [("light", contrast(a.0, b.0)), ("dark", contrast(a.1, b.1))]
                {
                    if ratio < least {
                        found.push(format!(
                            "{front} on {ground}, {theme}: {ratio:.2} < {least}"
                        ));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Borders of cards, grid lines and button edges carry no meaning of their own.
    let decorative = ["line", "plot-grid", "action-edge", "danger-edge"];
    let unchecked: Vec<_> = tokens
        .keys()
        .filter(|name| !seen.contains(name.as_str()) && !decorative.contains(&name.as_str()))
        .collect();
    assert!(unchecked.is_empty(), "tokens in no pair: {unchecked:?}");
}

#[test]
fn the_contrast_formula_is_the_one_of_wcag() {
    assert!((contrast([255; 3], [0; 3]) - 21.0).abs() < 1e-9);
    assert!((contrast([118; 3], [255; 3]) - 4.54).abs() < 0.01);
}

#[test]
fn layers_are_declared_once_and_colours_are_tokens() {
    assert!(CSS.contains("@layer tokens, base, components, pages;"));
    let after = CSS.split("@layer base {").nth(1).unwrap();
    let allowed = ["#ffffff", "#000000"]; // print, and the QR code that cameras must read
    for line in after.lines() {
        for (at, _) in line.match_indices('#') {
            let hex: String = line[at..].chars().take(7).collect();
            let is_colour = hex.len() == 7 && hex[1..].chars().all(|c| c.is_ascii_hexdigit());
            assert!(
                !is_colour || allowed.contains(&hex.as_str()),
                "a colour outside the tokens: {line}"
            );
        }
    }
}

#[test]
fn targets_are_large_enough() {
    for needed in [
        "--target: 24px",
        "--target-large: 44px",
        "min-height: var(--target-large)",
    ] {
        assert!(CSS.contains(needed), "{needed}");
    }
}

#[test]
fn a_chosen_theme_is_on_the_page() {
    for (theme, mark) in [
        (Theme::System, "<html lang=\"en-GB\">"),
        (Theme::Light, "data-theme=\"light\""),
        (Theme::Dark, "data-theme=\"dark\""),
    ] {
        assert!(pages(theme)[0].html.contains(mark), "{mark}");
    }
}

#[test]
fn pab_0042_labels_carry_no_colon() {
    each(|page, _| {
        ["dt", "label", "th"]
            .iter()
            .flat_map(|name| markup::texts(&page.html, name))
            .filter(|text| text.trim_end().ends_with(':'))
            .map(|text| format!("label {text:?} ends with a colon"))
            .collect()
    });
}

#[test]
fn pab_0064_the_summary_has_exactly_one_allergy_title() {
    for page in pages(Theme::System)
        .iter()
        .filter(|page| page.name.starts_with("summary"))
    {
        let titles = [
            "Known allergies",
            "No known allergies",
            "Allergies not recorded",
            "Allergies unavailable",
        ];
        let found: Vec<_> = markup::texts(&page.html, "h2")
            .into_iter()
            .filter(|text| titles.contains(&text.trim()))
            .collect();
        assert_eq!(found.len(), 1, "{}: {found:?}", page.name);
    }
}

#[test]
fn unknown_is_never_shown_as_empty() {
    let pages = pages(Theme::System);
    let broken = pages
        .iter()
        .find(|page| page.name == "summary-unavailable")
        .unwrap();
    assert_eq!(
        broken
            .html
            .matches("<strong>Not available.</strong>")
            .count(),
        7
    );
    assert!(
        !broken.html.contains("No medicines recorded")
            && !broken.html.contains("No conditions recorded")
    );
}

#[test]
fn medi_036_line_height_of_medication_lines() {
    assert!(
        CSS.contains(".med-line { max-width: none; margin: 0 0 var(--s1); line-height: 1.3; }")
    );
    assert!(CSS.contains(".meds > li { padding: 0 0 1.3em; }"));
}
