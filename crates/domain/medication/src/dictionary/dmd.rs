//! A release of dm+d (XML files of NHSBSA), read as a stream, file by file, into products. Must not open
//! files (readers are passed in), expand entities, or skip a record that it cannot read.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::{Component, DictionaryError, Product, Schedule, Strength, System, ingredient};
use crate::gs1::Gtin;
use crate::knowledge::DrugKnowledge;

/// Bytes of the longest text and the deepest element that are taken.
const LONGEST: usize = 1 << 16;
const DEEPEST: usize = 16;

#[derive(Debug, Default)]
struct Virtual {
    name: String,
    substances: Vec<(String, Option<String>)>,
    form: Option<String>,
    routes: Vec<String>,
    schedule: Option<Schedule>,
}

/// What was read so far. Files may come in any order; `finish` joins them.
#[derive(Debug, Default)]
pub struct Release {
    virtuals: BTreeMap<String, Virtual>,
    substances: BTreeMap<String, String>,
    /// Section and code of a look-up, and what it says.
    words: BTreeMap<(String, String), String>,
    /// Actual product: virtual product and description.
    actuals: BTreeMap<String, (String, String)>,
    /// Pack: actual product.
    packs: BTreeMap<String, String>,
    /// Pack and number, of those in use.
    numbers: Vec<(String, Gtin)>,
    moieties: usize,
    virtual_packs: usize,
}

/// What a release held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// VTM.
    pub moieties: usize,
    /// VMP.
    pub virtual_products: usize,
    /// AMP.
    pub actual_products: usize,
    /// VMPP.
    pub virtual_packs: usize,
    /// AMPP.
    pub packs: usize,
    /// Numbers in use.
    pub numbers: usize,
}

/// The files of a release that are read, by the start of their names; the first five must be there.
const FILES: [&str; 7] = [
    "f_vmp2",
    "f_amp2",
    "f_ampp2",
    "f_ingredient2",
    "f_lookup2",
    "f_gtin2",
    "f_vtm2",
];

/// Whether a file of a release is read, by its name.
#[must_use]
pub fn is_read(name: &str) -> bool {
    start(name).is_some()
}

fn start(name: &str) -> Option<&'static str> {
    let last = name.rsplit(['/', '\\']).next()?.to_ascii_lowercase();
    let own = FILES.into_iter().find(|start| last.starts_with(start))?;
    last.rsplit_once('.')
        .is_some_and(|(_, kind)| kind == "xml")
        .then_some(own)
}

/// The first file that a release lacks.
#[must_use]
pub fn missing(names: &[String]) -> Option<&'static str> {
    let there: Vec<&str> = names.iter().filter_map(|name| start(name)).collect();
    let mut needed = FILES.into_iter().take(5);
    needed.find(|own| !there.contains(own))
}

/// Counts lines as they are read.
struct Counted<R> {
    reader: R,
    lines: usize,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        self.lines += ends(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.reader.fill_buf()
    }
    fn consume(&mut self, amount: usize) {
        if let Ok(buffer) = self.reader.fill_buf() {
            self.lines += ends(buffer.get(..amount).unwrap_or_default());
        }
        self.reader.consume(amount);
    }
}

fn ends(bytes: &[u8]) -> usize {
    bytes.iter().map(|byte| usize::from(*byte == b'\n')).sum()
}

/// Fields of a record in their order.
type Fields = Vec<(String, String)>;

fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, text)| text.as_str())
}

fn need(fields: &Fields, name: &str) -> Result<String, String> {
    let found = value(fields, name).filter(|text| !text.is_empty());
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("a record has no {name}"))
}

impl Release {
    /// Reads one file; `file` names it in errors.
    ///
    /// # Errors
    /// XML that is none, document types, records without what they need.
    pub fn read(&mut self, file: &str, input: impl BufRead) -> Result<(), DictionaryError> {
        let mut reader = Reader::from_reader(Counted {
            reader: input,
            lines: 0,
        });
        let mut buffer = Vec::new();
        let mut walk = Walk::default();
        loop {
            buffer.clear();
            let event = reader.read_event_into(&mut buffer);
            let done = match event {
                Ok(Event::Eof) if walk.open.is_empty() => return Ok(()),
                Ok(Event::Eof) => Err("the file ends inside an element".to_owned()),
                Ok(event) => walk.take(&event),
                Err(error) => Err(error.to_string()),
            };
            let stored = match done {
                Ok(Some((section, record, fields))) => self.record(&section, &record, &fields),
                Ok(None) => Ok(()),
                Err(what) => Err(what),
            };
            stored.map_err(|what| DictionaryError::Line {
                file: file.to_owned(),
                line: reader.get_ref().lines + 1,
                what,
            })?;
        }
    }

    fn record(&mut self, section: &str, record: &str, fields: &Fields) -> Result<(), String> {
        match (section, record) {
            (_, "VTM") => {
                need(fields, "VTMID")?;
                self.moieties += 1;
            }
            ("VMPS", "VMP") if value(fields, "NM").is_some() => {
                self.of(fields)?.name = need(fields, "NM")?;
            }
            (_, "VPI") => {
                let strength = Self::strength(fields);
                let substance = need(fields, "ISID")?;
                self.of(fields)?.substances.push((substance, strength));
            }
            (_, "DFORM") => self.of(fields)?.form = Some(need(fields, "FORMCD")?),
            (_, "DROUTE") => {
                let route = need(fields, "ROUTECD")?;
                self.of(fields)?.routes.push(route);
            }
            (_, "CONTROL_INFO") => self.of(fields)?.schedule = schedule(&need(fields, "CATCD")?)?,
            ("AMPS", "AMP") => {
                let name = need(fields, "DESC").or_else(|_| need(fields, "NM"))?;
                self.actuals
                    .insert(need(fields, "APID")?, (need(fields, "VPID")?, name));
            }
            (_, "VMPP") => {
                need(fields, "VPPID")?;
                self.virtual_packs += 1;
            }
            (_, "AMPP") if value(fields, "APPID").is_some() => {
                self.packs
                    .insert(need(fields, "APPID")?, need(fields, "APID")?);
            }
            (_, "AMPP") => self.numbers_of(fields)?,
            (_, "ING") => {
                self.substances
                    .insert(need(fields, "ISID")?, need(fields, "NM")?);
            }
            (section, "INFO") => {
                let said = value(fields, "DESC").unwrap_or_default().to_owned();
                self.words
                    .insert((section.to_owned(), need(fields, "CD")?), said);
            }
            _ => {}
        }
        Ok(())
    }

    fn of(&mut self, fields: &Fields) -> Result<&mut Virtual, String> {
        Ok(self.virtuals.entry(need(fields, "VPID")?).or_default())
    }

    /// The strength with its units' codes; the look-up may come later.
    fn strength(fields: &Fields) -> Option<String> {
        let top = (
            value(fields, "STRNT_NMRTR_VAL")?,
            value(fields, "STRNT_NMRTR_UOMCD")?,
        );
        let below = value(fields, "STRNT_DNMTR_VAL").zip(value(fields, "STRNT_DNMTR_UOMCD"));
        Some(below.map_or_else(
            || format!("{} {}", top.0, top.1),
            |below| format!("{} {}/{} {}", top.0, top.1, below.0, below.1),
        ))
    }

    /// A number with an end date is in use no more.
    fn numbers_of(&mut self, fields: &Fields) -> Result<(), String> {
        let pack = need(fields, "AMPPID")?;
        let mut open: Option<Gtin> = None;
        for (name, text) in fields {
            match name.as_str() {
                "GTIN" => {
                    self.numbers
                        .extend(open.take().map(|gtin| (pack.clone(), gtin)));
                    open = Some(Gtin::read(text).map_err(|error| error.to_string())?);
                }
                "ENDDT" => open = None,
                _ => {}
            }
        }
        self.numbers.extend(open.map(|gtin| (pack, gtin)));
        Ok(())
    }

    /// What was read.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            moieties: self.moieties,
            virtual_products: self.virtuals.len(),
            actual_products: self.actuals.len(),
            virtual_packs: self.virtual_packs,
            packs: self.packs.len(),
            numbers: self.numbers.len(),
        }
    }

    fn word(&self, section: &str, code: &str) -> Option<String> {
        self.words
            .get(&(section.to_owned(), code.to_owned()))
            .cloned()
    }

    fn product(&self, knowledge: &dyn DrugKnowledge, own: &Virtual, name: &str) -> Product {
        let component = |(substance, strength): &(String, Option<String>)| {
            let name = self.substances.get(substance).cloned();
            let known = knowledge.ingredient_by_code("snomed", substance);
            let by_name = || name.as_deref().and_then(|name| ingredient(knowledge, name));
            Component {
                ingredient: known.or_else(by_name),
                name: name.unwrap_or_else(|| substance.clone()).to_lowercase(),
                strength: strength.as_deref().and_then(|text| self.units(text)),
            }
        };
        // One route is a fact; of several none is.
        let route = match own.routes.as_slice() {
            [one] => self.word("ROUTE", one).map(|word| word.to_lowercase()),
            _ => None,
        };
        Product {
            name: name.to_owned(),
            components: own.substances.iter().map(component).collect(),
            form: own.form.as_deref().and_then(|code| self.word("FORM", code)),
            route,
            schedule: own.schedule,
            codes: Vec::new(),
            gtins: Vec::new(),
        }
    }

    fn units(&self, text: &str) -> Option<Strength> {
        let unit = |code: &str| -> Option<String> {
            let word = self.word("UNIT_OF_MEASURE", code)?;
            Some(match word.as_str() {
                "microgram" => "ug".to_owned(),
                "gram" => "g".to_owned(),
                "ml" => "mL".to_owned(),
                "litre" => "L".to_owned(),
                "unit" => "[iU]".to_owned(),
                "hour" => "h".to_owned(),
                _ => word,
            })
        };
        let mut own = Strength::read(text)?;
        own.unit = unit(&own.unit)?;
        if let Some((_, of)) = &mut own.per {
            *of = unit(of)?;
        }
        Some(own)
    }

    /// Joins what was read: a product for each virtual and each actual one, packs' numbers at the latter.
    ///
    /// # Errors
    /// A record that names another which is not there.
    pub fn finish(&self, knowledge: &dyn DrugKnowledge) -> Result<Vec<Product>, DictionaryError> {
        let missing = |file: &str, what: String| DictionaryError::Line {
            file: file.to_owned(),
            line: 0,
            what,
        };
        let mut numbers: BTreeMap<&str, Vec<Gtin>> = BTreeMap::new();
        for (pack, gtin) in &self.numbers {
            let actual = self
                .packs
                .get(pack)
                .ok_or_else(|| missing("gtin", format!("there is no pack {pack}")))?;
            numbers.entry(actual).or_default().push(*gtin);
        }
        let mut products = Vec::new();
        for (code, own) in &self.virtuals {
            let mut product = self.product(knowledge, own, &own.name);
            product.codes.push((System::Dmd, code.clone()));
            products.push(product);
        }
        for (code, (of, name)) in &self.actuals {
            let own = self
                .virtuals
                .get(of)
                .ok_or_else(|| missing("amp", format!("there is no product {of}")))?;
            let mut product = self.product(knowledge, own, name);
            product.codes.push((System::Dmd, code.clone()));
            product.gtins = numbers.remove(code.as_str()).unwrap_or_default();
            products.push(product);
        }
        Ok(products)
    }
}

/// Categories of `CONTROL_DRUG_CATEGORY` in the release's own look-up.
fn schedule(code: &str) -> Result<Option<Schedule>, String> {
    Ok(match code {
        "0000" => None,
        "0001" => Some(Schedule::One),
        "0002" | "0003" => Some(Schedule::Two),
        "0004" | "0005" | "0006" | "0007" => Some(Schedule::Three),
        "0008" | "0009" => Some(Schedule::Four),
        "0010" => Some(Schedule::Five),
        other => return Err(format!("controlled-drug category {other} is not known")),
    })
}

/// Elements that are records; what is inside them are fields, at any depth.
const RECORDS: [&str; 11] = [
    "VTM",
    "VMP",
    "VPI",
    "DFORM",
    "DROUTE",
    "CONTROL_INFO",
    "AMP",
    "VMPP",
    "AMPP",
    "ING",
    "INFO",
];

#[derive(Default)]
struct Walk {
    open: Vec<String>,
    /// Depth of the record that is open.
    record: Option<usize>,
    fields: Fields,
    text: String,
}

impl Walk {
    fn take(&mut self, event: &Event<'_>) -> Result<Option<(String, String, Fields)>, String> {
        match event {
            Event::Start(start) => {
                if self.open.len() >= DEEPEST {
                    return Err("elements are nested too deep".to_owned());
                }
                let name = start.name().0.to_owned();
                self.text.clear();
                if self.record.is_none() && RECORDS.contains(&name.as_str()) {
                    self.record = Some(self.open.len());
                    self.fields.clear();
                }
                self.open.push(name);
            }
            Event::End(_) => return Ok(self.close()),
            Event::Text(text) => self.text.push_str(text),
            Event::CData(text) => self.text.push_str(text),
            Event::GeneralRef(name) => self.text.push(match &**name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "apos" => '\'',
                "quot" => '"',
                other => return Err(format!("the entity {other} is not taken")),
            }),
            Event::DocType(_) => return Err("a document type is not taken".to_owned()),
            _ => {}
        }
        if self.text.len() > LONGEST {
            return Err("a text is longer than 64 KiB".to_owned());
        }
        Ok(None)
    }

    fn close(&mut self) -> Option<(String, String, Fields)> {
        let name = self.open.pop()?;
        let text = core::mem::take(&mut self.text);
        if self.record == Some(self.open.len()) {
            self.record = None;
            let section = self.open.last().cloned().unwrap_or_default();
            return Some((section, name, core::mem::take(&mut self.fields)));
        }
        if self.record.is_some() {
            self.fields.push((name, text.trim().to_owned()));
        }
        None
    }
}

#[cfg(test)]
#[path = "dmd_tests.rs"]
mod tests;
