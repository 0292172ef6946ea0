//! One patient's record being written: the bundle, the patient's id, the numbering of what belongs to
//! the patient, and the patient's own stream of draws. Knows how a resource looks, not who has it.

mod findings;
mod medication;
mod observations;
mod orders;
mod papers;
mod person;
mod visits;

pub(crate) use findings::{Allergy, Plan};
pub(crate) use medication::{Corrects, Dose, Order, Outcome};
pub(crate) use observations::{Seen, Vitals};
pub(crate) use orders::{Bill, Picture, Report};
pub(crate) use papers::Filed;
pub(crate) use person::{Cover, Person, Relative};
pub(crate) use visits::{Booking, Note, Visit};

use crate::bundle::Bundle;
use crate::calendar::Zone;
use crate::json::Json;
use crate::random::Draw;

/// The record of one patient while it is written.
#[derive(Debug)]
pub(crate) struct Chart {
    bundle: Bundle,
    /// Id of the Patient.
    pub(crate) patient: String,
    /// The patient's own stream.
    pub(crate) draw: Draw,
    pub(crate) zone: Zone,
    serial: Vec<(&'static str, u32)>,
}

impl Chart {
    pub(crate) fn begin(out: Vec<u8>, patient: String, draw: Draw, zone: Zone) -> Self {
        Self {
            bundle: Bundle::begin(out),
            patient,
            draw,
            zone,
            serial: Vec::with_capacity(20),
        }
    }

    /// The bytes of the bundle and the number of its resources.
    pub(crate) fn finish(self) -> (Vec<u8>, u32) {
        self.bundle.finish()
    }

    // Ids read `<patient>-<kind><number>`; numbers count per kind so that a new kind of resource does
    // not renumber the others.
    fn next_id(&mut self, kind: &'static str) -> String {
        let number = if let Some((_, n)) = self.serial.iter_mut().find(|(k, _)| *k == kind) {
            *n += 1;
            *n
        } else {
            self.serial.push((kind, 1));
            1
        };
        let mut id = String::with_capacity(self.patient.len() + 8);
        id.push_str(&self.patient);
        id.push('-');
        id.push_str(kind);
        id.push_str(&number.to_string());
        id
    }

    /// Adds a resource of this patient and gives its id; `body` is given the patient's id.
    fn put(
        &mut self,
        resource: &str,
        kind: &'static str,
        body: impl FnOnce(&mut Json, &str),
    ) -> String {
        let id = self.next_id(kind);
        let patient = &self.patient;
        self.bundle.put(resource, &id, |j| body(j, patient));
        id
    }
}

/// Writes the status of a code system of terminology.hl7.org as a CodeableConcept.
fn hl7(j: &mut Json, key: &str, name: &str, code: &str) {
    let system = format!("http://terminology.hl7.org/CodeSystem/{name}");
    j.status(key, &system, code);
}

/// Writes an optional reference to an encounter.
fn encounter(j: &mut Json, key: &str, id: Option<&str>) {
    if let Some(id) = id {
        j.refer(key, "Encounter", id);
    }
}
