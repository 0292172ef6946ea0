//! The bundle that comes first: organisations, places, practitioners and teams. It depends on the
//! tenant alone, so that sign-ins and references stay the same whatever the seed.

use crate::bundle::Bundle;
use crate::concepts::{Concept, others, plain, sct};
use crate::json::Json;
use crate::staff::{Staff, everyone};
use crate::{Branch, Tenant, branches};

/// The home or clinic as a whole.
pub(crate) const fn organisation(tenant: Tenant) -> &'static str {
    match tenant {
        Tenant::RosewoodHouse => "rh-org",
        Tenant::HarbourClinic => "hc-org",
    }
}

/// Rooms per branch of Rosewood House; with more residents than rooms they are used again.
pub(crate) const ROOMS: u32 = 20;
/// Consulting rooms per branch of Harbour Clinic.
pub(crate) const CONSULTING_ROOMS: u32 = 4;

/// Organisations that pay, look after or examine: id, name and organisation type.
const ROSEWOOD_PARTNERS: &[(&str, &str, &str)] = &[
    ("rh-org-council", "Fairmere Borough Council", "govt"),
    ("rh-org-surgery", "Millbrook Lane Surgery", "prov"),
    ("rh-org-pharmacy", "Fairmere Pharmacy", "prov"),
    ("rh-org-hospital", "Fairmere District Hospital", "prov"),
    ("rh-org-laboratory", "Fairmere Pathology Service", "prov"),
];
const HARBOUR_PARTNERS: &[(&str, &str, &str)] = &[
    ("hc-org-insurer-1", "Coastline Health Assurance", "ins"),
    ("hc-org-insurer-2", "Monsoon Mutual", "ins"),
    ("hc-org-laboratory", "Harbour Clinic Laboratory", "prov"),
    ("hc-org-hospital", "Sagarpur General Hospital", "prov"),
];

/// Id of a room of a branch; `number` counts from 1.
pub(crate) fn room(branch: &Branch, number: u32) -> String {
    format!("{}-{number:02}", branch.location)
}

/// Writes the establishment's bundle.
pub(crate) fn write(tenant: Tenant, buffer: Vec<u8>) -> (Vec<u8>, u32) {
    let mut bundle = Bundle::begin(buffer);
    organisations(&mut bundle, tenant);
    places(&mut bundle, tenant);
    for person in everyone(tenant) {
        practitioner(&mut bundle, person);
        role(&mut bundle, tenant, person);
    }
    for branch in branches(tenant) {
        team(&mut bundle, tenant, branch);
    }
    bundle.finish()
}

fn organisations(bundle: &mut Bundle, tenant: Tenant) {
    let whole = organisation(tenant);
    organization(bundle, whole, tenant.name(), "prov", None);
    for branch in branches(tenant) {
        organization(
            bundle,
            branch.organization,
            branch.name,
            "dept",
            Some(whole),
        );
    }
    let partners = match tenant {
        Tenant::RosewoodHouse => ROSEWOOD_PARTNERS,
        Tenant::HarbourClinic => HARBOUR_PARTNERS,
    };
    for (id, name, kind) in partners {
        organization(bundle, id, name, kind, None);
    }
}

/// Where the pharmacy is: a register of controlled drugs says from where they came.
const fn street(id: &str) -> Option<(&'static str, &'static str, &'static str)> {
    match id.as_bytes() {
        b"rh-org-pharmacy" => Some(("4 Market Street", "Fairmere", "ZZ1 4AB")),
        _ => None,
    }
}

fn organization(bundle: &mut Bundle, id: &str, name: &str, kind: &str, part_of: Option<&str>) {
    bundle.put("Organization", id, |j| {
        j.identifier("https://theriac.example/organisations", id);
        j.flag("active", true);
        j.list("type", |j| {
            j.object(|j| j.list("coding", |j| j.coding(ORGANISATION_TYPE, kind, "")));
        });
        j.text("name", name);
        if let Some((line, city, code)) = street(id) {
            j.one("address", |j| {
                j.list("line", |j| j.item(line));
                j.text("city", city);
                j.text("postalCode", code);
            });
        }
        if let Some(part_of) = part_of {
            j.refer("partOf", "Organization", part_of);
        }
    });
}

fn places(bundle: &mut Bundle, tenant: Tenant) {
    let (site, rooms, word, kind) = match tenant {
        Tenant::RosewoodHouse => ("rh-l-site", ROOMS, "Room", "wi"),
        Tenant::HarbourClinic => ("hc-l-site", CONSULTING_ROOMS, "Consulting room", "bu"),
    };
    let whole = organisation(tenant);
    location(bundle, site, tenant.name(), "si", (whole, None));
    for branch in branches(tenant) {
        let owner = branch.organization;
        location(
            bundle,
            branch.location,
            branch.name,
            kind,
            (owner, Some(site)),
        );
        for number in 1..=rooms {
            let name = format!("{word} {number}, {}", branch.name);
            let parent = Some(branch.location);
            location(bundle, &room(branch, number), &name, "ro", (owner, parent));
        }
    }
}

fn location(
    bundle: &mut Bundle,
    id: &str,
    name: &str,
    kind: &str,
    (owner, part_of): (&str, Option<&str>),
) {
    bundle.put("Location", id, |j| {
        j.text("status", "active");
        j.text("name", name);
        j.text("mode", "instance");
        j.status("physicalType", PHYSICAL_TYPE, kind);
        j.refer("managingOrganization", "Organization", owner);
        if let Some(part_of) = part_of {
            j.refer("partOf", "Location", part_of);
        }
    });
}

fn practitioner(bundle: &mut Bundle, person: &Staff) {
    bundle.put("Practitioner", person.practitioner, |j| {
        j.identifier("https://theriac.example/staff", person.practitioner);
        j.flag("active", true);
        j.one("name", |j| {
            j.text("use", "official");
            j.text("family", person.family);
            j.list("given", |j| j.item(person.given));
            j.list("prefix", |j| j.item(person.prefix));
        });
        j.text("gender", person.gender);
    });
}

fn job(person: &Staff) -> Concept {
    match person.role {
        "doctor" => sct("158965000", "Medical practitioner"),
        "nurse" => sct("224535009", "Registered nurse"),
        "pharmacist" => sct("46255001", "Pharmacist"),
        "carer" => plain("Care assistant"),
        "receptionist" => plain("Receptionist"),
        "auditor" => plain("Auditor"),
        _ => plain("Administrator"),
    }
}

fn specialty(person: &Staff) -> Option<Concept> {
    match person.practitioner {
        "rh-s-doctor" => Some(others::GENERAL_PRACTICE),
        "hc-s-doctor" => Some(others::GENERAL_MEDICINE),
        "hc-s-doctor-2" => Some(others::ENDOCRINOLOGY),
        "hc-s-doctor-3" => Some(others::PAEDIATRICS),
        _ => None,
    }
}

fn role(bundle: &mut Bundle, tenant: Tenant, person: &Staff) {
    let works_in = |branch: &&Branch| person.branches.contains(&branch.name);
    for branch in branches(tenant).iter().filter(works_in) {
        let place = branch.organization.rsplit('-').next().unwrap_or_default();
        let id = format!("{}-at-{place}", person.practitioner);
        bundle.put("PractitionerRole", &id, |j| {
            j.flag("active", true);
            j.refer("practitioner", "Practitioner", person.practitioner);
            j.refer("organization", "Organization", branch.organization);
            j.concepts("code", &job(person));
            if let Some(specialty) = specialty(person) {
                j.concepts("specialty", &specialty);
            }
            j.refers("location", "Location", branch.location);
        });
    }
}

/// Id of the team of a branch.
pub(crate) fn team_of(branch: &Branch) -> String {
    format!("{}-team", branch.organization)
}

fn team(bundle: &mut Bundle, tenant: Tenant, branch: &Branch) {
    bundle.put("CareTeam", &team_of(branch), |j| {
        j.text("status", "active");
        j.joined("name", &[branch.name, " team"]);
        j.list("participant", |j| {
            for person in everyone(tenant) {
                let clinical = matches!(person.role, "doctor" | "nurse" | "carer" | "pharmacist");
                if clinical && person.branches.contains(&branch.name) {
                    j.object(|j: &mut Json| {
                        j.concepts("role", &job(person));
                        j.refer("member", "Practitioner", person.practitioner);
                    });
                }
            }
        });
        j.refers("managingOrganization", "Organization", branch.organization);
    });
}

const ORGANISATION_TYPE: &str = "http://terminology.hl7.org/CodeSystem/organization-type";
const PHYSICAL_TYPE: &str = "http://terminology.hl7.org/CodeSystem/location-physical-type";
