//! What is checked when somebody writes a Subscription, before it is stored: that it can be served, that
//! the channel is allowed, and that the writer may search for what it watches. Must not judge a status
//! that the platform itself writes.

use http::{HeaderName, HeaderValue};
use identity::Interaction;
use kernel::ActorKind;
use store::{Change, DocKind};

use super::criteria::Criteria;
use super::documents::Registration;
use super::resource::{self, Channel, ChannelKind, Spec, Status, WITHHELD, Watch};
use super::{owner, topic};
use crate::App;
use crate::admin;
use crate::authorise::{Ask, authorise};
use crate::context::Caller;
use crate::error::AppError;

/// Headers that are ours to set, or would change how the call is read.
const RESERVED: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    connect::signature::ID,
    connect::signature::TIMESTAMP,
    connect::signature::SIGNATURE,
];

/// Admits a version of a Subscription, notes whose it is, and takes the values of its channel headers out
/// of what is stored. Other types pass.
pub(crate) async fn admit(app: &App, caller: &Caller, change: &mut Change) -> Result<(), AppError> {
    let is_subscription = app.definitions().resource_name(change.key.ty) == "Subscription";
    let kind = caller.subject.actor().kind;
    if !is_subscription || change.body.is_empty() || kind == ActorKind::System {
        return Ok(());
    }
    let mut spec = Spec::read(&change.body).map_err(AppError::Unprocessable)?;
    known_again(app, caller, change.key.id.as_str(), &mut spec.channel).await?;
    match spec.status {
        Status::Off => {}
        Status::Requested => serve(app, caller, kind, &spec).await?,
        Status::Active | Status::Error => {
            return refuse(
                "Subscription.status active and error are the server's to set: write requested, or off",
            );
        }
    }
    owner::note(app, caller, change, spec.channel.headers).await?;
    if let Some(body) = resource::withheld(&change.body).map_err(AppError::Unprocessable)? {
        change.body = body;
    }
    app.board().subscriptions.interest(caller.scope.tenant());
    Ok(())
}

/// Puts back the header values that were withheld from whoever read the Subscription and writes it again.
/// Only for the same endpoint: sent anywhere else, they would be given away.
async fn known_again(
    app: &App,
    caller: &Caller,
    id: &str,
    channel: &mut Channel,
) -> Result<(), AppError> {
    if channel.headers.iter().all(|(_, value)| value != WITHHELD) {
        return Ok(());
    }
    let found = admin::load::<Registration>(app, &caller.scope, DocKind::Subscription, id).await?;
    let known = found
        .map(|found| found.value.spec.channel)
        .filter(|known| known.endpoint == channel.endpoint && known.kind == channel.kind);
    for (name, value) in &mut channel.headers {
        if value != WITHHELD {
            continue;
        }
        let same = known.iter().flat_map(|known| &known.headers);
        let mut same = same.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((_, known)) = same.next() else {
            return refuse(format!(
                "the value of a channel header is {WITHHELD}, and is not known for this endpoint: send the value"
            ));
        };
        value.clone_from(known);
    }
    Ok(())
}

fn refuse(text: impl Into<String>) -> Result<(), AppError> {
    Err(AppError::Unprocessable(text.into()))
}

async fn serve(app: &App, caller: &Caller, kind: ActorKind, spec: &Spec) -> Result<(), AppError> {
    if !matches!(kind, ActorKind::User | ActorKind::Client) {
        return refuse("only users and API clients of the tenant can subscribe: use one of theirs");
    }
    if spec.end.is_some_and(|end| end <= app.now()) {
        return refuse("Subscription.end is over: give a later instant, or leave it out");
    }
    channel(app, &spec.channel)?;
    match &spec.watch {
        Watch::Criteria { query, .. } => {
            let criteria = Criteria::parse(app, query).map_err(AppError::Unprocessable)?;
            allowed(app, caller, criteria.ty).await?;
            answerable(app, caller, &criteria).await
        }
        Watch::Topic { url, filters } => by_topic(app, caller, url, filters).await,
    }
}

async fn allowed(
    app: &App,
    caller: &Caller,
    ty: fhir::definitions::TypeId,
) -> Result<(), AppError> {
    for interaction in [Interaction::Search, Interaction::Read] {
        authorise(app, caller, &Ask::of_type(interaction, ty)).await?;
    }
    Ok(())
}

async fn by_topic(
    app: &App,
    caller: &Caller,
    url: &str,
    filters: &[String],
) -> Result<(), AppError> {
    let topics = topic::all(app, caller.scope.tenant()).await?;
    let Some(topic) = topic::by_url(&topics, url) else {
        let why = topic::why_not(app, caller.scope.tenant(), url).await?;
        return refuse(match why {
            Some(why) => format!("topic {url:?} is not served: {why}"),
            None => format!(
                "topic {url:?} is not known here: store it as a Basic with code SubscriptionTopic"
            ),
        });
    };
    for trigger in &topic.triggers {
        allowed(app, caller, trigger.ty).await?;
    }
    let names = app.definitions();
    for filter in filters {
        let (of, query) = filter.split_once('?').unwrap_or(("", filter));
        for trigger in &topic.triggers {
            let name = names.resource_name(trigger.ty);
            if !of.is_empty() && of != name {
                continue;
            }
            let criteria = Criteria::parse(app, &format!("{name}?{query}"));
            let criteria = criteria.map_err(AppError::Unprocessable)?;
            for (parameter, _) in &criteria.params {
                let code = parameter.split(':').next().unwrap_or_default();
                let offered = topic
                    .filters
                    .iter()
                    .any(|(of, own)| own == code && (of.is_empty() || of == name));
                if !offered {
                    return refuse(format!(
                        "the topic cannot be filtered by {code}: leave it out"
                    ));
                }
            }
            answerable(app, caller, &criteria).await?;
        }
    }
    Ok(())
}

/// Asks once, for a resource that nobody has: what the store refuses is refused now, not when something
/// changes.
async fn answerable(app: &App, caller: &Caller, criteria: &Criteria) -> Result<(), AppError> {
    let nobody = app.ids().uuid().to_string();
    let nobody = nobody
        .parse()
        .map_err(|_| AppError::Fault("a UUID is no logical id".to_owned()))?;
    criteria.finds(app, caller, &nobody).await?;
    Ok(())
}

fn channel(app: &App, channel: &Channel) -> Result<(), AppError> {
    let outbound = app.outbound();
    let endpoint = &channel.endpoint;
    for (name, value) in &channel.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        let usable = parsed.is_ok_and(|parsed| !RESERVED.contains(&parsed.as_str()));
        if !usable || HeaderValue::from_str(value).is_err() {
            return refuse(
                "a channel header cannot be sent: check its name, and leave out those the server sets",
            );
        }
    }
    let permitted = match channel.kind {
        ChannelKind::RestHook => outbound.permits(endpoint),
        ChannelKind::Email => match endpoint.strip_prefix("mailto:") {
            Some(to) => outbound.permits_mail(to),
            None => return refuse("the endpoint of an email channel is no mailto: address"),
        },
        ChannelKind::Websocket => Ok(()),
    };
    permitted.map_err(|error| AppError::Unprocessable(error.to_string()))
}
