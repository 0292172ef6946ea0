// A round on this device: taken along, recorded without a network, handed in. What was done is kept until the
// server has said what became of it, and what it said against a dose until somebody has looked at it.

import { stands, verdict as packVerdict, words as packWords } from "./pack-scan.js";
import { RIGHTS, TAKEN, decide, offer } from "./round-decide.js";
import { store } from "./round-store.js";
import { wire } from "./scan.js";

const here = location.pathname;
const tenant = here.split("/")[2];
const asked = new URLSearchParams(location.search);
const stateLine = document.getElementById("round-state");
const steps = document.getElementById("round-steps");
const gate = document.getElementById("round-gate");
const people = document.getElementById("round-people");
const left = document.getElementById("round-left");
const OUTCOMES = [["given", "Given"], ["self-administered", "Self-administered"], ["refused", "Refused"], ["withheld", "Withheld"], ["not-available", "Not available"], ["asleep", "Asleep"], ["away", "Away"], ["vomited", "Vomited"], ["destroyed", "Destroyed"], ["other", "Other"]];
const MINUTE = 60e6;
// Seconds that a clock may differ, as on the server.
const SKEW = 120e6;
let busy = false;
let note = "";

const make = (tag, text, className) => {
  const own = document.createElement(tag);
  if (text) own.textContent = text;
  if (className) own.className = className;
  return own;
};
const tagged = (text, className) => {
  const own = make("p");
  own.append(make("span", text, `tag ${className}`));
  return own;
};
const button = (text, quiet, press) => {
  const own = make("button", text, quiet ? "button button-quiet" : "button");
  own.type = "button";
  own.addEventListener("click", press);
  return own;
};

let held;
try {
  held = await store(tenant);
} catch {
  stateLine.textContent = "This browser keeps nothing on this device, as in a private window: no round can be taken along.";
  throw new Error("no database");
}

// Times. A clock that is known to be wrong is put right by what it was ahead when the round was taken.
const micros = () => Date.now() * 1000;
const ahead = (pack) => (pack ? pack.clock.device - pack.clock.server : 0);
const nowOf = (pack) => micros() - ahead(pack);
const began = { clock: Date.now(), steady: performance.now() };
// Whether the clock was set back since: a dose may then look as if it were longer ago than it is.
const setBack = (pack, doses) =>
  (performance.now() - began.steady) - (Date.now() - began.clock) > SKEW / 1000 ||
  doses.some((own) => pack && own.pack === pack.pack.id && own.record.happened > nowOf(pack) + SKEW);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const dated = (text) => {
  const [year, month, day] = text.split("-");
  return [day, month && MONTHS[Number(month) - 1], year].filter(Boolean).join("\u2011");
};
const day = (at, zone) => new Intl.DateTimeFormat("sv-SE", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(at / 1000);
// In the zone of the house, with the date where it is another than today's.
const clock = (at, zone, now) => {
  const time = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(at / 1000);
  return day(at, zone) === day(now, zone) ? time : `${dated(day(at, zone))} ${time}`;
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
  const answer = await fetch(`${here}/state`, { redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error("Sign in to send or to take a round.");
  return answer.json();
};
const send = async (below, fields) => {
  const answer = await fetch(`${here}/${below}`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual", signal: AbortSignal.timeout(60000) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error || "The server did not take it.");
  return told;
};

// Who holds this device: whoever is signed in; without a network, whoever says that the round is theirs. After
// a quarter of an hour without a touch they say so again.
let me = null;
let says = null;
let touched = Date.now();
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { touched = Date.now(); }, true);
async function whoIsHere() {
  if (Date.now() - touched > 15 * 60000) says = null;
  try {
    me = navigator.onLine ? await server() : null;
  } catch {
    me = null;
  }
  const pack = await held.pack();
  // Where the network goes away while they record, it is still them.
  if (pack && me && me.person === pack.person) says = pack.id;
}
const opened = (pack) => (me ? me.person === pack.person : says === pack.id);

async function take() {
  await working(async () => {
    const { csrf } = await server();
    const pack = await send("take", {
      csrf, device: device(), hours: "8", clock: String(micros()),
      location: asked.get("location") || "", organization: asked.get("organization") || "",
    });
    await held.keepPack(pack);
    await held.dropSent();
    // What waits to be sent is not thrown away when the disk is full.
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
    note = "";
  });
  await whoIsHere();
  await show();
}

// Sends the doses of one round. What the server says of each is kept with it.
async function sendRound(doses) {
  const back = { server: 0, device: 0 };
  for (let first = 0; first < doses.length; first += 10) {
    const part = doses.slice(first, first + 10);
    const { csrf, now } = await server();
    Object.assign(back, { server: now, device: micros() });
    const told = await send("return", {
      csrf,
      signature: part[0].signature,
      return: JSON.stringify({
        pack: part[0].pack, device: part[0].device, corrected: true,
        clocks: { taken: part[0].clock, back },
        records: part.map((own) => own.record), effects: [],
        scans: Object.fromEntries(part.filter((own) => own.scan).map((own) => [own.id, own.scan])),
      }),
    });
    const twice = told.doubles.flatMap((own) => own.records);
    for (const own of told.records) {
      const dose = part.find((one) => one.id === own.id);
      const words = [...(twice.includes(own.id) ? ["Possible double dose: another record holds the same dose. Both are kept. Look at the patient and tell whoever is in charge."] : []), ...own.words];
      const state = { stored: "sent", known: "sent", refused: "refused" }[own.state] || "waits";
      await held.keepDose({ ...dose, state: state === "sent" && own.look ? "told" : state, words: state === "sent" && !own.look ? [] : words });
    }
    if (told.clock.skew !== "none") note = "The clock of this device was set while the round was out: its times are kept, and marked as not certain.";
  }
}

async function hand() {
  await working(async () => {
    const rounds = new Map();
    for (const own of (await held.doses()).filter((one) => one.state === "waits")) rounds.set(own.pack, [...(rounds.get(own.pack) || []), own]);
    let wrong = null;
    note = "";
    // One round that is not taken in does not keep the others.
    for (const doses of rounds.values()) {
      try {
        await sendRound(doses);
      } catch (error) {
        wrong = error;
        for (const own of doses) {
          const now = (await held.doses()).find((one) => one.id === own.id);
          if (now && now.state === "waits" && navigator.onLine) await held.keepDose({ ...now, words: [error.message] });
        }
      }
    }
    if (wrong) throw wrong;
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
    again = setTimeout(async () => { if (navigator.onLine && (await held.doses()).some((own) => own.state === "waits")) await hand(); }, wait);
    wait = Math.min(wait * 2, 60000);
  } finally {
    busy = false;
    await show();
  }
}

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
// What only this device knows.
const unsure = (pack, doses) =>
  setBack(pack, doses) ? [{ verdict: "unknown", code: "clock", text: "The clock of this device was set back: how long ago a dose was given cannot be told." }] : [];

// How a scanned pack stands to a line; nothing where none was scanned. Today is that of the house.
const scanned = (pack, person, line, text, now) => (text ? stands(text, pack.packs || { products: [], recalls: [] }, offer(person, line)?.packs || {}, day(now, pack.pack.zone)) : null);
const packSays = (found) => (found && packVerdict(found.state) ? [{ verdict: packVerdict(found.state), code: "pack", text: packWords(found.state) }] : []);

function lineForm(pack, person, line, id) {
  const planned = offer(person, line)?.planned || [];
  const fold = make("details", "", "fold");
  fold.append(make("summary", "Record this dose"));
  const form = make("form");
  const outcome = field(form, `${id}-outcome`, "What became of it", choices(OUTCOMES));
  const much = planned.length > 1 ? field(form, `${id}-much`, "How much", choices(planned.map((own, at) => [String(at), own.text]))) : null;
  const scan = field(form, `${id}-scan`, "Pack: scan it, or type what stands below its code (optional)", make("input", "", "field-long"));
  wire(scan);
  const read = make("p", "", "round-says");
  read.setAttribute("role", "status");
  read.hidden = true;
  scan.parentElement.append(read);
  scan.addEventListener("change", () => {
    const found = scanned(pack, person, line, scan.value.trim(), nowOf(pack));
    read.hidden = !found;
    read.textContent = found ? [packWords(found.state), found.name].filter(Boolean).join(" ") : "";
  });
  const rights = RIGHTS.map(([code, text]) => [code, tick(form, `${id}-${code}`, text)]);
  const need = line.needed ? field(form, `${id}-need`, "What it is needed for", make("input", "", "field-long")) : null;
  const reason = field(form, `${id}-reason`, "Reason (optional)", make("input", "", "field-long"));
  const done = tick(form, `${id}-done`, "It was given already: record it whatever speaks against it");
  const told = make("div");
  told.setAttribute("role", "status");
  form.append(told);
  const press = make("button", "Record", "button");
  form.append(press);
  let shown = "";
  const record = async () => {
    const filled = {
      outcome: outcome.value, reason: reason.value.trim(), need: need ? need.value.trim() : "", done: done.checked, scan: scan.value.trim(),
      rights: rights.filter(([, own]) => own.checked).map(([code]) => code),
    };
    const now = nowOf(pack);
    const chosen = planned[much ? Number(much.value) : 0];
    const taken = TAKEN.includes(filled.outcome);
    if (taken && !chosen) {
      told.replaceChildren(make("p", "The order does not say how much: record it where there is a network.", "round-says"));
      return;
    }
    const doses = await held.doses();
    const found = decide(pack, person, line, chosen, filled, doses, now, taken ? [...unsure(pack, doses), ...packSays(scanned(pack, person, line, filled.scan, now))] : []);
    const heavy = found.against.filter((own) => own.verdict !== "warn");
    const list = JSON.stringify(heavy);
    // What happened already is recorded once the reasons against it were seen.
    if (!found.keep || (heavy.length && filled.done && shown !== list)) {
      shown = list;
      const end = found.keep ? "Press again to record that it happened all the same." : found.verdict === "unknown" ? "Nothing was recorded. To go on, give a reason." : "Nothing was recorded.";
      told.replaceChildren(...found.against.map((own) => make("p", own.text, "round-says")), make("p", end));
      press.textContent = found.keep ? "Record it all the same" : "Record";
      return;
    }
    try {
      await held.keepDose(dose(pack, person, line, chosen, filled, taken, now));
    } catch {
      told.replaceChildren(make("p", "This device could not keep it: its storage is full. Nothing was recorded: write it down, and record it where there is a network.", "round-says"));
      return;
    }
    form.reset();
    read.hidden = true;
    told.replaceChildren();
    press.textContent = "Record";
    shown = "";
    fold.open = false;
    await show();
    if (navigator.onLine) await hand();
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    // Pressed twice, it is one dose.
    if (press.disabled) return;
    press.disabled = true;
    await record().finally(() => { press.disabled = false; });
  });
  fold.append(form);
  return fold;
}

function dose(pack, person, line, chosen, filled, taken, now) {
  const id = crypto.randomUUID();
  const due = line.due ? { slot: line.due.key } : { dosage: line.dosage };
  const after = offer(person, line).effectAfter;
  const need = line.needed && filled.need ? { need: { reason: filled.need, ...(after && taken ? { effect_due: now + after * MINUTE } : {}) } } : {};
  return {
    id, state: "waits", words: [], patient: person.stop.patient, who: person.stop.name, zone: pack.pack.zone,
    slot: line.slot || null, name: line.name, outcome: filled.outcome,
    pack: pack.pack.id, device: pack.pack.device, signature: pack.signature, clock: pack.clock,
    counts: taken ? chosen.counts : null, scan: filled.scan || null,
    record: {
      id, order: line.order, ...due, outcome: filled.outcome, ...(filled.reason ? { reason: filled.reason } : {}),
      happened: now, entered: now, giver: pack.person, ...(taken ? { dose: chosen.dose } : {}),
      contents: taken ? chosen.contents : [], product: line.name, device: pack.pack.device, ...need,
      rights: filled.rights.map((right) => ({ right, how: "read", fits: true })),
    },
  };
}

const STATES = { waits: ["Waits to be sent.", "tag-info"], sent: ["Sent.", "tag-good"], told: ["On the record. Look at it.", "tag-bad"], refused: ["Not taken in by the server.", "tag-bad"] };
function recorded(own, zone, now) {
  const [text, look] = STATES[own.state] || STATES.waits;
  const box = make("div");
  box.append(tagged(`${clock(own.record.happened, zone, now)} ${OUTCOMES.find(([code]) => code === own.outcome)[1]}. ${text}`, look));
  (own.words || []).forEach((words) => box.append(make("p", words, "round-says")));
  if (own.state === "refused" || own.state === "told") {
    box.append(button("I have seen to it", true, async () => {
      // On the record, it still counts while its round is here.
      if (own.state === "told") await held.keepDose({ ...own, state: "sent", words: [] });
      else await held.dropDose(own.id);
      await show();
    }));
  }
  return box;
}

// What stands under a medicine changes; the form does not, while somebody fills it in.
const drawn = { pack: null, lines: [] };
const replaced = (box, children) => {
  const text = children.map((own) => own.outerHTML).join("");
  if (box.dataset.text === text) return;
  box.dataset.text = text;
  box.replaceChildren(...children);
};

// Whether a dose that was recorded here is one of a line: of its due time, or of its dosage.
const isOf = (one, line, pack) => (line.slot ? one.slot === line.slot : !one.slot && one.pack === pack && (one.record.dosage ?? 0) === (line.dosage ?? 0));

function refresh(own, pack, doses, now) {
  const { person, line } = own;
  const done = doses.filter((one) => one.record.order === line.order && isOf(one, line, pack.pack.id));
  replaced(own.done, done.map((one) => recorded(one, pack.pack.zone, now)));
  const planned = offer(person, line)?.planned || [];
  const most = planned[planned.length - 1] || { counts: { counts: {}, holds: [] } };
  const filled = { outcome: "given", reason: "", need: "asked", done: false, rights: RIGHTS.map(([code]) => code) };
  const found = !(line.slot && done.length) ? decide(pack, person, line, most, filled, doses, now, unsure(pack, doses)).against : [];
  replaced(own.against, found.map((one) => {
    const [name, look] = WEIGHTS[one.verdict];
    const text = make("p", "", "round-says");
    text.append(make("span", name, `tag ${look}`), ` ${one.text}`);
    return text;
  }));
  if (line.slot && done.length) {
    own.fold?.remove();
    own.fold = null;
  } else if (!own.fold) {
    own.fold = lineForm(pack, person, line, own.id);
    own.box.append(own.fold);
  }
}

const WEIGHTS = { block: ["Held", "tag-bad"], unknown: ["Not known", "tag-warn"], warn: ["Look", "tag-plain"] };
const TIERS = { contraindicated: "Contraindicated", high: "Serious alert" };
function lineOf(pack, person, line, id, now) {
  const box = make("section", "", "round-line");
  const zone = pack.pack.zone;
  const found = offer(person, line);
  box.append(make("h3", line.name));
  const when = line.due ? `${clock(line.due.slot.at, zone, now)}, from ${clock(line.due.slot.earliest, zone, now)} to ${clock(line.due.slot.latest, zone, now)}.` : line.needed ? "When needed." : "Its doses have no place on the calendar.";
  const amounts = (found?.planned || []).map((own) => own.text).join(" or ");
  const dosed = make("p");
  dosed.append(make("span", "DOSE", "med-label"), " ", amounts ? make("b", amounts, "med-dose") : make("span", "Dose not recorded", "unknown"), line.route ? ` \u2014 ${line.route}` : "");
  box.append(dosed, make("p", `${when} ${line.text}`));
  for (const alert of found?.alerts || []) box.append(tagged(TIERS[alert.tier] || alert.tier, "tag-bad"), make("p", alert.text, "round-says"));
  const own = { person, line, id, box, done: make("div"), against: make("div"), fold: null };
  box.append(own.against, own.done);
  drawn.lines.push(own);
  return box;
}

function personOf(pack, person, at, now) {
  const { stop } = person;
  const card = make("section", "", "card");
  card.append(make("h2", stop.name));
  card.append(make("p", `${stop.place.join(", ") || "Place not recorded"}. Born ${stop.born ? dated(stop.born) : "not known"}`, "minor"));
  const { names, asked: known } = stop.allergies;
  const text = names.length ? `Known allergies: ${names.join(", ")}` : known ? "No known allergies" : "Allergies not recorded";
  card.append(tagged(text, names.length || !known ? "tag-bad" : "tag-plain"));
  stop.unreadable.forEach((words) => card.append(make("p", words, "unavailable")));
  stop.notChecked.forEach((words) => card.append(make("p", `Not checked: ${words}.`, "unavailable")));
  stop.lines.forEach((line, nth) => card.append(lineOf(pack, person, line, `p${at}-${nth}`, now)));
  return card;
}

// Before anybody sees patients: whose round it is.
function guard(pack) {
  if (!pack || opened(pack)) return [];
  const card = make("section", "", "card");
  card.append(make("h2", `This is the round of ${pack.by}`));
  if (me) {
    card.append(make("p", `You are signed in as ${me.name}. Only ${pack.by} records in it. Send what waits and hand it in, or sign in as ${pack.by}.`));
  } else {
    card.append(make("p", `Only ${pack.by} records in it, and every dose is recorded as theirs.`));
    card.append(button(`I am ${pack.by}`, false, async () => { says = pack.id; await show(); }));
  }
  return [card];
}

async function show() {
  let pack = await held.pack();
  const doses = await held.doses();
  const now = nowOf(pack);
  if (pack && pack.pack.until < now) {
    await held.dropPack();
    pack = null;
    note = "The round's time is over: it was removed from this device.";
  }
  const waits = doses.filter((own) => own.state === "waits").length;
  const looks = doses.filter((own) => own.state === "told" || own.state === "refused");
  const refused = looks.filter((own) => own.state === "refused").length;
  const off = pack ? Math.round(ahead(pack) / MINUTE) : 0;
  const text = [
    pack ? `Round for ${pack.people.length} ${pack.people.length === 1 ? "patient" : "patients"}, taken by ${pack.by}, until ${clock(pack.pack.until, pack.pack.zone, now)}.` : "This device holds no round.",
    waits ? `${waits} ${waits === 1 ? "dose waits" : "doses wait"} to be sent.` : refused ? "" : "Everything is sent.",
    refused ? `${refused} not taken in.` : "", looks.length > refused ? `${looks.length - refused} to look at.` : "",
    pack && Math.abs(ahead(pack)) > SKEW ? `The clock of this device is ${Math.abs(off)} minutes ${off > 0 ? "ahead" : "behind"}: times are put right by that. Set the clock.` : "",
    navigator.onLine ? "" : "No network.", isSecureContext ? "" : "This address is not secure (https): this device cannot hold a round.", note,
  ];
  stateLine.textContent = text.filter(Boolean).join(" ");
  const list = [...steps.querySelectorAll("a")];
  const place = asked.get("location");
  if (!pack && navigator.onLine && isSecureContext) list.push(button(place ? `Take the round of ${place} along` : "Take the round along", false, take));
  if (waits) list.push(button("Send now", false, hand));
  if (pack && !waits) list.push(button("Hand in the round", true, async () => { await held.dropPack(); note = "Handed in."; await show(); }));
  if (list.map((own) => own.textContent).join() !== [...steps.children].map((own) => own.textContent).join()) steps.replaceChildren(...list);
  replaced(gate, guard(pack));
  draw(pack, doses, now);
  const known = new Set(drawn.lines.flatMap((own) => doses.filter((one) => one.record.order === own.line.order && isOf(one, own.line, drawn.pack)).map((one) => one.id)));
  // Of a round that is not here any more: what is to be sent or looked at, never lost.
  const rest = (pack ? opened(pack) : me) ? doses.filter((own) => own.state !== "sent" && !known.has(own.id)) : [];
  replaced(left, rest.map((own) => {
    const card = make("section", "", "card");
    card.append(make("h2", `${own.who || "A patient"}: ${own.name}`), recorded(own, own.zone || "UTC", now));
    return card;
  }));
  document.body.dataset.round = "shown";
}

// Draws the patients once for a pack; afterwards only what changes.
function draw(pack, doses, now) {
  const id = pack && !(me && !opened(pack)) ? pack.pack.id : null;
  people.hidden = Boolean(pack && !opened(pack));
  if (id === null || (people.hidden && drawn.pack !== id)) {
    people.replaceChildren();
    drawn.lines = [];
    drawn.pack = null;
    return;
  }
  if (drawn.pack !== id) {
    drawn.pack = id;
    drawn.lines = [];
    people.replaceChildren(...pack.people.map((person, at) => personOf(pack, person, at, now)));
  }
  drawn.lines.forEach((own) => refresh(own, pack, doses, now));
}

addEventListener("online", async () => { await whoIsHere(); await hand(); });
addEventListener("offline", async () => { me = null; await show(); });
document.addEventListener("visibilitychange", async () => { if (!document.hidden) { await whoIsHere(); await show(); } });
setInterval(async () => { await whoIsHere(); await show(); }, 60000);
for (const own of steps.querySelectorAll("a")) own.href += location.search;
if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register(`${here}/worker.js`, { scope: here })
    .then(() => navigator.serviceWorker.ready)
    .then(() => { document.body.dataset.kept = "yes"; })
    .catch(() => { note = "This browser does not keep the page for when there is no network."; });
}
await whoIsHere();
await show();
if (navigator.onLine && (await held.doses()).some((own) => own.state === "waits")) await hand();
