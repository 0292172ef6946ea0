//! What every page stands in: header, navigation, notices, footer. Must not hold content.

use crate::components::Notice;

/// The colours a person chose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The name in the cookie.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
    /// From the cookie; anything else is the system's choice.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
    /// Every choice with its label and whether it is this one.
    #[must_use]
    pub fn choices(self) -> [(&'static str, &'static str, bool); 3] {
        [Self::System, Self::Light, Self::Dark].map(|theme| {
            let label = match theme {
                Self::System => "As my system",
                Self::Light => "Light",
                Self::Dark => "Dark",
            };
            (theme.name(), label, theme == self)
        })
    }
}

/// A link of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavItem {
    /// Its words.
    pub label: &'static str,
    /// Its address.
    pub href: String,
    /// Whether the page lies below it.
    pub current: bool,
}

/// Who is signed in, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The tenant's name.
    pub tenant: String,
    /// The branch's name, where one is chosen.
    pub branch: Option<String>,
    /// The person's name.
    pub user: String,
    /// The person's role, in words.
    pub role: String,
    /// The address everything of the tenant lies below: `/t/rosewood-house`.
    pub base: String,
    /// An emergency access in force: until when, in words, and where it is ended.
    pub emergency: Option<(String, String)>,
    /// When the page was made, in words: it stands on paper.
    pub made: String,
    /// The zone of the times, in words: `Europe/London (GMT)`.
    pub zone: String,
}

/// The shell of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shell {
    /// The page's title; also its h1, where the page has no better one.
    pub title: String,
    /// Who and where; `None` before signing in.
    pub place: Option<Place>,
    /// The navigation.
    pub nav: Vec<NavItem>,
    /// Colours.
    pub theme: Theme,
    /// The token every form carries.
    pub csrf: String,
    /// Messages above the content.
    pub notices: Vec<Notice>,
    /// The page's own address, for coming back after the colours were changed.
    pub here: String,
    /// Where the choice of colours is posted.
    pub theme_action: String,
    /// Minutes until an idle session is locked; 0 before signing in.
    pub idle_minutes: u32,
}

impl Shell {
    /// A shell for someone who is not signed in.
    #[must_use]
    pub fn outside(title: &str, theme: Theme, csrf: &str, here: &str) -> Self {
        Self {
            title: title.to_owned(),
            place: None,
            nav: Vec::new(),
            theme,
            csrf: csrf.to_owned(),
            notices: Vec::new(),
            here: here.to_owned(),
            theme_action: "/theme".to_owned(),
            idle_minutes: 0,
        }
    }
    /// The stylesheet's address.
    #[must_use]
    pub fn css(&self) -> String {
        crate::assets::address("theriac.css")
    }
    /// The script's address.
    #[must_use]
    pub fn js(&self) -> String {
        crate::assets::address("theriac.js")
    }
    /// The icon's address.
    #[must_use]
    pub fn icon(&self) -> String {
        crate::assets::address("icon.svg")
    }
    /// The address of the first page of this person.
    #[must_use]
    pub fn home(&self) -> String {
        self.place
            .as_ref()
            .map_or_else(|| "/".to_owned(), |place| format!("{}/", place.base))
    }
}
