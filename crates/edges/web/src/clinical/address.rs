//! Addresses, telephone numbers and e-mail addresses.

use fhir::json::Value;

use super::code::{items, text, texts};

/// An address with its CUI label (PAB-0027).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `Usual address`, `Temporary address`, ...
    pub label: &'static str,
    /// Line by line, the postcode last.
    pub lines: Vec<String>,
}

/// Current addresses, the usual one first; old ones left out.
#[must_use]
pub fn addresses(resource: Value<'_>) -> Vec<Address> {
    let mut found: Vec<Address> = items(resource, "address")
        .filter(|address| text(*address, "use").as_deref() != Some("old"))
        .filter_map(|address| {
            let label = match text(address, "use").as_deref() {
                Some("temp") => "Temporary address",
                Some("work") => "Work address",
                Some("billing") => "Billing address",
                _ => "Usual address",
            };
            let mut lines = texts(address, "line");
            for key in ["city", "district", "state", "postalCode", "country"] {
                lines.extend(text(address, key));
            }
            if lines.is_empty() {
                lines.extend(text(address, "text"));
            }
            (!lines.is_empty()).then_some(Address { label, lines })
        })
        .collect();
    found.sort_by_key(|address| address.label != "Usual address");
    found
}

/// A way to reach somebody, with its CUI label (PAB-0030).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// `Home`, `Work`, `Mobile`, `Email`.
    pub label: &'static str,
    /// As recorded.
    pub value: String,
}

/// Contacts in the order Home, Work, Mobile, Email (PAB-0029); old ones left out.
#[must_use]
pub fn contacts(resource: Value<'_>) -> Vec<Contact> {
    let order = |label: &str| {
        ["Home", "Work", "Mobile", "Phone", "Email"]
            .iter()
            .position(|known| *known == label)
    };
    let mut found: Vec<Contact> = items(resource, "telecom")
        .filter(|telecom| text(*telecom, "use").as_deref() != Some("old"))
        .filter_map(|telecom| {
            let value = text(telecom, "value")?;
            let used = text(telecom, "use");
            let label = match (text(telecom, "system").as_deref(), used.as_deref()) {
                (Some("email"), _) => "Email",
                (Some("phone" | "sms") | None, Some("mobile")) => "Mobile",
                (Some("phone"), Some("work")) => "Work",
                (Some("phone"), Some("home")) => "Home",
                (Some("phone" | "sms"), _) => "Phone",
                _ => return None,
            };
            Some(Contact { label, value })
        })
        .collect();
    found.sort_by_key(|contact| order(contact.label));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::tests_support::parse;

    #[test]
    fn pab_0027_address_labels_and_order() {
        let patient = parse(
            r#"{"address":[{"use":"old","line":["gone"]},{"use":"temp","line":["Ward 4"]},{"use":"home","line":["2 High Street"],"city":"Leeds","postalCode":"LS1 4AP"}]}"#,
        );
        let found = addresses(patient.root());
        assert_eq!(
            found.iter().map(|a| a.label).collect::<Vec<_>>(),
            ["Usual address", "Temporary address"]
        );
        assert_eq!(found[0].lines, ["2 High Street", "Leeds", "LS1 4AP"]);
    }

    #[test]
    fn pab_0029_contacts_in_order() {
        let patient = parse(
            r#"{"telecom":[{"system":"email","value":"e"},{"system":"phone","use":"mobile","value":"m"},{"system":"phone","use":"home","value":"h"},{"system":"phone","use":"old","value":"x"},{"system":"phone","use":"work","value":"w"}]}"#,
        );
        let labels: Vec<_> = contacts(patient.root())
            .into_iter()
            .map(|c| c.label)
            .collect();
        assert_eq!(labels, ["Home", "Work", "Mobile", "Email"]);
    }
}
