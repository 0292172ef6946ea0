//! The pages as a browser without scripts uses them: forms, cookies, redirects, through the router and
//! the use-cases down to SQLite files.

mod access;
mod browser;
mod clinical;
#[path = "../gate/mod.rs"]
mod gate;
mod hooks;
mod house;
#[expect(dead_code, reason = "the guards read more of a page than the flows")]
#[path = "../markup/mod.rs"]
mod markup;
mod medicine_papers;
mod medicines;
mod orders;
mod prescribing;
mod round;
mod sign_in;
mod stock;
mod tool_states;
mod tools;
mod twins;
