//! Writes the demo population of one tenant to a folder, one transaction bundle a file, to look at it
//! or to try it on another server:
//! `cargo run -p theriac-population --example write_population -- rosewood-house some-folder`.

use std::io::{Error, ErrorKind, Result};

use population::{Day, Population, Tenant};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(slug), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err(refused("give a tenant and a folder"));
    };
    let tenant = Tenant::ALL.into_iter().find(|t| t.slug() == slug);
    let tenant = tenant.ok_or_else(|| refused("no such tenant, see population::Tenant"))?;
    let today = Day::from_civil(2026, 11, 23).ok_or_else(|| refused("no such day"))?;
    std::fs::create_dir_all(&folder)?;
    let population = Population::new(tenant, 1, today, tenant.profile());
    for (number, written) in population.bundles().enumerate() {
        std::fs::write(format!("{folder}/{number:05}.json"), written.bytes)?;
    }
    Ok(())
}

fn refused(why: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}
