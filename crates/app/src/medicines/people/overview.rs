//! What the papers of a resident come to now: capacity, who is responsible, each paper with whether it
//! holds, and what every covert order lacks. Must not show a paper that cannot be read as none.

use identity::Interaction;
use kernel::{Timestamp, ZoneName};
use medication::administration::Papers;
pub use medication::administration::{
    CovertGap, HomelyGap, PaperKind, Says, SelfCare, SelfGap, SelfLevel,
};
use medication::ids::PrescriptionId;
use store::ResourceKey;

use super::super::ground::Ground;
use super::carers::{Carer, carers};
use super::papers;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// A paper with what it comes to now.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its address: `Consent/1`.
    pub name: String,
    /// What it is about.
    pub kind: PaperKind,
    /// What it says.
    pub says: Says,
    /// From when.
    pub at: Timestamp,
    /// The first moment at which its review is overdue.
    pub review: Option<Timestamp>,
    /// Names of the medicines it is about; none: every medicine.
    pub medicines: Vec<String>,
    /// Whether it is the one that holds.
    pub holds: bool,
}

/// A covert order with what it lacks.
#[derive(Debug, Clone)]
pub struct CovertOrder {
    /// `MedicationRequest/1`.
    pub name: String,
    /// The medicine.
    pub medicine: String,
    /// How the pharmacist says it is given.
    pub method: Option<String>,
    /// What is missing; nothing: it may be given covertly.
    pub gaps: Vec<CovertGap>,
}

/// A homely remedy: given without a prescription where an agreement names it.
#[derive(Debug, Clone)]
pub struct Remedy {
    /// `MedicationRequest/1`.
    pub name: String,
    /// The medicine.
    pub medicine: String,
    /// How much and how often, in words.
    pub text: String,
    /// On how many days in a row it may be given.
    pub days: u32,
    /// Why it may not be given; none where it may.
    pub gap: Option<HomelyGap>,
}

/// The papers of a resident.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Whether the resident has capacity in general; none where nobody assessed it.
    pub capacity: Option<bool>,
    /// Who is responsible.
    pub carers: Vec<Carer>,
    /// The papers, the newest first.
    pub papers: Vec<Shown>,
    /// Those that cannot be read, and why.
    pub unread: Vec<(String, String)>,
    /// Orders in force that are given covertly.
    pub covert: Vec<CovertOrder>,
    /// Orders in force that are homely remedies.
    pub homely: Vec<Remedy>,
    /// How much the resident takes alone, of what no paper names by itself.
    pub alone: Option<SelfCare>,
    /// Why the resident takes nothing alone; none where it may.
    pub alone_gap: Option<SelfGap>,
    /// Orders in force: address and medicine.
    pub orders: Vec<(String, String)>,
}

/// Reads them, with one look at the patient.
pub async fn overview(
    app: &App,
    caller: &Caller,
    patient: &ResourceKey,
) -> Result<Overview, AppError> {
    let patients = [patient.id.clone()];
    authorise(
        app,
        caller,
        &Ask::record(Interaction::Read, patient, &patients),
    )
    .await?;
    let ground = Ground::load(app, caller, patient, "medicines/papers").await?;
    let zone = caller.tenant.time_zone.as_ref();
    let zone = ZoneName::zone(zone.unwrap_or(&app.settings().time_zone));
    let now = app.now();
    let filed = papers(app, caller, patient, &zone).await?;
    let (carers, _) = carers(app, caller, patient, (&zone, now)).await?;
    let orders: Vec<(String, String)> = ground
        .orders
        .iter()
        .map(|own| (own.name.clone(), own.article.name.clone()))
        .collect();
    let known = ground
        .orders
        .iter()
        .filter_map(|own| own.order.as_ref().ok());
    let covert = known.filter(|order| order.covert).map(|order| {
        let found = filed.papers.covert(&order.id, now);
        CovertOrder {
            name: format!("MedicationRequest/{}", order.id),
            medicine: order.article.name.clone(),
            gaps: found.gaps(now),
            method: found.method,
        }
    });
    let covert = covert.collect();
    let homely = homely(&ground, &filed.papers, now);
    let alone = filed.papers.alone(now);
    let papers = shown(&filed.papers, &orders, now);
    let unread = filed.papers.unread.iter();
    Ok(Overview {
        capacity: filed.papers.capacity(now),
        carers,
        papers,
        unread: unread
            .map(|own| (own.name.clone(), own.why.clone()))
            .collect(),
        covert,
        homely,
        alone_gap: alone
            .as_ref()
            .map_or(Some(SelfGap::Missing), |own| own.gap(now)),
        alone,
        orders,
    })
}

/// The homely remedies, with what stands against each.
fn homely(ground: &Ground, papers: &Papers, now: Timestamp) -> Vec<Remedy> {
    let known = ground.orders.iter();
    let known = known.filter_map(|own| own.order.as_ref().ok());
    let own = known.filter_map(|order| {
        let days = order.homely?;
        let controlled = order.article.ingredients.is_empty() || order.article.schedule.is_some();
        let gap = papers.homely(&order.id, now).gap(now);
        Some(Remedy {
            name: format!("MedicationRequest/{}", order.id),
            medicine: order.article.name.clone(),
            text: medication::dosage::regimen(&order.dosages).text,
            days,
            gap: gap.or(controlled.then_some(HomelyGap::Controlled)),
        })
    });
    own.collect()
}

/// The papers, the newest first.
fn shown(papers: &Papers, orders: &[(String, String)], now: Timestamp) -> Vec<Shown> {
    let medicine = |id: &PrescriptionId| {
        let name = format!("MedicationRequest/{id}");
        let own = orders.iter().find(|(own, _)| *own == name);
        own.map_or(name, |(_, medicine)| medicine.clone())
    };
    let mut shown: Vec<Shown> = papers
        .papers
        .iter()
        .map(|own| Shown {
            name: own.name.clone(),
            kind: own.kind(),
            says: own.says.clone(),
            at: own.at,
            review: own.review,
            medicines: own.orders.iter().map(medicine).collect(),
            holds: papers.stands(own, now),
        })
        .collect();
    shown.sort_by_key(|own| core::cmp::Reverse(own.at));
    shown
}
