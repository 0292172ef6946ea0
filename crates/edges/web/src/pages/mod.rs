//! The pages: one view model and one template each, all inside the same shell. Must not fetch anything:
//! a page is what it is given.

pub mod access;
pub mod account;
pub mod audit;
pub mod medicines;
pub mod message;
pub mod papers;
pub mod patients;
pub mod record;
pub mod rounds;
pub mod search;
pub mod shell;
pub mod sign_in;
pub mod summary;
pub mod today;
pub mod tools;
pub mod validation;

pub use shell::{NavItem, Place, Shell, Theme};
