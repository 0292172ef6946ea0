//! The `theriac` binary.
fn main() {}
