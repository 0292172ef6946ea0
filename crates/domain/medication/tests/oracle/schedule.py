"""The due times of random Timings by python-dateutil: one JSON case a line in, the instants as seconds a
line out. Shares nothing with the crate but the meaning of FHIR R4 Timing and of a home's rounds."""

import json
import sys
from datetime import date, datetime, timedelta, timezone

from dateutil import tz
from dateutil.relativedelta import relativedelta
from dateutil.rrule import DAILY, HOURLY, MINUTELY, MO, WEEKLY, rrule, weekday

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAILY_ROUNDS = {1: ["08:00"], 2: ["08:00", "20:00"], 3: ["08:00", "14:00", "22:00"],
                4: ["08:00", "12:00", "17:00", "22:00"]}
EVENTS = {"MORN": [("08:00", 1, 0)], "NIGHT": [("22:00", 1, 0)], "HS": [("22:00", -1, 0)],
          "WAKE": [("07:00", 1, 0)], "CM": [("08:00", 0, 0)], "ACM": [("08:00", -1, -30)],
          "PCV": [("17:30", 1, 30)], "EVE.late": [("18:00", 1, 60)],
          "AC": [("08:00", -1, -30), ("12:30", -1, -30), ("17:30", -1, -30)]}


def clocks(rep, per_day):
    """Timedeltas after midnight."""
    def after(text):
        parts = [int(p) for p in text.split(":")]
        return timedelta(hours=parts[0], minutes=parts[1])
    if rep.get("timeOfDay"):
        return sorted(after(t) for t in rep["timeOfDay"])
    if rep.get("when"):
        out = set()
        for code in rep["when"]:
            for base, side, default in EVENTS[code]:
                meal = code in ("ACM", "PCV", "AC", "CM")
                offset = rep.get("offset")
                shift = side * offset if offset is not None else 0
                if default and not (meal and offset is not None):
                    shift += default
                out.add(after(base) + timedelta(minutes=shift))
        return sorted(out)
    return [after(t) for t in DAILY_ROUNDS[per_day]]


def instant(naive, zone):
    placed = tz.resolve_imaginary(naive.replace(tzinfo=zone, fold=0))
    return int(placed.astimezone(timezone.utc).timestamp())


def days(rep, first, last):
    """The civil days of the rule with the number of doses on each."""
    unit, period = rep.get("periodUnit", "d"), rep.get("period", 1)
    freq = rep.get("frequency", 1)
    week = [weekday(DAYS.index(d)) for d in rep.get("dayOfWeek", [])]
    start = datetime(first.year, first.month, first.day)
    until = datetime(last.year, last.month, last.day)
    given = bool(rep.get("timeOfDay") or rep.get("when"))
    if unit == "wk" and week:
        rule = rrule(WEEKLY, interval=period, byweekday=week, wkst=MO, dtstart=start, until=until)
        return [(d.date(), 1) for d in rule]
    if unit in ("mo", "a"):
        out, k = [], 0
        while True:
            step = relativedelta(months=k * period) if unit == "mo" else relativedelta(years=k * period)
            if first + step > last:
                return out
            out.append((first + step, 1))
            k += 1
    length = period * (7 if unit == "wk" else 1)
    if length == 1:
        rule = rrule(DAILY, dtstart=start, until=until, byweekday=week or None)
        return [(d.date(), freq) for d in rule]
    periods = rrule(DAILY, interval=length, dtstart=start, until=until)
    out = []
    for begin in periods:
        places = sorted({i * length // freq for i in range(freq)}) if not given else [0]
        out.extend(((begin + timedelta(days=p)).date(), 1) for p in places)
    return out


def due(case):
    zone = tz.gettz(case["zone"])
    rep = case["repeat"]
    anchor = datetime.fromtimestamp(case["anchor"], timezone.utc)
    local = anchor.astimezone(zone)
    end = case["to"]
    bounds = rep.get("boundsDuration")
    if bounds:
        stop = (local.replace(tzinfo=None) + timedelta(days=bounds["value"]))
        end = min(end, instant(stop, zone))
    found = []
    if rep.get("periodUnit") in ("h", "min"):
        base = HOURLY if rep["periodUnit"] == "h" else MINUTELY
        until = datetime.fromtimestamp(end, timezone.utc)
        for at in rrule(base, interval=rep["period"], dtstart=anchor, until=until):
            found.append((int(at.timestamp()), at.astimezone(zone).date()))
    else:
        last = datetime.fromtimestamp(end, timezone.utc).astimezone(zone).date() + timedelta(days=2)
        for day, doses in days(rep, local.date(), last):
            for after in clocks(rep, doses):
                naive = datetime(day.year, day.month, day.day) + after
                found.append((instant(naive, zone), day))
    found = [(at, day) for at, day in found if at >= case["anchor"]]
    cycle = case.get("cycle")
    if cycle:
        on, off = cycle
        first = local.date()
        found = [(at, day) for at, day in found if (day - first).days % (on + off) < on]
    times = [at for at, _ in found if at < end]
    if "count" in rep:
        times = times[: rep["count"]]
    return sorted(at for at in times if at >= case["from"])


for line in sys.stdin:
    print(json.dumps(due(json.loads(line))))
