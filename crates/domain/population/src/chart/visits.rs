//! Encounters, appointments and what was written down afterwards.

use super::Chart;
use crate::calendar::{Day, Moment};
use crate::concepts::Concept;
use crate::json::base64;

/// An encounter to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit<'a> {
    /// Code of v3-ActCode: `AMB`, `HH`, `IMP` or `EMER`.
    pub(crate) class: &'static str,
    pub(crate) kind: &'a Concept,
    pub(crate) reason: Option<&'a Concept>,
    pub(crate) start: Moment,
    /// Open while the encounter lasts.
    pub(crate) end: Option<Moment>,
    pub(crate) by: &'a str,
    pub(crate) place: Option<&'a str>,
    pub(crate) organisation: &'a str,
}

/// A note about an encounter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Note<'a> {
    pub(crate) kind: &'a Concept,
    pub(crate) at: Moment,
    pub(crate) by: &'a str,
    pub(crate) encounter: Option<&'a str>,
    pub(crate) organisation: &'a str,
    pub(crate) text: &'a str,
}

/// An appointment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Booking<'a> {
    pub(crate) status: &'static str,
    pub(crate) what: &'a Concept,
    pub(crate) start: Moment,
    pub(crate) minutes: u16,
    pub(crate) with: &'a str,
    pub(crate) place: &'a str,
    /// The day it was made; not after the start.
    pub(crate) made: Day,
}

impl Chart {
    /// An Encounter; gives its id.
    pub(crate) fn encounter(&mut self, visit: &Visit<'_>) -> String {
        self.put("Encounter", "e", |j, patient| {
            let over = visit.end.is_some();
            j.text("status", if over { "finished" } else { "in-progress" });
            j.obj("class", |j| {
                j.text("system", "http://terminology.hl7.org/CodeSystem/v3-ActCode");
                j.text("code", visit.class);
            });
            j.concepts("type", visit.kind);
            j.refer("subject", "Patient", patient);
            j.one("participant", |j| {
                j.refer("individual", "Practitioner", visit.by);
            });
            j.obj("period", |j| {
                j.time("start", visit.start);
                if let Some(end) = visit.end {
                    j.time("end", end);
                }
            });
            if let Some(reason) = visit.reason {
                j.concepts("reasonCode", reason);
            }
            if let Some(place) = visit.place {
                j.one("location", |j| {
                    j.refer("location", "Location", place);
                    j.text("status", if over { "completed" } else { "active" });
                });
            }
            j.refer("serviceProvider", "Organization", visit.organisation);
        })
    }

    /// A note as a DocumentReference with the text inside.
    pub(crate) fn note(&mut self, note: &Note<'_>) {
        self.put("DocumentReference", "n", |j, patient| {
            j.text("status", "current");
            j.text("docStatus", "final");
            j.concept("type", note.kind);
            j.refer("subject", "Patient", patient);
            j.time("date", note.at);
            j.refers("author", "Practitioner", note.by);
            j.refer("custodian", "Organization", note.organisation);
            j.one("content", |j| {
                j.obj("attachment", |j| {
                    j.text("contentType", "text/plain; charset=utf-8");
                    j.text("language", "en");
                    j.text("data", &base64(note.text.as_bytes()));
                    j.text("title", note.kind.text);
                    j.time("creation", note.at);
                });
            });
            if let Some(encounter) = note.encounter {
                j.obj("context", |j| {
                    j.refers("encounter", "Encounter", encounter);
                });
            }
        });
    }

    /// A note as a Composition of one section. The text must hold no mark-up.
    pub(crate) fn composition(&mut self, note: &Note<'_>) {
        self.put("Composition", "n", |j, patient| {
            j.text("status", "final");
            j.concept("type", note.kind);
            j.refer("subject", "Patient", patient);
            super::encounter(j, "encounter", note.encounter);
            j.time("date", note.at);
            j.refers("author", "Practitioner", note.by);
            j.text("title", note.kind.text);
            j.refer("custodian", "Organization", note.organisation);
            j.one("section", |j| {
                j.text("title", "Assessment and plan");
                j.obj("text", |j| {
                    j.text("status", "generated");
                    j.joined(
                        "div",
                        &[
                            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>",
                            note.text,
                            "</p></div>",
                        ],
                    );
                });
            });
        });
    }

    /// An Appointment.
    pub(crate) fn appointment(&mut self, booking: &Booking<'_>) {
        let zone = self.zone;
        self.put("Appointment", "ap", |j, patient| {
            j.text("status", booking.status);
            j.concepts("serviceType", booking.what);
            j.text("description", booking.what.text);
            j.time("start", booking.start);
            j.time("end", booking.start.later(booking.minutes));
            j.int("minutesDuration", i64::from(booking.minutes));
            j.time("created", booking.made.at(570, zone));
            j.list("participant", |j| {
                for (resource, id) in [
                    ("Patient", patient),
                    ("Practitioner", booking.with),
                    ("Location", booking.place),
                ] {
                    j.object(|j| {
                        j.refer("actor", resource, id);
                        j.text("status", "accepted");
                    });
                }
            });
        });
    }
}
