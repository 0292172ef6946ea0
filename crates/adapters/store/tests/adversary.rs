//! The adversary suite, on both adapters.

mod folder;
mod server;
#[expect(dead_code, reason = "the suite is shared; not every case is used here")]
mod suite;

mod sqlite {
    use super::folder::Folder;
    use super::suite;

    crate::adversary!(Folder::new());
}

mod postgres {
    use super::server::Placed;
    use super::suite;

    crate::adversary!(match Placed::fresh(false) {
        Some(hand) => hand,
        None => return,
    });
}
