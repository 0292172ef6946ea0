//! Any bytes as a call of a service of CDS Hooks, at every hook: read or refused, and what is read holds what
//! the cards are made from.
#![no_main]

use app::cds_hooks::request::{About, Hook, document, problem, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = document(bytes.to_vec()) else { return };
    for hook in Hook::ALL {
        let Ok(request) = read(document.root(), hook) else { continue };
        assert_eq!(request.hook, hook);
        assert!(request.authorization.is_none() || request.server.is_some());
        assert!(request.prefetch.iter().all(|(_, own)| own.get_str("resourceType").is_some()));
        match request.about {
            About::Drafts { drafts, selections } => {
                assert!(drafts.into_iter().all(|own| problem(own).is_none()));
                assert!(selections.is_none_or(|own| !own.is_empty()));
            }
            About::Dispatch { orders, performer } => {
                assert!(!orders.is_empty() && !performer.is_empty());
            }
            About::Appointments(_) | About::Patient => {}
        }
    }
});
