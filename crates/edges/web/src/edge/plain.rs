//! What went wrong, in words for a person in front of a page: what to change there. Must not repeat advice
//! that is for programs, such as headers to send.

use app::{AppError, QueryError};

use super::answer::sentence;

/// The words of an error on a page.
pub fn words(error: &AppError) -> String {
    match error {
        AppError::Query(query) => of_query(query),
        AppError::Terminology(_) | AppError::Store(_) => sentence(&error.public_text()),
        AppError::Conflict(text) if text.contains("write it with status requested") => {
            "The subscription is not active. Activate it first, then send again.".to_owned()
        }
        AppError::Unprocessable(text) if text.contains("$events") => {
            "A program with a WebSocket fetches missed events itself. There is nothing to send from here."
                .to_owned()
        }
        AppError::MultipleMatches { what } => {
            format!("More than one {what} fits. Add a condition so that only one does.")
        }
        AppError::Stale { .. } => {
            "It was changed after you opened it. Open it again and repeat what you did.".to_owned()
        }
        other => sentence(&other.public_text()),
    }
}

fn of_query(error: &QueryError) -> String {
    match error {
        QueryError::Unknown { resource, name } => format!(
            "{resource} has no search parameter {name}. Choose one from the list of a condition, or correct its name in the query as text."
        ),
        QueryError::NotOffered { name } => {
            format!("{name} is not offered here. Remove it, or compare in another way.")
        }
        QueryError::NotReady { name } => format!(
            "{name} cannot be used yet: its index is being built. Try again later, or search without it."
        ),
        QueryError::Malformed { name, detail } => {
            let (what, more) = (sentence(detail), "Correct the value and search again.");
            format!("The value of {name} cannot be read. {what} {more}")
        }
        QueryError::Terminology { name, what } => format!(
            "{name} needs all codes of {what}, and not all of them are known here. List the codes you want, with commas between them."
        ),
        QueryError::Denied { resource } => {
            format!("Your role may not search {resource}. Remove the condition that looks at it.")
        }
        QueryError::Cursor => {
            "This page of the list is no longer valid. Start the search again.".to_owned()
        }
        QueryError::TooMany { .. } => sentence(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_at_a_page_is_told_to_send_a_header() {
        let text = |text: &str| text.to_owned();
        let errors = [
            QueryError::Unknown {
                resource: text("Patient"),
                name: text("shoe"),
            },
            QueryError::NotOffered { name: text("near") },
            QueryError::NotReady { name: text("code") },
            QueryError::Malformed {
                name: text("birthdate"),
                detail: text("\"x\" is no date"),
            },
            QueryError::Terminology {
                name: text("code"),
                what: text("http://a.test/set"),
            },
            QueryError::Denied {
                resource: text("Patient"),
            },
            QueryError::Cursor,
        ];
        let shown: Vec<String> = errors
            .into_iter()
            .map(|error| words(&error.into()))
            .collect();
        for one in &shown {
            for word in ["Prefer", "lenient", "CapabilityStatement", "header", "$"] {
                assert!(!one.contains(word), "{one}");
            }
            assert!(one.ends_with('.') && one.len() > 30, "{one}");
        }
        insta::assert_snapshot!(shown.join("\n"));
    }
}
