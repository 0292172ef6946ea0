//! A source as the configuration names it: `NAME KIND URL [word=value]…`. Must not hold a key in an entry:
//! it names the file.

use std::path::PathBuf;
use std::time::Duration;

use kernel::{Categorised, Category};
use zeroize::Zeroizing;

/// Which wire format a source speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// Drug labels of openFDA.
    OpenFda,
    /// The interaction checker of DrugBank's API.
    DrugBank,
    /// A formulary behind our own contract.
    Formulary,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenFda, Self::DrugBank, Self::Formulary];

    /// The word in an entry.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OpenFda => "openfda",
            Self::DrugBank => "drugbank",
            Self::Formulary => "formulary",
        }
    }
}

/// An entry that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "knowledge source {entry:?} cannot be used: {detail}; write NAME openfda|drugbank|formulary URL [key=FILE] [region=us|ca|eu] [within=MS] [fresh=HOURS] [keep=DAYS] [tenants=A+B]"
)]
pub struct SourceEntryError {
    /// The entry.
    pub entry: String,
    /// What is wrong.
    pub detail: &'static str,
}

impl Categorised for SourceEntryError {
    fn category(&self) -> Category {
        Category::Invalid
    }
}

/// A source as it is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceSetting {
    /// Name, shown to people and in metrics.
    pub name: String,
    /// Wire format.
    pub kind: SourceKind,
    /// Where it is, without a slash at the end.
    pub url: String,
    /// The file that holds its key.
    pub key_file: Option<PathBuf>,
    /// Its key, as read from the file.
    pub key: Option<Zeroizing<String>>,
    /// Region of DrugBank's data.
    pub region: String,
    /// How long an answer may take.
    pub within: Duration,
    /// For how many hours an answer is not asked for again.
    pub fresh_hours: u32,
    /// For how many days an answer is kept for the bedside.
    pub keep_days: u32,
    /// The tenants that may ask it, by their names in addresses; empty: all.
    pub tenants: Vec<String>,
}

impl core::fmt::Debug for SourceSetting {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SourceSetting")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl SourceSetting {
    /// Reads an entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(entry: &str) -> Result<Self, SourceEntryError> {
        let wrong = |detail| SourceEntryError {
            entry: entry.to_owned(),
            detail,
        };
        let mut words = entry.split_whitespace();
        let (Some(name), Some(kind), Some(url)) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("it has no name, kind and URL"));
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.len() > 40 || !name.chars().all(plain) {
            return Err(wrong("the name is not of a-z, 0-9 and -"));
        }
        let kinds = SourceKind::ALL.iter();
        let kind = kinds.copied().find(|own| own.word() == kind);
        let kind = kind.ok_or_else(|| wrong("the kind is none"))?;
        let begins = |start| url.starts_with(start);
        if !(begins("https://") || begins("http://")) || url.contains(['?', '#', '@']) {
            return Err(wrong("the URL is no plain https:// or http:// address"));
        }
        let mut own = Self {
            name: name.to_owned(),
            kind,
            url: url.trim_end_matches('/').to_owned(),
            key_file: None,
            key: None,
            region: "us".to_owned(),
            within: Duration::from_secs(2),
            fresh_hours: 24,
            keep_days: 30,
            tenants: Vec::new(),
        };
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| wrong("a word has no ="))?;
            own.take(name, value).map_err(wrong)?;
        }
        if kind != SourceKind::OpenFda && own.key_file.is_none() {
            return Err(wrong("it needs key=FILE"));
        }
        Ok(own)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let number = |least: u32, most: u32, wrong| {
            let read = value.parse().ok();
            read.filter(|own| (least..=most).contains(own)).ok_or(wrong)
        };
        match name {
            "key" if !value.is_empty() => self.key_file = Some(value.into()),
            "region" if matches!(value, "us" | "ca" | "eu") => value.clone_into(&mut self.region),
            "within" => {
                let ms = number(100, 15_000, "within is not of 100 to 15000 ms")?;
                self.within = Duration::from_millis(ms.into());
            }
            "fresh" => self.fresh_hours = number(1, 24 * 90, "fresh is not of 1 to 2160 hours")?,
            "keep" => self.keep_days = number(1, 365, "keep is not of 1 to 365 days")?,
            "tenants" => {
                let names = value.split('+').filter(|own| !own.is_empty());
                self.tenants = names.map(str::to_owned).collect();
                if self.tenants.is_empty() {
                    return Err("tenants names none");
                }
            }
            _ => return Err("a word is none of these, or has no such value"),
        }
        Ok(())
    }

    /// Whether a tenant may ask it.
    #[must_use]
    pub fn serves(&self, tenant: &str) -> bool {
        self.tenants.is_empty() || self.tenants.iter().any(|own| own == tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_or_refused_by_name() {
        let full =
            "bnf formulary https://f.test/api/ key=/run/bnf within=500 fresh=12 keep=7 tenants=a+b";
        let own = SourceSetting::parse(full).unwrap();
        assert_eq!(
            (own.name.as_str(), own.kind),
            ("bnf", SourceKind::Formulary)
        );
        assert_eq!(own.url, "https://f.test/api");
        assert_eq!(own.key_file, Some("/run/bnf".into()));
        assert_eq!(own.within, Duration::from_millis(500));
        assert_eq!((own.fresh_hours, own.keep_days), (12, 7));
        assert!(own.serves("a") && !own.serves("c"));
        assert!(
            SourceSetting::parse("fda openfda https://api.fda.gov")
                .unwrap()
                .serves("c")
        );
        for (entry, says) in [
            ("", "no name"),
            ("fda openfda", "no name"),
            ("F openfda https://f.test", "the name"),
            ("f fda https://f.test", "the kind"),
            ("f openfda ftp://f.test", "the URL"),
            ("f openfda https://u:p@f.test", "the URL"),
            ("f openfda https://f.test?api_key=1", "the URL"),
            ("f drugbank https://f.test", "key=FILE"),
            ("f openfda https://f.test region=uk", "a word"),
            ("f openfda https://f.test within=0", "within"),
            ("f openfda https://f.test tenants=+", "tenants"),
            ("f openfda https://f.test secret", "no ="),
        ] {
            let error = SourceSetting::parse(entry).unwrap_err();
            assert!(error.detail.contains(says), "{entry}: {error}");
        }
    }
}
