//! The clocks of the house a scenario plays in: now, and the midnight that a story crosses.

use std::sync::Arc;

use jiff::tz::TimeZone;
use kernel::{Category, Clock, Timestamp, ZoneName};

use crate::failure::Failure;
use crate::wiring::Instance;

/// Seconds of an hour.
pub const HOUR: i64 = 3_600;

/// The clocks of a tenant.
pub struct Clocks {
    clock: Arc<dyn Clock>,
    zone: TimeZone,
}

impl Clocks {
    /// Of a tenant.
    pub async fn of(instance: &Instance, slug: &str) -> Result<Self, Failure> {
        let tenant = crate::tenancy::tenant(instance, Some(slug)).await?;
        let zone = tenant.time_zone.as_ref();
        let zone = ZoneName::zone(zone.unwrap_or(&instance.app.settings().time_zone));
        Ok(Self {
            clock: Arc::clone(&instance.clock),
            zone,
        })
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The last midnight of the house that lies at least so many hours back.
    pub fn midnight(&self, hours: i64) -> Result<Timestamp, Failure> {
        let wrong = |error: jiff::Error| Failure::new(Category::Fault, error.to_string());
        let back = self.now().plus_seconds(-hours * HOUR);
        let back = jiff::Timestamp::from_microsecond(back.as_micros()).map_err(wrong)?;
        let midnight = back
            .to_zoned(self.zone.clone())
            .start_of_day()
            .map_err(wrong)?;
        Ok(Timestamp::from_micros(
            midnight.timestamp().as_microsecond(),
        ))
    }

    /// The minute of now, as `08:05:00`: a dose of that time is due.
    pub fn minute(&self) -> Result<String, Failure> {
        let wrong = |error: jiff::Error| Failure::new(Category::Fault, error.to_string());
        let now = jiff::Timestamp::from_microsecond(self.now().as_micros()).map_err(wrong)?;
        let now = now.to_zoned(self.zone.clone());
        Ok(format!("{:02}:{:02}:00", now.hour(), now.minute()))
    }
}
