//! The fields of the prescribing form: as they were filled in, as fields, and as what was typed. Must not
//! correct what was typed: what is wrong stands at its field.

use app::medicines::products::Offered;
use app::medicines::typed::Typed;
use jiff::civil::Date;
use medication::dosage::entered::{Entered, HOWS, MOMENTS, ROUTES, Step, UNITS, Wrong};

use crate::clinical::date;
use crate::components::{Choice, Field};
use crate::edge::answer::sentence;
use crate::edge::form::Form;
use crate::pages::medicines::prescribe::StepFields;

/// Most steps of a taper.
const STEPS: usize = 8;
const DAYS: [(&str, &str); 7] = [
    ("mon", "Monday"),
    ("tue", "Tuesday"),
    ("wed", "Wednesday"),
    ("thu", "Thursday"),
    ("fri", "Friday"),
    ("sat", "Saturday"),
    ("sun", "Sunday"),
];

/// The form as it was filled in.
#[derive(Debug, Clone, Default)]
pub(super) struct Filled {
    pub medicine: String,
    pub replaces: String,
    /// Sent twice, it is done once.
    pub key: String,
    steps: Vec<Step>,
    route: String,
    start: String,
    until: String,
    needed: bool,
    need: String,
    max: String,
    apart: String,
    expected: String,
    look_after: String,
    instruction: String,
    indication: String,
    review: String,
    critical: bool,
    witness: bool,
}

/// The unit a form is counted in.
fn unit_of(form: &str) -> &'static str {
    [
        ("tablet", "{tablet}"),
        ("capsule", "{capsule}"),
        ("inhaler", "{puff}"),
        ("spray", "{spray}"),
        ("patch", "{patch}"),
        ("drops", "{drop}"),
        ("sachet", "{sachet}"),
        ("suppository", "{suppository}"),
        ("pessary", "{pessary}"),
        ("cream", "{application}"),
        ("ointment", "{application}"),
        ("gel", "{application}"),
        ("auto-injector", "{injection}"),
        ("oral solution", "mL"),
        ("suspension", "mL"),
        ("syrup", "mL"),
    ]
    .iter()
    .find(|(known, _)| form.contains(known))
    .map_or("", |(_, unit)| unit)
}

/// The route code of a product's route.
fn route_of(route: &str) -> &'static str {
    let known = match route {
        "cutaneous" => "Topical",
        "oromucosal" => "Buccal",
        other => other,
    };
    ROUTES
        .iter()
        .find(|(_, name)| name.eq_ignore_ascii_case(known))
        .map_or("", |(code, _)| code)
}

impl Filled {
    /// A new order of a product.
    pub fn of(medicine: &str, product: Option<&Offered>) -> Self {
        let form = product.and_then(|own| own.form.as_deref());
        let route = product.and_then(|own| own.route.as_deref());
        Self {
            medicine: medicine.to_owned(),
            steps: vec![Step {
                unit: form.map(unit_of).unwrap_or_default().to_owned(),
                how: "daily".to_owned(),
                ..Step::default()
            }],
            route: route.map(route_of).unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }

    /// An order that takes the place of another, as that one is.
    pub fn again(own: &Typed) -> Self {
        let day = |day: Option<Date>| {
            let words = day.map(|own| own.strftime("%d-%b-%Y").to_string());
            words.unwrap_or_default()
        };
        let Typed {
            medicine,
            dosage,
            indication,
            apart,
            expected,
            look_after,
            critical,
            witness,
            review,
            replaces,
        } = own.clone();
        let replaces = replaces.unwrap_or_default();
        let id = replaces.rsplit('/').next().unwrap_or_default();
        Self {
            medicine,
            replaces: id.to_owned(),
            key: String::new(),
            steps: dosage.steps.into_iter().take(STEPS).collect(),
            route: dosage.route,
            start: day(dosage.start),
            until: day(dosage.until),
            needed: dosage.needed,
            need: dosage.need,
            max: dosage.max,
            apart,
            expected,
            look_after,
            instruction: dosage.instruction,
            indication,
            review: day(review),
            critical,
            witness,
        }
    }

    /// As it was sent.
    pub fn from(form: &Form) -> Self {
        let text = |name: &str| form.text(name).to_owned();
        let steps = form.text("steps").parse().unwrap_or(1).clamp(1, STEPS);
        let step = |number: usize| {
            let own = |name: &str| text(&format!("{name}-{number}"));
            let all = |name: &str| {
                let name = format!("{name}-{number}");
                form.all(&name).map(str::to_owned).collect()
            };
            Step {
                dose: own("dose"),
                most: own("most"),
                unit: own("unit"),
                how: own("how"),
                number: own("number"),
                times: own("times"),
                moments: all("moments"),
                days: all("days"),
                length: own("length"),
            }
        };
        Self {
            medicine: text("medicine"),
            replaces: text("replaces"),
            key: text("key"),
            steps: (1..=steps).map(step).collect(),
            route: text("route"),
            start: text("start"),
            until: text("until"),
            needed: form.has("needed", "yes"),
            need: text("need"),
            max: text("max"),
            apart: text("apart"),
            expected: text("expected"),
            look_after: text("look_after"),
            instruction: text("instruction"),
            indication: text("indication"),
            review: text("review"),
            critical: form.has("options", "critical"),
            witness: form.has("options", "witness"),
        }
    }

    /// One more step, with the unit and the times of the last.
    pub fn add(&mut self) {
        if self.steps.len() < STEPS
            && let Some(last) = self.steps.last()
        {
            let next = Step {
                dose: String::new(),
                most: String::new(),
                length: String::new(),
                ..last.clone()
            };
            self.steps.push(next);
        }
    }

    /// Without the last step.
    pub fn less(&mut self) {
        if self.steps.len() > 1 {
            self.steps.pop();
        }
    }

    pub fn hidden(&self) -> Vec<(String, String)> {
        let steps = self.steps.len().to_string();
        let pairs = [
            ("medicine", &self.medicine),
            ("replaces", &self.replaces),
            ("key", &self.key),
            ("steps", &steps),
        ];
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        pairs
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    /// The fields of the steps, with what is wrong at each.
    pub fn step_fields(&self, wrong: &[(String, String)]) -> Vec<StepFields> {
        let steps = self.steps.iter().zip(1..);
        steps
            .map(|(step, number)| fields(step, number, wrong))
            .collect()
    }

    pub fn course(&self) -> Vec<Field> {
        let mut words =
            Field::text("instruction", "Words for the patient").value(&self.instruction);
        words.width = "field-long";
        vec![
            select("route", "Route", &ROUTES, &self.route, "Choose the route"),
            Field::date("start", "First day")
                .value(&self.start)
                .hint("Left out: from now on. For example 05-Mar-2026"),
            Field::date("until", "Last day")
                .value(&self.until)
                .hint("Left out: until it is stopped. For example 12-Mar-2026"),
            words.optional().hint("For example: take with food"),
        ]
    }

    pub fn needed_fields(&self) -> Vec<Field> {
        let words = |name: &str, label: &str, value: &str, hint: &str| {
            Field::text(name, label).value(value).optional().hint(hint)
        };
        let short = |name: &str, label: &str, value: &str, hint: &str| {
            let mut field = words(name, label, value, hint);
            field.width = "field-short";
            field.input_mode = "decimal";
            field
        };
        vec![
            Field::checkboxes(
                "needed",
                "Given when needed only",
                vec![Choice::new("yes", "Yes, when needed", self.needed)],
            ),
            words("need", "Needed for", &self.need, "For example: pain"),
            short(
                "max",
                "Most in 24 hours",
                &self.max,
                "In the unit of the dose",
            ),
            short(
                "apart",
                "Least time between two doses",
                &self.apart,
                "In hours",
            ),
            words(
                "expected",
                "What it should bring about",
                &self.expected,
                "For example: pain below 4 of 10",
            ),
            short(
                "look_after",
                "Look whether it helped after",
                &self.look_after,
                "In minutes",
            ),
        ]
    }

    pub fn about(&self) -> Vec<Field> {
        vec![
            Field::text("indication", "What it is for")
                .value(&self.indication)
                .optional()
                .hint("Stands on the patient's card"),
            Field::date("review", "To be reviewed by").value(&self.review),
            Field::checkboxes(
                "options",
                "Further",
                vec![
                    Choice::new("critical", "Minutes matter", self.critical)
                        .hint("Late doses are held up and asked for a reason"),
                    Choice::new(
                        "witness",
                        "A second person watches every dose",
                        self.witness,
                    ),
                ],
            ),
        ]
    }
}

fn select(name: &str, label: &str, known: &[(&str, &str)], chosen: &str, none: &str) -> Field {
    let mut choices = vec![Choice::new("", none, chosen.is_empty())];
    let own = known.iter();
    choices.extend(own.map(|(code, words)| Choice::new(code, words, *code == chosen)));
    Field::select(name, label, choices)
}

fn fields(step: &Step, number: usize, wrong: &[(String, String)]) -> StepFields {
    let name = |own: &str| format!("{own}-{number}");
    let marked = |field: Field| {
        let id = field.focus_id();
        match wrong.iter().find(|(own, _)| *own == id) {
            Some((_, text)) => field.error(text),
            None => field,
        }
    };
    let short = |own: &str, label: &str, value: &str| {
        let mut field = Field::text(&name(own), label).value(value);
        field.width = "field-short";
        field.input_mode = "decimal";
        field
    };
    let boxes = |own: &str, label: &str, known: &[(&str, &str)], chosen: &[String]| {
        let choices = known
            .iter()
            .map(|(code, words)| Choice::new(code, words, chosen.iter().any(|own| own == code)));
        Field::checkboxes(&name(own), label, choices.collect())
    };
    let how = select(&name("how"), "Given", &HOWS, &step.how, "Choose when");
    let times = Field::text(&name("times"), "Clock times").value(&step.times);
    let when = vec![
        marked(how),
        marked(
            short(
                "number",
                "How many times a day, or every how many hours",
                &step.number,
            )
            .optional(),
        ),
        marked(times.optional().hint("24 hours, such as 08:00, 20:00")),
        marked(boxes(
            "moments",
            "Times of the day",
            &MOMENTS,
            &step.moments,
        )),
        marked(boxes("days", "Days of the week", &DAYS, &step.days)),
        marked(short("length", "For how many days", &step.length).optional()),
    ];
    StepFields {
        number,
        amount: amount_fields(step, number)
            .into_iter()
            .map(marked)
            .collect(),
        when,
    }
}

/// How much at once.
fn amount_fields(step: &Step, number: usize) -> Vec<Field> {
    let short = |own: &str, label: &str, value: &str| {
        let mut field = Field::text(&format!("{own}-{number}"), label).value(value);
        field.width = "field-short";
        field.input_mode = "decimal";
        field
    };
    let unit = format!("unit-{number}");
    vec![
        short("dose", "Dose", &step.dose),
        short("most", "Up to", &step.most)
            .optional()
            .hint("Where the giver decides"),
        select(&unit, "Unit", &UNITS, &step.unit, "Choose the unit"),
    ]
}

fn day(field: &str, text: &str) -> Result<Option<Date>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    date::typed(text).map(Some).ok_or_else(|| Wrong {
        field: field.to_owned(),
        text: sentence(&format!(
            "{text} is no date that reads in one way: write the month in letters, as 05-Mar-2026"
        )),
    })
}

/// What was typed, where its days can be read.
pub(super) fn typed(filled: &Filled) -> Result<Typed, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut read = |field: &str, text: &str| {
        day(field, text).unwrap_or_else(|error| {
            wrong.push(error);
            None
        })
    };
    let start = read("start", &filled.start);
    let until = read("until", &filled.until);
    let review = read("review", &filled.review);
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let id = filled.replaces.as_str();
    Ok(Typed {
        medicine: filled.medicine.clone(),
        dosage: Entered {
            steps: filled.steps.clone(),
            route: filled.route.clone(),
            needed: filled.needed,
            need: filled.need.clone(),
            max: filled.max.clone(),
            start,
            until,
            instruction: filled.instruction.clone(),
        },
        indication: filled.indication.clone(),
        apart: filled.apart.clone(),
        expected: filled.expected.clone(),
        look_after: filled.look_after.clone(),
        critical: filled.critical,
        witness: filled.witness,
        review,
        replaces: (!id.is_empty()).then(|| format!("MedicationRequest/{id}")),
    })
}
