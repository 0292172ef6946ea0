// A round on this device: taken along, recorded without a network, handed in. Decides by the limits that
// were taken along; what was done is kept until the server has said what became of it.

import { evaluate, words } from "./round-limits.js";
import { stands, verdict as packVerdict, words as packWords } from "./pack-scan.js";
import { store } from "./round-store.js";
import { wire } from "./scan.js";

const here = location.pathname;
const tenant = here.split("/")[2];
const stateLine = document.getElementById("round-state");
const steps = document.getElementById("round-steps");
const people = document.getElementById("round-people");
const micros = () => Date.now() * 1000;
const held = await store(tenant);
let busy = false;
let note = "";

const make = (tag, text, className) => {
  const own = document.createElement(tag);
  if (text) own.textContent = text;
  if (className) own.className = className;
  return own;
};
const button = (text, quiet, press) => {
  const own = make("button", text, quiet ? "button button-quiet" : "button");
  own.type = "button";
  own.addEventListener("click", press);
  return own;
};
// By the clocks of the house, with the day where it is another one than today.
let zone;
const clock = (at) => {
  const day = (own) => own.toLocaleDateString("en-GB", { timeZone: zone, weekday: "short", day: "2-digit", month: "short" });
  const own = new Date(at / 1000);
  const time = own.toLocaleTimeString("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
  return day(own) === day(new Date()) ? time : `${day(own)} ${time}`;
};

// This device by a number of its own, which names nobody.
const device = () => {
  let own = localStorage.getItem("theriac-device");
  if (!own) {
    own = crypto.randomUUID();
    localStorage.setItem("theriac-device", own);
  }
  return own;
};

// Who is signed in, and the server's clock; nothing where there is no network or nobody is.
const server = async () => {
  const answer = await fetch(`${here}/state`, { redirect: "manual", cache: "no-store" });
  if (!answer.ok) throw new Error("Sign in to send or to take a round.");
  return answer.json();
};
const send = async (below, fields) => {
  const answer = await fetch(`${here}/${below}`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || "The server did not take it.");
  return told;
};

async function take() {
  await working(async () => {
    const { csrf } = await server();
    const asked = new URLSearchParams(location.search);
    const pack = await send("take", {
      csrf, device: device(), hours: "8", clock: String(micros()),
      location: asked.get("location") || "", organization: asked.get("organization") || "",
    });
    await held.keepPack(pack);
    note = "";
  });
}

async function hand() {
  await working(async () => {
    const pack = await held.pack();
    const doses = (await held.doses()).filter((own) => !own.refused);
    note = "";
    for (let first = 0; first < doses.length; first += 10) {
      const part = doses.slice(first, first + 10);
      const { csrf, now } = await server();
      const told = await send("return", {
        csrf,
        signature: part[0].signature,
        return: JSON.stringify({
          pack: part[0].pack, device: part[0].device,
          clocks: { taken: part[0].clock, back: { server: now, device: micros() } },
          records: part.filter((own) => own.pack === part[0].pack).map((own) => own.record), effects: [],
          scans: Object.fromEntries(part.filter((own) => own.pack === part[0].pack && own.scan).map((own) => [own.id, own.scan])),
        }),
      });
      for (const own of told.records) {
        const dose = part.find((one) => one.id === own.id);
        if (own.state === "refused") await held.keepDose({ ...dose, refused: own.words });
        else await held.dropDose(own.id);
      }
      if (told.doubles.length) note = "Possible double dose: another record holds the same dose. Both are kept. Look at the patient and tell whoever is in charge.";
      if (told.clock.skew !== "none") note += " The clock of this device is wrong: the times are kept as it showed them, and marked.";
    }
    if (pack && pack.pack.until < micros()) await held.dropPack();
  });
}

// One thing at a time; what goes wrong is said. A network that has just come back may not carry yet: what
// waits is sent again after a while.
let wait = 2000;
let again = 0;
async function working(work) {
  if (busy) return;
  busy = true;
  clearTimeout(again);
  try {
    await work();
    wait = 2000;
  } catch (error) {
    note = navigator.onLine ? error.message : "";
    again = setTimeout(async () => { if (navigator.onLine && (await held.doses()).some((own) => !own.refused)) await hand(); }, wait);
    wait = Math.min(wait * 2, 60000);
  } finally {
    busy = false;
    await show();
  }
}

// Doses of this device count for the limits like those that were taken along.
const counted = (person, doses) => {
  const own = doses.filter((one) => one.patient === person.stop.patient && one.counts).map((one) => ({ ...one.counts, id: one.id, at: one.record.happened }));
  return { limits: person.limits.limits, history: [...person.limits.history, ...own] };
};

const TAKEN = ["given", "self-administered", "vomited"];
const REASONED = ["refused", "withheld", "away", "vomited", "destroyed", "other"];
const OUTCOMES = [["given", "Given"], ["self-administered", "Self-administered"], ["refused", "Refused"], ["withheld", "Withheld"], ["not-available", "Not available"], ["asleep", "Asleep"], ["away", "Away"], ["vomited", "Vomited"], ["destroyed", "Destroyed"], ["other", "Other"]];
// Today by the clocks of the house, as 2026-03-05.
const today = (now) => new Date(now / 1000).toLocaleDateString("sv-SE", { timeZone: zone });
// How a scanned pack stands to a line; nothing where none was scanned.
const scanned = (pack, person, line, text, now) => (text ? stands(text, pack.packs || { products: [], recalls: [] }, offer(person, line).packs || {}, today(now)) : null);
const RIGHTS = [["resident", "The right person"], ["medicine", "The right medicine"], ["dose", "The right dose"], ["route", "The right route"], ["time", "The right time"], ["decline", "They could decline"]];

// What speaks against a dose, and what it would need.
function decide(pack, person, line, planned, filled, doses, now) {
  const against = [];
  const say = (verdict, text) => against.push({ verdict, text });
  const slot = line.slot;
  if (slot && doses.some((own) => own.slot === slot)) say("block", "This dose is recorded on this device already.");
  if (REASONED.includes(filled.outcome) && !filled.reason) say("block", "Say why.");
  if (TAKEN.includes(filled.outcome)) {
    const limits = counted(person, doses);
    const told = evaluate({ ...planned.counts, id: "planned", at: now }, limits, pack.midnights, now);
    told.reasons.forEach((own) => say(own.verdict, words(own, limits.limits)));
    offer(person, line).missing.forEach((text) => say("unknown", text));
    const found = scanned(pack, person, line, filled.scan, now);
    if (found && packVerdict(found.state)) say(packVerdict(found.state), packWords(found.state));
    if (filled.rights.length < RIGHTS.length) say("block", "Check all six rights.");
    if (line.needed && !filled.need) say("block", "Say what it is needed for.");
    if (line.due && now < line.due.slot.earliest) say(filled.reason ? "warn" : "block", "It is before its time: say why.");
    if (line.due && now > line.due.slot.latest) say(filled.reason ? "warn" : "block", "It is after its time: say why.");
    if (line.witness) say("block", "A witness signs for it: record it where there is a network.");
    if (line.alert) say("unknown", "An alert stands for it.");
    if (!person.stop.allergies.asked) say("unknown", "Nobody asked for allergies.");
  }
  const blocked = against.some((own) => own.verdict === "block");
  const unknown = against.some((own) => own.verdict === "unknown") && !filled.reason;
  return { against, keep: filled.done || !(blocked || unknown), unknown };
}

const offer = (person, line) => person.offers.find((own) => own.order === line.order && (own.slot || null) === (line.slot || null));

const field = (form, id, label, control) => {
  const box = make("div", "", "field");
  const name = make("label", label);
  name.htmlFor = id;
  control.id = id;
  box.append(name, control);
  form.append(box);
  return control;
};
const choices = (list) => {
  const own = make("select", "", "field-medium");
  for (const [value, text] of list) {
    const one = make("option", text);
    one.value = value;
    own.append(one);
  }
  return own;
};
const tick = (form, id, label) => {
  const row = make("div", "", "choice");
  const own = make("input");
  own.type = "checkbox";
  own.id = id;
  const name = make("label", label);
  name.htmlFor = id;
  row.append(own, name);
  form.append(row);
  return own;
};

function lineForm(pack, person, line, id) {
  const planned = offer(person, line).planned;
  const fold = make("details", "", "fold");
  fold.append(make("summary", "Record this dose"));
  const form = make("form");
  const outcome = field(form, `${id}-outcome`, "What became of it", choices(OUTCOMES));
  const much = planned.length > 1 ? field(form, `${id}-dose`, "How much", choices(planned.map((own, at) => [String(at), own.text]))) : null;
  const scan = field(form, `${id}-scan`, "Pack: scan it, or type what stands below its code (optional)", make("input", "", "field-long"));
  wire(scan);
  const told = make("p", "", "round-says");
  told.setAttribute("role", "status");
  told.hidden = true;
  scan.parentElement.append(told);
  scan.addEventListener("change", () => {
    const found = scanned(pack, person, line, scan.value.trim(), micros());
    told.hidden = !found;
    told.textContent = found ? [packWords(found.state), found.name].filter(Boolean).join(" ") : "";
  });
  const rights = RIGHTS.map(([code, text]) => [code, tick(form, `${id}-${code}`, text)]);
  const need = line.needed ? field(form, `${id}-need`, "What it is needed for", make("input", "", "field-long")) : null;
  const reason = field(form, `${id}-reason`, "Reason (optional)", make("input", "", "field-long"));
  const done = tick(form, `${id}-done`, "It was given already: record it whatever speaks against it");
  const says = make("div");
  says.setAttribute("role", "status");
  form.append(says);
  const press = make("button", "Record", "button");
  form.append(press);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const filled = {
      outcome: outcome.value, reason: reason.value.trim(), need: need ? need.value.trim() : "", done: done.checked, scan: scan.value.trim(),
      rights: rights.filter(([, own]) => own.checked).map(([code]) => code),
    };
    const now = micros();
    const chosen = planned[much ? Number(much.value) : 0];
    const taken = TAKEN.includes(filled.outcome);
    if (taken && !chosen) {
      says.replaceChildren(make("p", "The order does not say how much: record it where there is a network.", "round-says"));
      return;
    }
    const decision = decide(pack, person, line, chosen, filled, await held.doses(), now);
    if (!decision.keep) {
      says.replaceChildren(...decision.against.map((own) => make("p", own.text, "round-says")), make("p", decision.unknown ? "Nothing was recorded. To go on, give a reason." : "Nothing was recorded."));
      return;
    }
    await held.keepDose(dose(pack, person, line, chosen, filled, taken, now));
    await show();
    if (navigator.onLine) await hand();
  });
  fold.append(form);
  return fold;
}

function dose(pack, person, line, chosen, filled, taken, now) {
  const id = crypto.randomUUID();
  const due = line.due ? { slot: line.due.key } : {};
  const after = offer(person, line).effectAfter;
  const need = line.needed && filled.need ? { need: { reason: filled.need, ...(after && taken ? { effect_due: now + after * 60e6 } : {}) } } : {};
  return {
    id, patient: person.stop.patient, slot: line.slot || null, name: line.name, outcome: filled.outcome,
    pack: pack.pack.id, device: pack.pack.device, signature: pack.signature, clock: pack.clock,
    counts: taken ? chosen.counts : null, scan: filled.scan || null,
    record: {
      id, order: line.order, ...due, outcome: filled.outcome, ...(filled.reason ? { reason: filled.reason } : {}),
      happened: now, entered: now, giver: pack.pack.device, ...(taken ? { dose: dosed(chosen) } : {}),
      contents: taken ? chosen.contents : [], product: line.name, device: pack.pack.device, ...need,
      rights: filled.rights.map((right) => ({ right, how: "read", fits: true })),
    },
  };
}
const dosed = (chosen) => chosen.dose;

function lineOf(pack, person, line, id, doses) {
  const own = make("section", "", "round-line");
  own.append(make("h3", line.name));
  const when = line.due ? `${clock(line.due.slot.at)}, from ${clock(line.due.slot.earliest)} to ${clock(line.due.slot.latest)}. ` : "When needed. ";
  own.append(make("p", when + line.text));
  line.notChecked.forEach((text) => own.append(make("p", `Not checked: ${text}.`, "round-says")));
  const done = doses.filter((one) => one.record.order === line.order && (line.slot ? one.slot === line.slot : !one.slot));
  for (const one of done) {
    const text = `${clock(one.record.happened)} ${OUTCOMES.find(([code]) => code === one.outcome)[1]}. ${one.refused ? "Not taken in by the server." : "Waits to be sent."}`;
    const says = make("p", "");
    says.append(make("span", text, one.refused ? "tag tag-bad" : "tag tag-info"));
    own.append(says);
    if (one.refused) {
      one.refused.forEach((text) => own.append(make("p", text, "round-says")));
      own.append(button("I have seen to it", true, async () => { await held.dropDose(one.id); await show(); }));
    }
  }
  if (!(line.slot && done.length)) own.append(lineForm(pack, person, line, id));
  return own;
}

function personOf(pack, person, at, doses) {
  const { stop } = person;
  const card = make("section", "", "card");
  card.append(make("h2", stop.name));
  card.append(make("p", `${stop.place.join(", ") || "Place not recorded"}. Born ${stop.born || "not known"}`, "minor"));
  const { names, asked } = stop.allergies;
  const text = names.length ? `Allergies: ${names.join(", ")}` : asked ? "No known allergies" : "Allergies: nobody asked";
  const allergies = make("p");
  allergies.append(make("span", text, names.length || !asked ? "tag tag-bad" : "tag tag-plain"));
  card.append(allergies);
  stop.unreadable.forEach((text) => card.append(make("p", text, "unavailable")));
  stop.notChecked.forEach((text) => card.append(make("p", `Not checked: ${text}.`, "unavailable")));
  stop.lines.forEach((line, nth) => card.append(lineOf(pack, person, line, `p${at}-${nth}`, doses)));
  return card;
}

async function show() {
  let pack = await held.pack();
  const doses = await held.doses();
  if (pack && pack.pack.until < micros()) {
    await held.dropPack();
    pack = null;
    note = "The round's time is over: it was removed from this device.";
  }
  zone = pack?.pack.zone;
  const wait = doses.filter((own) => !own.refused).length;
  const refused = doses.length - wait;
  const text = [
    pack ? `Round for ${pack.people.length} ${pack.people.length === 1 ? "patient" : "patients"}, taken by ${pack.by}, until ${clock(pack.pack.until)}.` : "This device holds no round.",
    wait ? `${wait} ${wait === 1 ? "dose waits" : "doses wait"} to be sent.` : "Everything is sent.",
    refused ? `${refused} not taken in.` : "", navigator.onLine ? "" : "No network.", note,
  ];
  stateLine.textContent = text.filter(Boolean).join(" ");
  const list = [...steps.querySelectorAll("a")];
  if (!pack && navigator.onLine) list.push(button("Take the round along", false, take));
  if (wait) list.push(button("Send now", false, hand));
  if (pack && !wait) list.push(button("Hand in the round", true, async () => { await held.dropPack(); note = "Handed in."; await show(); }));
  steps.replaceChildren(...list);
  const open = [...people.querySelectorAll("details[open] [id]")].map((own) => own.id);
  people.replaceChildren(...(pack ? pack.people.map((person, at) => personOf(pack, person, at, doses)) : []));
  for (const id of open) document.getElementById(id)?.closest("details")?.setAttribute("open", "");
  document.body.dataset.round = "shown";
}

addEventListener("online", async () => { await hand(); });
addEventListener("offline", () => show());
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register(`${here}/worker.js`, { scope: here })
    .then(() => navigator.serviceWorker.ready)
    .then(() => { document.body.dataset.kept = "yes"; })
    .catch(() => { note = "This browser does not keep the page for when there is no network."; });
}
await show();
if (navigator.onLine && (await held.doses()).length) await hand();
