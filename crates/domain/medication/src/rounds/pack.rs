//! What a device takes along, what it brings back, and how far its clock can be believed. Its records join the
//! others in [`crate::administration::Book`]. Must not decide which of two records is true: both stay, and
//! somebody looks.

use std::collections::BTreeMap;

use kernel::Timestamp;

use crate::administration::{EffectRecord, Record};
use crate::ids::{DeviceId, PackId, PrescriptionId, RecordId, ResidentId};
use crate::limits::{Entry, Limit};
use crate::order::DueSlot;
use crate::quantity::Quantity;

/// What a device takes along. It decides with the same functions, on what is in here.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pack {
    /// Its id.
    pub id: PackId,
    /// For which device.
    pub device: DeviceId,
    /// As of when.
    pub made: Timestamp,
    /// Until when it may be used.
    pub until: Timestamp,
    /// The zone of the home.
    pub zone: kernel::ZoneName,
    /// SHA-256 of the knowledge that set the limits.
    pub knowledge: String,
    /// The residents, in the order one walks.
    pub visits: Vec<PackVisit>,
}

/// A resident in a pack.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackVisit {
    /// Who.
    pub resident: ResidentId,
    /// Name.
    pub name: String,
    /// Where.
    pub location: Vec<String>,
    /// What may be due or needed.
    pub lines: Vec<PackLine>,
    /// The limits of knowledge and orders.
    pub limits: Vec<Limit>,
    /// Doses that they look back at.
    pub history: Vec<Entry>,
}

/// A medicine in a pack.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PackLine {
    /// The order.
    pub order: PrescriptionId,
    /// Which version of it: another one makes the line out of date.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// The instruction in words.
    pub text: String,
    /// The due dose; none where it is given when needed.
    pub due: Option<DueSlot>,
    /// How much at most.
    pub dose: Option<Quantity>,
}

/// The clock of a device beside that of the server, read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClockReading {
    /// The server's.
    pub server: Timestamp,
    /// The device's.
    pub device: Timestamp,
}

impl ClockReading {
    /// Seconds that the device is ahead.
    #[must_use]
    pub const fn ahead(self) -> i64 {
        self.device.seconds_since(self.server)
    }
}

/// Readings when the pack was taken and when it came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Clocks {
    /// When it was taken.
    pub taken: ClockReading,
    /// When it came back.
    pub back: ClockReading,
}

/// What a device brings back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Return {
    /// Which pack.
    pub pack: PackId,
    /// Which device.
    pub device: DeviceId,
    /// Its clock.
    pub clocks: Clocks,
    /// Whether the device took off its times what its clock was ahead when the round was taken.
    #[serde(default)]
    pub corrected: bool,
    /// What was recorded.
    pub records: Vec<Record>,
    /// What came of asking for effects.
    #[serde(default)]
    pub effects: Vec<EffectRecord>,
    /// What was scanned from the packs, by record.
    #[serde(default)]
    pub scans: BTreeMap<RecordId, String>,
}

/// Seconds that a device's clock may differ.
pub const MOST_SKEW: i64 = 120;

/// What is wrong with a device's clock. Times are never rewritten: the records are pointed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "skew")]
pub enum Skew {
    /// It was right at both ends.
    None,
    /// It was as far off at both ends.
    Off {
        /// Seconds ahead.
        seconds: i64,
    },
    /// It was set, or ran away, in between: no time of this round is certain.
    Moved {
        /// Seconds ahead when the pack was taken.
        from: i64,
        /// Seconds ahead when it came back.
        to: i64,
    },
}

impl Clocks {
    /// What is wrong with the clock.
    #[must_use]
    pub const fn skew(self) -> Skew {
        let (from, to) = (self.taken.ahead(), self.back.ahead());
        if (to - from).abs() > MOST_SKEW {
            return Skew::Moved { from, to };
        }
        if from.abs() > MOST_SKEW || to.abs() > MOST_SKEW {
            return Skew::Off { seconds: to };
        }
        Skew::None
    }
}

impl Skew {
    /// Seconds by which a time may be off, to either side.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Off { seconds } => seconds.abs(),
            Self::Moved { from, to } if from.abs() > to.abs() => from.abs(),
            Self::Moved { to, .. } => to.abs(),
        }
    }
}

impl Clocks {
    /// The same clock without what it was ahead when the round was taken, which the device took off.
    #[must_use]
    pub fn corrected(self) -> Self {
        let ahead = self.taken.ahead();
        let right = |own: ClockReading| ClockReading {
            server: own.server,
            device: own.device.plus_seconds(-ahead),
        };
        Self {
            taken: right(self.taken),
            back: right(self.back),
        }
    }

    /// Seconds that an entry lies outside the round, beyond what its clock explains.
    #[must_use]
    pub fn outside(self, entered: Timestamp) -> i64 {
        let doubt = self.skew().seconds().max(MOST_SKEW);
        let before = self.taken.server.seconds_since(entered) - doubt;
        let after = entered.seconds_since(self.back.server) - doubt;
        before.max(after).max(0)
    }
}

impl Return {
    /// The clock that its times were read from, by what the server knew when the round was taken and what it
    /// knows now.
    #[must_use]
    pub fn clocks(&self, taken: ClockReading, now: Timestamp) -> Clocks {
        let read = Clocks {
            taken,
            back: ClockReading {
                server: now,
                device: self.clocks.back.device,
            },
        };
        if self.corrected {
            read.corrected()
        } else {
            read
        }
    }
}
