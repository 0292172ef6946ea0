//! The HTTP edge from outside: every request goes through the router, every answer is looked at as bytes,
//! over the SQLite store in a folder of its own, with a clock and ids that repeat.

#[cfg(test)]
mod server;

#[cfg(test)]
mod authorisation;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod bulk_imports;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod cds_hooks;
#[cfg(test)]
mod cds_trust;
#[cfg(test)]
mod conditional;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod conversation;
#[cfg(test)]
mod finding;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod graphql;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod medicines;
#[cfg(test)]
mod medicines_elsewhere;
#[cfg(test)]
mod medicines_given;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod ordering;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod papers;
#[cfg(test)]
mod patches;
#[cfg(test)]
mod product;
#[cfg(test)]
mod references;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod stock;
#[cfg(test)]
mod terminology;
#[cfg(test)]
mod then;
#[cfg(test)]
mod trail;
#[cfg(test)]
mod twins;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod views;
#[cfg(test)]
mod walls;
#[cfg(test)]
mod websockets;
#[cfg(test)]
mod xml;
