//! Outbound calls against real servers on this machine: HTTP, TLS and mail.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod knowledge;
#[cfg(test)]
mod mails;
#[cfg(test)]
mod pharmacies;
#[cfg(test)]
mod setting;
