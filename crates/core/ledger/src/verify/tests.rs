//! Adversary tests.
