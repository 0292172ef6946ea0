//! Mail over SMTP: one submission server that the allow list names, TLS unless its entry says otherwise,
//! recipients from a list of their own. Must not write addresses or texts to a log.

use std::path::Path;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message as Letter};
use zeroize::Zeroizing;

use crate::dial::Dial;
use crate::error::ConnectError;
use crate::outbound::Message;
use crate::policy::{Scheme, Target};

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// STARTTLS, demanded.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None; the server's egress entry must say `clear`.
    Clear,
}

impl MailSecurity {
    /// Reads `starttls`, `tls` or `clear`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "starttls" => Some(Self::StartTls),
            "tls" => Some(Self::Tls),
            "clear" => Some(Self::Clear),
            _ => None,
        }
    }
}

/// How mail is sent.
#[derive(Clone)]
pub struct MailSettings {
    /// `host` or `host:port` of the submission server.
    pub server: String,
    /// How it is protected.
    pub security: MailSecurity,
    /// The sender's address.
    pub from: String,
    /// User name and password.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// Who may be written to: `name@domain` or `*@domain`. Empty: nobody.
    pub recipients: Vec<String>,
}

impl core::fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MailSettings")
            .field("server", &self.server)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

pub(crate) struct Mailer {
    target: Target,
    security: MailSecurity,
    from: Address,
    credentials: Option<Credentials>,
    recipients: Vec<String>,
    dial: Dial,
    tls: Option<TlsParameters>,
    hello: ClientId,
    deadline: Duration,
}

const BAD_FROM: ConnectError =
    ConnectError::Mail("mail.from is no mail address: write one such as record@example.org");
const BAD_TO: ConnectError =
    ConnectError::Mail("the recipient is no mail address that mail.recipients lists: add it there");

impl Mailer {
    pub(crate) fn new(
        settings: MailSettings,
        dial: Dial,
        roots: Option<&Path>,
        deadline: Duration,
    ) -> Result<Self, ConnectError> {
        let scheme = match settings.security {
            MailSecurity::Tls => Scheme::Smtps,
            MailSecurity::StartTls | MailSecurity::Clear => Scheme::Smtp,
        };
        let (target, _) = Target::of(&format!("{}://{}", scheme.as_str(), settings.server))?;
        let entry = dial.policy.allow(&target)?;
        if settings.security == MailSecurity::Clear && !entry.allows_clear_mail() {
            return Err(ConnectError::Mail(
                "mail without TLS is not allowed: add the word clear to the mail server's egress entry, or set mail.security to starttls",
            ));
        }
        let tls = match settings.security {
            MailSecurity::Clear => None,
            MailSecurity::StartTls | MailSecurity::Tls => Some(tls(&target.host, roots)?),
        };
        let from: Address = settings.from.parse().map_err(|_| BAD_FROM)?;
        let hello = ClientId::Domain(from.domain().to_owned());
        let credentials = settings
            .credentials
            .map(|(user, password)| Credentials::new(user, password.to_string()));
        Ok(Self {
            target,
            security: settings.security,
            from,
            credentials,
            recipients: settings
                .recipients
                .iter()
                .map(|recipient| recipient.to_ascii_lowercase())
                .collect(),
            dial,
            tls,
            hello,
            deadline,
        })
    }

    pub(crate) fn permits(&self, to: &str) -> Result<(), ConnectError> {
        let address: Address = to.parse().map_err(|_| BAD_TO)?;
        let whole = address.to_string().to_ascii_lowercase();
        let domain = format!("*@{}", address.domain().to_ascii_lowercase());
        let listed = |own: &String| *own == whole || *own == domain;
        if self.recipients.iter().any(listed) {
            Ok(())
        } else {
            Err(BAD_TO)
        }
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), ConnectError> {
        self.permits(&message.to)?;
        let to: Address = message.to.parse().map_err(|_| BAD_TO)?;
        let envelope =
            Envelope::new(Some(self.from.clone()), vec![to.clone()]).map_err(|_| BAD_TO)?;
        let letter = letter(&self.from, to, message)?;
        match tokio::time::timeout(self.deadline, self.deliver(&envelope, &letter)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ConnectError::TimedOut {
                host: self.target.host.clone(),
                after: self.deadline,
            }),
        }
    }

    async fn deliver(&self, envelope: &Envelope, letter: &[u8]) -> Result<(), ConnectError> {
        let failed = |error| self.failed(&error);
        let addresses = self.dial.addresses(&self.target).await?;
        let implicit = match self.security {
            MailSecurity::Tls => self.tls.clone(),
            MailSecurity::StartTls | MailSecurity::Clear => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            addresses.as_slice(),
            Some(self.dial.deadline),
            &self.hello,
            implicit,
            None,
        )
        .await
        .map_err(failed)?;
        if let (MailSecurity::StartTls, Some(tls)) = (self.security, &self.tls) {
            connection
                .starttls(tls.clone(), &self.hello)
                .await
                .map_err(failed)?;
        }
        if let Some(credentials) = &self.credentials {
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], credentials)
                .await
                .map_err(failed)?;
        }
        let sent = connection.send(envelope, letter).await;
        let outcome = sent.map(|_| ()).map_err(failed);
        // The message is the server's by now: how the farewell goes changes nothing.
        let _ = connection.quit().await;
        outcome
    }

    fn failed(&self, error: &lettre::transport::smtp::Error) -> ConnectError {
        let host = self.target.host.clone();
        if let Some(status) = error.status() {
            return ConnectError::Refused {
                code: u16::from(status),
                permanent: error.is_permanent(),
            };
        }
        if error.is_tls() {
            return ConnectError::Untrusted {
                host,
                detail: "TLS could not be begun".to_owned(),
            };
        }
        if error.is_timeout() {
            return ConnectError::TimedOut {
                host,
                after: self.deadline,
            };
        }
        if error.is_client() {
            return ConnectError::Protocol {
                host,
                detail: "it lacks STARTTLS, or a way to sign in".to_owned(),
            };
        }
        ConnectError::Unreachable {
            host,
            detail: "the connection was refused or broke off".to_owned(),
        }
    }
}

fn tls(host: &str, roots: Option<&Path>) -> Result<TlsParameters, ConnectError> {
    let failed = |_| ConnectError::Untrusted {
        host: host.to_owned(),
        detail: "TLS could not be set up".to_owned(),
    };
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(file) = roots {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in crate::pins::certificates(file)? {
            let root = Certificate::from_der(certificate.as_ref().to_vec()).map_err(failed)?;
            builder = builder.add_root_certificate(root);
        }
    }
    builder.build().map_err(failed)
}

fn letter(from: &Address, to: Address, message: Message) -> Result<Vec<u8>, ConnectError> {
    let builder = Letter::builder()
        .from(from.clone().into())
        .to(to.into())
        .message_id(Some(format!("<{}@{}>", message.id, from.domain())))
        .subject(message.subject);
    let text = SinglePart::plain(message.text);
    let built = match message.attachment {
        None => builder.singlepart(text),
        Some((name, media, bytes)) => {
            let kind = ContentType::parse(&media)
                .map_err(|_| ConnectError::Mail("the attachment's media type is none"))?;
            let attached = Attachment::new(name).body(bytes.to_vec(), kind);
            builder.multipart(MultiPart::mixed().singlepart(text).singlepart(attached))
        }
    };
    let built = built.map_err(|_| ConnectError::Mail("the message cannot be written as mail"))?;
    Ok(built.formatted())
}
