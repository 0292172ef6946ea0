//! The services of every tenant, as a table: at which hook one is called, what it wants beforehand and
//! whose cards it answers. A further source of cards is a further word of [`Source`] and its rows here.
//! Must not depend on a tenant: what a tenant offers is this table or nothing.

use serde_json::{Map, Value, json};

use super::request::Hook;

/// Whose cards a service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The checks of a list of medicines.
    Medicines(Voice),
}

/// How much of what the checks find is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Everything.
    All,
    /// What would interrupt, and what was not checked.
    Loud,
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Its id, in addresses.
    pub id: &'static str,
    /// The hook it is called at.
    pub hook: Hook,
    /// Its name for people.
    pub title: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What it wants beforehand: key and template.
    pub prefetch: &'static [(&'static str, &'static str)],
    /// Whose cards it answers.
    pub source: Source,
}

macro_rules! of_patient {
    ($($more:expr,)*) => { &[
        ("patient", "Patient/{{context.patientId}}"),
        ("allergies", "AllergyIntolerance?patient={{context.patientId}}"),
        ("medicationRequests", "MedicationRequest?patient={{context.patientId}}&status=active,unknown"),
        ("medicationStatements", "MedicationStatement?patient={{context.patientId}}&status=active,unknown"),
        // The codes of `medication::facts::OBSERVATIONS`; a test compares them.
        ("observations", concat!("Observation?patient={{context.patientId}}&code=",
            "http://loinc.org|29463-7,http://loinc.org|3141-9,http://loinc.org|33914-3,",
            "http://loinc.org|62238-1,http://loinc.org|77147-7,http://loinc.org|98979-8,http://loinc.org|98980-6,",
            "http://loinc.org|69405-9,http://loinc.org|2164-2,http://loinc.org|35591-7,http://loinc.org|82810-3")),
        $($more,)*
    ] };
}

/// What every service wants beforehand.
const OF_PATIENT: &[(&str, &str)] = of_patient![];
/// With the orders that are sent out.
const OF_ORDERS: &[(&str, &str)] = of_patient![(
    "orders",
    "MedicationRequest?_id={{context.dispatchedOrders.MedicationRequest.id}}"
),];

/// The key without which no list can be checked.
pub const REQUIRED: &str = "medicationRequests";

/// Every service.
pub const SERVICES: [Service; 7] = [
    Service {
        id: "medication-review",
        hook: Hook::PatientView,
        title: "Medicines review",
        description: "Checks the medicines in force against each other, the allergies and the facts of the patient",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::All),
    },
    Service {
        id: "medication-order-select",
        hook: Hook::OrderSelect,
        title: "Medicines check on selection",
        description: "Checks the selected draft orders against the other drafts, the medicines in force, the allergies and the facts of the patient",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::All),
    },
    Service {
        id: "medication-order-sign",
        hook: Hook::OrderSign,
        title: "Medicines check on signing",
        description: "Checks all draft orders against each other, the medicines in force, the allergies and the facts of the patient",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::All),
    },
    Service {
        id: "medication-dispatch",
        hook: Hook::OrderDispatch,
        title: "Medicines check on dispatch",
        description: "Checks orders of medicines once more when they are sent to whoever fulfils them",
        prefetch: OF_ORDERS,
        source: Source::Medicines(Voice::All),
    },
    Service {
        id: "appointment-medicines",
        hook: Hook::AppointmentBook,
        title: "Medicines to look at in an appointment",
        description: "Says what of the medicines in force interrupts, so that a review can be booked",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::Loud),
    },
    Service {
        id: "admission-medicines",
        hook: Hook::EncounterStart,
        title: "Medicines check on admission",
        description: "Checks the medicines in force when an encounter starts",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::All),
    },
    Service {
        id: "discharge-medicines",
        hook: Hook::EncounterDischarge,
        title: "Medicines check on discharge",
        description: "Checks the medicines in force that a patient goes home with",
        prefetch: OF_PATIENT,
        source: Source::Medicines(Voice::All),
    },
];

/// A service by its id.
#[must_use]
pub fn service(id: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|own| own.id == id)
}

/// The answer of the discovery endpoint.
#[must_use]
pub fn discovery() -> Value {
    let services: Vec<Value> = SERVICES
        .iter()
        .map(|own| {
            let prefetch: Map<String, Value> = own
                .prefetch
                .iter()
                .map(|(key, template)| ((*key).to_owned(), (*template).into()))
                .collect();
            json!({
                "hook": own.hook.name(), "title": own.title, "description": own.description,
                "id": own.id, "prefetch": prefetch,
                "usageRequirements": "FHIR R4. A client is registered with the tenant before it calls",
            })
        })
        .collect();
    json!({ "services": services })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_apart_and_every_hook_is_served() {
        for (at, own) in SERVICES.iter().enumerate() {
            assert_eq!(service(own.id), Some(own));
            assert!(SERVICES.iter().take(at).all(|other| other.id != own.id));
            assert!(own.prefetch.iter().any(|(key, _)| *key == REQUIRED));
        }
        for hook in Hook::ALL {
            assert!(SERVICES.iter().any(|own| own.hook == hook), "{hook:?}");
        }
        assert_eq!(service("other"), None);
    }

    #[test]
    fn what_is_wanted_is_what_the_checks_read() {
        let wanted = OF_PATIENT.iter().find(|(key, _)| *key == "observations");
        let codes = wanted.unwrap().1.split("&code=").nth(1);
        assert_eq!(codes, Some(medication::facts::OBSERVATIONS));
    }

    #[test]
    fn templates_use_tokens_of_their_hook_only() {
        for own in &SERVICES {
            for (_, template) in own.prefetch {
                for token in template.split("{{").skip(1) {
                    let token = token.split("}}").next().unwrap();
                    let field = token.strip_prefix("context.").unwrap();
                    let field = field.split('.').next().unwrap();
                    assert!(own.hook.tokens().contains(&field), "{} {field}", own.id);
                }
            }
        }
    }
}
