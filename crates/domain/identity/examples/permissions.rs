//! Prints the permission reference: `docs/reference/permissions.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(identity::permissions::markdown().as_bytes())
}
