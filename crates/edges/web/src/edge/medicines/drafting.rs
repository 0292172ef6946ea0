//! The form by which a medicine of the stock is ordered: who sells it, in which packs, for whom and where it
//! goes. Must not name a product that no catalogue has.

use app::AppError;
use app::medicines::orders::{self as use_case, NewLine, NewOrder, Offer, offers};
use app::medicines::stock::look;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use medication::ids::ItemId;
use medication::stock::Units;
use medication::supply::{Kind, Legal, Packs};

use super::super::Web;
use super::super::answer::{self, redirect};
use super::super::form::Form;
use super::super::tools::{empty, refused};
use super::super::visit::Visit;
use super::choices::{id, named, residents, select};
use super::shelves::amount;
use crate::components::{Choice, Field, Notice, Tone};
use crate::pages::tools::ToolPage;

const HERE: &str = "/medicines/orders/new";

/// The routes.
pub(super) fn routes() -> Router<Web> {
    Router::new().route(HERE, get(page).post(draft))
}

fn item_of(visit: &Visit) -> Result<ItemId, AppError> {
    let none = |_| AppError::NotFound {
        what: "medicine".to_owned(),
    };
    visit.query.text("item").parse().map_err(none)
}

/// An offer in one of its packs, as a choice: partner, code, what a pack holds.
type Chosen = (String, String, Option<Units>);

fn chosen(offer: &Offer, holds: Option<Units>) -> Chosen {
    let (partner, product) = (&offer.partner, &offer.product);
    (partner.id.clone(), product.code.clone(), holds)
}

fn choices(offers: &[Offer], form: &Form) -> Vec<Choice> {
    let mut found = Vec::new();
    for offer in offers {
        let product = &offer.product;
        let by = match product.legal {
            Some(Legal::PrescriptionOnly) => "on a prescription",
            Some(_) => "bought",
            None => "its class is not known",
        };
        let what = format!("{} of {}, {by}", product.name, offer.partner.name);
        let packs = product.packs.iter().map(|pack| {
            let price = pack.price.map(|own| {
                let (amount, currency) = (own.amount(), own.currency());
                format!(", {amount} {} each", currency.code())
            });
            let price = price.unwrap_or_default();
            let label = format!("{what}, packs of {}{price}", pack.holds);
            (chosen(offer, Some(pack.holds)), label)
        });
        let mut packs: Vec<(Chosen, String)> = packs.collect();
        if packs.is_empty() {
            packs.push((
                chosen(offer, None),
                format!("{what}, by the {}", product.unit.said(true)),
            ));
        }
        for (own, label) in packs {
            let value = serde_json::to_string(&own).unwrap_or_default();
            found.push(Choice::new(&value, &label, value == form.text("offer")));
        }
    }
    found
}

async fn page(visit: Visit) -> Response {
    let result = form_of(&visit, &Form::default()).await;
    visit.answer(result.map(|page| answer::page(StatusCode::OK, &page)))
}

async fn form_of(visit: &Visit, form: &Form) -> Result<ToolPage, AppError> {
    let item = item_of(visit)?;
    let offers = offers(visit.app(), &visit.caller, &item).await?;
    let seen = look::read(visit.app(), &visit.caller, &item).await?;
    let (name, unit) = (&seen.item.name, seen.item.unit.words());
    let title = format!("Order {name}");
    let mut page = empty(
        visit,
        &title,
        &format!("{HERE}?item={item}"),
        "Draft the order",
    );
    page.back = (
        visit.href(&format!("/medicines/stock/{item}")),
        name.clone(),
    );
    page.posts = true;
    page.lead = format!(
        "There: {}. Somebody else approves what you draft; nothing is sent before.",
        amount(seen.total, &seen.item)
    );
    if offers.is_empty() {
        page.posts = false;
        let text =
            "Fetch the catalogue of a partner, or say the code in dm+d where the medicine is kept.";
        page.summary = Some(Notice::new(Tone::Warn, "No catalogue has it", text));
        return Ok(page);
    }
    let locations = named(visit, "Location").await?;
    let month: String = visit.app().now().to_string().chars().take(7).collect();
    let cycle = match form.text("cycle") {
        "" => month.as_str(),
        own => own,
    };
    let people = residents(visit).await?;
    page.fields = vec![
        Field::select("offer", "What, and of whom", choices(&offers, form)),
        Field::text("packs", "How many packs")
            .value(form.text("packs"))
            .hint(&format!("Where it has no packs, how many {unit}")),
        select(
            "resident",
            "For which resident",
            &people,
            form.text("resident"),
        )
        .optional(),
        select(
            "location",
            "Where it goes",
            &locations,
            form.text("location"),
        ),
        Field::text("cycle", "For which cycle")
            .value(cycle)
            .hint("The same for the same cycle is the same order"),
    ];
    Ok(page)
}

fn read(offers: &[Offer], item: ItemId, form: &Form) -> Result<NewOrder, AppError> {
    let wrong = |text: &str| AppError::Unprocessable(text.to_owned());
    let (partner, code, holds) = serde_json::from_str::<Chosen>(form.text("offer"))
        .map_err(|_| wrong("nothing is chosen: say what, and of whom"))?;
    let same = |own: &&Offer| own.partner.id == partner && own.product.code == code;
    let offer = offers.iter().find(same);
    let offer = offer.ok_or_else(|| wrong("it is not offered any more: choose another"))?;
    let packs = form.text("packs");
    let none = || wrong("how many packs is no number: write one such as 2");
    let (quantity, packs) = match holds {
        Some(holds) => {
            let count: u32 = packs.parse().ok().filter(|own| *own > 0).ok_or_else(none)?;
            let sum = holds.get().checked_mul(count.into()).ok_or_else(none)?;
            (sum, Some(Packs { count, holds }))
        }
        None => (packs.parse().map_err(|_| none())?, None),
    };
    let resident = match form.text("resident") {
        "" => None,
        _ => Some(id(form, "resident", "The resident")?),
    };
    Ok(NewOrder {
        kind: match offer.product.legal {
            Some(Legal::PrescriptionOnly) => Kind::Repeat,
            _ => Kind::Direct,
        },
        partner,
        resident,
        location: id(form, "location", "The place")?,
        cycle: form.text("cycle").to_owned(),
        attempt: 0,
        lines: vec![NewLine {
            code,
            item: Some(item),
            name: None,
            quantity: Units::new(quantity).map_err(|error| wrong(&error.to_string()))?,
            unit: None,
            packs,
            dose: None,
        }],
    })
}

async fn draft(visit: Visit, body: String) -> Response {
    let result = Box::pin(drafted(&visit, &body)).await;
    visit.answer(result)
}

async fn drafted(visit: &Visit, body: &str) -> Result<Response, AppError> {
    let form = visit.form(body)?;
    let item = item_of(visit)?;
    let offers = offers(visit.app(), &visit.caller, &item).await?;
    let made = match read(&offers, item, &form) {
        Ok(new) => use_case::draft(visit.app(), &visit.caller, new).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(own) => {
            let id = &own.kept.id;
            Ok(redirect(
                &visit.href(&format!("/medicines/orders/{id}?done=saved")),
            ))
        }
        Err(error) => {
            let mut page = form_of(visit, &form).await?;
            let status = refused(&mut page, error)?;
            Ok(answer::page(status, &page))
        }
    }
}
