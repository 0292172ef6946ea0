//! The pages: server-rendered, accessible, working without JavaScript.
//! `clinical` turns FHIR into words, `components` and `pages` are view models with their templates,
//! `assets` the stylesheet and the one script, `narrative` and `xml` show what a resource holds. Must not decide who may see what, and must not touch a
//! store: handlers call use-cases of `app`.

pub mod assets;
pub mod chart;
pub mod clinical;
pub mod components;
pub mod diff;
pub mod edge;
pub mod narrative;
pub mod pages;
pub mod xml;

pub use edge::{SESSION_COOKIE, WebSettings, router, router_with};
