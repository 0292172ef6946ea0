//! The pages in a real browser, with their scripts, over a real connection: what a person sees, with two
//! devices and without a network.

mod decides;
mod hooking;
mod house;
mod limits;
mod ordering;
mod prescribing;
mod rounds;
mod scanning;
mod signing_in;
