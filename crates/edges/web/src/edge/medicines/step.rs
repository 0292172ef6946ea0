//! A step with one order: stop, hold, resume, renew, and the second person's signature. Must not take a step
//! that the use-case refuses: its words stand above the form, with what was typed.

use app::medicines::countersign::countersign;
use app::medicines::issue::title;
use app::medicines::prescribe::{End, Prescribed};
use app::medicines::status::{Change, Changing, REASONS, change, renew};
use app::record::read;
use app::{AppError, Caller, ResourceKey};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use fhir::json::{Document, Limits};
use identity::{Class, Interaction};
use kernel::LogicalId;

use super::order::{Ordered, line};
use super::shown::{answers, ask, checks, overrides};
use crate::clinical::code::text;
use crate::clinical::{MedicationLine, NOT_RECORDED, date};
use crate::components::{Choice, ErrorSummary, Field, Notice, Tone};
use crate::edge::answer::{redirect, sentence, status_of};
use crate::edge::form::Form;
use crate::edge::summary::{banner_of, key, patient, patient_id};
use crate::edge::visit::Visit;
use crate::edge::{Web, answer, named, names};
use crate::pages::medicines::{Checks, StepPage};

pub(super) fn routes() -> Router<Web> {
    let address = "/patients/{id}/medicines/{order}/{step}";
    Router::new().route(address, get(form).post(submit))
}

/// The steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stop,
    Hold,
    Resume,
    Renew,
    Countersign,
}

impl Step {
    fn of(name: &str) -> Result<Self, AppError> {
        Ok(match name {
            "stop" => Self::Stop,
            "hold" => Self::Hold,
            "resume" => Self::Resume,
            "renew" => Self::Renew,
            "countersign" => Self::Countersign,
            _ => {
                return Err(AppError::NotFound {
                    what: "step".to_owned(),
                });
            }
        })
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Stop => "Stop a medicine",
            Self::Hold => "Hold a medicine",
            Self::Resume => "Resume a medicine",
            Self::Renew => "Renew a medicine",
            Self::Countersign => "Sign as the second person",
        }
    }

    const fn lead(self) -> &'static str {
        match self {
            Self::Stop => "From now on nothing of it is due. What was given stays on the record.",
            Self::Hold => {
                "Nothing of it is due while it is held. With a last day it goes on by itself on the day after."
            }
            Self::Resume => {
                "It is checked against the medicines of today before it is in force again."
            }
            Self::Renew => {
                "The same medicine and dose are prescribed anew from now on; the old order ends."
            }
            Self::Countersign => {
                "Something contraindicated was prescribed, with a reason. It is given only when a second person agrees and signs."
            }
        }
    }

    const fn button(self) -> &'static str {
        match self {
            Self::Stop => "Stop it",
            Self::Hold => "Hold it",
            Self::Resume => "Resume it",
            Self::Renew => "Renew it",
            Self::Countersign => "I agree: sign",
        }
    }
}

/// One request.
struct Asked<'a> {
    visit: &'a Visit,
    caller: Caller,
    patient: LogicalId,
    order: ResourceKey,
    step: Step,
}

impl<'a> Asked<'a> {
    fn of(visit: &'a Visit, params: &[(String, String)]) -> Result<Self, AppError> {
        let patient = patient_id(named(params, "id"))?;
        Ok(Self {
            visit,
            caller: visit.about(&patient),
            order: key(visit, "MedicationRequest", named(params, "order"))?,
            step: Step::of(named(params, "step"))?,
            patient,
        })
    }

    fn list(&self) -> String {
        self.visit
            .href(&format!("/patients/{}/medicines", self.patient))
    }
}

async fn form(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match Asked::of(&visit, &params) {
        Ok(asked) => asked.page(&Form::default(), None, None).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

async fn submit(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = match Asked::of(&visit, &params) {
        Ok(asked) => asked.take(&body).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

fn missing() -> AppError {
    AppError::NotFound {
        what: "order".to_owned(),
    }
}

fn hold_until(visit: &Visit, form: &Form) -> Result<Option<kernel::Timestamp>, AppError> {
    let typed = form.text("until");
    if typed.is_empty() {
        return Ok(None);
    }
    // The day counts whole.
    let after = date::typed(typed).and_then(|day| day.tomorrow().ok());
    let at = after.and_then(|day| visit.zone().start_of(day));
    at.map(Some).ok_or_else(|| {
        AppError::Unprocessable(
            "the last day of the hold is no date: write it with the month in letters, as 05-Mar-2026"
                .to_owned(),
        )
    })
}

pub(super) fn review_day(form: &Form) -> Result<Option<jiff::civil::Date>, AppError> {
    let typed = form.text("review");
    if typed.is_empty() {
        return Ok(None);
    }
    date::typed(typed).map(Some).ok_or_else(|| {
        AppError::Unprocessable(
            "the day of review is no date: write it with the month in letters, as 05-Mar-2026"
                .to_owned(),
        )
    })
}

impl Asked<'_> {
    async fn take(&self, body: &str) -> Result<Response, AppError> {
        let form = self.visit.form(body)?;
        let done = match self.step {
            Step::Stop => self.changed(&form, Change::Stop, "stopped").await,
            Step::Resume => self.changed(&form, Change::Resume, "resumed").await,
            Step::Hold => match hold_until(self.visit, &form) {
                Ok(until) => self.changed(&form, Change::Hold(until), "held").await,
                Err(error) => Err(error),
            },
            Step::Countersign => countersign(self.visit.app(), &self.caller, &self.order)
                .await
                .map(|_| "signed"),
            Step::Renew => return self.renewed(&form).await,
        };
        match done {
            Ok(word) => Ok(redirect(&format!("{}?done={word}", self.list()))),
            Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
                self.page(&form, Some(&error), None).await
            }
            Err(error) => Err(error),
        }
    }

    async fn changed(
        &self,
        form: &Form,
        wanted: Change,
        done: &'static str,
    ) -> Result<&'static str, AppError> {
        let given = |name: &str| Some(form.text(name).to_owned()).filter(|text| !text.is_empty());
        let changing = Changing {
            change: wanted,
            code: given("reason"),
            text: given("words"),
            version: form.text("version").parse().ok(),
        };
        change(self.visit.app(), &self.caller, &self.order, &changing).await?;
        Ok(done)
    }

    async fn renewed(&self, form: &Form) -> Result<Response, AppError> {
        let given = answers(form);
        let review = match review_day(form) {
            Ok(review) => review,
            Err(error) => return self.page(form, Some(&error), None).await,
        };
        let wanted = (overrides(&given), review);
        match renew(self.visit.app(), &self.caller, &self.order, wanted).await {
            Ok(Prescribed {
                end: End::Stored { waits, .. },
                ..
            }) => {
                let word = if waits { "waits" } else { "renewed" };
                Ok(redirect(&format!("{}?done={word}", self.list())))
            }
            Ok(Prescribed {
                checked,
                end: End::Held(held),
            }) => {
                let names: Vec<String> = held
                    .iter()
                    .filter_map(|(at, _)| Some(title(&checked, checked.alerts.get(*at)?)))
                    .collect();
                let shown = with_answers(self.visit, (&checked, &held), &given, true);
                let error = AppError::Unprocessable(format!(
                    "the order was not stored: {} wants an answer",
                    names.join("; ")
                ));
                self.page(form, Some(&error), Some(shown)).await
            }
            Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
                self.page(form, Some(&error), None).await
            }
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        form: &Form,
        problem: Option<&AppError>,
        shown: Option<Checks>,
    ) -> Result<Response, AppError> {
        let visit = self.visit;
        let person = patient(visit, &self.caller, &self.patient).await?;
        let (document, version) = self.order().await?;
        let order = document.root();
        let own = Ordered::of(order, visit.zone(), visit.app().now());
        let line: MedicationLine =
            line(order, visit.zone(), String::new(), &own).ok_or_else(missing)?;
        let mut by = own.by.clone();
        names::of_texts(visit, &self.caller, vec![&mut by]).await;
        let written = own.written.as_ref().map(|when| when.text.clone());
        let written = written.unwrap_or_else(|| NOT_RECORDED.to_owned());
        let asks = matches!(self.step, Step::Countersign | Step::Renew | Step::Resume);
        let checks = match shown {
            None if asks => Some(self.checked(order).await?),
            shown => shown,
        };
        let may = visit.may(Interaction::Update, Class::Prescriptions);
        let shell = visit.shell_about(self.step.title(), &self.patient);
        let page = StepPage {
            action: if may {
                shell.here.clone()
            } else {
                String::new()
            },
            shell,
            banner: banner_of(visit, &self.caller, &person).await,
            patient: visit.href(&format!("/patients/{}", self.patient)),
            back: (self.list(), "Back to the medicines".to_owned()),
            lead: self.step.lead().to_owned(),
            line,
            facts: vec![
                ("Prescribed by".to_owned(), by),
                ("Written".to_owned(), written),
            ],
            problem: problem.map(|error| ErrorSummary::whole(&sentence(&error.public_text()))),
            checks,
            hidden: vec![("version".to_owned(), version.to_string())],
            fields: fields(self.step, form),
            button: self.step.button().to_owned(),
            danger: self.step == Step::Stop,
            barred: (!may).then(|| {
                Notice::new(
                    Tone::Info,
                    "You may look, not change",
                    "Prescriptions are changed by those who may prescribe.",
                )
            }),
            tables: Vec::new(),
        };
        Ok(answer::page(
            problem.map_or(StatusCode::OK, status_of),
            &page,
        ))
    }

    /// The order, where it is this patient's, and its version.
    async fn order(&self) -> Result<(Document, u32), AppError> {
        let version = read::read(self.visit.app(), &self.caller, &self.order).await?;
        let body = version.body.clone().unwrap_or_default();
        let document = Document::parse(body.to_vec(), &Limits::default())?;
        let subject = document.root().get("subject");
        let whose = subject.and_then(|own| text(own, "reference"));
        if whose != Some(format!("Patient/{}", self.patient)) {
            return Err(missing());
        }
        Ok((document, version.version.0))
    }

    /// What the checks say of the order as it stands now.
    async fn checked(&self, order: fhir::json::Value<'_>) -> Result<Checks, AppError> {
        let subject = key(self.visit, "Patient", self.patient.as_str())?;
        let app = self.visit.app();
        let found = app::medicines::check::of_order(app, &self.caller, &subject, order).await?;
        Ok(checks(self.visit, &found.0, &found.1))
    }
}

/// The alerts of an order that is held, with fields for those that want an answer; `judged` where it was sent
/// to be stored, so that what is missing is an error.
pub(super) fn with_answers(
    visit: &Visit,
    (checked, held): (&app::medicines::check::CheckAnswer, &[(usize, String)]),
    given: &[(String, String, String)],
    judged: bool,
) -> Checks {
    let mut shown = checks(visit, checked, &[]);
    let open = |at: usize| held.iter().find(|(own, _)| *own == at);
    for (at, view) in shown.alerts.iter_mut().enumerate() {
        let answered = given.iter().any(|(own, reason, _)| {
            let shown = checked.alerts.get(at);
            !reason.is_empty() && shown.is_some_and(|shown| shown.fingerprint.0 == *own)
        });
        if view.interrupts && open(at).is_none() && !answered {
            "Answered when it was shown before".clone_into(&mut view.state);
        }
    }
    ask(
        &mut shown,
        checked,
        &|fingerprint| {
            let mut own = given.iter();
            let own = own.find(|(known, ..)| known == fingerprint);
            own.map(|(_, reason, text)| (reason.clone(), text.clone()))
                .unwrap_or_default()
        },
        &|at| {
            if !judged {
                return None;
            }
            // What was not asked before is no error yet.
            let (_, why) = open(at)?;
            let asked = checked
                .alerts
                .get(at)
                .is_some_and(|shown| given.iter().any(|(own, ..)| *own == shown.fingerprint.0));
            asked.then(|| why.clone())
        },
    );
    shown
}

fn fields(step: Step, form: &Form) -> Vec<Field> {
    let words = || {
        let field = Field::text("words", "In words").value(form.text("words"));
        field
            .optional()
            .hint("Needed where no reason of the list fits")
    };
    let reason = || {
        let chosen = form.text("reason");
        let mut choices = vec![Choice::new("", "Choose a reason", chosen.is_empty())];
        let known = REASONS.iter();
        choices.extend(known.map(|(code, words)| Choice::new(code, words, *code == chosen)));
        Field::select("reason", "Reason", choices)
    };
    match step {
        Step::Stop => vec![reason(), words()],
        Step::Hold => vec![
            reason(),
            words(),
            Field::date("until", "Last day of the hold").value(form.text("until")),
        ],
        Step::Resume => vec![Field::text("words", "Why it goes on").value(form.text("words"))],
        Step::Renew => {
            vec![Field::date("review", "To be reviewed by").value(form.text("review"))]
        }
        Step::Countersign => Vec::new(),
    }
}
