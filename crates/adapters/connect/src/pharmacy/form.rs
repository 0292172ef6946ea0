//! An order as a PDF form: A4, the fonts that every reader has, as many pages as its lines need. Must not
//! leave out or change a letter of a name: what these fonts cannot print is refused.

use kernel::{Categorised, Category};
use medication::dosage::amount_in_words;
use medication::quantity::Quantity;
use medication::supply::Kind;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};

use super::Asked;

/// A line of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenLine {
    /// Name and code.
    pub what: String,
    /// How much, in which packs.
    pub amount: String,
    /// The dose, where it is said.
    pub dose: String,
}

/// What stands in the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The heading.
    pub title: String,
    /// Whether the heading stands on every page and beside every line: who reads one of them alone must not
    /// take it for an order.
    pub stamped: bool,
    /// Labels with their texts.
    pub head: Vec<(&'static str, String)>,
    /// The lines.
    pub lines: Vec<WrittenLine>,
}

/// Why a form cannot be printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{letter:?} cannot be printed in a form: reach the pharmacy by the HTTP interface, or write the name in Latin letters"
)]
pub struct FormError {
    /// The letter.
    pub letter: char,
}

impl Categorised for FormError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

impl Written {
    /// The form of an order.
    pub(super) fn of(asked: &Asked<'_>, called_off: Option<&str>) -> Self {
        let verb = &asked.order.verb;
        let title = match (called_off, verb.kind()) {
            (Some(_), _) => "CANCELLATION: SUPPLY NOTHING",
            (None, Kind::Repeat) => "Request for a prescription",
            (None, Kind::Direct) => "Order of medicines",
        };
        let mut head = vec![
            ("Number", asked.order.id.to_string()),
            ("From", asked.home.to_owned()),
            ("Approved", asked.zone.words(asked.authored)),
            ("Deliver to", asked.deliver_to.to_owned()),
        ];
        if let Some(why) = called_off {
            head.push(("Called off", why.to_owned()));
        }
        let resident = verb.resident().map(|id| {
            let name = asked.resident.unwrap_or_default();
            format!("{name} ({id})").trim().to_owned()
        });
        head.push(("For", resident.unwrap_or_else(|| "common stock".to_owned())));
        let lines = verb.lines().iter().enumerate().map(|(place, line)| {
            let amount = amount_in_words(&Quantity {
                value: line.quantity.get().into(),
                unit: line.unit.clone(),
            });
            let packs = line
                .packs
                .as_ref()
                .map(|own| format!(", {} packs of {}", own.count, own.holds))
                .unwrap_or_default();
            WrittenLine {
                what: format!("{} (dm+d {})", line.name, line.code),
                amount: format!("{amount}{packs}"),
                dose: asked.doses.get(place).cloned().unwrap_or_default(),
            }
        });
        Self {
            title: title.to_owned(),
            stamped: called_off.is_some(),
            head,
            lines: lines.collect(),
        }
    }
}

/// A4 in points, with its margin.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 56.0;
/// Letters in a row of the text size: the widest letters of the font fit.
const ROW: usize = 80;
/// Letters of an indented row.
const INDENTED: usize = 77;
/// Letters that a label takes.
const LABEL: usize = 12;

/// A text in the fonts' encoding (PDF 32000-1, annex D.2, WinAnsiEncoding).
fn encoded(text: &str) -> Result<Vec<u8>, FormError> {
    text.chars()
        .map(|letter| {
            match letter {
                ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(letter)).ok(),
                '\u{20ac}' => Some(0x80),
                '\u{160}' => Some(0x8a),
                '\u{161}' => Some(0x9a),
                '\u{152}' => Some(0x8c),
                '\u{153}' => Some(0x9c),
                '\u{17d}' => Some(0x8e),
                '\u{17e}' => Some(0x9e),
                '\u{178}' => Some(0x9f),
                '\u{2018}' => Some(0x91),
                '\u{2019}' => Some(0x92),
                '\u{201c}' => Some(0x93),
                '\u{201d}' => Some(0x94),
                '\u{2013}' => Some(0x96),
                '\u{2014}' => Some(0x97),
                _ => None,
            }
            .ok_or(FormError { letter })
        })
        .collect()
}

/// A row of print: which font, how far in, and the text.
type Row = (bool, f32, String);

/// A text in rows of at most so many letters, broken at spaces where there are any.
fn rows(text: &str, most: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut row = String::new();
    for word in text.split_whitespace() {
        let mut word = word.to_owned();
        while !row.is_empty() && row.chars().count() + 1 + word.chars().count() > most {
            all.push(std::mem::take(&mut row));
        }
        while word.chars().count() > most {
            let rest = word.split_off(
                word.char_indices()
                    .nth(most)
                    .map_or(word.len(), |own| own.0),
            );
            all.push(std::mem::replace(&mut word, rest));
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(&word);
    }
    if !row.is_empty() || all.is_empty() {
        all.push(row);
    }
    all
}

fn laid_out(form: &Written) -> Vec<Row> {
    let mut all: Vec<Row> = vec![(true, 0.0, form.title.clone()), (false, 0.0, String::new())];
    for (label, text) in &form.head {
        for (place, row) in rows(text, ROW - LABEL).into_iter().enumerate() {
            let label = if place == 0 { *label } else { "" };
            all.push((false, 0.0, format!("{label:<LABEL$}{row}")));
        }
    }
    all.push((false, 0.0, String::new()));
    for (number, line) in form.lines.iter().enumerate() {
        let called_off = if form.stamped { " - CANCELLED" } else { "" };
        for row in rows(&format!("{}. {}{called_off}", number + 1, line.what), ROW) {
            all.push((true, 0.0, row));
        }
        all.extend(
            rows(&line.amount, INDENTED)
                .into_iter()
                .map(|row| (false, 18.0, row)),
        );
        if !line.dose.is_empty() {
            all.extend(
                rows(&line.dose, INDENTED)
                    .into_iter()
                    .map(|row| (false, 18.0, row)),
            );
        }
        all.push((false, 0.0, String::new()));
    }
    all.push((false, 0.0, format!("{} lines", form.lines.len())));
    all
}

/// Prints a form. The same form gives the same bytes.
///
/// # Errors
/// A letter that the fonts do not have.
pub fn form(form: &Written) -> Result<Vec<u8>, FormError> {
    const LEAD: f32 = 14.0;
    const SIZE: f32 = 10.0;
    let rows = laid_out(form);
    let most = ((HEIGHT - 2.0 * MARGIN) / LEAD) as usize;
    let top = usize::from(form.stamped);
    let mut pages: Vec<Vec<Row>> = rows
        .chunks(most.saturating_sub(top).max(1))
        .map(<[Row]>::to_vec)
        .collect();
    if form.stamped {
        for page in pages.iter_mut().skip(1) {
            page.insert(0, (true, 0.0, form.title.clone()));
        }
    }
    let mut pdf = Pdf::new();
    let (catalog, tree, plain, bold) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    let page_at = |place: usize| Ref::new(5 + 2 * i32::try_from(place).unwrap_or(0));
    let content_at = |place: usize| Ref::new(6 + 2 * i32::try_from(place).unwrap_or(0));
    pdf.catalog(catalog).pages(tree);
    pdf.pages(tree)
        .kids((0..pages.len()).map(page_at))
        .count(i32::try_from(pages.len()).unwrap_or(i32::MAX));
    for (id, name) in [(plain, &b"Courier"[..]), (bold, &b"Courier-Bold"[..])] {
        pdf.type1_font(id)
            .base_font(Name(name))
            .encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (place, rows) in pages.iter().enumerate() {
        let mut page = pdf.page(page_at(place));
        page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT));
        page.parent(tree);
        page.contents(content_at(place));
        page.resources()
            .fonts()
            .pair(Name(b"P"), plain)
            .pair(Name(b"B"), bold);
        page.finish();
        let mut content = Content::new();
        for (row, (is_bold, indent, text)) in rows.iter().enumerate() {
            let font = if *is_bold { Name(b"B") } else { Name(b"P") };
            content.begin_text();
            content.set_font(font, SIZE);
            content.next_line(MARGIN + indent, HEIGHT - MARGIN - LEAD * row as f32);
            content.show(Str(&encoded(text)?));
            content.end_text();
        }
        pdf.stream(content_at(place), &content.finish());
    }
    Ok(pdf.finish())
}
