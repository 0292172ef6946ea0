//! Trains the compression dictionaries of the store on the synthetic population: resources as they are
//! stored, and payloads as use-cases write them. Must not be run to replace a dictionary that a release
//! has used: stored bytes need theirs, so a better one gets a new number.

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use fhir::json::{Document, Limits};
use fhir::print::Stamp;
use kernel::{Actor, ActorId, ActorKind, PurposeOfUse, RequestId};
use ledger::payload::{Payload, ResourceFacts};
use population::{Day, Population, Tenant};
use uuid::Uuid;

const RESOURCE_BYTES: usize = 48 * 1024;
const ENTRY_BYTES: usize = 4 * 1024;
/// Every so many resources one is a sample: neighbours are alike.
const EVERY: usize = 3;

/// Writes `resource-1.zdict` and `entry-2.zdict` into a folder.
pub fn generate(target: &Path) -> Result<String, Box<dyn Error>> {
    let (mut resources, mut entries) = (Vec::new(), Vec::new());
    let day = Day::from_civil(2026, 3, 5).ok_or("the reference day is no day")?;
    for tenant in Tenant::ALL {
        let population = Population::new(tenant, 1, day, tenant.profile());
        for bundle in population.bundles() {
            let document = Document::parse(bundle.bytes, &Limits::default())?;
            let items = document
                .root()
                .get("entry")
                .ok_or("a bundle without entries")?;
            for item in items.items() {
                let resource = item.get("resource").ok_or("an entry without a resource")?;
                let text = |name| resource.get(name).and_then(fhir::json::Value::as_str);
                let (ty, id) = (text("resourceType"), text("id"));
                let (Some(ty), Some(id)) = (ty, id) else {
                    continue;
                };
                let stamp = Stamp {
                    id: &id,
                    version: 1,
                    last_updated: "2026-03-05T08:09:10.123Z",
                };
                resources.push(fhir::print::stamp(resource, &stamp)?);
                entries.extend(payloads(entries.len(), &ty, &id));
            }
        }
    }
    let made = [
        ("resource-1.zdict", resources, RESOURCE_BYTES),
        ("entry-2.zdict", entries, ENTRY_BYTES),
    ];
    let mut said = Vec::new();
    for (file, samples, size) in made {
        let samples: Vec<_> = samples.iter().step_by(EVERY).collect();
        let bytes = zstd::dict::from_samples(&samples, size)?;
        said.push(format!(
            "{file}: {} samples, {} bytes",
            samples.len(),
            bytes.len()
        ));
        let mut made = std::fs::File::create_new(target.join(file))
            .map_err(|error| format!("{file}: {error}; a better one gets a new number"))?;
        made.write_all(&bytes)?;
    }
    Ok(said.join("\n"))
}

/// What a change, a look at it, and a search by a page would record.
fn payloads(number: usize, ty: &str, id: &str) -> [Vec<u8>; 3] {
    let number = (number as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834);
    let people = [
        (ActorKind::User, "Amina Okafor", "nurse"),
        (ActorKind::User, "Tom Whitfield", "doctor"),
        (
            ActorKind::Client,
            "Hospital interface",
            "integration-service",
        ),
        (ActorKind::User, "Grace Mensah", "carer"),
    ];
    let (kind, name, role) = people
        .get((number >> 64) as usize % people.len())
        .copied()
        .unwrap_or((ActorKind::User, "Amina Okafor", "nurse"));
    let actor = Actor {
        id: ActorId::from_uuid(Uuid::from_u128(number)),
        kind,
        name: name.to_owned(),
        role: role.to_owned(),
        branch: None,
    };
    let made = |word: &'static str, resource: bool, query: Option<String>| {
        let mut payload = Payload::new(&actor, word, PurposeOfUse::Treatment);
        payload.client_address = Some(format!("10.{}.{}.7", number as u8, (number >> 8) as u8));
        payload.request = Some(RequestId::from_uuid(Uuid::from_u128(
            number.rotate_left(17),
        )));
        payload.patient = Some(id.to_owned());
        payload.query = query;
        payload.resource = resource.then(|| ResourceFacts {
            ty: ty.to_owned().into(),
            id: Some(id.to_owned()),
            version: Some(1),
        });
        payload.to_bytes()
    };
    let query = format!("{ty}?patient={id}&_count=50&_sort=-_lastUpdated");
    [
        made("create", true, None),
        made("read", true, None),
        made("search", false, Some(query)),
    ]
}
