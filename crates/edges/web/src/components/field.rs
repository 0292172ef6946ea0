//! Form fields: each with its label, hint and error tied to it. Must not carry a value of a password.

use askama::Template;

/// What kind of control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// One line; the type attribute: `text`, `search` or `password`.
    Input(&'static str),
    /// Several lines.
    Text,
    /// One of a list.
    Select(Vec<Choice>),
    /// One of a few, all visible.
    Radios(Vec<Choice>),
    /// Any of a few.
    Checkboxes(Vec<Choice>),
}

/// An option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The submitted value.
    pub value: String,
    /// The label.
    pub label: String,
    /// A hint below it; may be empty.
    pub hint: String,
    /// Whether it is chosen.
    pub chosen: bool,
}

impl Choice {
    /// An option.
    #[must_use]
    pub fn new(value: &str, label: &str, chosen: bool) -> Self {
        Self {
            value: value.to_owned(),
            label: label.to_owned(),
            hint: String::new(),
            chosen,
        }
    }
    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "components/field.html")]
pub struct Field {
    /// Its name; also its id.
    pub name: String,
    /// Its label.
    pub label: String,
    /// The control.
    pub control: Control,
    /// Its value.
    pub value: String,
    /// How to fill it in; may be empty.
    pub hint: String,
    /// What is wrong with it.
    pub error: Option<String>,
    /// The autocomplete token; may be empty.
    pub autocomplete: &'static str,
    /// Whether it must be filled in; others are marked "optional".
    pub required: bool,
    /// The width class: `field-short`, `field-medium` or `field-long`.
    pub width: &'static str,
    /// `inputmode`; may be empty.
    pub input_mode: &'static str,
}
impl askama::filters::HtmlSafe for Field {}

impl Field {
    fn new(name: &str, label: &str, control: Control) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            control,
            value: String::new(),
            hint: String::new(),
            error: None,
            autocomplete: "",
            required: true,
            width: "field-medium",
            input_mode: "",
        }
    }
    /// A line of text.
    #[must_use]
    pub fn text(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Input("text"))
    }
    /// A search box.
    #[must_use]
    pub fn search(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Input("search")).optional()
    }
    /// A date, typed with the month in letters: a browser's own date control follows the machine's
    /// regional settings, and 05/03 is read in two ways.
    #[must_use]
    pub fn date(name: &str, label: &str) -> Self {
        let mut field = Self::new(name, label, Control::Input("text")).optional();
        field.width = "field-short";
        field.hint("For example 05-Mar-1941")
    }
    /// A password; `autocomplete` is `current-password` or `new-password`.
    #[must_use]
    pub fn password(name: &str, label: &str, autocomplete: &'static str) -> Self {
        let mut field = Self::new(name, label, Control::Input("password"));
        field.autocomplete = autocomplete;
        field
    }
    /// A one-time code.
    #[must_use]
    pub fn code(name: &str, label: &str) -> Self {
        let mut field = Self::new(name, label, Control::Input("text"));
        field.autocomplete = "one-time-code";
        field.input_mode = "numeric";
        field.width = "field-short";
        field
    }
    /// Several lines.
    #[must_use]
    pub fn area(name: &str, label: &str) -> Self {
        Self::new(name, label, Control::Text)
    }
    /// One of a list.
    #[must_use]
    pub fn select(name: &str, label: &str, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Select(choices))
    }
    /// One of a few.
    #[must_use]
    pub fn radios(name: &str, label: &str, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Radios(choices))
    }
    /// Any of a few.
    #[must_use]
    pub fn checkboxes(name: &str, label: &str, choices: Vec<Choice>) -> Self {
        Self::new(name, label, Control::Checkboxes(choices)).optional()
    }
    /// With a value.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        value.clone_into(&mut self.value);
        self
    }
    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        hint.clone_into(&mut self.hint);
        self
    }
    /// With an error.
    #[must_use]
    pub fn error(mut self, error: &str) -> Self {
        self.error = Some(error.to_owned());
        self
    }
    /// Need not be filled in.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }
    /// With an autocomplete token.
    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = token;
        self
    }
    /// The id an error links to.
    #[must_use]
    pub fn focus_id(&self) -> String {
        match self.control {
            Control::Radios(_) | Control::Checkboxes(_) => format!("{}-0", self.name),
            _ => self.name.clone(),
        }
    }
    /// `aria-describedby`: the ids of hint and error.
    #[must_use]
    pub fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.name));
        }
        if self.error.is_some() {
            ids.push(format!("{}-error", self.name));
        }
        ids.join(" ")
    }
    fn is_radios(&self) -> bool {
        matches!(self.control, Control::Radios(_))
    }
    /// The value written into the page: none for passwords.
    fn shown_value(&self) -> &str {
        if self.control == Control::Input("password") {
            ""
        } else {
            &self.value
        }
    }
}
