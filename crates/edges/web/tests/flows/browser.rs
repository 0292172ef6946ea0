//! A browser without scripts: keeps cookies by path, reads forms from pages and submits them.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its pages are long lists"
)]

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn location(&self) -> &str {
        self.headers
            .get(header::LOCATION)
            .map_or("", |value| value.to_str().unwrap())
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
    /// The value of the first hidden field of a name.
    pub fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let rest = self.body.split(&mark).nth(1).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    }
    /// Without what differs between any two answers: tokens and ids of requests.
    pub fn comparable(&self) -> String {
        let mut shown = String::new();
        let mut rest = self.body.as_str();
        while let Some((before, after)) = rest.split_once("name=\"csrf\" value=\"") {
            shown.push_str(before);
            rest = after.split_once('"').map_or("", |(_, rest)| rest);
        }
        shown.push_str(rest);
        match shown.split_once("quote this number: <code>") {
            Some((before, after)) => format!(
                "{before}{}",
                after.split_once("</code>").map_or("", |(_, rest)| rest)
            ),
            None => shown,
        }
    }
}

/// A browser.
pub struct Browser {
    router: Router,
    /// By path and name.
    pub cookies: BTreeMap<(String, String), String>,
}

impl Browser {
    pub fn new(router: Router) -> Self {
        Self {
            router,
            cookies: BTreeMap::new(),
        }
    }

    fn cookie_header(&self, path: &str) -> String {
        let sent = self.cookies.iter().filter(|((scope, _), _)| {
            scope == "/" || path == scope || path.starts_with(&format!("{scope}/"))
        });
        sent.map(|((_, name), value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let mut parts = cookie.to_str().unwrap().split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<&str> = parts.collect();
            for needed in ["HttpOnly", "SameSite=Strict", "Secure"] {
                assert!(
                    attributes.contains(&needed),
                    "cookie {name} without {needed}"
                );
            }
            let path = attributes
                .iter()
                .find_map(|a| a.strip_prefix("Path="))
                .unwrap()
                .to_owned();
            let key = (path, name.to_owned());
            if attributes.contains(&"Max-Age=0") {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, value.to_owned());
            }
        }
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        extra: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let plain = path.split('?').next().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "house.example");
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        let cookies = self.cookie_header(plain);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let answer = self
            .router
            .clone()
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let (parts, body) = answer.into_parts();
        self.keep(&parts.headers);
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], String::new()).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = app::record::query_string::print(fields.iter().copied());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "https://house.example"),
        ];
        self.send(Method::POST, path, &headers, body).await
    }

    /// Opens a page, takes its token, and submits a form of it.
    pub async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let form = self.get(page).await;
        assert_eq!(
            form.status,
            200,
            "{page}: {} {}",
            form.location(),
            form.body
        );
        assert!(
            form.body.contains(&format!("action=\"{action}\"")),
            "{page} has no form for {action}"
        );
        let csrf = form.hidden("csrf");
        let fields: Vec<_> = [("csrf", csrf.as_str())]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        self.post(action, &fields).await
    }

    pub async fn sign_in(&mut self, slug: &str, name: &str, password: &str) -> Answer {
        if slug == "instance" {
            let fields = [("user", name), ("password", password)];
            return self
                .submit("/operator/sign-in", "/operator/sign-in", &fields)
                .await;
        }
        let fields = [("tenant", slug), ("user", name), ("password", password)];
        self.submit("/sign-in", "/sign-in", &fields).await
    }
}
