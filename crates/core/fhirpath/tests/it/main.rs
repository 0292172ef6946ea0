//! FHIRPath from outside: the language by table, and the official suites where they are at hand.

#[cfg(test)]
mod language;
#[cfg(test)]
mod patch_suite;
#[cfg(test)]
mod suite;
