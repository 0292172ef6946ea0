//! Use-cases: one file each, all writing through the unit of work.
