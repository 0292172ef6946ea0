//! The stage that a scenario plays on: people of the demo who call the instance's own addresses with a
//! token of their own, and every step told as it happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use app::admin::tokens;
use app::init::acting_as;
use app::{App, Caller};
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt as _;
use identity::TokenOwner;
use kernel::{Category, Ids, PurposeOfUse, Timestamp, UserId};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::clock::Clocks;
use crate::failure::Failure;
use crate::output::Printer;
use crate::scenario::House;
use crate::wiring;

/// The header that names the ledger's entry of a change.
const RECEIPT: &str = "audit-receipt";
/// Longest text of a decision that is shown, in characters.
const SHOWN: usize = 400;

/// Why a scenario does not go on.
#[derive(Debug)]
pub enum Stop {
    /// A step came out otherwise.
    Unexpected(String),
    /// It could not be played.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Somebody of the demo, by sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Prescribes.
    Doctor,
    /// Signs as the second person.
    Pharmacist,
    /// Gives, and signs as a witness.
    Nurse,
    /// Gives.
    Carer,
    /// Sets the house up, and treats nobody.
    Administrator,
}

impl Who {
    const ALL: [Self; 5] = [
        Self::Doctor,
        Self::Pharmacist,
        Self::Nurse,
        Self::Carer,
        Self::Administrator,
    ];

    const fn role(self) -> &'static str {
        match self {
            Self::Doctor => "doctor",
            Self::Pharmacist => "pharmacist",
            Self::Nurse => "nurse",
            Self::Carer => "carer",
            Self::Administrator => "administrator",
        }
    }

    /// The person of the demo.
    fn staff(self) -> Option<&'static population::Staff> {
        let mut staff = population::staff(population::Tenant::RosewoodHouse);
        staff.find(|person| person.role == self.role())
    }

    /// Name and role, for people.
    pub fn named(self) -> String {
        let name = self.staff().map_or("somebody", |own| own.display_name);
        format!("{name} ({})", self.role())
    }

    /// A reference to the person.
    pub fn reference(self) -> Value {
        let id = self.staff().map_or("", |own| own.practitioner);
        json!({ "reference": format!("Practitioner/{id}") })
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `origin leaf-hash`, where something was written.
    pub receipt: Option<String>,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// Parts of Parameters of a name.
    pub fn parts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        let list = self.body.get("parameter").and_then(Value::as_array);
        let list = list.into_iter().flatten();
        list.filter(move |part| part.get("name").and_then(Value::as_str) == Some(name))
    }

    /// The reference that a part holds.
    pub fn named(&self, name: &str) -> Option<String> {
        let part = self.parts(name).next()?;
        let reference = part.pointer("/valueReference/reference")?;
        reference.as_str().map(str::to_owned)
    }

    /// What was decided, in words.
    pub fn words(&self) -> String {
        let texts = |list: Option<&Vec<Value>>, at: &str| -> Vec<String> {
            let list = list.into_iter().flatten();
            list.filter_map(|own| own.pointer(at)?.as_str())
                .map(str::to_owned)
                .collect()
        };
        let issues = self.body.get("issue").and_then(Value::as_array);
        let mut words = texts(issues, "/details/text");
        if words.is_empty() {
            words = texts(issues, "/diagnostics");
        }
        for (name, member) in [
            ("state", "valueCode"),
            ("decision", "valueCode"),
            ("witness", "valueCode"),
        ] {
            let own = self
                .parts(name)
                .filter_map(|part| part.get(member)?.as_str());
            words.extend(own.map(|own| format!("{name}: {own}")));
        }
        words.extend(self.parts("reason").filter_map(|part| {
            let parts = part.get("part")?.as_array()?;
            let text = parts
                .iter()
                .find(|own| own.get("name") == Some(&json!("text")))?;
            text.get("valueString")?.as_str().map(str::to_owned)
        }));
        let not_checked = self.parts("not-checked");
        let not_checked = not_checked.filter_map(|part| part.get("valueString")?.as_str());
        words.extend(not_checked.map(|own| format!("not checked: {own}")));
        words.extend(self.plain());
        if words.is_empty() {
            let ty = self.body.get("resourceType").and_then(Value::as_str);
            let id = self.body.get("id").and_then(Value::as_str);
            words.extend(ty.zip(id).map(|(ty, id)| format!("{ty}/{id}")));
        }
        words.dedup();
        words.join("; ")
    }
}

/// What an answer of the product's API says in words of its own, by where it stands.
const SAID: [(&str, &str); 11] = [
    ("/detail", ""),
    ("/movement/what/kind", "movement: "),
    ("/stock/held", "held: "),
    ("/held", "held: "),
    ("/reorder", "reorder: "),
    ("/state", "state: "),
    ("/chase/0/missing", "missing: "),
    ("/entries", "entries: "),
    ("/balance", "balance: "),
    ("/records/0/state", "record: "),
    ("/doubles/0/records", "possible double dose: records "),
];

impl Answer {
    /// What an answer of the product's API says; nothing of a resource.
    fn plain(&self) -> Vec<String> {
        if self.body.get("resourceType").is_some() {
            return Vec::new();
        }
        let said = SAID.iter().filter_map(|(at, what)| {
            let own = self.body.pointer(at)?;
            let own = own.as_str().map_or_else(|| own.to_string(), str::to_owned);
            Some(format!("{what}{own}"))
        });
        said.collect()
    }
}

/// What a step is expected to be.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// The status.
    pub status: u16,
    /// Words that stand in the answer.
    pub words: &'a [&'a str],
}

/// The password of a sign-in.
pub type Passwords<'a> = &'a (dyn Fn(&str) -> Option<Zeroizing<String>> + Sync);

/// The stage.
pub struct Stage {
    router: Router,
    tokens: BTreeMap<Who, String>,
    passwords: BTreeMap<Who, Zeroizing<String>>,
    made: Vec<(Caller, Uuid)>,
    app: App,
    ids: Arc<dyn Ids>,
    base: String,
    api: String,
    clocks: Clocks,
    begun: Timestamp,
    printer: Printer,
    told: Vec<Value>,
}

impl Stage {
    /// Opens it in a tenant, with a token for everybody who plays.
    pub async fn open(house: &House<'_>, printer: Printer) -> Result<Self, Failure> {
        let House {
            instance,
            slug,
            passwords,
            ..
        } = *house;
        let mut tokens = BTreeMap::new();
        let mut proofs = BTreeMap::new();
        let mut made_tokens = Vec::new();
        for who in Who::ALL {
            let missing = || {
                let text = format!("the demo has no {}: remove its folder", who.role());
                Failure::missing(text)
            };
            let person = who.staff().ok_or_else(missing)?;
            let purpose = PurposeOfUse::Treatment;
            let caller = acting_as(&instance.app, slug, person.sign_in, purpose).await?;
            let id = UserId::from_uuid(caller.subject.actor().id.as_uuid());
            let new = tokens::NewToken {
                owner: TokenOwner::User(id),
                name: "Played by theriac demo --scenario".to_owned(),
                scopes: None,
                days: 1,
            };
            let made = tokens::create(&instance.app, &caller, new).await?;
            made_tokens.push((caller, made.token.id));
            tokens.insert(who, made.text.as_str().to_owned());
            proofs.insert(who, passwords(person.sign_in).unwrap_or_default());
        }
        Ok(Self {
            router: wiring::routes(instance)?,
            tokens,
            passwords: proofs,
            made: made_tokens,
            app: instance.app.clone(),
            ids: Arc::clone(&instance.ids),
            base: format!("/t/{slug}/fhir"),
            api: format!("/t/{slug}/api/v1"),
            clocks: Clocks::of(instance, slug).await?,
            begun: house.begun,
            printer,
            told: Vec::new(),
        })
    }

    /// Takes the tokens back.
    pub async fn close(self) -> Result<(), Failure> {
        for (caller, id) in self.made {
            tokens::revoke(&self.app, &caller, id).await?;
        }
        Ok(())
    }

    /// The clocks of the house.
    pub const fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// When the demo began.
    pub const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// An address of the product's API.
    pub fn api(&self, below: &str) -> String {
        format!("{}/{below}", self.api)
    }

    /// An id that nothing has yet.
    pub fn fresh(&self) -> String {
        self.ids.uuid().to_string()
    }

    /// Sign-in and password, by which a person proves to be there.
    pub fn proof(&self, who: Who) -> Value {
        let name = who.staff().map_or("", |own| own.sign_in);
        let password = self.passwords.get(&who).map(|own| own.as_str());
        json!({ "name": name, "password": password })
    }

    /// Sends what waits for partners, as the job of a running instance does.
    pub async fn send_what_waits(&self) -> Result<(), Failure> {
        app::medicines::orders::round(&self.app, self.ids.uuid()).await?;
        Ok(())
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clocks.now()
    }

    /// Begins a part of the story.
    pub fn chapter(&mut self, title: &str) {
        self.printer.text(&format!("\n{title}"));
    }

    /// What happened so far.
    pub fn told(&self) -> &[Value] {
        &self.told
    }

    /// Calls an address below the tenant's FHIR base, or one that begins with `/`, without telling it.
    pub async fn ask(
        &self,
        who: Who,
        (method, path): (Method, &str),
        body: &Value,
    ) -> Result<Answer, Failure> {
        let fault = |text: String| Failure::new(Category::Fault, text);
        let address = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.base)
        };
        let token = self.tokens.get(&who).map(String::as_str);
        let mut request = Request::builder().method(method).uri(&address).header(
            header::AUTHORIZATION,
            format!("Bearer {}", token.unwrap_or_default()),
        );
        let content = if body.is_null() {
            Body::empty()
        } else {
            let json = if path.starts_with('/') {
                "application/json"
            } else {
                "application/fhir+json"
            };
            request = request.header(header::CONTENT_TYPE, json);
            Body::from(body.to_string())
        };
        let request = request
            .body(content)
            .map_err(|error| fault(error.to_string()))?;
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| fault(error.to_string()))?;
        let receipt = parts.headers.get(RECEIPT).and_then(|own| own.to_str().ok());
        Ok(Answer {
            status: parts.status.as_u16(),
            receipt: receipt.map(str::to_owned),
            body: serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null),
        })
    }

    /// One step: it is told, and it is as expected or the story ends.
    pub async fn step(
        &mut self,
        title: &str,
        who: Who,
        (call, body): ((Method, &str), &Value),
        expect: Expect<'_>,
    ) -> Result<Answer, Stop> {
        let wrote = call.1.starts_with('/') && call.0 != Method::GET;
        let answer = self.ask(who, call, body).await?;
        self.tell(title, who, &answer, wrote);
        let text = answer.body.to_string();
        let missing = expect.words.iter().find(|words| !text.contains(*words));
        if answer.status != expect.status {
            return Err(Stop::Unexpected(format!(
                "{title}: answered {} where {} was expected: {}",
                answer.status,
                expect.status,
                answer.words()
            )));
        }
        if let Some(words) = missing {
            return Err(Stop::Unexpected(format!(
                "{title}: the answer does not say {words:?}: {}",
                answer.words()
            )));
        }
        Ok(answer)
    }

    fn tell(&mut self, title: &str, who: Who, answer: &Answer, wrote: bool) {
        let number = self.told.len() + 1;
        let words = answer.words();
        let entry = answer.receipt.clone();
        self.told.push(json!({
            "step": number, "title": title, "who": who.named(), "status": answer.status,
            "decided": words, "entry": entry, "of_api": wrote,
        }));
        let mut shown: String = words.chars().take(SHOWN).collect();
        if shown.len() < words.len() {
            shown.push('…');
        }
        let entry = entry.map_or_else(
            || match (wrote, answer.status) {
                (true, ..=299) => {
                    "entry of the same commit; the answer does not name it".to_owned()
                }
                _ => "nothing was stored; the look stands in the access log".to_owned(),
            },
            |own| format!("entry {own}"),
        );
        self.printer.text(&format!(
            "{number:>3}. {title}\n     by      {}\n     answer  {} {shown}\n     ledger  {entry}",
            who.named(),
            answer.status
        ));
    }
}
