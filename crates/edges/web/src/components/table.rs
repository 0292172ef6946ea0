//! Tables that stay tables for assistive technology and become cards on narrow screens: every cell
//! carries its column's name. Must not be used for layout.

use askama::Template;

use crate::clinical::{MedicationLine, When};

/// The meaning of a colour; never the only carrier of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// No particular meaning.
    Plain,
    /// Information.
    Info,
    /// As it should be.
    Good,
    /// Wants attention.
    Warn,
    /// Wrong or dangerous.
    Bad,
}

impl Tone {
    /// The class suffix.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Info => "info",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// A part of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Words.
    Text(String),
    /// Important words.
    Strong(String),
    /// Less important words, on a line of their own.
    Minor(String),
    /// Less important words before what they name.
    Label(String),
    /// A date or time.
    When(When),
    /// A link: address, words.
    Link(String, String),
    /// A tag: meaning, words.
    Tag(Tone, String),
    /// An id or code; may break anywhere.
    Code(String),
    /// A medication line.
    Medicine(Box<MedicationLine>),
    /// How much of the whole: hundredths, words.
    Bar(u8, String),
    /// A button that posts: address, words, the words for assistive technology, hidden fields.
    Post(Box<PostButton>),
}

/// A form of one button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostButton {
    /// Where it posts.
    pub action: String,
    /// The visible words.
    pub label: String,
    /// What it acts on, added for assistive technology.
    pub about: String,
    /// The CSRF token.
    pub csrf: String,
    /// The question asked before, where scripts run; empty for none.
    pub confirm: String,
    /// Hidden fields.
    pub hidden: Vec<(String, String)>,
    /// Whether it destroys or takes away.
    pub danger: bool,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell(pub Vec<Piece>);

impl Cell {
    /// Words.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }
    /// A link.
    #[must_use]
    pub fn link(href: &str, text: &str) -> Self {
        Self(vec![Piece::Link(href.to_owned(), text.to_owned())])
    }
    /// A date or time.
    #[must_use]
    pub fn when(when: When) -> Self {
        Self(vec![Piece::When(when)])
    }
    /// A tag.
    #[must_use]
    pub fn tag(tone: Tone, text: &str) -> Self {
        Self(vec![Piece::Tag(tone, text.to_owned())])
    }
    /// A code.
    #[must_use]
    pub fn code(text: &str) -> Self {
        Self(vec![Piece::Code(text.to_owned())])
    }
    /// With one more piece.
    #[must_use]
    pub fn and(mut self, piece: Piece) -> Self {
        self.0.push(piece);
        self
    }
    /// With words on a line of their own, unless empty.
    #[must_use]
    pub fn minor(self, text: &str) -> Self {
        if text.is_empty() {
            self
        } else {
            self.and(Piece::Minor(text.to_owned()))
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether its cells are numbers.
    pub number: bool,
    /// The address that sorts by it, and whether it is sorted now and downwards.
    pub sort: Option<(String, Option<bool>)>,
}

impl Column {
    /// `aria-sort`.
    fn order(&self) -> &'static str {
        match &self.sort {
            Some((_, Some(true))) => "descending",
            Some((_, Some(false))) => "ascending",
            _ => "none",
        }
    }
}

/// A row; its first cell names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// One per column.
    pub cells: Vec<Cell>,
    /// Whether the row asks for attention (a bar beside it, besides the words in it).
    pub raised: bool,
}

/// A cell with its column, and whether it is the first of its row.
type NamedCell<'a> = (&'a Column, bool, &'a Cell);

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/table.html")]
pub struct Table {
    /// What it shows; read out, and shown unless a heading right above says the same.
    pub caption: String,
    /// Whether the caption is only read out.
    pub caption_hidden: bool,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<Row>,
    /// Shown in place of an empty table: says what is missing, never that all is well.
    pub empty: String,
    /// The id of the filter box that scripts add; empty for none.
    pub filter: String,
}
impl askama::filters::HtmlSafe for Table {}

impl Table {
    /// A table; a column name that begins with `#` holds numbers.
    #[must_use]
    pub fn new(caption: &str, columns: &[&str], empty: &str) -> Self {
        let columns = columns
            .iter()
            .map(|name| Column {
                name: name.trim_start_matches('#').to_owned(),
                number: name.starts_with('#'),
                sort: None,
            })
            .collect();
        Self {
            caption: caption.to_owned(),
            caption_hidden: true,
            columns,
            rows: Vec::new(),
            empty: empty.to_owned(),
            filter: String::new(),
        }
    }
    /// With a row.
    #[must_use]
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(Row {
            cells,
            raised: false,
        });
        self
    }
    /// With a row that asks for attention.
    #[must_use]
    pub fn raised_row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(Row {
            cells,
            raised: true,
        });
        self
    }
    /// With a column that can be sorted by: a link, which works without scripts. `now` is whether it is
    /// sorted by this column, downwards or not.
    #[must_use]
    pub fn sorted_by(mut self, name: &str, href: String, now: Option<bool>) -> Self {
        let column = self.columns.iter_mut().find(|column| column.name == name);
        if let Some(column) = column {
            column.sort = Some((href, now));
        }
        self
    }
    /// With a filter box, where scripts run.
    #[must_use]
    pub fn filtered(mut self, id: &str) -> Self {
        id.clone_into(&mut self.filter);
        self
    }
    /// Each row as (column, first, cell).
    fn named(&self) -> Vec<(bool, Vec<NamedCell<'_>>)> {
        self.rows
            .iter()
            .map(|row| {
                let cells = self.columns.iter().zip(&row.cells).enumerate();
                (
                    row.raised,
                    cells
                        .map(|(index, (column, cell))| (column, index == 0, cell))
                        .collect(),
                )
            })
            .collect()
    }
}
