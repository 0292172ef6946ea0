//! The built program from outside: an instance is made, filled, killed, filled again, exported, verified,
//! tampered with, backed up and restored; exit codes are those of the table.

#[cfg(test)]
mod bulk;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod models;
#[cfg(test)]
mod place;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod products;
#[cfg(test)]
mod reindexing;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod service;
#[cfg(test)]
mod stock;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod terminology;
