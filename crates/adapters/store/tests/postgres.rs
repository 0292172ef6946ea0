//! The conformance suite on PostgreSQL, in both placements.

mod server;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

mod shared {
    use super::server::Placed;
    use super::suite;

    crate::conformance!(match Placed::fresh(false) {
        Some(bed) => bed,
        None => return,
    });
}

mod dedicated {
    use super::server::Placed;
    use super::suite;

    crate::conformance!(match Placed::fresh(true) {
        Some(bed) => bed,
        None => return,
    });
}
