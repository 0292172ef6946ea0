//! Each rule, with what breaks it.
