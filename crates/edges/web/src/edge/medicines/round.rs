//! The round and one patient of it: what is due, and recording what became of a dose. Works without
//! scripts. Must not decide: `$give`'s use-case does, and its reasons are shown as they are.

use app::medicines::give::{Dose, Given, give};
use app::medicines::reasons;
use app::medicines::register::Signing;
use app::medicines::rounds::{self as use_case, AllergyWords, Line, NewEffect, RoundRequest, Stop};
use app::medicines::stock::From;
use app::sign_in::confirm::Proof;
use app::{AppError, ResourceKey};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::LogicalId;
use medication::administration::{How, Outcome, Right, Verified};
use medication::limits::{Next, Verdict};
use medication::rounds::Turn;
use zeroize::Zeroizing;

use crate::clinical::{When, date};
use crate::components::{Choice, ErrorSummary, Field};
use crate::edge::answer::{self, redirect, sentence};
use crate::edge::form::Form;
use crate::edge::summary::{banner, key, patient_id};
use crate::edge::visit::Visit;
use crate::pages::rounds::{DoseForm, EffectView, LineView, RoundPage, StopPage, StopView};

/// The page.
pub async fn page(visit: Visit) -> Response {
    let result = show(&visit).await;
    visit.answer(result)
}

/// Which round an address asks for.
pub fn request(visit: &Visit) -> RoundRequest {
    let text = |name: &str| Some(visit.query.text(name).to_owned()).filter(|own| !own.is_empty());
    RoundRequest {
        organization: text("organization").and_then(|own| own.parse().ok()),
        location: text("location"),
        ahead: visit.query.text("ahead").parse().unwrap_or(60),
    }
}

async fn show(visit: &Visit) -> Result<Response, AppError> {
    let asked = request(visit);
    let round = use_case::round(visit.app(), &visit.caller, &asked).await?;
    let here = asked.location.as_deref().unwrap_or_default();
    let mut places = vec![Choice::new("", "Everywhere", here.is_empty())];
    places.extend(
        round
            .places
            .iter()
            .map(|own| Choice::new(own, own, own == here)),
    );
    let times = [
        (0, "Now"),
        (60, "Within an hour"),
        (240, "Within 4 hours"),
        (720, "Within 12 hours"),
    ];
    let times = times
        .into_iter()
        .map(|(minutes, label)| Choice::new(&minutes.to_string(), label, minutes == asked.ahead));
    let stops = round.stops.iter().map(|stop| stop_view(visit, stop));
    let today = date::long_date(visit.zone().date_at(round.now));
    let page = RoundPage {
        now: format!("{today}, {}", time(visit, round.now)),
        fields: vec![
            Field::select("location", "Place", places),
            Field::select("ahead", "Doses that are due", times.collect()),
        ],
        stops: stops.collect(),
        device: visit.href("/medicines/round/device"),
        handover: visit.href("/medicines/handover"),
        shell: visit.shell("Medication round"),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

pub fn time(visit: &Visit, at: kernel::Timestamp) -> String {
    When::time_of_day(at, visit.zone()).text
}

/// The time of a dose: with its day where that is another one than today.
fn due_time(visit: &Visit, at: kernel::Timestamp) -> String {
    let zone = visit.zone();
    if zone.date_at(at) == zone.date_at(visit.app().now()) {
        time(visit, at)
    } else {
        When::at(at, zone).text
    }
}

fn allergies(own: &AllergyWords) -> (String, bool) {
    match (own.asked, own.names.is_empty()) {
        (_, false) => (format!("Allergies: {}", own.names.join(", ")), true),
        (true, true) => ("No known allergies".to_owned(), false),
        (false, true) => ("Allergies: nobody asked".to_owned(), true),
    }
}

fn stop_view(visit: &Visit, stop: &Stop) -> StopView {
    let born = stop.born.as_deref().and_then(date::FhirDate::parse);
    StopView {
        href: visit.href(&format!("/medicines/round/{}", stop.patient)),
        name: stop.name.clone(),
        photo: stop.photo.clone(),
        born: born.map_or_else(
            || "Date of birth not known".to_owned(),
            |own| format!("Born {}", own.short()),
        ),
        place: place(&stop.place),
        allergies: allergies(&stop.allergies),
        lines: stop
            .lines
            .iter()
            .enumerate()
            .map(|(number, line)| line_view(visit, line, number))
            .collect(),
        unreadable: stop.unreadable.iter().map(|own| sentence(own)).collect(),
        silent: stop.silent.join(", "),
        not_checked: stop.not_checked.iter().map(|own| sentence(own)).collect(),
        effects: stop.effects.len(),
    }
}

/// A place in words.
pub fn place(own: &[String]) -> String {
    if own.is_empty() {
        "Place not recorded".to_owned()
    } else {
        own.join(", ")
    }
}

fn line_view(visit: &Visit, line: &Line, number: usize) -> LineView {
    let tag = match line.turn {
        Turn::Overdue if line.critical => ("Overdue, time-critical", "tag-bad"),
        Turn::Overdue => ("Overdue", "tag-bad"),
        Turn::Due if line.critical => ("Due, time-critical", "tag-warn"),
        Turn::Due => ("Due", "tag-info"),
        Turn::Soon => ("Soon", "tag-plain"),
        Turn::AsNeeded => ("When needed", "tag-plain"),
        Turn::Unplaced => ("Time not known", "tag-bad"),
    };
    let when = match (&line.due, line.last) {
        (Some(due), _) => format!(
            "{}, from {} to {}",
            due_time(visit, due.slot.at),
            due_time(visit, due.slot.earliest),
            due_time(visit, due.slot.latest)
        ),
        (None, Some(last)) => format!("Last given {}", When::at(last, visit.zone()).text),
        (None, None) => "Not given lately".to_owned(),
    };
    let mut says: Vec<String> = line.reasons.iter().map(|own| sentence(own)).collect();
    if line.verdict == Verdict::Block {
        says.insert(
            0,
            match line.next {
                Next::At(at) => format!("Not before {}.", When::at(at, visit.zone()).text),
                _ => "Not in this amount.".to_owned(),
            },
        );
    }
    if let Some(tier) = line.alert {
        says.push(format!(
            "An alert of tier {tier} stands for it: see the medicines of the patient."
        ));
    }
    let gaps = line.not_checked.iter();
    says.extend(gaps.map(|own| sentence(&format!("not checked: {own}"))));
    if line.witness {
        says.push("A witness signs for it.".to_owned());
    }
    LineView {
        key: format!("m{number}"),
        name: line.name.clone(),
        text: line.text.clone(),
        when,
        tag: (tag.0.to_owned(), tag.1),
        says,
        witness: line.witness,
        form: None,
    }
}

/// What was sent of a line and kept from being recorded.
struct Kept {
    line: String,
    form: Form,
    problem: Vec<String>,
}

/// One patient of the round.
pub async fn stop(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let id = crate::edge::last(&params);
    let result = show_stop(&visit, id, None).await;
    visit.answer(result)
}

fn action(visit: &Visit, id: &LogicalId) -> String {
    visit.href(&format!("/medicines/round/{id}"))
}

async fn show_stop(visit: &Visit, id: &str, kept: Option<Kept>) -> Result<Response, AppError> {
    let id = patient_id(id)?;
    let caller = visit.about(&id);
    let stop = use_case::stop(visit.app(), &caller, &id).await?;
    let missing = || AppError::NotFound {
        what: "patient".to_owned(),
    };
    let mut view = stop_view(visit, &stop);
    for (line, shown) in stop.lines.iter().zip(&mut view.lines) {
        let kept = kept.as_ref().filter(|own| own.line == shown.key);
        shown.form = Some(form(line, &shown.key, kept));
    }
    let effects = stop
        .effects
        .iter()
        .enumerate()
        .map(|(number, own)| EffectView {
            text: format!(
                "{} for {}, given {}",
                own.name,
                own.needed_for,
                When::at(own.given, visit.zone()).text
            ),
            record: own.record.clone(),
            fields: effect_fields(number),
        });
    let status = if kept.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let page = StopPage {
        shell: visit.shell_about(&format!("Doses of {}", stop.name), &id),
        banner: banner(visit, &id).await.ok_or_else(missing)?,
        summary: visit.href(&format!("/patients/{id}")),
        back: visit.href("/medicines/round"),
        chart: visit.href(&format!("/patients/{id}/medicines/chart")),
        action: action(visit, &id),
        effects: effects.collect(),
        stop: view,
    };
    Ok(answer::page(status, &page))
}

fn effect_fields(number: usize) -> Vec<Field> {
    let choices = [
        ("helped", "It helped"),
        ("partly", "It helped in part"),
        ("not-at-all", "It did not help"),
        ("worse", "It made things worse"),
        ("not-known", "Nobody could tell"),
    ];
    let choices = choices.map(|(code, label)| Choice::new(code, label, false));
    vec![
        Field::radios(
            &format!("effect-e{number}"),
            "What came of it",
            choices.to_vec(),
        ),
        Field::text(&format!("note-e{number}"), "Note").optional(),
    ]
}

/// A form in the making.
struct Asked<'a> {
    key: &'a str,
    kept: Option<&'a Kept>,
}

impl Asked<'_> {
    fn name(&self, field: &str) -> String {
        format!("{field}-{}", self.key)
    }

    fn sent(&self, field: &str) -> String {
        let own = self.kept.map(|own| own.form.text(&self.name(field)));
        own.unwrap_or_default().to_owned()
    }

    fn outcome(&self) -> Field {
        let chosen = self.sent("outcome");
        let chosen = if chosen.is_empty() { "given" } else { &chosen };
        let choices = Outcome::ALL
            .iter()
            .map(|own| Choice::new(own.code(), own.meaning().display, own.code() == chosen));
        Field::select(
            &self.name("outcome"),
            "What became of it",
            choices.collect(),
        )
    }

    fn amount(&self, line: &Line) -> Field {
        let before = self.sent("dose");
        let choices = line.doses.iter().enumerate().map(|(number, own)| {
            let value = number.to_string();
            Choice::new(&value, &own.text, value == before)
        });
        Field::select(&self.name("dose"), "How much", choices.collect())
    }

    fn rights(&self) -> Field {
        let choices = Right::ALL.iter().map(|own| {
            let label = match own {
                Right::Resident => "The right person",
                Right::Medicine => "The right medicine",
                Right::Dose => "The right dose",
                Right::Route => "The right route",
                Right::Time => "The right time",
                Right::Decline => "They could decline",
            };
            let name = self.name("rights");
            let was = self
                .kept
                .is_some_and(|kept| kept.form.has(&name, own.code()));
            Choice::new(own.code(), label, was)
        });
        Field::checkboxes(&self.name("rights"), "I checked", choices.collect())
    }

    fn witness(&self) -> Vec<Field> {
        let name = Field::text(&self.name("witness"), "Witness: user name");
        let name = name.value(&self.sent("witness"));
        let hint = "They enter name and password themselves, here and now";
        let proof = Field::password(&self.name("proof"), "Witness: password", "off");
        let code = Field::code(&self.name("code"), "Witness: one-time code");
        let giver = Field::text(&self.name("giver"), "You: user name");
        let giver = giver
            .value(&self.sent("giver"))
            .hint("Where the drug has a register");
        let own = Field::password(&self.name("own"), "You: password", "off");
        let owncode = Field::code(&self.name("owncode"), "You: one-time code");
        vec![
            name.hint(hint).optional(),
            proof.optional(),
            code.optional(),
            giver.optional(),
            own.optional(),
            owncode.optional(),
        ]
    }

    fn words(&self, field: &str, label: &str, hint: &str) -> Field {
        let own = Field::text(&self.name(field), label).value(&self.sent(field));
        own.hint(hint).optional()
    }
}

/// The form of a line, with what was sent before.
fn form(line: &Line, key: &str, kept: Option<&Kept>) -> DoseForm {
    let asked = Asked { key, kept };
    let mut fields = vec![asked.outcome()];
    if line.doses.len() > 1 {
        fields.push(asked.amount(line));
    }
    let scan = "Scan the pack, or type what stands below its code";
    fields.push(asked.words("scan", "Pack", scan));
    fields.push(asked.rights());
    if line.needed {
        let known = line.expected.as_deref().unwrap_or_default();
        fields.push(asked.words("need", "What it is needed for", known));
    }
    let hint = "Where something speaks against it, or it was not given";
    fields.push(asked.words("reason", "Reason", hint));
    if line.witness {
        fields.extend(asked.witness());
    }
    let problem = kept.map(|own| ErrorSummary {
        errors: own
            .problem
            .iter()
            .map(|own| (String::new(), own.clone()))
            .collect(),
    });
    DoseForm {
        order: line.order.clone(),
        slot: line.slot.clone().unwrap_or_default(),
        fields,
        open: kept.is_some(),
        problem,
    }
}

/// Records a dose, or an effect.
pub async fn record(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let id = crate::edge::last(&params).to_owned();
    let result = match visit.form(&body) {
        Ok(form) => recorded(&visit, &id, form).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

async fn recorded(visit: &Visit, id: &str, form: Form) -> Result<Response, AppError> {
    let patient = patient_id(id)?;
    let caller = visit.about(&patient);
    let done = format!("{}?done=saved", action(visit, &patient));
    if !form.text("record").is_empty() {
        let dose = key(visit, "MedicationAdministration", form.text("record"))?;
        let Some(effect) = one_of(&form, "effect-").and_then(|own| use_case::effect(&own)) else {
            return Err(AppError::Unprocessable("say what came of it".to_owned()));
        };
        let new = NewEffect {
            effect,
            note: one_of(&form, "note-"),
            at: None,
        };
        use_case::record_effect(visit.app(), &caller, &dose, &new).await?;
        return Ok(redirect(&done));
    }
    let order = key(visit, "MedicationRequest", form.text("order"))?;
    let line = form.text("line").to_owned();
    let named = !form.text(&format!("witness-{line}")).is_empty();
    let problem = match dose(visit, &caller, &patient, &order, &form, &line).await {
        Ok(Ok(())) => return Ok(redirect(&done)),
        Ok(Err(problem)) => problem,
        Err(error @ (AppError::Unprocessable(_) | AppError::SignIn(_))) => {
            vec![sentence(&error.to_string())]
        }
        // Of the witness, where one is named: who gives may ask another.
        Err(error) if named && answer::status_of(&error) == StatusCode::FORBIDDEN => {
            vec![sentence(&error.to_string())]
        }
        Err(error) => return Err(error),
    };
    let kept = Kept {
        line,
        form,
        problem,
    };
    show_stop(visit, id, Some(kept)).await
}

/// The first field whose name begins so.
fn one_of(form: &Form, begin: &str) -> Option<String> {
    let own = (0..100).map(|number| form.text(&format!("{begin}e{number}")).to_owned());
    own.into_iter().find(|own| !own.is_empty())
}

/// Records a dose, or says what kept it.
async fn dose(
    visit: &Visit,
    caller: &app::Caller,
    patient: &LogicalId,
    order: &ResourceKey,
    form: &Form,
    line: &str,
) -> Result<Result<(), Vec<String>>, AppError> {
    let text = |name: &str| {
        let own = form.text(&format!("{name}-{line}")).to_owned();
        Some(own).filter(|own| !own.is_empty())
    };
    let Some(outcome) = text("outcome").and_then(|own| Outcome::of(&own)) else {
        return Ok(Err(vec!["Say what became of the dose.".to_owned()]));
    };
    let slot = Some(form.text("slot").to_owned()).filter(|own| !own.is_empty());
    let amount = match text("dose").and_then(|own| own.parse::<usize>().ok()) {
        Some(number) => amount(visit, caller, (patient, order), slot.as_deref(), number).await?,
        None => None,
    };
    let ticked = |right: &Right| form.has(&format!("rights-{line}"), right.code());
    let rights = Right::ALL.into_iter().filter(ticked).map(|right| Verified {
        right,
        how: How::Read,
        fits: true,
    });
    let signing = signing(form, line);
    let dose = Dose {
        outcome,
        dose: amount,
        reason: text("reason"),
        happened: None,
        slot,
        rights: rights.collect(),
        witness: None,
        need: text("need"),
        done: false,
        corrects: None,
        from: From::default(),
        signing,
        late: None,
        scan: text("scan"),
        offline: None,
    };
    Ok(kept_from(give(visit.app(), caller, order, &dose).await?))
}

/// Who entered name and password here and now: the witness, and for a register whoever gives it too.
fn signing(form: &Form, line: &str) -> Signing {
    let text = |name: &str| form.text(&format!("{name}-{line}")).to_owned();
    let proof = |name: &str, password: &str, code: &str| {
        let name = text(name);
        (!name.is_empty()).then(|| Proof {
            name,
            password: Zeroizing::new(form.exact(&format!("{password}-{line}")).to_owned()),
            code: Some(text(code)).filter(|own| !own.is_empty()),
        })
    };
    Signing {
        by: proof("giver", "own", "owncode"),
        witness: proof("witness", "proof", "code"),
    }
}

/// What kept a dose from being recorded.
fn kept_from(given: Given) -> Result<(), Vec<String>> {
    let (None, Some(decision)) = (given.stored, given.decision) else {
        return Ok(());
    };
    let weighty = decision.reasons.iter();
    let weighty = weighty.filter(|(verdict, _)| *verdict >= Verdict::Unknown);
    Err(weighty
        .map(|(_, why)| sentence(&reasons::words(why)))
        .collect())
}

/// The amount that was chosen of a line.
async fn amount(
    visit: &Visit,
    caller: &app::Caller,
    (patient, order): (&LogicalId, &ResourceKey),
    slot: Option<&str>,
    number: usize,
) -> Result<Option<medication::Quantity>, AppError> {
    let stop = use_case::stop(visit.app(), caller, patient).await?;
    let mut lines = stop.lines.iter();
    let line = lines.find(|own| own.order == order.id.as_str() && own.slot.as_deref() == slot);
    Ok(line.and_then(|own| own.doses.get(number).map(|own| own.dose.clone())))
}
