//! The pages in a real browser, with their scripts, over a real connection: what a person sees, with two
//! devices and without a network.

mod house;
mod prescribing;
mod signing_in;
