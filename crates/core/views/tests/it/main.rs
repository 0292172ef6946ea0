//! Views from outside: rows by table, and the official suite where it is at hand.

#[cfg(test)]
mod rows;
#[cfg(test)]
mod suite;
