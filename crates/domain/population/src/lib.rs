//! The synthetic population of the demo, the tests and the benches: a seed and a reference day in,
//! FHIR R4 transaction bundles out as bytes, always the same bytes. Nobody in it is real. Must not read
//! a clock, draw randomness from outside or know how the bundles are loaded.
//!
//! Every resource goes in by PUT under an id of its own, so loading a bundle twice makes no duplicates
//! and addresses stay the same between runs. What is recorded lies before the reference day; only
//! appointments and the ends of prescriptions lie after it.

mod bundle;
mod calendar;
mod chart;
mod concepts;
mod establishment;
mod json;
mod medicines;
mod names;
mod numbers;
mod outpatient;
mod outpatient_visit;
mod random;
mod resident;
mod resident_care;
mod resident_doses;
mod resident_papers;
mod staff;

pub use calendar::Day;
pub use numbers::{NHS_NUMBERS, nhs_check_digit, nhs_number};
pub use resident::is_in_pain;
pub use staff::{Staff, colleague, staff};

/// The two tenants of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// A care home in England: old, frail, many medicines, a full administration record.
    RosewoodHouse,
    /// An outpatient clinic with two sites on the coast of India: all ages, visits, laboratory, imaging.
    HarbourClinic,
}

/// A branch of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// The name shown on pages.
    pub name: &'static str,
    /// Id of the branch's Organization, which is the managingOrganization of its patients.
    pub organization: &'static str,
    /// Id of the branch's Location.
    pub location: &'static str,
}

impl Tenant {
    /// Both tenants.
    pub const ALL: [Self; 2] = [Self::RosewoodHouse, Self::HarbourClinic];

    /// The tenant's name in addresses.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::RosewoodHouse => "rosewood-house",
            Self::HarbourClinic => "harbour-clinic",
        }
    }

    /// The tenant's name on pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RosewoodHouse => "Rosewood House",
            Self::HarbourClinic => "Harbour Clinic",
        }
    }

    /// What the demo loads: 40 residents or 120 patients, 12 months, 28 days of administrations.
    #[must_use]
    pub const fn profile(self) -> Profile {
        Profile {
            patients: match self {
                Self::RosewoodHouse => 40,
                Self::HarbourClinic => 120,
            },
            months: 12,
            mar_days: 28,
            today: 0,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::RosewoodHouse => "rh",
            Self::HarbourClinic => "hc",
        }
    }
}

/// The branches of a tenant.
#[must_use]
pub const fn branches(tenant: Tenant) -> &'static [Branch; 2] {
    match tenant {
        Tenant::RosewoodHouse => &[
            Branch {
                name: "Garden wing",
                organization: "rh-branch-garden",
                location: "rh-l-garden",
            },
            Branch {
                name: "Lakeside wing",
                organization: "rh-branch-lakeside",
                location: "rh-l-lakeside",
            },
        ],
        Tenant::HarbourClinic => &[
            Branch {
                name: "Harbour main",
                organization: "hc-branch-main",
                location: "hc-l-main",
            },
            Branch {
                name: "Hill Road branch",
                organization: "hc-branch-hill-road",
                location: "hc-l-hill-road",
            },
        ],
    }
}

/// How much to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Number of patients. Ids keep their width up to 9,999; NHS numbers run out at [`NHS_NUMBERS`].
    pub patients: u32,
    /// Months of history before the reference day; at least 1 is assumed.
    pub months: u16,
    /// Days of medicine administrations before the reference day; Rosewood House only.
    pub mar_days: u16,
    /// Minutes of the reference day up to which administrations are recorded; 0: none of that day.
    pub today: u16,
}

/// One bundle, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The JSON text of a transaction bundle.
    pub bytes: Vec<u8>,
    /// How many resources are in it.
    pub resources: u32,
}

/// The population of one tenant. Bundles are independent of each other and may be made in parallel
/// and in any order; bundle 0 must be loaded first because the others refer to it.
#[derive(Debug, Clone, Copy)]
pub struct Population {
    tenant: Tenant,
    seed: u64,
    reference: Day,
    profile: Profile,
}

impl Population {
    /// The population of `tenant` that `seed` gives, seen on the day `reference`.
    #[must_use]
    pub const fn new(tenant: Tenant, seed: u64, reference: Day, profile: Profile) -> Self {
        Self {
            tenant,
            seed,
            reference,
            profile,
        }
    }

    /// The number of bundles: one for the establishment and one for each patient.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.profile.patients.saturating_add(1)
    }

    /// Never true: the establishment is always there.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Bundle `number`: 0 is the establishment (organisations, locations, practitioners, teams), `n` is
    /// patient `n`. Nothing from [`Self::len`] on.
    #[must_use]
    pub fn bundle(&self, number: u32) -> Option<Written> {
        self.bundle_into(number, Vec::new())
    }

    /// The same, written at the end of a buffer that is given back, so that its memory is used again.
    #[must_use]
    pub fn bundle_into(&self, number: u32, buffer: Vec<u8>) -> Option<Written> {
        if number >= self.len() {
            return None;
        }
        let (bytes, resources) = match (number.checked_sub(1), self.tenant) {
            (None, tenant) => establishment::write(tenant, buffer),
            (Some(index), Tenant::RosewoodHouse) => resident::write(self, index, buffer),
            (Some(index), Tenant::HarbourClinic) => outpatient::write(self, index, buffer),
        };
        Some(Written { bytes, resources })
    }

    /// All bundles in the order of loading.
    pub fn bundles(&self) -> impl Iterator<Item = Written> + '_ {
        (0..self.len()).filter_map(|number| self.bundle(number))
    }

    /// Id of the Patient of bundle `number`, 1 and up: `rh-p-0001`, `hc-p-0001`.
    #[must_use]
    pub fn patient_id(&self, number: u32) -> String {
        format!("{}-p-{number:04}", self.tenant.prefix())
    }

    /// The branch that the patient of bundle `number` belongs to. Rosewood House alternates between
    /// its wings; every third patient of Harbour Clinic goes to Hill Road.
    #[must_use]
    pub const fn branch_of(&self, number: u32) -> &'static Branch {
        let [first, second] = branches(self.tenant);
        let second_branch = match self.tenant {
            Tenant::RosewoodHouse => number.is_multiple_of(2),
            Tenant::HarbourClinic => number.is_multiple_of(3),
        };
        if second_branch { second } else { first }
    }

    /// The last day that anything can have been recorded.
    const fn yesterday(&self) -> Day {
        self.reference.plus(-1)
    }

    /// The first day of the history.
    const fn first_day(&self) -> Day {
        let months = if self.profile.months == 0 {
            1
        } else {
            self.profile.months as i32
        };
        self.reference.plus(-(months * 365 / 12))
    }
}
