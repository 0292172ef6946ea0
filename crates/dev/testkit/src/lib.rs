//! What tests share: PostgreSQL and Chromium found and started on demand, servers that are called by us,
//! fixed clocks and seeded ids.
//! Only tests and benches may depend on it.

pub mod browser;
pub mod cds;
pub mod chromium;
pub mod clock;
pub mod ids;
pub mod peers;
pub mod pharmacy;
pub mod postgres;
pub mod receiver;
pub mod smtp;
pub mod tls;
