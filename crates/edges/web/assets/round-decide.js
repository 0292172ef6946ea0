// Decides on a dose of a round that was taken along as the server would: by the limits, by what stands for
// the order and by what was filled in. A test compares the two. Times are microseconds since 1970.

import { evaluate, words } from "./round-limits.js";

const ORDER = ["allow", "warn", "unknown", "block"];
export const TAKEN = ["given", "self-administered", "vomited"];
export const REASONED = ["refused", "withheld", "away", "vomited", "destroyed", "other"];
export const RIGHTS = [["resident", "The right person"], ["medicine", "The right medicine"], ["dose", "The right dose"], ["route", "The right route"], ["time", "The right time"], ["decline", "They could decline"]];

export const offer = (person, line) =>
  person.offers.find((own) => own.order === line.order && (own.slot || null) === (line.slot || null) && (own.dosage ?? null) === (line.dosage ?? null));

// The limits of a patient with the doses that they look back at: those that were taken along, and those of
// this device that the pack cannot hold yet.
const counted = (pack, person, doses) => {
  const known = new Set(person.limits.history.map((own) => own.id));
  const own = doses.filter((one) => one.patient === person.stop.patient && one.counts && !known.has(one.id) && (one.state === "waits" || one.state === "refused" || one.pack === pack.pack.id));
  return { limits: person.limits.limits, history: [...person.limits.history, ...own.map((one) => ({ ...one.counts, id: one.id, at: one.record.happened }))] };
};

// What speaks against a dose. `filled` holds outcome, reason, need, rights and whether it happened already;
// `more` what only this device knows, such as a clock that was set back.
export function decide(pack, person, line, planned, filled, doses, now, more = []) {
  const against = [...more];
  const say = (verdict, code, text) => {
    if (!against.some((own) => own.verdict === verdict && own.code === code && own.text === text)) against.push({ verdict, code, text });
  };
  const reasoned = filled.reason !== "";
  const unlessReasoned = (code, text) => say(reasoned ? "warn" : "block", code, reasoned ? text : `${text}: say why.`);
  const taken = TAKEN.includes(filled.outcome);
  const broken = REASONED.includes(filled.outcome) && !reasoned;
  if (broken) say("block", "record", "Say why.");
  for (const own of doses.filter((one) => line.slot && one.slot === line.slot)) {
    if (taken && TAKEN.includes(own.outcome)) say("block", "possible-double", "It was given on this device already.");
    say("block", "recorded", "This dose is recorded on this device already.");
  }
  const slot = line.due && line.due.slot;
  if (slot && now < slot.earliest) unlessReasoned("early", "It is before its time");
  else if (slot && now > slot.latest) {
    if (slot.critical) unlessReasoned("late", "It is after its time");
    else say("warn", "late", "It is after its time.");
  }
  const own = offer(person, line);
  for (const stands of own ? own.standing : []) {
    if (!stands.outcomes.includes(filled.outcome) || now < stands.from || now >= stands.until) continue;
    const later = stands.code === "allergies-not-asked" && doses.some((one) => one.record.order === line.order && TAKEN.includes(one.outcome));
    say(later ? "warn" : stands.verdict, stands.code, `${stands.text[0].toUpperCase()}${stands.text.slice(1)}.`);
  }
  if (taken) {
    const limits = counted(pack, person, doses);
    const told = evaluate({ ...planned.counts, id: "planned", at: now }, limits, pack.midnights, now);
    told.reasons.forEach((one) => say(one.verdict, one.why.replaceAll("_", "-"), words(one, limits.limits)));
    if (RIGHTS.some(([code]) => !filled.rights.includes(code))) say("block", "right-missing", "Check all six rights.");
    if (!line.due && !line.needed) unlessReasoned("off-schedule", "No dose of it is due at this time");
    else if (!line.due && !filled.need) say("block", "no-need", "Say what it is needed for.");
  }
  const verdict = against.map((one) => one.verdict).reduce((a, b) => (ORDER.indexOf(a) < ORDER.indexOf(b) ? b : a), "allow");
  const keep = !broken && (verdict === "allow" || verdict === "warn" || filled.done || (verdict === "unknown" && reasoned));
  return { against, verdict, keep, broken };
}
