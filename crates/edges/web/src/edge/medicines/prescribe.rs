//! Prescribing: find the product, write the order, see its line and its checks, then prescribe. Works with
//! links and buttons alone; the script only asks for the preview more often. Must not prescribe what was not
//! shown: the form carries a mark of what the checks said.

use core::hash::{Hash as _, Hasher as _};
use std::hash::DefaultHasher;

use app::cds_hooks::external::{Advice as Advised, advise};
use app::medicines::again::{Retyped, again};
use app::medicines::check::{CheckAnswer, check};
use app::medicines::prescribe::{End, Prescription, prescribe};
use app::medicines::products::{self, Offered};
use app::medicines::typed::{Order, Typed};
use app::{AppError, Caller};
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use fhir::json::{Document, Limits};
use identity::{Class, Interaction};
use kernel::LogicalId;
use medication::dosage::entered::Wrong;
use medication::knowledge::Tier;

use super::builder::{Filled, typed};
use super::shown::{answers, overrides};
use super::step::with_answers;
use crate::clinical::{AllergyStatus, MedicationLine};
use crate::components::{Cell, ErrorSummary, Field, Notice, Piece, Table, Tone};
use crate::edge::answer::{redirect, sentence, status_of};
use crate::edge::form::Form;
use crate::edge::summary::{allergies, banner_of, key, patient, patient_id};
use crate::edge::visit::{Visit, once};
use crate::edge::{Web, answer, named};
use crate::pages::medicines::prescribe::{Advice, AdviceCard, FindPage, PrescribePage, Preview};

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/patients/{id}/medicines/new", get(open).post(submit))
        .route("/patients/{id}/medicines/new/preview", post(fragment))
}

/// One request.
struct Asked<'a> {
    visit: &'a Visit,
    caller: Caller,
    patient: LogicalId,
}

async fn open(visit: Visit, Path(params): Path<Vec<(String, String)>>) -> Response {
    let result = match Asked::of(&visit, &params) {
        Ok(asked) if asked.chooses() => asked.find().await,
        Ok(asked) => asked.first().await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

async fn submit(visit: Visit, Path(params): Path<Vec<(String, String)>>, body: String) -> Response {
    let result = match Asked::of(&visit, &params) {
        Ok(asked) => asked.submitted(&body).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

async fn fragment(
    visit: Visit,
    Path(params): Path<Vec<(String, String)>>,
    body: String,
) -> Response {
    let result = match Asked::of(&visit, &params) {
        Ok(asked) => asked.previewed(&body).await,
        Err(error) => Err(error),
    };
    visit.answer(result)
}

/// A mark of an order with what the checks said of it.
fn mark(order: &Order, answer: &CheckAnswer) -> String {
    let mut hash = DefaultHasher::new();
    order.resource.to_string().hash(&mut hash);
    let mut alerts: Vec<&str> = answer
        .alerts
        .iter()
        .map(|shown| shown.fingerprint.0.as_str())
        .collect();
    alerts.sort_unstable();
    alerts.hash(&mut hash);
    answer.not_checked.len().hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// The preview of what is not complete.
fn incomplete(wrong: &[Wrong]) -> Preview {
    Preview {
        wrong: wrongs(wrong),
        not_checked: Some(Notice::new(
            Tone::Warn,
            "Not checked",
            "The order is not complete, so nothing was checked.",
        )),
        ..Preview::default()
    }
}

/// What is missing, with the field it stands in.
fn wrongs(found: &[Wrong]) -> Vec<(String, String)> {
    found
        .iter()
        .map(|one| {
            let group = ["days-", "moments-"]
                .iter()
                .any(|own| one.field.starts_with(own));
            let id = if group {
                format!("{}-0", one.field)
            } else {
                one.field.clone()
            };
            (id, sentence(&one.text))
        })
        .collect()
}

impl<'a> Asked<'a> {
    fn of(visit: &'a Visit, params: &[(String, String)]) -> Result<Self, AppError> {
        let patient = patient_id(named(params, "id"))?;
        if !visit.may(Interaction::Create, Class::Prescriptions) {
            return Err(AppError::NotFound {
                what: "page".to_owned(),
            });
        }
        Ok(Self {
            visit,
            caller: visit.about(&patient),
            patient,
        })
    }

    /// Whether a product is to be chosen first: a change begins with the one that is ordered.
    fn chooses(&self) -> bool {
        let query = &self.visit.query;
        let changes = !query.text("replaces").is_empty() && query.text("other").is_empty();
        query.text("medicine").is_empty() && !changes
    }

    /// The order that is replaced, as it would be typed; none where there is none of that name any more.
    async fn replaced(&self, id: &str) -> Result<Option<Retyped>, AppError> {
        if id.is_empty() {
            return Ok(None);
        }
        let order = key(self.visit, "MedicationRequest", id)?;
        let patient = self.subject()?;
        let today = self.visit.zone().date_at(self.visit.app().now());
        let own = again(self.visit.app(), &self.caller, (&order, &patient), today).await?;
        Ok(Some(own))
    }

    fn list(&self) -> String {
        self.visit
            .href(&format!("/patients/{}/medicines", self.patient))
    }

    fn subject(&self) -> Result<app::ResourceKey, AppError> {
        key(self.visit, "Patient", self.patient.as_str())
    }

    async fn allergies(&self) -> AllergyStatus {
        let found = allergies(self.visit, &self.caller, self.patient.as_str()).await;
        found.unwrap_or(AllergyStatus::Unavailable)
    }

    fn allergies_href(&self) -> String {
        let below = format!("/records/AllergyIntolerance?patient={}", self.patient);
        self.visit.href(&below)
    }

    async fn find(&self) -> Result<Response, AppError> {
        let visit = self.visit;
        let person = patient(visit, &self.caller, &self.patient).await?;
        let wanted = visit.query.text("q");
        let replaces = visit.query.text("replaces");
        let here = format!("{}/new", self.list());
        let href = |name: &str| {
            let kept = (!replaces.is_empty()).then_some(("replaces", replaces));
            let pairs = [("medicine", name)].into_iter().chain(kept);
            format!("{here}?{}", app::record::query_string::print(pairs))
        };
        let found = if wanted.is_empty() {
            None
        } else {
            Some(products::find(visit.app(), &self.caller, wanted).await?)
        };
        let page = FindPage {
            shell: visit.shell_about("Prescribe a medicine", &self.patient),
            banner: banner_of(visit, &self.caller, &person).await,
            patient: visit.href(&format!("/patients/{}", self.patient)),
            back: (self.list(), "Back to the medicines".to_owned()),
            allergies: self.allergies().await,
            allergies_href: self.allergies_href(),
            action: here.clone(),
            hidden: [("replaces", replaces), ("other", "yes")]
                .into_iter()
                .filter(|_| !replaces.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            fields: vec![
                Field::search("q", "Name of the medicine")
                    .value(wanted)
                    .hint("Generic name, brand or a part of it, with the strength if you like"),
            ],
            typed: found.as_ref().map(|_| {
                let words = format!(
                    "Prescribe “{wanted}” as typed: no list has it, so it may not be checked"
                );
                (href(wanted), words)
            }),
            found: found.map(|found| offered(&found, &href)),
        };
        Ok(answer::page(StatusCode::OK, &page))
    }

    async fn first(&self) -> Result<Response, AppError> {
        let query = &self.visit.query;
        let replaced = self.replaced(query.text("replaces")).await?;
        let asked = query.text("medicine");
        // Another product begins empty: its strength may be another.
        let same = replaced.filter(|own| asked.is_empty() || own.typed.medicine == asked);
        let name = same.as_ref().map_or(asked, |own| &own.typed.medicine);
        let product = products::named(self.visit.app(), &self.caller, name).await?;
        let mut filled = match &same {
            Some(own) => Filled::again(&own.typed),
            None => Filled::of(name, product.as_ref()),
        };
        query.text("replaces").clone_into(&mut filled.replaces);
        filled.key = self.visit.app().ids().uuid().to_string();
        if same.is_some() {
            let (preview, _) = self.preview(&Form::default(), &typed(&filled)).await?;
            return self.page((&filled, product), None, preview).await;
        }
        let nothing = Preview {
            not_checked: Some(Notice::new(
                Tone::Info,
                "Not checked yet",
                "State dose, unit and times: then the line and the checks stand here.",
            )),
            ..Preview::default()
        };
        self.page((&filled, product), None, nothing).await
    }

    async fn previewed(&self, body: &str) -> Result<Response, AppError> {
        let form = self.visit.form(body)?;
        let filled = Filled::from(&form);
        let preview = self.preview(&form, &typed(&filled)).await?;
        Ok(answer::page(StatusCode::OK, &preview.0))
    }

    /// The preview of what is typed, and the order where it is one.
    async fn preview(
        &self,
        form: &Form,
        typed: &Result<Typed, Vec<Wrong>>,
    ) -> Result<(Preview, Option<(Order, CheckAnswer)>), AppError> {
        let order = match typed {
            Ok(typed) => typed.order(&self.subject()?),
            Err(wrong) => Err(wrong.clone()),
        };
        let mut preview = Preview::default();
        let order = match order {
            Ok(order) => order,
            Err(wrong) => {
                return Ok((incomplete(&wrong), None));
            }
        };
        let text = order.resource.to_string().into_bytes();
        let document = Document::parse(text, &Limits::default())?;
        preview.line = MedicationLine::of(document.root(), self.visit.zone(), String::new());
        preview.words.clone_from(&order.words);
        preview.unsaid = order.unsaid.iter().map(|what| (*what).to_owned()).collect();
        let checked = check(
            self.visit.app(),
            &self.caller,
            &self.subject()?,
            &[document.root()],
        )
        .await;
        let checked = match checked {
            Ok(checked) => checked,
            Err(error @ (AppError::Denied { .. } | AppError::NotFound { .. })) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(%error, "an order could not be checked");
                preview.not_checked = Some(Notice::new(
                    Tone::Bad,
                    "Not checked",
                    &sentence(&error.public_text()),
                ));
                return Ok((preview, None));
            }
        };
        self.shown(&mut preview, form, &checked);
        let subject = self.subject()?;
        let advice = advise(self.visit.app(), &self.caller, &subject, &order.resource).await?;
        preview.advice = advice.into_iter().map(advised).collect();
        preview.seen = mark(&order, &checked);
        Ok((preview, Some((order, checked))))
    }

    /// The alerts in a preview, each with the answer that was chosen.
    fn shown(&self, preview: &mut Preview, form: &Form, checked: &CheckAnswer) {
        let alerts = checked.alerts.iter().enumerate();
        let held: Vec<(usize, String)> = alerts
            .filter(|(_, shown)| shown.alert.tier.interrupts())
            .map(|(at, _)| (at, String::new()))
            .collect();
        let shown = with_answers(self.visit, (checked, &held), &answers(form), false);
        preview.checks = Some(shown);
        let loudest = checked.alerts.iter().map(|shown| shown.alert.tier).max();
        preview.second = loudest == Some(Tier::Contraindicated);
    }

    async fn submitted(&self, body: &str) -> Result<Response, AppError> {
        let form = self.visit.form(body)?;
        let mut filled = Filled::from(&form);
        let product = products::named(self.visit.app(), &self.caller, &filled.medicine).await?;
        match form.text("do") {
            "add" => filled.add(),
            "less" => filled.less(),
            _ => {}
        }
        let steps_changed = matches!(form.text("do"), "add" | "less");
        let wanted = typed(&filled);
        let (preview, order) = self.preview(&form, &wanted).await?;
        if form.text("do") != "prescribe" {
            let problem = (!steps_changed && !preview.wrong.is_empty()).then(|| ErrorSummary {
                errors: preview.wrong.clone(),
            });
            return self.page((&filled, product), problem, preview).await;
        }
        let Some((order, _)) = order else {
            let problem = if preview.wrong.is_empty() {
                ErrorSummary::whole("The order was not stored: it could not be checked.")
            } else {
                ErrorSummary {
                    errors: preview.wrong.clone(),
                }
            };
            return self.page((&filled, product), Some(problem), preview).await;
        };
        if form.text("seen") != preview.seen {
            let words = "The order was not stored yet. Read what will be prescribed and what the checks say below, then press Prescribe.";
            let problem = Some(ErrorSummary::whole(words));
            return self.page((&filled, product), problem, preview).await;
        }
        self.prescribed(&form, (&filled, product), (&order, preview))
            .await
    }

    async fn prescribed(
        &self,
        form: &Form,
        (filled, product): (&Filled, Option<Offered>),
        (order, mut preview): (&Order, Preview),
    ) -> Result<Response, AppError> {
        let given = answers(form);
        let text = order.resource.to_string().into_bytes();
        let document = Document::parse(text, &Limits::default())?;
        let request = Prescription {
            order: document.root(),
            overrides: overrides(&given),
        };
        let caller = once(&self.caller, &filled.key);
        match prescribe(self.visit.app(), &caller, &request).await {
            Ok(done) => match done.end {
                End::Stored { waits, .. } => {
                    let word = if waits { "waits" } else { "prescribed" };
                    Ok(redirect(&format!("{}?done={word}", self.list())))
                }
                End::Held(held) => {
                    let shown = with_answers(self.visit, (&done.checked, &held), &given, true);
                    preview.checks = Some(shown);
                    let errors = held
                        .iter()
                        .map(|(at, why)| (format!("reason-{at}"), sentence(why)));
                    let problem = ErrorSummary {
                        errors: errors.collect(),
                    };
                    self.page((filled, product), Some(problem), preview).await
                }
            },
            Err(error @ (AppError::Unprocessable(_) | AppError::Conflict(_))) => {
                let problem = ErrorSummary::whole(&sentence(&error.public_text()));
                let mut response = self.page((filled, product), Some(problem), preview).await?;
                *response.status_mut() = status_of(&error);
                Ok(response)
            }
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        (filled, product): (&Filled, Option<Offered>),
        problem: Option<ErrorSummary>,
        preview: Preview,
    ) -> Result<Response, AppError> {
        let visit = self.visit;
        let person = patient(visit, &self.caller, &self.patient).await?;
        let here = format!("{}/new", self.list());
        let mut known = Vec::new();
        if let Some(product) = &product {
            known.extend(product.form.clone());
            known.extend(
                product
                    .schedule
                    .map(|n| format!("Controlled drug, schedule {n}")),
            );
        } else {
            known.push("In no list: it may not be checked".to_owned());
        }
        let replaced = self.replaced(&filled.replaces).await?;
        let other = match filled.replaces.as_str() {
            "" => here.clone(),
            id => format!("{here}?replaces={id}&other=yes"),
        };
        let wrong = preview.wrong.clone();
        let status = if problem.is_some() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        };
        let page = PrescribePage {
            shell: visit.shell_about("Prescribe a medicine", &self.patient),
            banner: banner_of(visit, &self.caller, &person).await,
            patient: visit.href(&format!("/patients/{}", self.patient)),
            back: (other, "Choose another product".to_owned()),
            replaced: replaced.map(|own| replacing(&own, &filled.medicine)),
            allergies: self.allergies().await,
            allergies_href: self.allergies_href(),
            medicine: (filled.medicine.clone(), known),
            alike: product.map(|own| own.alike).unwrap_or_default(),
            preview_action: format!("{here}/preview"),
            action: here,
            hidden: filled.hidden(),
            steps: filled.step_fields(if problem.is_some() { &wrong } else { &[] }),
            may_add: true,
            course: filled.course(),
            needed: filled.needed_fields(),
            about: filled.about(),
            problem,
            preview,
        };
        Ok(answer::page(status, &page))
    }
}

/// What a service elsewhere says, as it is shown.
fn advised(own: Advised) -> Advice {
    let name = own.name;
    let cards = match own.cards {
        Ok(cards) => cards,
        Err(why) => {
            return Advice {
                name,
                none: sentence(&format!("it did not answer: {why}")),
                silent: true,
                ..Advice::default()
            };
        }
    };
    let none = if cards.is_empty() {
        "It has no advice.".to_owned()
    } else {
        String::new()
    };
    let shown = cards.iter().map(|card| {
        let (tone, urgency) = match card.indicator.as_str() {
            "critical" => (Tone::Bad, "Critical"),
            "warning" => (Tone::Warn, "Warning"),
            _ => (Tone::Info, "Information"),
        };
        let lines = card
            .detail
            .lines()
            .map(str::trim)
            .filter(|own| !own.is_empty());
        AdviceCard {
            tone,
            urgency,
            summary: card.summary.clone(),
            detail: lines.map(str::to_owned).collect(),
            source: card.source.clone(),
        }
    });
    Advice {
        name,
        cards: shown.collect(),
        none,
        silent: false,
    }
}

/// What a change takes the place of, and what of it the form has no place for.
fn replacing(own: &Retyped, medicine: &str) -> Notice {
    let Retyped {
        typed,
        words,
        in_force,
        left,
    } = own;
    let ends = if *in_force {
        "It ends when the new order is in force."
    } else {
        "It is not in force any more."
    };
    let before = format!("{}: {words} {ends}", typed.medicine);
    if typed.medicine != medicine {
        let text = format!("{before} Nothing of it is filled in, as the product is another one.");
        return Notice::new(Tone::Warn, "In the place of", &text);
    }
    if left.is_empty() {
        return Notice::new(Tone::Info, "In the place of", &before);
    }
    let text = format!(
        "{before} The form has no place for: {}. Prescribe in another way what must stay.",
        left.join(", ")
    );
    Notice::new(Tone::Warn, "In the place of", &text)
}

/// The products as a table, each a link.
fn offered(found: &products::Found, href: &dyn Fn(&str) -> String) -> Table {
    let empty = "No product of the list has this name. Try a part of it, or the generic name.";
    let columns = ["Product", "Form", "Route", "Mark"];
    let mut table = Table::new("Products", &columns, empty);
    for product in &found.products {
        let mut marks = Vec::new();
        if let Some(schedule) = product.schedule {
            let words = format!("Controlled drug, schedule {schedule}");
            marks.push(Piece::Tag(Tone::Info, words));
        }
        marks.extend(
            product
                .alike
                .iter()
                .map(|name| Piece::Tag(Tone::Warn, format!("Easily taken for {name}"))),
        );
        let text = |own: &Option<String>| Cell::text(own.as_deref().unwrap_or("Not stated"));
        table = table.row(vec![
            Cell::link(&href(&product.name), &product.name),
            text(&product.form),
            text(&product.route),
            if marks.is_empty() {
                Cell::text("None")
            } else {
                Cell(marks)
            },
        ]);
    }
    if found.more {
        "Products, the first of more: type more of the name".clone_into(&mut table.caption);
        table.caption_hidden = false;
    }
    table
}
