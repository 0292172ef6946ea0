//! The round and one patient of it: what is due, and recording what became of a dose. Works without
//! scripts. Must not decide: `$give`'s use-case does, and its reasons are shown as they are.

use app::AppError;
use app::medicines::give::{Dose, Given, give};
use app::medicines::reasons;
use app::medicines::register::Signing;
use app::medicines::rounds::{
    self as use_case, AllergyWords, EffectDue, Line, NewEffect, RoundRequest, Stop,
};
use app::medicines::stock::From;
use app::sign_in::confirm::Proof;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::LogicalId;
use medication::administration::{How, Outcome, Right, Verified};
use medication::limits::{Next, Verdict};
use medication::rounds::Turn;
use zeroize::Zeroizing;

use super::card::allergy_words;
use super::choices::is_of_form;
use crate::clinical::quantity::{dose_number, with_unit};
use crate::clinical::{AllergyStatus, When, date};
use crate::components::{Choice, ErrorSummary, Field};
use crate::edge::answer::{self, redirect, sentence};
use crate::edge::form::Form;
use crate::edge::summary::{banner, key, patient_id};
use crate::edge::visit::{Visit, once};
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
    let (stops, needed): (Vec<_>, Vec<_>) = stops.partition(|own| own.waits);
    let today = date::long_date(visit.zone().date_at(round.now));
    let page = RoundPage {
        now: format!("{today}, {}", time(visit, round.now)),
        fields: vec![
            Field::select("location", "Place", places),
            Field::select("ahead", "Doses that are due", times.collect()),
        ],
        stops,
        needed,
        device: super::device::address(visit, &asked),
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

/// Allergies in one of the titles that every page has.
fn allergies(own: &AllergyWords) -> (String, bool) {
    match (own.asked, own.names.is_empty()) {
        (_, false) => (format!("Known allergies: {}", own.names.join(", ")), true),
        (true, true) => ("No known allergies".to_owned(), false),
        (false, true) => ("Allergies not recorded".to_owned(), true),
    }
}

/// An amount as pages write it.
fn amount(own: &medication::Quantity) -> String {
    let number = dose_number(&own.value.to_string());
    let unit = own.unit.said(number == "1");
    with_unit(&number, &unit)
}

/// A line's name in a page: of its order and its due dose, so that it is the same when others come or go.
fn key_of(line: &Line) -> String {
    let when = match (&line.due, line.turn) {
        (Some(due), _) => format!("{}-{}", due.key.at.as_micros(), due.key.nth),
        (None, Turn::Unplaced) => "unplaced".to_owned(),
        (None, _) => "needed".to_owned(),
    };
    let own = format!("m-{}-{}-{when}", line.order, line.dosage);
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    own.chars().map(plain).collect()
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
        waits: !stop.effects.is_empty()
            || !stop.unreadable.is_empty()
            || stop.lines.iter().any(|own| own.turn != Turn::AsNeeded),
        lines: stop
            .lines
            .iter()
            .map(|line| line_view(visit, line))
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

fn line_view(visit: &Visit, line: &Line) -> LineView {
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
        key: key_of(line),
        name: line.name.clone(),
        dose: Some(line.doses.iter().map(|own| amount(&own.dose)))
            .map(|own| own.collect::<Vec<_>>().join(" to "))
            .filter(|own| !own.is_empty()),
        text: line.text.clone(),
        when,
        tag: (tag.0.to_owned(), tag.1),
        says,
        witness: line.witness,
        form: None,
    }
}

/// What was sent and kept from being recorded.
struct Kept {
    form: Form,
    problem: Vec<String>,
}

impl Kept {
    /// Whether it is of a line: of that order, that dosage and that due dose, wherever it stands now.
    fn is_of(&self, line: &Line) -> bool {
        let slot = line.slot.as_deref().unwrap_or_default();
        self.form.text("order") == line.order
            && self.form.text("slot") == slot
            && self.form.text("dosage") == line.dosage.to_string()
    }

    /// What to say above the form.
    fn summary(&self) -> ErrorSummary {
        let errors = self.problem.iter();
        ErrorSummary {
            errors: errors.map(|own| (String::new(), own.clone())).collect(),
        }
    }
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
    let known = crate::edge::summary::allergies(visit, &caller, id.as_str()).await;
    let known = known.unwrap_or(AllergyStatus::Unavailable);
    view.allergies = (
        allergy_words(Some(&known)),
        !matches!(known, AllergyStatus::NoneKnown { .. }),
    );
    let mut shown_again = false;
    for (line, shown) in stop.lines.iter().zip(&mut view.lines) {
        let kept = kept.as_ref().filter(|own| own.is_of(line));
        shown_again |= kept.is_some();
        shown.form = Some(form(visit, line, &shown.key, kept));
    }
    let effects: Vec<EffectView> = stop
        .effects
        .iter()
        .map(|own| {
            let kept = kept.as_ref();
            let kept = kept.filter(|kept| kept.form.text("record") == own.record);
            shown_again |= kept.is_some();
            effect_view(visit, own, kept)
        })
        .collect();
    let gone = kept.as_ref().filter(|_| !shown_again).map(gone);
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
        effects,
        problem: gone,
        stop: view,
    };
    Ok(answer::page(status, &page))
}

/// What to say where the dose that was sent is not on the list any more.
fn gone(kept: &Kept) -> ErrorSummary {
    let mut own = kept.summary();
    let text = "The dose that you sent is not on this list any more, and nothing was stored: look at the chart.";
    own.errors.push((String::new(), text.to_owned()));
    let line = kept.form.text("line");
    let reason = kept.form.text(&format!("reason-{line}"));
    if !reason.is_empty() {
        let text = format!("You wrote: {reason}");
        own.errors.push((String::new(), text));
    }
    own
}

fn effect_view(visit: &Visit, own: &EffectDue, kept: Option<&Kept>) -> EffectView {
    EffectView {
        text: format!(
            "{} for {}, given {}",
            own.name,
            own.needed_for,
            When::at(own.given, visit.zone()).text
        ),
        record: own.record.clone(),
        fields: effect_fields(&own.record, kept),
        problem: kept.map(Kept::summary),
    }
}

fn effect_fields(record: &str, kept: Option<&Kept>) -> Vec<Field> {
    let (effect, note) = (format!("effect-{record}"), format!("note-{record}"));
    let sent = |name: &str| kept.map_or("", |own| own.form.text(name)).to_owned();
    let chosen = sent(&effect);
    let choices = [
        ("helped", "It helped"),
        ("partly", "It helped in part"),
        ("not-at-all", "It did not help"),
        ("worse", "It made things worse"),
        ("not-known", "Nobody could tell"),
    ];
    let choices = choices.map(|(code, label)| Choice::new(code, label, code == chosen));
    let text = Field::text(&note, "Note").value(&sent(&note));
    vec![
        Field::radios(&effect, "What came of it", choices.to_vec()),
        text.optional(),
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
        // Nothing is chosen beforehand: a form that is sent by mistake records nothing.
        let chosen = self.sent("outcome");
        let mut choices = vec![Choice::new("", "Choose", chosen.is_empty())];
        let all = Outcome::ALL.iter();
        choices.extend(
            all.map(|own| Choice::new(own.code(), own.meaning().display, own.code() == chosen)),
        );
        Field::select(&self.name("outcome"), "What became of it", choices)
    }

    fn amount(&self, line: &Line) -> Field {
        let before = self.sent("dose");
        let mut choices = vec![Choice::new("", "Choose", before.is_empty())];
        choices.extend(line.doses.iter().map(|own| {
            let value = sent_amount(&own.dose);
            Choice::new(&value, &amount(&own.dose), value == before)
        }));
        Field::select(&self.name("dose"), "How much", choices)
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

/// An amount as a form sends it: itself, so that it is never another one because the order changed.
fn sent_amount(own: &medication::Quantity) -> String {
    serde_json::to_string(own).unwrap_or_default()
}

/// The form of a line, with what was sent before.
fn form(visit: &Visit, line: &Line, key: &str, kept: Option<&Kept>) -> DoseForm {
    let asked = Asked { key, kept };
    let once = match kept.map_or("", |own| own.form.text("key")) {
        "" => visit.app().ids().uuid().to_string(),
        sent => sent.to_owned(),
    };
    let mut hidden = vec![
        ("order".to_owned(), line.order.clone()),
        ("slot".to_owned(), line.slot.clone().unwrap_or_default()),
        ("dosage".to_owned(), line.dosage.to_string()),
        ("line".to_owned(), key.to_owned()),
        ("key".to_owned(), once),
    ];
    let mut fields = vec![asked.outcome()];
    match line.doses.as_slice() {
        [] => {}
        [one] => hidden.push((asked.name("dose"), sent_amount(&one.dose))),
        _ => fields.push(asked.amount(line)),
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
    DoseForm {
        hidden,
        fields,
        open: kept.is_some(),
        problem: kept.map(Kept::summary),
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
    let named = !form
        .text(&format!("witness-{}", form.text("line")))
        .is_empty();
    let done = if form.text("record").is_empty() {
        dose(visit, &caller, &patient, &form).await
    } else {
        effect(visit, &caller, &form).await
    };
    let problem = match done {
        Ok(Ok(())) => {
            let done = format!("{}?done=saved", action(visit, &patient));
            return Ok(redirect(&done));
        }
        Ok(Err(problem)) => problem,
        // Of the witness, where one is named: who gives may ask another.
        Err(error)
            if is_of_form(&error)
                || matches!(error, AppError::Invalid(_) | AppError::SignIn(_))
                || (named && answer::status_of(&error) == StatusCode::FORBIDDEN) =>
        {
            vec![sentence(&error.public_text())]
        }
        Err(error) => return Err(error),
    };
    show_stop(visit, id, Some(Kept { form, problem })).await
}

/// What was done, or what kept it from being recorded.
type Done = Result<(), Vec<String>>;

/// Records an effect, or says what kept it.
async fn effect(visit: &Visit, caller: &app::Caller, form: &Form) -> Result<Done, AppError> {
    let record = form.text("record");
    let dose = key(visit, "MedicationAdministration", record)?;
    let chosen = use_case::effect(form.text(&format!("effect-{record}")));
    let Some(effect) = chosen else {
        return Ok(Err(vec!["Say what came of it.".to_owned()]));
    };
    let note = form.text(&format!("note-{record}")).to_owned();
    let new = NewEffect {
        effect,
        note: Some(note).filter(|own| !own.is_empty()),
        at: None,
    };
    use_case::record_effect(visit.app(), caller, &dose, &new).await?;
    Ok(Ok(()))
}

/// Records a dose, or says what kept it.
async fn dose(
    visit: &Visit,
    caller: &app::Caller,
    patient: &LogicalId,
    form: &Form,
) -> Result<Done, AppError> {
    let order = key(visit, "MedicationRequest", form.text("order"))?;
    let line = form.text("line");
    let text = |name: &str| {
        let own = form.text(&format!("{name}-{line}")).to_owned();
        Some(own).filter(|own| !own.is_empty())
    };
    let Some(outcome) = text("outcome").and_then(|own| Outcome::of(&own)) else {
        return Ok(Err(vec!["Say what became of the dose.".to_owned()]));
    };
    let slot = Some(form.text("slot").to_owned()).filter(|own| !own.is_empty());
    let much = match text("dose").map(|own| serde_json::from_str(&own)) {
        Some(Ok(much)) => Some(much),
        Some(Err(_)) => return Ok(Err(vec!["Choose how much was given.".to_owned()])),
        None => None,
    };
    let dosage = form.text("dosage").parse().ok();
    if outcome.is_taken()
        && let Some(problem) = changed(visit, caller, (patient, form), much.as_ref()).await?
    {
        return Ok(Err(vec![problem.to_owned()]));
    }
    let ticked = |right: &Right| form.has(&format!("rights-{line}"), right.code());
    let rights = Right::ALL.into_iter().filter(ticked).map(|right| Verified {
        right,
        how: How::Read,
        fits: true,
    });
    let dose = Dose {
        outcome,
        dose: much,
        dosage: if slot.is_some() { None } else { dosage },
        reason: text("reason"),
        happened: None,
        slot,
        rights: rights.collect(),
        witness: None,
        need: text("need"),
        done: false,
        corrects: None,
        from: From::default(),
        signing: signing(form, line),
        late: None,
        scan: text("scan"),
        offline: None,
    };
    let caller = once(caller, form.text("key"));
    Ok(kept_from(give(visit.app(), &caller, &order, &dose).await?))
}

/// What the order has become since the form was shown, where its amounts are others now. What is on no list
/// any more is the use-case's to judge: it may be the same form a second time.
async fn changed(
    visit: &Visit,
    caller: &app::Caller,
    (patient, form): (&LogicalId, &Form),
    much: Option<&medication::Quantity>,
) -> Result<Option<&'static str>, AppError> {
    let stop = use_case::stop(visit.app(), caller, patient).await?;
    let sent = Kept {
        form: form.clone(),
        problem: Vec::new(),
    };
    let Some(line) = stop.lines.iter().find(|line| sent.is_of(line)) else {
        return Ok(None);
    };
    Ok(match (much, line.doses.as_slice()) {
        (None, []) => None,
        (None, _) => Some("Choose how much was given."),
        (Some(much), own) if own.iter().any(|own| own.dose == *much) => None,
        (Some(_), _) => {
            Some("The order was changed since this page was shown: look at the amount again.")
        }
    })
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
