//! Mail against a server that speaks SMTP.

use bytes::Bytes;
use connect::{Client, ConnectError, MailSecurity, MailSettings, Message, Outbound as _};
use testkit::smtp::{MailServer, Manners};
use testkit::tls::TestCertificate;
use zeroize::Zeroizing;

use crate::setting::Setting;

fn message(to: &str) -> Message {
    Message {
        to: to.to_owned(),
        subject: "Something changed".to_owned(),
        text: "Look at the record.".to_owned(),
        attachment: None,
        id: "s1.7".to_owned(),
    }
}

struct House {
    server: MailServer,
    setting: Setting,
    _folder: tempfile::TempDir,
}

fn house(security: MailSecurity, words: &str, manners: Manners) -> House {
    let folder = tempfile::tempdir().unwrap();
    let certificate = TestCertificate::for_names(&["mail.test"]);
    let server = MailServer::start(&certificate, manners);
    let port = server.address().port();
    let mut setting = Setting::allowing(&[format!("smtp://mail.test:{port} {words}")]);
    setting.roots = Some(certificate.write_into(folder.path()));
    setting.mail = Some(MailSettings {
        server: format!("mail.test:{port}"),
        security,
        from: "record@house.test".to_owned(),
        credentials: None,
        recipients: vec!["*@clinic.test".to_owned(), "one@other.test".to_owned()],
    });
    House {
        server,
        setting,
        _folder: folder,
    }
}

#[tokio::test]
async fn mail_goes_over_tls_with_credentials_to_listed_recipients() {
    let mut house = house(MailSecurity::StartTls, "private", Manners::default());
    if let Some(mail) = &mut house.setting.mail {
        mail.credentials = Some(("sender".to_owned(), Zeroizing::new("p4ss".to_owned())));
    }
    let client = house.setting.client();
    let mut letter = message("Ward@Clinic.test");
    letter.attachment = Some((
        "resource.json".to_owned(),
        "application/fhir+json".to_owned(),
        Bytes::from_static(b"{\"resourceType\":\"Patient\"}"),
    ));
    assert!(!format!("{letter:?}").contains("Clinic"));
    client.mail(letter).await.unwrap();
    let mails = house.server.wait_for(1);
    assert!(mails[0].secured);
    assert_eq!(
        mails[0].from,
        "<record@house.test> BODY=8BITMIME"
            .split(' ')
            .next()
            .unwrap()
    );
    assert_eq!(mails[0].to, ["<Ward@Clinic.test>"]);
    // base64 of "\0sender\0p4ss"
    assert_eq!(mails[0].credentials.as_deref(), Some("AHNlbmRlcgBwNHNz"));
    let content = &mails[0].content;
    for part in [
        "Message-ID: <s1.7@house.test>",
        "Subject: Something changed",
        "resource.json",
    ] {
        assert!(content.contains(part), "{part}: {content}");
    }
}

#[tokio::test]
async fn only_listed_recipients_are_written_to() {
    let house = house(MailSecurity::StartTls, "private", Manners::default());
    let client = house.setting.client();
    for bad in [
        "one@elsewhere.test",
        "two@other.test",
        "x@y@clinic.test",
        "",
        "a\r\nb@clinic.test",
    ] {
        assert!(client.permits_mail(bad).is_err(), "{bad}");
        let refused = client.mail(message(bad)).await.unwrap_err();
        assert!(refused.is_permanent(), "{bad}: {refused}");
    }
    assert!(client.permits_mail("ONE@other.test").is_ok());
    let closed = Setting::allowing(&[]).client();
    assert!(closed.permits_mail("one@other.test").is_err());
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_unless_its_entry_says_clear() {
    let manners = Manners {
        clear_only: true,
        ..Manners::default()
    };
    let strict = house(MailSecurity::StartTls, "private", manners);
    let failed = strict.setting.client().mail(message("a@clinic.test")).await;
    assert!(
        matches!(failed, Err(ConnectError::Protocol { .. })),
        "{failed:?}"
    );
    let open = house(MailSecurity::Clear, "private clear", manners);
    open.setting
        .client()
        .mail(message("a@clinic.test"))
        .await
        .unwrap();
    assert!(!open.server.wait_for(1)[0].secured);
    let unsaid = house(MailSecurity::Clear, "private", manners);
    let made = Client::new(
        connect::ClientSettings {
            policy: connect::EgressPolicy::parse(unsaid.setting.allow.iter().map(String::as_str))
                .unwrap(),
            limits: unsaid.setting.limits,
            root_certificates: None,
            mail: unsaid.setting.mail.clone(),
        },
        unsaid.setting.resolver.clone(),
        unsaid.setting.clock.clone(),
    );
    assert!(matches!(made, Err(ConnectError::Mail(_))));
}

#[tokio::test]
async fn mail_servers_inside_need_the_word_and_refusals_are_told_apart() {
    let inside = house(MailSecurity::StartTls, "", Manners::default());
    let failed = inside.setting.client().mail(message("a@clinic.test")).await;
    assert!(matches!(failed, Err(ConnectError::Inside { .. })));
    for (code, permanent) in [(450, false), (550, true)] {
        let manners = Manners {
            refuse: Some(code),
            ..Manners::default()
        };
        let house = house(MailSecurity::StartTls, "private", manners);
        let failed = house.setting.client().mail(message("a@clinic.test")).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed, ConnectError::Refused { code, permanent });
        assert_eq!(failed.is_permanent(), permanent);
    }
}
