//! The content of every fixture page, locked: a change of markup shows in review. Must not lock what a
//! build changes: the assets' fingerprint is left out.

mod fixtures;

use fixtures::pages;
use web_edge::pages::Theme;

/// The page between the header and the footer.
fn content(html: &str) -> &str {
    let start = html
        .find("</header>")
        .map_or(0, |at| at + "</header>".len());
    let end = html.find("<footer").unwrap_or(html.len());
    html[start..end].trim()
}

#[test]
fn pages_stay_as_they_are() {
    let address = web_edge::assets::address("");
    let fingerprint = address.trim_start_matches("/assets/").trim_end_matches('/');
    for page in pages(Theme::System) {
        let shown = content(&page.html).replace(fingerprint, "FINGERPRINT");
        insta::assert_snapshot!(page.name, shown);
    }
}

#[test]
fn the_shell_stays_as_it_is() {
    let pages = pages(Theme::Dark);
    let page = pages.iter().find(|page| page.name == "help").unwrap();
    let address = web_edge::assets::address("theriac.css");
    let fingerprint = address.split('/').nth(2).unwrap();
    let start = page.html.find("<main").unwrap();
    let end = page.html.find("</main>").unwrap();
    let shell =
        format!("{}{}", &page.html[..start], &page.html[end..]).replace(fingerprint, "FINGERPRINT");
    insta::assert_snapshot!("shell", shell);
}
