//! What each class of controlled drugs demands, as a table with its sources. The classes are those of the
//! dm+d look-up `CONTROL_DRUG_CATEGORY`, which tells apart what the schedules alone do not. Must not be
//! read as legal advice: a home's own procedure may ask for more, never for less.

use crate::dictionary::Schedule;

/// A class of controlled drugs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Schedule 1.
    One,
    /// Schedule 2.
    Two,
    /// Schedule 2, exempt from safe custody.
    TwoExempt,
    /// Schedule 3.
    Three,
    /// Schedule 3, exempt from safe custody.
    ThreeExempt,
    /// Schedule 3, phenobarbital.
    Phenobarbital,
    /// Schedule 3, temazepam.
    Temazepam,
    /// Schedule 4, anabolic.
    FourAnabolic,
    /// Schedule 4, benzodiazepines and the like.
    FourBenzodiazepine,
    /// Schedule 5.
    Five,
}

/// What a class demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// The class.
    pub class: Class,
    /// Its category in dm+d.
    pub category: &'static str,
    /// Its schedule.
    pub schedule: Schedule,
    /// An entry in the register for whatever comes and goes (regulation 19).
    pub register: bool,
    /// Kept in the controlled-drugs cupboard (Safe Custody Regulations 1973).
    pub cupboard: bool,
    /// A second trained person signs (good practice for care homes).
    pub witness: bool,
    /// Destroyed before a witness, made irretrievable (regulation 27; good practice for care homes).
    pub witnessed_destruction: bool,
    /// A prescription ends this many days after its date (regulation 16), six months for schedule 5.
    pub prescription_days: u16,
}

const fn row(
    class: Class,
    category: &'static str,
    schedule: Schedule,
    [register, cupboard, witness, witnessed_destruction]: [bool; 4],
    prescription_days: u16,
) -> Demands {
    Demands {
        class,
        category,
        schedule,
        register,
        cupboard,
        witness,
        witnessed_destruction,
        prescription_days,
    }
}

const YES: bool = true;
const NO: bool = false;

/// Sources: Misuse of Drugs Regulations 2001 (S.I. 2001/3998) regulations 16, 19 to 24 and 27; Misuse of
/// Drugs (Safe Custody) Regulations 1973 (S.I. 1973/798) and their list of exempted drugs; Care Quality
/// Commission, "Controlled drugs in care homes"; NICE SC1. Columns: register, cupboard, witness, witnessed
/// destruction.
pub const DEMANDS: [Demands; 10] = [
    row(Class::One, "0001", Schedule::One, [YES, YES, YES, YES], 28),
    row(Class::Two, "0002", Schedule::Two, [YES, YES, YES, YES], 28),
    row(
        Class::TwoExempt,
        "0003",
        Schedule::Two,
        [YES, NO, YES, YES],
        28,
    ),
    row(
        Class::Three,
        "0004",
        Schedule::Three,
        [NO, YES, NO, YES],
        28,
    ),
    row(
        Class::ThreeExempt,
        "0005",
        Schedule::Three,
        [NO, NO, NO, YES],
        28,
    ),
    row(
        Class::Phenobarbital,
        "0006",
        Schedule::Three,
        [NO, NO, NO, YES],
        28,
    ),
    row(
        Class::Temazepam,
        "0007",
        Schedule::Three,
        [NO, YES, NO, YES],
        28,
    ),
    row(
        Class::FourAnabolic,
        "0008",
        Schedule::Four,
        [NO, NO, NO, YES],
        28,
    ),
    row(
        Class::FourBenzodiazepine,
        "0009",
        Schedule::Four,
        [NO, NO, NO, YES],
        28,
    ),
    row(Class::Five, "0010", Schedule::Five, [NO, NO, NO, NO], 183),
];

impl Class {
    /// By dm+d's category; none for `0000`, which is not controlled, and for what is not known.
    #[must_use]
    pub fn of_category(category: &str) -> Option<Self> {
        let row = DEMANDS.iter().find(|row| row.category == category);
        row.map(|row| row.class)
    }

    /// By schedule alone: where the schedule has several classes, the one that demands most.
    #[must_use]
    pub const fn of_schedule(schedule: Schedule) -> Self {
        match schedule {
            Schedule::One => Self::One,
            Schedule::Two => Self::Two,
            Schedule::Three => Self::Three,
            Schedule::Four => Self::FourBenzodiazepine,
            Schedule::Five => Self::Five,
        }
    }

    /// What it demands.
    #[must_use]
    pub fn demands(self) -> &'static Demands {
        let row = DEMANDS.iter().find(|row| row.class == self);
        row.unwrap_or(&DEMANDS[1])
    }
}

/// Years for which a register is kept after its last entry (regulation 23).
pub const KEPT_YEARS: i16 = 2;
