//! Prints a Dosage as FHIR JSON, decimals as they were written. Must not leave out what was read.

use fhir::print::write_string;

use super::timing::{Bounds, Cycle, Repeat, TimeUnit, Timing};
use super::{Amount, AsNeeded, CYCLE, Coding, Concept, Dosage, DoseAndRate, Rate, Ratio, Rest};
use crate::quantity::Quantity;

/// An object being written.
pub(crate) struct Object<'a> {
    into: &'a mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.into.push(b',');
        }
        self.first = false;
        write_string(name, self.into);
        self.into.push(b':');
        self.into
    }
    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            write_string(value, self.key(name));
        }
    }
    pub(crate) fn plain(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.key(name).extend(value.to_string().into_bytes());
        }
    }
    pub(crate) fn part<T>(
        &mut self,
        name: &str,
        value: Option<&T>,
        write: impl Fn(&T, &mut Vec<u8>),
    ) {
        if let Some(value) = value {
            write(value, self.key(name));
        }
    }
    pub(crate) fn list<T>(&mut self, name: &str, values: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
        if values.is_empty() {
            return;
        }
        let into = self.key(name);
        into.push(b'[');
        for (n, value) in values.iter().enumerate() {
            if n > 0 {
                into.push(b',');
            }
            write(value, into);
        }
        into.push(b']');
    }
    fn rest(&mut self, rest: &Rest) {
        for (name, raw) in &rest.0 {
            self.key(name).extend_from_slice(raw);
        }
    }
}

pub(crate) fn object(into: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    into.push(b'{');
    fill(&mut Object { into, first: true });
    into.push(b'}');
}

fn coding(coding: &Coding, into: &mut Vec<u8>) {
    object(into, |o| {
        o.text("system", coding.system.as_deref());
        o.text("code", coding.code.as_deref());
        o.text("display", coding.display.as_deref());
        o.rest(&coding.rest);
    });
}

pub(crate) fn concept(concept: &Concept, into: &mut Vec<u8>) {
    object(into, |o| {
        o.list("coding", &concept.coding, coding);
        o.text("text", concept.text.as_deref());
        o.rest(&concept.rest);
    });
}

pub(crate) fn quantity(quantity: &Quantity, into: &mut Vec<u8>) {
    object(into, |o| {
        o.plain("value", Some(&quantity.value));
        o.text("unit", quantity.unit.display.as_deref());
        o.text("system", quantity.unit.system.as_deref());
        o.text("code", quantity.unit.code.as_deref());
    });
}

fn range(low: Option<&Quantity>, high: Option<&Quantity>, into: &mut Vec<u8>) {
    object(into, |o| {
        o.part("low", low, quantity);
        o.part("high", high, quantity);
    });
}

fn ratio(ratio: &Ratio, into: &mut Vec<u8>) {
    object(into, |o| {
        o.part("numerator", Some(&ratio.numerator), quantity);
        o.part("denominator", Some(&ratio.denominator), quantity);
        o.rest(&ratio.rest);
    });
}

fn amount(o: &mut Object<'_>, name: &str, amount: &Amount) {
    match amount {
        Amount::Exact(exact) => quantity(exact, o.key(&format!("{name}Quantity"))),
        Amount::Range { low, high } => {
            range(low.as_ref(), high.as_ref(), o.key(&format!("{name}Range")));
        }
    }
}

fn dose_and_rate(dose: &DoseAndRate, into: &mut Vec<u8>) {
    object(into, |o| {
        o.part("type", dose.kind.as_ref(), concept);
        if let Some(stated) = &dose.dose {
            amount(o, "dose", stated);
        }
        match &dose.rate {
            Some(Rate::Ratio(stated)) => ratio(stated, o.key("rateRatio")),
            Some(Rate::Amount(stated)) => amount(o, "rate", stated),
            None => {}
        }
        o.rest(&dose.rest);
    });
}

fn bounds(o: &mut Object<'_>, bounds: &Bounds) {
    match bounds {
        Bounds::Duration(long) => quantity(long, o.key("boundsDuration")),
        Bounds::Range { low, high } => range(low.as_ref(), high.as_ref(), o.key("boundsRange")),
        Bounds::Period { start, end, rest } => object(o.key("boundsPeriod"), |o| {
            o.text("start", start.as_ref().map(|m| m.text.as_str()));
            o.text("end", end.as_ref().map(|m| m.text.as_str()));
            o.rest(rest);
        }),
    }
}

fn cycle(Cycle { on, off }: Cycle, into: &mut Vec<u8>) {
    let text = format!(
        r#"[{{"url":"{CYCLE}","extension":[{{"url":"on","valuePositiveInt":{on}}},{{"url":"off","valuePositiveInt":{off}}}]}}]"#
    );
    into.extend(text.into_bytes());
}

fn repeat(repeat: &Repeat, into: &mut Vec<u8>) {
    object(into, |o| {
        o.part("extension", repeat.cycle.as_ref(), |stated, into| {
            cycle(*stated, into);
        });
        if let Some(stated) = &repeat.bounds {
            bounds(o, stated);
        }
        o.plain("count", repeat.count);
        o.plain("countMax", repeat.count_max);
        o.plain("duration", repeat.duration.as_ref());
        o.plain("durationMax", repeat.duration_max.as_ref());
        o.text("durationUnit", repeat.duration_unit.map(TimeUnit::code));
        o.plain("frequency", repeat.frequency);
        o.plain("frequencyMax", repeat.frequency_max);
        o.plain("period", repeat.period.as_ref());
        o.plain("periodMax", repeat.period_max.as_ref());
        o.text("periodUnit", repeat.period_unit.map(TimeUnit::code));
        o.list("dayOfWeek", &repeat.day_of_week, |day, into| {
            write_string(day.code(), into);
        });
        o.list("timeOfDay", &repeat.time_of_day, |time, into| {
            write_string(&time.strftime("%H:%M:%S").to_string(), into);
        });
        o.list("when", &repeat.when, |when, into| {
            write_string(when.code(), into);
        });
        o.plain("offset", repeat.offset);
        o.rest(&repeat.rest);
    });
}

fn timing(timing: &Timing, into: &mut Vec<u8>) {
    object(into, |o| {
        o.list("event", &timing.event, |event, into| {
            write_string(&event.text, into);
        });
        o.part("repeat", timing.repeat.as_ref(), repeat);
        o.part("code", timing.code.as_ref(), concept);
        o.rest(&timing.rest);
    });
}

impl Dosage {
    /// Appends it as compact JSON.
    pub fn print(&self, into: &mut Vec<u8>) {
        object(into, |o| {
            o.plain("sequence", self.sequence);
            o.text("text", self.text.as_deref());
            let more = &self.additional_instruction;
            o.list("additionalInstruction", more, concept);
            o.text("patientInstruction", self.patient_instruction.as_deref());
            o.part("timing", self.timing.as_ref(), timing);
            match &self.as_needed {
                AsNeeded::Unsaid => {}
                AsNeeded::Flag(flag) => o.plain("asNeededBoolean", Some(flag)),
                AsNeeded::For(reason) => concept(reason, o.key("asNeededCodeableConcept")),
            }
            o.part("site", self.site.as_ref(), concept);
            o.part("route", self.route.as_ref(), concept);
            o.part("method", self.method.as_ref(), concept);
            o.list("doseAndRate", &self.dose_and_rate, dose_and_rate);
            let limit = self.max_dose_per_period.as_ref();
            o.part("maxDosePerPeriod", limit, ratio);
            let limit = self.max_dose_per_administration.as_ref();
            o.part("maxDosePerAdministration", limit, quantity);
            let limit = self.max_dose_per_lifetime.as_ref();
            o.part("maxDosePerLifetime", limit, quantity);
            o.rest(&self.rest);
        });
    }

    /// It as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut into = Vec::new();
        self.print(&mut into);
        String::from_utf8(into).unwrap_or_default()
    }
}
