//! Use-cases against the SQLite store, through the public calls alone.

#[cfg(test)]
mod access;
#[cfg(test)]
mod administration;
#[cfg(test)]
mod amounts;
#[cfg(test)]
mod assertions;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod cds_hooks;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod confirming;
#[cfg(test)]
mod dice;
#[cfg(test)]
mod doses;
#[cfg(test)]
mod house;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod medicines;
#[cfg(test)]
mod on_postgres;
#[cfg(test)]
mod order_status;
#[cfg(test)]
mod ordering;
#[cfg(test)]
mod places;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod reaching;
#[cfg(test)]
mod records;
#[cfg(test)]
mod register;
#[cfg(test)]
mod register_laws;
#[cfg(test)]
mod remote_imports;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod round_device;
#[cfg(test)]
mod rounds;
#[cfg(test)]
mod search_parameters;
#[cfg(test)]
mod searches;
#[cfg(test)]
mod second_person;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
mod stock;
#[cfg(test)]
mod stock_laws;
#[cfg(test)]
mod subscribed;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod terminology;
#[cfg(test)]
mod topics;
#[cfg(test)]
mod trees;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod web;
