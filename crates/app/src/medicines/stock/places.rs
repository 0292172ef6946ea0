//! Places, people and suppliers of movements: resources of the record that must be there. Must not make
//! one that is not.

use fhir::json::{Document, Limits, Value};
use identity::{Interaction, Reach, Subject};
use kernel::LogicalId;
use medication::ids::{LocationId, PartyId, PremisesId, ResidentId};
use medication::register::Party;
use medication::stock::Account;
use serde::{Deserialize, Serialize};
use store::ResourceKey;

use super::refuse;
use crate::App;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;
use crate::medicines::prescribe::resource_type;

/// Where it is kept: common to all, or one resident's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The Location.
    pub location: LocationId,
    /// The Patient whose own it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resident: Option<ResidentId>,
}

impl Place {
    /// Its account.
    #[must_use]
    pub fn account(&self) -> Account {
        let location = self.location.clone();
        match self.resident.clone() {
            Some(resident) => Account::Own { resident, location },
            None => Account::Location { location },
        }
    }

    /// The place of an account that the house holds.
    #[must_use]
    pub fn of(account: &Account) -> Option<Self> {
        match account {
            Account::Location { location } => Some(Self {
                location: location.clone(),
                resident: None,
            }),
            Account::Own { resident, location } => Some(Self {
                location: location.clone(),
                resident: Some(resident.clone()),
            }),
            _ => None,
        }
    }
}

/// A resource that is not about a patient, as it is stored.
pub(crate) async fn plain(
    app: &App,
    caller: &Caller,
    ty: &str,
    id: &LogicalId,
) -> Result<Option<Document>, AppError> {
    let key = ResourceKey {
        ty: resource_type(app, ty)?,
        id: id.clone(),
    };
    let found = app.store().read(&caller.scope, &key).await?;
    let Some(body) = found.and_then(|version| version.body) else {
        return Ok(None);
    };
    let document = Document::parse(body.to_vec(), &Limits::default())?;
    Ok(Some(document))
}

/// Refuses a place, a resident or a supplier that the record does not have, a place of another branch and a
/// resident out of reach.
pub(crate) async fn known(app: &App, caller: &Caller, account: &Account) -> Result<(), AppError> {
    if let Some(location) = account.location() {
        if plain(app, caller, "Location", &location.0).await?.is_none() {
            return refuse(format!(
                "Location/{location} is not in the record: add it, or name another place"
            ));
        }
        if !is_at_hand(
            &caller.subject,
            &organizations(app, caller, location).await?,
        ) {
            return refuse(format!(
                "Location/{location} is of another branch: name a place of your own"
            ));
        }
    }
    if let Account::Supplier { party } = account
        && plain(app, caller, "Organization", &party.0)
            .await?
            .is_none()
    {
        return refuse(format!(
            "Organization/{party} is not in the record: add the supplier first"
        ));
    }
    if let Some(resident) = account.resident() {
        reach(app, caller, resident).await?;
    }
    Ok(())
}

/// Refuses premises that the record does not have.
pub(crate) async fn known_premises(
    app: &App,
    caller: &Caller,
    premises: &PremisesId,
) -> Result<(), AppError> {
    for ty in ["Location", "Organization"] {
        if plain(app, caller, ty, &premises.0).await?.is_some() {
            return Ok(());
        }
    }
    refuse(format!(
        "{premises} is neither a Location nor an Organization of the record: add it first"
    ))
}

/// Refuses a resident who is not there or out of the caller's reach; both alike.
pub(crate) async fn reach(
    app: &App,
    caller: &Caller,
    resident: &ResidentId,
) -> Result<(), AppError> {
    let key = app.patient_key(&resident.0);
    let patients = [resident.0.clone()];
    let ask = Ask {
        hide: true,
        ..Ask::record(Interaction::Read, &key, &patients)
    };
    authorise(app, caller, &ask).await?;
    match app.store().read(&caller.scope, &key).await? {
        Some(version) if version.body.is_some() => Ok(()),
        _ => Err(AppError::not_found(format!("Patient/{resident}"))),
    }
}

fn text_of(root: Value<'_>, path: &[&str]) -> Option<String> {
    let mut at = root;
    for step in path {
        at = at.get(step)?;
        if at.kind() == fhir::json::Kind::Array {
            at = at.items().next()?;
        }
    }
    at.as_str().map(std::borrow::Cow::into_owned)
}

fn address_of(root: Value<'_>) -> String {
    if let Some(text) = text_of(root, &["address", "text"]) {
        return text;
    }
    let address = root.get("address").map(|own| match own.kind() {
        fhir::json::Kind::Array => own.items().next().unwrap_or(own),
        _ => own,
    });
    let Some(address) = address else {
        return String::new();
    };
    let lines = address.get("line").into_iter().flat_map(Value::items);
    let mut parts: Vec<String> = lines
        .filter_map(|line| line.as_str().map(std::borrow::Cow::into_owned))
        .collect();
    for member in ["city", "postalCode"] {
        parts.extend(address.get_str(member).map(std::borrow::Cow::into_owned));
    }
    parts.join(", ")
}

/// Name and address of a supplier, as a register has them.
pub(crate) async fn supplier(
    app: &App,
    caller: &Caller,
    party: &PartyId,
) -> Result<Party, AppError> {
    let found = plain(app, caller, "Organization", &party.0).await?;
    Ok(found.map_or_else(empty, |found| Party {
        name: text_of(found.root(), &["name"]).unwrap_or_default(),
        address: address_of(found.root()),
    }))
}

/// Name and address of a place.
pub(crate) async fn place_name(
    app: &App,
    caller: &Caller,
    location: &LocationId,
) -> Result<Party, AppError> {
    let found = plain(app, caller, "Location", &location.0).await?;
    Ok(found.map_or_else(empty, |found| {
        let name = text_of(found.root(), &["name"]).unwrap_or_else(|| location.to_string());
        let address = Some(address_of(found.root())).filter(|own| !own.is_empty());
        Party {
            address: address.unwrap_or_else(|| name.clone()),
            name,
        }
    }))
}

/// Name of a resident, with the place as the address.
pub(crate) async fn resident_name(
    app: &App,
    caller: &Caller,
    resident: &ResidentId,
    location: &LocationId,
) -> Result<Party, AppError> {
    let place = place_name(app, caller, location).await?;
    let found = plain(app, caller, "Patient", &resident.0).await?;
    let name = found.and_then(|found| {
        let root = found.root();
        if let Some(text) = text_of(root, &["name", "text"]) {
            return Some(text);
        }
        let given = text_of(root, &["name", "given"]);
        let family = text_of(root, &["name", "family"]);
        let parts: Vec<String> = given.into_iter().chain(family).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    });
    Ok(Party {
        name: name.unwrap_or_else(|| format!("Patient/{resident}")),
        address: place.address,
    })
}

fn empty() -> Party {
    Party {
        name: String::new(),
        address: String::new(),
    }
}

/// The premises that a place may belong to, the nearest first: itself, what it is part of, who manages it.
pub(crate) async fn premises(
    app: &App,
    caller: &Caller,
    location: &LocationId,
) -> Result<Vec<PremisesId>, AppError> {
    let found = around(app, caller, location).await?;
    Ok(found.into_iter().map(|(_, own)| own).collect())
}

/// The Organizations that manage a place, or what it is part of.
pub(crate) async fn organizations(
    app: &App,
    caller: &Caller,
    location: &LocationId,
) -> Result<Vec<LogicalId>, AppError> {
    let found = around(app, caller, location).await?;
    let manages = found.into_iter().filter(|(manages, _)| *manages);
    Ok(manages.map(|(_, own)| own.0).collect())
}

/// Whether somebody moves what is kept where these Organizations manage: what nobody manages is every
/// branch's.
pub(crate) fn is_at_hand(who: &Subject, organizations: &[LogicalId]) -> bool {
    organizations.is_empty() || runs(who, organizations)
}

/// Whether somebody belongs to the whole tenant, or to a branch with one of these Organizations.
fn runs(who: &Subject, organizations: &[LogicalId]) -> bool {
    who.standings().iter().any(|own| match &own.reach {
        Reach::Tenant => true,
        Reach::Branches(links) => links
            .iter()
            .any(|link| organizations.contains(&link.organization)),
        Reach::OwnRecord(_) => false,
    })
}

/// Whether somebody belongs to premises: to the whole tenant, or to the branch whose Organization runs them.
pub(crate) async fn belongs(
    app: &App,
    caller: &Caller,
    (who, premises): (&Subject, &PremisesId),
) -> Result<bool, AppError> {
    let location = LocationId(premises.0.clone());
    let mut of = organizations(app, caller, &location).await?;
    of.push(premises.0.clone());
    Ok(runs(who, &of))
}

/// The Organization that manages a resident, where one does.
pub(crate) async fn home_of(
    app: &App,
    caller: &Caller,
    resident: &ResidentId,
) -> Result<Option<LogicalId>, AppError> {
    let found = plain(app, caller, "Patient", &resident.0).await?;
    let reference =
        found.and_then(|own| text_of(own.root(), &["managingOrganization", "reference"]));
    let id = reference
        .as_deref()
        .and_then(|own| own.strip_prefix("Organization/"));
    Ok(id.and_then(|own| own.parse().ok()))
}

/// What a place is part of, itself first, each with who manages it: whether it manages, its id.
async fn around(
    app: &App,
    caller: &Caller,
    location: &LocationId,
) -> Result<Vec<(bool, PremisesId)>, AppError> {
    const DEEP: usize = 8;
    let mut found = Vec::new();
    let mut at = Some(location.0.clone());
    while let Some(id) = at.take() {
        if found.len() >= DEEP || found.contains(&(false, PremisesId(id.clone()))) {
            break;
        }
        let Some(document) = plain(app, caller, "Location", &id).await? else {
            break;
        };
        found.push((false, PremisesId(id)));
        let named = |member: &str, ty: &str| -> Option<LogicalId> {
            let reference = document.root().get(member)?.get_str("reference")?;
            reference.strip_prefix(ty)?.parse().ok()
        };
        if let Some(own) = named("managingOrganization", "Organization/") {
            found.push((true, PremisesId(own)));
        }
        at = named("partOf", "Location/");
    }
    Ok(found)
}
