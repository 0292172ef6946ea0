// Reads the code of a pack and holds it against what was ordered, with the products that a round took along.
// The same decisions as on the server, without a network; a test compares the two.

const GS = "\u001d";
// Identifier, least and most characters, digits alone, ends by its length (GS1 General Specifications).
const fixed = (name, length) => ({ name, least: length, most: length, digits: true, predefined: true });
const text = (name, most) => ({ name, least: 1, most });
const count = (name) => ({ name, least: 1, most: 8, digits: true });
const SHAPES = [
  fixed("00", 18), fixed("01", 14), fixed("02", 14), text("10", 20), fixed("11", 6), fixed("12", 6), fixed("13", 6),
  fixed("15", 6), fixed("16", 6), fixed("17", 6), fixed("20", 2), text("21", 20), text("22", 20), count("30"), count("37"),
  text("240", 30), text("241", 30), text("250", 30), text("400", 30), text("710", 20), text("711", 20), text("712", 20),
  text("713", 20), text("714", 20), text("715", 20), text("716", 20), { name: "7003", least: 10, most: 10, digits: true }, text("8200", 70),
];
const PREFIXES = ["]d2", "]C1", "]Q3", "]e0", "]E0", "]E4", "]I1"];
const INVARIANT = /^[A-Za-z0-9!"%&'()*+,\-./:;<=>?_]*$/;
const wrong = (why) => { throw new Error(why); };

const gtin = (digits) => {
  if (!/^(\d{8}|\d{12,14})$/.test(digits) || /^0+$/.test(digits)) wrong("no GTIN");
  const all = [...digits].map(Number);
  const last = all.pop();
  const sum = all.reverse().reduce((sum, digit, at) => sum + digit * (at % 2 ? 1 : 3), 0);
  if ((10 - (sum % 10)) % 10 !== last) wrong("the check digit is wrong");
  return digits.padStart(14, "0");
};

const shapeOf = (rest) => SHAPES.find((own) => rest.startsWith(own.name)) || wrong("an identifier that is not known");
const fits = (shape, value) => {
  const good = value.length >= shape.least && value.length <= shape.most && (shape.digits ? /^\d*$/ : INVARIANT).test(value);
  if (!good) wrong("an element is not as GS1 defines it");
};

const separated = (scan) => {
  let rest = scan.startsWith(GS) ? scan.slice(1) : scan;
  const found = [];
  while (rest) {
    const shape = shapeOf(rest);
    const tail = rest.slice(shape.name.length);
    let value;
    if (shape.predefined) {
      if (tail.length < shape.most) wrong("an element is too short");
      value = tail.slice(0, shape.most);
      rest = tail.slice(shape.most);
      if (rest.startsWith(GS)) rest = rest.slice(1);
    } else {
      const end = tail.indexOf(GS);
      value = end < 0 ? tail : tail.slice(0, end);
      rest = end < 0 ? "" : tail.slice(end + 1);
    }
    fits(shape, value);
    found.push([shape.name, value]);
  }
  return found;
};

const opening = /^\(([^)]*)\)/;
const bracketed = (scan) => {
  let rest = scan;
  const found = [];
  while (rest) {
    const [all, name] = opening.exec(rest) || wrong("an identifier that is not known");
    const shape = SHAPES.find((own) => own.name === name) || wrong("an identifier that is not known");
    const tail = rest.slice(all.length);
    // A bracket of the value is told from the next element by the identifier behind it.
    let end = tail.length;
    for (let at = 0; at < tail.length; at += 1) {
      const next = tail[at] === "(" && opening.exec(tail.slice(at));
      if (next && SHAPES.some((own) => own.name === next[1])) { end = at; break; }
    }
    const value = tail.slice(0, end);
    fits(shape, value);
    found.push([name, value]);
    rest = tail.slice(end);
  }
  return found;
};

const daysOf = (year, month) => new Date(Date.UTC(year, month, 0)).getUTCDate();
// YYMMDD as an ISO day; the century is the one that brings the year nearest to today's, day 00 is the last.
const date = (value, today) => {
  const [two, month, day] = [0, 2, 4].map((at) => Number(value.slice(at, at + 2)));
  const apart = two - (today % 100);
  const century = today - (today % 100);
  const year = (apart >= 51 ? century - 100 : apart <= -50 ? century + 100 : century) + two;
  if (month < 1 || month > 12 || day > daysOf(year, month)) wrong("no date");
  const pad = (own, length) => String(own).padStart(length, "0");
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day || daysOf(year, month), 2)}`;
};

export function read(scanned, year) {
  const scan = scanned.replace(/^[\r\n ]+|[\r\n ]+$/g, "");
  if (!scan || scan.length > 400 || !/^[\u0000-\u007f]*$/.test(scan)) wrong("a scan holds 1 to 400 characters");
  const prefix = PREFIXES.find((own) => scan.startsWith(own));
  const bare = prefix ? scan.slice(3) : scan;
  if (/^(\d{8}|\d{12,14})$/.test(bare)) return { gtin: gtin(bare) };
  const elements = bare.startsWith("(") ? bracketed(bare) : separated(bare);
  if (new Set(elements.map(([name]) => name)).size !== elements.length) wrong("an element is there twice");
  const own = Object.fromEntries(elements);
  if (own["01"] === undefined) wrong("the scan names no product");
  const pack = { gtin: gtin(own["01"]), batch: own["10"], serial: own["21"] };
  for (const name of ["11", "12", "13", "15", "16", "17"]) {
    if (own[name] === undefined) continue;
    const day = date(own[name], year);
    if (name === "17") pack.expiry = day;
  }
  if (own["30"] !== undefined && own["37"] !== undefined && Number(own["30"]) !== Number(own["37"])) wrong("two counts");
  return pack;
}

// How a scan stands to an order: `states` says it of each product that was taken along, `other` where it is
// left out. What is wrong with the medicine comes before what is wrong with the pack.
export function stands(scanned, packs, states, today) {
  let pack;
  try {
    pack = read(scanned, Number(today.slice(0, 4)));
  } catch (error) {
    return { state: "unreadable", why: error.message };
  }
  const place = packs.products.findIndex((own) => own.gtins.includes(pack.gtin));
  const found = place < 0 ? "unlisted" : states[place] || "other";
  const name = place < 0 ? null : packs.products[place].name;
  const recalled = packs.recalls.some((own) => own.gtin === pack.gtin && (!own.batch || pack.batch === undefined || pack.batch === own.batch));
  let state = found;
  if (found !== "other" && found !== "other-strength") {
    if (recalled) state = "recalled";
    else if (pack.expiry && pack.expiry < today) state = "expired";
  }
  return { state, name, pack };
}

// What it brings to the decision; nothing where it fits.
export const verdict = (state) => ({ other: "block", "other-strength": "block", expired: "block", recalled: "block", "other-form": "unknown", unlisted: "unknown", unreadable: "unknown" })[state];

export const words = (state) => ({
  fits: "The pack is what was ordered.",
  other: "The pack holds another medicine than ordered.",
  "other-strength": "The pack holds another strength than ordered.",
  "other-form": "The pack holds another form than ordered: say why it may be given.",
  expired: "The pack is out of date.",
  recalled: "The pack is of a batch that was recalled, or may be.",
  unlisted: "Not verified: the pack's number was not taken along. Read what it is and say so.",
  unreadable: "Not verified: what was scanned is no code of a pack. Scan again, or read what it is and say so.",
})[state];
