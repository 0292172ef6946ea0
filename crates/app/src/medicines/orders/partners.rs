//! Partners: the pharmacies, wholesalers and practices that orders go to, and how each is reached. Secrets
//! stay in files of the machine's operator; a partner names one. Must not show a secret that was not made
//! in the same answer, or read a file that is not the tenant's.

use std::time::Duration;

use connect::pharmacy::api::ApiProduct;
use connect::pharmacy::{Api, Letter, Messaging, PRODUCTS, PharmacyConnector, Reach};
use connect::signature::SigningKey;
use identity::Interaction;
use kernel::{TenantId, Timestamp};
use ledger::leaf::Class;
use medication::ids::PartyId;
use medication::supply::{Product, resources};
use store::{DocExpected, DocKind, Log};
use zeroize::Zeroizing;

use super::kept;
use crate::App;
use crate::admin::{all, allow, changed, commit, load, write};
use crate::context::Caller;
use crate::entry::house_entry;
use crate::error::AppError;

/// How a partner is reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "way")]
pub enum Way {
    /// The HTTP interface that we publish.
    Api {
        /// The address that it begins at.
        base: String,
    },
    /// Messages in the shape of the electronic prescription service.
    Messaging {
        /// The address that it begins at.
        base: String,
        /// Who stands in its messages.
        names: Names,
    },
    /// Mail with a form.
    Letter {
        /// The address.
        to: String,
    },
}

/// Who stands in messages, beside the patient.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Names {
    /// ODS code of the home.
    pub sender: String,
    /// ODS code of whoever receives.
    pub receiver: String,
    /// ODS code of the nominated pharmacy.
    pub pharmacy: String,
    /// The prescriber's role profile.
    pub prescriber_role: String,
    /// The prescriber's name.
    pub prescriber_name: String,
    /// ODS code of the practice.
    pub practice: String,
}

/// A partner.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Partner {
    /// Its id, in addresses.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its Organization.
    pub organization: PartyId,
    /// How it is reached.
    pub way: Way,
    /// The name of the file with its bearer token; none where it wants none.
    pub secret: Option<String>,
    /// Whether orders go to it.
    pub active: bool,
}

/// A product list that was fetched or given.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Catalogue {
    at: Timestamp,
    products: Vec<ApiProduct>,
}

pub(crate) fn plain(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text
            .bytes()
            .all(|own| own.is_ascii_lowercase() || own.is_ascii_digit() || own == b'-')
        && !text.starts_with('-')
}

impl Partner {
    fn check(&self, app: &App) -> Result<(), AppError> {
        let no = |text: &str| Err(AppError::Unprocessable(text.to_owned()));
        if !plain(&self.id) {
            return no(
                "a partner's id has 1 to 40 lower-case letters, digits and dashes: correct it",
            );
        }
        if self.name.trim().is_empty() || self.name.len() > 200 {
            return no("a partner has a name of at most 200 letters: give one");
        }
        if self.secret.as_deref().is_some_and(|own| !plain(own)) {
            return no(
                "a secret is named by its file's name alone, of lower-case letters, digits and dashes",
            );
        }
        let permitted = match &self.way {
            Way::Api { base } | Way::Messaging { base, .. } => {
                if base.ends_with('/') || base.contains(['?', '#']) {
                    return no("the address ends without a slash and has no query: correct it");
                }
                app.outbound().permits(base)
            }
            Way::Letter { to } => app.outbound().permits_mail(to),
        };
        permitted.map_err(|error| AppError::Unprocessable(error.to_string()))
    }
}

/// The partners, by id.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Partner>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    known(app, caller).await
}

pub(super) async fn known(app: &App, caller: &Caller) -> Result<Vec<Partner>, AppError> {
    let found = all::<Partner>(app, &caller.scope, DocKind::Partner).await;
    Ok(found?.into_iter().map(|own| own.value).collect())
}

/// Reads a partner.
pub(super) async fn partner(app: &App, caller: &Caller, id: &str) -> Result<Partner, AppError> {
    let found = load::<Partner>(app, &caller.scope, DocKind::Partner, id).await?;
    let found = found.ok_or_else(|| AppError::not_found(format!("partner {id}")))?;
    Ok(found.value)
}

/// Makes a partner, or changes one: the whole of it.
pub async fn put(app: &App, caller: &Caller, own: Partner) -> Result<Partner, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    own.check(app)?;
    let before = load::<Partner>(app, &caller.scope, DocKind::Partner, &own.id).await?;
    let (expected, what) = match before {
        Some(found) => (DocExpected::Version(found.version), "partner-change"),
        None => (DocExpected::Absent, "partner-create"),
    };
    let doc = write(app, DocKind::Partner, &own.id, expected, &own, Vec::new())?;
    let way = match &own.way {
        Way::Api { base } => format!("api {base}"),
        Way::Messaging { base, .. } => format!("messaging {base}"),
        Way::Letter { to } => format!("letter {to}"),
    };
    let active = if own.active { "active" } else { "inactive" };
    let detail = format!("{}: {way}, {active}", own.id);
    let entry = changed(app, caller, Class::Config, what, detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(own)
}

/// How often a partner's key was changed.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
struct KeyNumber {
    number: u32,
}

fn key_place(id: &str) -> String {
    format!("key/{id}")
}

async fn key_number(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<(KeyNumber, DocExpected), AppError> {
    let kind = DocKind::PharmacyMessage;
    let found = app.store().doc(&caller.scope, kind, &key_place(id)).await?;
    match found {
        None => Ok((KeyNumber::default(), DocExpected::Absent)),
        Some(doc) => {
            let own = serde_json::from_slice(&doc.body)?;
            Ok((own, DocExpected::Version(doc.version)))
        }
    }
}

/// The key that a partner signs its events with.
pub(super) async fn event_key(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<SigningKey, AppError> {
    let tenant = caller.scope.tenant().as_uuid().into_bytes();
    let number = key_number(app, caller, id).await?.0.number.to_be_bytes();
    let purpose: [&[u8]; 4] = [
        b"theriac pharmacy events v1",
        &tenant,
        id.as_bytes(),
        &number,
    ];
    Ok(SigningKey::derive(&app.settings().secret, &purpose))
}

/// A new key for a partner; what is signed with the one before is taken no more.
pub async fn new_signing_key(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Zeroizing<String>, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    partner(app, caller, id).await?;
    let (own, expected) = key_number(app, caller, id).await?;
    let next = KeyNumber {
        number: own.number.saturating_add(1),
    };
    let doc = kept::write(app, key_place(id), expected, Some(&next))?;
    let detail = format!("signing key of partner {id}");
    let entry = changed(app, caller, Class::Key, "partner-key-changed", detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(event_key(app, caller, id).await?.shown())
}

/// The same, for whoever sets the partner up. It is noted who saw it.
pub async fn signing_key(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Zeroizing<String>, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    partner(app, caller, id).await?;
    let detail = Some(format!("signing key of partner {id}"));
    let entry = house_entry(
        app,
        caller,
        Log::Access,
        Class::Key,
        "partner-key-shown",
        detail,
    );
    let entries = vec![entry];
    app.store().record_access(&caller.scope, entries).await?;
    Ok(event_key(app, caller, id).await?.shown())
}

fn place(id: &str) -> String {
    format!("catalogue/{id}")
}

/// What a partner sells, as it was last fetched or given; with when.
pub(super) async fn catalogue_of(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Option<(Timestamp, Vec<Product>)>, AppError> {
    let kind = DocKind::PharmacyMessage;
    let Some(doc) = app.store().doc(&caller.scope, kind, &place(id)).await? else {
        return Ok(None);
    };
    let own: Catalogue = serde_json::from_slice(&doc.body)?;
    let products = own.products.into_iter().filter_map(ApiProduct::read);
    Ok(Some((own.at, products.collect())))
}

/// The catalogue of a partner.
pub async fn catalogue(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Option<(Timestamp, Vec<Product>)>, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    partner(app, caller, id).await?;
    catalogue_of(app, caller, id).await
}

/// Fetches the catalogue of a partner, and keeps it; how many products it has.
pub async fn fetch_catalogue(app: &App, caller: &Caller, id: &str) -> Result<usize, AppError> {
    allow(app, caller, Interaction::OrderMedicines).await?;
    let own = partner(app, caller, id).await?;
    let way = connector(app, caller, &own).await?;
    let products = way.catalogue(None).await.map_err(AppError::Pharmacy)?;
    keep(
        app,
        caller,
        id,
        products.iter().map(ApiProduct::of).collect(),
    )
    .await
}

/// Sets the catalogue of a partner that has no interface for it.
pub async fn set_catalogue(
    app: &App,
    caller: &Caller,
    id: &str,
    products: Vec<ApiProduct>,
) -> Result<usize, AppError> {
    allow(app, caller, Interaction::ManageSettings).await?;
    partner(app, caller, id).await?;
    if let Some(bad) = products.iter().find(|own| (*own).clone().read().is_none()) {
        return Err(AppError::Unprocessable(format!(
            "{} cannot be read: give a code, packs and prices in their form",
            bad.code
        )));
    }
    keep(app, caller, id, products).await
}

async fn keep(
    app: &App,
    caller: &Caller,
    id: &str,
    products: Vec<ApiProduct>,
) -> Result<usize, AppError> {
    let count = products.len();
    if count > PRODUCTS {
        return Err(AppError::TooLarge(format!(
            "the catalogue has {count} products, {PRODUCTS} are kept: sell fewer by this partner"
        )));
    }
    let at = app.now();
    let own = Catalogue { at, products };
    let doc = kept::write(app, place(id), DocExpected::Any, Some(&own))?;
    let detail = format!("{id}: {count} products");
    let entry = changed(app, caller, Class::Config, "partner-catalogue", detail);
    commit(app, &caller.scope, doc, entry).await?;
    Ok(count)
}

/// A partner's connector, which owns what it needs.
pub(super) struct Connector<'a> {
    app: &'a App,
    way: &'a Way,
    token: Option<Zeroizing<String>>,
}

/// How long another side may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// Opens the way to a partner: reads its secret.
pub(super) async fn connector<'a>(
    app: &'a App,
    caller: &Caller,
    own: &'a Partner,
) -> Result<Connector<'a>, AppError> {
    let token = match &own.secret {
        None => None,
        Some(name) => Some(secret(app, caller.scope.tenant(), name).await?),
    };
    Ok(Connector {
        app,
        way: &own.way,
        token,
    })
}

/// The file of a secret: below the operator's folder, in the tenant's own.
pub(crate) async fn secret(
    app: &App,
    tenant: TenantId,
    name: &str,
) -> Result<Zeroizing<String>, AppError> {
    let missing = |text: String| AppError::Unprocessable(text);
    let Some(folder) = &app.settings().partner_secrets else {
        return Err(missing(
            "no folder of partners' secrets is set: give pharmacy.secrets".to_owned(),
        ));
    };
    if !plain(name) {
        return Err(missing(format!(
            "{name:?} is no name of a secret: correct it"
        )));
    }
    let path = folder.join(tenant.to_string()).join(name);
    let text = tokio::fs::read_to_string(&path).await.map(Zeroizing::new);
    text.map_err(|error| {
        missing(format!(
            "the secret {name} of tenant {tenant} cannot be read ({}): put its file into the folder of pharmacy.secrets",
            error.kind()
        ))
    })
}

impl Connector<'_> {
    /// The way itself.
    pub(super) fn way(&self) -> Box<dyn PharmacyConnector + '_> {
        let reach = |base| Reach {
            outbound: self.app.outbound(),
            base,
            token: self.token.clone(),
            deadline: Some(DEADLINE),
        };
        match self.way {
            Way::Api { base } => Box::new(Api(reach(base.as_str()))),
            Way::Messaging { base, .. } => Box::new(Messaging(reach(base.as_str()))),
            Way::Letter { to } => Box::new(Letter {
                outbound: self.app.outbound(),
                to,
            }),
        }
    }

    pub(super) async fn catalogue(
        &self,
        code: Option<&str>,
    ) -> Result<Vec<Product>, connect::pharmacy::PharmacyError> {
        self.way().catalogue(code).await
    }
}

impl Names {
    /// Who stands in a message about a patient.
    pub(super) fn parties(
        &self,
        home: &str,
        base: &str,
        patient: resources::Patient,
    ) -> resources::Parties {
        resources::Parties {
            sender: self.sender.clone(),
            source: (home.to_owned(), base.to_owned()),
            receiver: self.receiver.clone(),
            pharmacy: self.pharmacy.clone(),
            patient,
            prescriber: resources::Prescriber {
                role: self.prescriber_role.clone(),
                name: self.prescriber_name.clone(),
                practice: self.practice.clone(),
            },
        }
    }
}
