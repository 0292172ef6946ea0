//! The logs of a tenant: entries staged by writers get their places from a sequencer, which signs what it
//! has read back. Must not change what a writer staged.

pub(super) mod read;
mod rows;
mod sequencer;
mod watch;

pub(super) use sequencer::Sequencer;
