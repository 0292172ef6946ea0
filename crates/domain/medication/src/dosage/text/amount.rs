//! Amounts in words. Must not write µg, mcg, IU or U, a naked decimal point or a trailing zero
//! (NHS common user interface, medication line, MEDi).

use rust_decimal::Decimal;

use crate::dosage::{Amount, Dosage, DoseAndRate, Rate};
use crate::quantity::{Quantity, Unit};

/// UCUM code, name of one, name of many.
const NAMES: [(&str, &str, &str); 36] = [
    ("kg", "kg", "kg"),
    ("g", "g", "g"),
    ("mg", "mg", "mg"),
    ("ug", "microgram", "micrograms"),
    ("ng", "nanogram", "nanograms"),
    ("pg", "picogram", "picograms"),
    ("L", "litre", "litres"),
    ("l", "litre", "litres"),
    ("mL", "mL", "mL"),
    ("ml", "mL", "mL"),
    ("uL", "microlitre", "microlitres"),
    ("mol", "mol", "mol"),
    ("mmol", "mmol", "mmol"),
    ("umol", "micromole", "micromoles"),
    ("meq", "mEq", "mEq"),
    ("[iU]", "unit", "units"),
    ("[IU]", "unit", "units"),
    ("U", "unit", "units"),
    ("k[iU]", "thousand units", "thousand units"),
    ("k[IU]", "thousand units", "thousand units"),
    ("M[iU]", "million units", "million units"),
    ("M[IU]", "million units", "million units"),
    ("m[iU]", "milliunit", "milliunits"),
    ("[drp]", "drop", "drops"),
    ("[tsp_us]", "teaspoon", "teaspoons"),
    ("cm", "cm", "cm"),
    ("%", "%", "%"),
    ("1", "dose", "doses"),
    ("m2", "square metre", "square metres"),
    ("s", "second", "seconds"),
    ("min", "minute", "minutes"),
    ("h", "hour", "hours"),
    ("d", "day", "days"),
    ("wk", "week", "weeks"),
    ("mo", "month", "months"),
    ("a", "year", "years"),
];

/// Names as people write them that must be spelt out.
const SPELT: [(&str, &str); 12] = [
    ("µg", "ug"),
    ("μg", "ug"),
    ("mcg", "ug"),
    ("ug", "ug"),
    ("mcgs", "ug"),
    ("iu", "[iU]"),
    ("u", "[iU]"),
    ("unit", "[iU]"),
    ("units", "[iU]"),
    ("cc", "mL"),
    ("gtt", "[drp]"),
    ("ng", "ng"),
];

/// Units of presentation as people write them, by themselves: name of one, name of many.
const PRESENTED: [(&str, &str); 34] = [
    ("tablet", "tablets"),
    ("caplet", "caplets"),
    ("capsule", "capsules"),
    ("lozenge", "lozenges"),
    ("pastille", "pastilles"),
    ("wafer", "wafers"),
    ("film", "films"),
    ("puff", "puffs"),
    ("inhalation", "inhalations"),
    ("actuation", "actuations"),
    ("spray", "sprays"),
    ("nebule", "nebules"),
    ("blister", "blisters"),
    ("drop", "drops"),
    ("application", "applications"),
    ("patch", "patches"),
    ("plaster", "plasters"),
    ("suppository", "suppositories"),
    ("pessary", "pessaries"),
    ("enema", "enemas"),
    ("sachet", "sachets"),
    ("spoonful", "spoonfuls"),
    ("teaspoon", "teaspoons"),
    ("ampoule", "ampoules"),
    ("vial", "vials"),
    ("syringe", "syringes"),
    ("cartridge", "cartridges"),
    ("pen", "pens"),
    ("injection", "injections"),
    ("dose", "doses"),
    ("bottle", "bottles"),
    ("tube", "tubes"),
    ("pack", "packs"),
    ("piece", "pieces"),
];

/// A unit of presentation by its name, for one or many; another name stays as it is.
fn presented(name: &str, one: bool) -> String {
    let lower = name.to_lowercase();
    let mut known = PRESENTED.iter();
    let row = known.find(|(single, many)| *single == lower || *many == lower);
    match row {
        Some((single, many)) => if one { *single } else { *many }.to_owned(),
        None => name.to_owned(),
    }
}

/// Whether a name is one that is misread: µg for mg, IU for IV, U for 0.
pub(in crate::dosage) fn is_misread(name: &str) -> bool {
    let lower = name.trim().to_lowercase();
    !lower.starts_with("unit") && SPELT.iter().any(|(spelt, _)| *spelt == lower)
}

/// A number: no trailing zero, a comma from 1,000.
pub(super) fn number(value: Decimal) -> String {
    let text = value.normalize().to_string();
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text.as_str(), None),
    };
    let mut grouped = String::new();
    let digits = whole.chars().count();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{grouped}.{fraction}"),
        None => grouped,
    }
}

fn atom(code: &str, one: bool) -> Option<String> {
    if let Some(inside) = code.strip_prefix('{').and_then(|c| c.strip_suffix('}')) {
        return Some(counted(inside, one));
    }
    let row = NAMES.iter().find(|(known, _, _)| *known == code)?;
    Some(if one { row.1 } else { row.2 }.to_owned())
}

fn counted(name: &str, one: bool) -> String {
    let name = name.to_lowercase();
    if one || name.ends_with('s') {
        return name;
    }
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if name.ends_with("ch") || name.ends_with('x') => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

/// The name of a unit for one or many.
pub(super) fn unit(unit: &Unit, one: bool) -> String {
    if let Some(code) = unit.ucum_code() {
        let mut atoms = code.split('/');
        let first = atoms.next().unwrap_or_default();
        let head = match first {
            "" => Some(String::new()),
            _ => atom(first, one),
        };
        let rest: Option<Vec<String>> = atoms.map(|code| atom(code, true)).collect();
        if let (Some(head), Some(rest)) = (head, rest) {
            let mut words = head;
            for per in rest {
                words = format!("{words} per {per}");
            }
            return words;
        }
    }
    let name = unit.name().trim();
    let lower = name.to_lowercase();
    let spelt = SPELT.iter().find(|(known, _)| *known == lower);
    match spelt.and_then(|(_, code)| atom(code, one)) {
        Some(words) => words,
        None => presented(name, one),
    }
}

/// The same mass in the unit below, where it is less than one of its unit: 0.125 mg is 125 micrograms.
fn readable(quantity: &Quantity) -> Quantity {
    let value = quantity.value.value();
    let below = match quantity.unit.ucum_code() {
        Some("g") => "mg",
        Some("mg") => "ug",
        Some("ug") => "ng",
        _ => return quantity.clone(),
    };
    if value <= Decimal::ZERO || value >= Decimal::ONE {
        return quantity.clone();
    }
    match value.checked_mul(Decimal::ONE_THOUSAND) {
        Some(value) => readable(&Quantity::ucum(value, below)),
        None => quantity.clone(),
    }
}

/// `125 micrograms`
pub(super) fn quantity(quantity: &Quantity) -> String {
    let shown = readable(quantity);
    let value = shown.value.value();
    let name = unit(&shown.unit, value == Decimal::ONE);
    if name == "%" {
        return format!("{}%", number(value));
    }
    format!("{} {name}", number(value))
}

/// `1 to 2 tablets`
pub(super) fn amount(amount: &Amount) -> String {
    match amount {
        Amount::Exact(exact) => quantity(exact),
        Amount::Range {
            low: Some(low),
            high: Some(high),
        } => {
            if low.unit == high.unit && readable(low).unit == readable(high).unit {
                let (low, high) = (readable(low), readable(high));
                let many = unit(&high.unit, high.value.value() == Decimal::ONE);
                let (from, to) = (number(low.value.value()), number(high.value.value()));
                format!("{from} to {to} {many}")
            } else {
                format!("{} to {}", quantity(low), quantity(high))
            }
        }
        Amount::Range {
            high: Some(high), ..
        } => format!("up to {}", quantity(high)),
        Amount::Range { low: Some(low), .. } => format!("at least {}", quantity(low)),
        Amount::Range { .. } => String::new(),
    }
}

fn rate(rate: &Rate) -> String {
    match rate {
        Rate::Ratio(ratio) => {
            let one = ratio.denominator.value.value() == Decimal::ONE;
            let per = if one {
                unit(&ratio.denominator.unit, true)
            } else {
                quantity(&ratio.denominator)
            };
            format!("at {} per {per}", quantity(&ratio.numerator))
        }
        Rate::Amount(stated) => format!("at {}", amount(stated)),
    }
}

fn dose_and_rate(stated: &DoseAndRate) -> Option<String> {
    let dose = stated.dose.as_ref().map(amount);
    let rate = stated.rate.as_ref().map(rate);
    match (dose, rate) {
        (Some(dose), Some(rate)) => Some(format!("{dose} {rate}")),
        (one, other) => one.or(other),
    }
}

/// Every stated dose; several are several ways to say or to choose.
pub(super) fn doses(dosage: &Dosage) -> Option<String> {
    let said: Vec<String> = dosage
        .dose_and_rate
        .iter()
        .filter_map(dose_and_rate)
        .collect();
    (!said.is_empty()).then(|| said.join(" or "))
}
