// Holds a dose against the limits of a round that was taken along. The same decisions as on the server,
// on amounts that the server has converted; a test compares the two. Times are microseconds since 1970.

const ORDER = ["allow", "warn", "unknown", "block"];

// Decimals as whole numbers of the smallest place of both.
const scaled = (texts) => {
  const places = Math.max(...texts.map((text) => (text.split(".")[1] || "").length));
  return texts.map((text) => {
    const [whole, part = ""] = text.split(".");
    return BigInt(whole + part.padEnd(places, "0"));
  });
};
export const sum = (texts) => scaled(texts).reduce((all, one) => all + one, 0n);
const above = (texts, most) => {
  const all = scaled([...texts, most]);
  const limit = all.pop();
  const total = all.reduce((sum, one) => sum + one, 0n);
  return { total, over: total > limit };
};

// The day that holds a moment, by the midnights that were taken along.
const day = (at, midnights) => {
  let from = -Infinity;
  for (const next of midnights) {
    if (next > at) return [from, next];
    from = next;
  }
  return [from, Infinity];
};

// Every stretch of this length that holds the dose and is as full as it can be.
const sliding = (at, others, length) => {
  const begins = others.map((own) => own.at).filter((own) => own <= at && own + length > at);
  return [...new Set([...begins, at])].map((from) => [from, from + length]);
};

const amount = (dose, number) => {
  const counted = dose.counts[number];
  if (counted && counted.amount !== undefined) return { value: counted.amount };
  return { unknown: counted && counted.unknown ? counted.unknown : "unmeasured" };
};

export function evaluate(dose, { limits, history }, midnights, now) {
  const reasons = [];
  const add = (verdict, limit, why) => {
    const same = (own) => own.verdict === verdict && own.limit === limit && own.why === why;
    if (!reasons.some(same)) reasons.push({ verdict, limit, why });
  };
  if (dose.not_positive) add("block", null, "not_positive");
  if (dose.opaque) add("unknown", null, "unresolved");
  let widest = 0;
  limits.forEach((limit, number) => {
    if (!(number in dose.counts)) return;
    const reach = limit.reach === undefined ? Infinity : limit.reach * 1e6;
    widest = Math.max(widest, reach);
    const others = history.filter(
      (own) => own.id !== dose.id && number in own.counts && Math.trunc(Math.abs(own.at - dose.at) / 1e6) * 1e6 <= reach,
    );
    const within = ([from, to]) => others.filter((own) => from <= own.at && own.at < to);
    const amounts = (stretches, alone) => {
      const mine = amount(dose, number);
      if (mine.unknown) return add("unknown", number, mine.unknown);
      let over = false;
      const missing = [];
      for (const stretch of stretches) {
        const found = (alone ? [] : within(stretch)).map((own) => amount(own, number));
        missing.push(...found.filter((own) => own.unknown).map((own) => own.unknown));
        const known = found.filter((own) => own.value !== undefined).map((own) => own.value);
        over = over || above([mine.value, ...known], limit.most).over;
      }
      if (over) add(limit.effect, number, "too_much");
      missing.forEach((why) => add("unknown", number, why));
    };
    const count = (stretches) => {
      const most = Math.max(...stretches.map((stretch) => within(stretch).length)) + 1;
      if (most > Number(limit.most)) add(limit.effect, number, "too_often");
    };
    const length = (limit.seconds || 0) * 1e6;
    switch (limit.kind) {
      case "single": amounts([[dose.at, dose.at + 1e6]], true); break;
      case "rolling": amounts(sliding(dose.at, others, length), false); break;
      case "day": amounts([day(dose.at, midnights)], false); break;
      case "ever": amounts([[-Infinity, Infinity]], false); break;
      case "times": count(sliding(dose.at, others, length)); break;
      case "times_a_day": count([day(dose.at, midnights)]); break;
      case "apart":
        if (others.some((own) => Math.abs(own.at - dose.at) < length)) add(limit.effect, number, "too_close");
        break;
      default: add("unknown", number, "unmeasured");
    }
  });
  for (const own of history) {
    if (own.id === dose.id) continue;
    if (own.opaque && Math.trunc(Math.abs(own.at - dose.at) / 1e6) * 1e6 < widest) add("unknown", null, "opaque_near");
    if (own.at > now && own.holds.some((name) => dose.holds.includes(name))) add("warn", null, "later");
  }
  const verdict = reasons.map((own) => own.verdict).reduce((a, b) => (ORDER.indexOf(a) < ORDER.indexOf(b) ? b : a), "allow");
  return { verdict, reasons };
}

// What a reason says to people.
export function words(reason, limits) {
  const limit = reason.limit === null ? {} : limits[reason.limit];
  const long = (seconds) => (seconds % 3600 === 0 ? `${seconds / 3600} h` : `${Math.round(seconds / 60)} min`);
  switch (reason.why) {
    case "too_much": return `Too much: at most ${limit.most} ${limit.unit}${limit.seconds ? ` in ${long(limit.seconds)}` : ""}.`;
    case "too_often": return `Too often: at most ${limit.most} doses${limit.seconds ? ` in ${long(limit.seconds)}` : " a day"}.`;
    case "too_close": return `Too close to another dose: at least ${long(limit.seconds)} between two.`;
    case "not_positive": return "The dose is not above zero.";
    case "unresolved": return "What the product holds is not known: no limit can be applied.";
    case "opaque_near": return "A dose of a product that is not known was given near: it may hold the same.";
    case "later": return "A dose dated later than now is recorded: look at the clock.";
    default: return "An amount is not known: whether it is too much cannot be told.";
  }
}
