//! The people who work in the two tenants: who signs in to the demo, and who stands behind the
//! Practitioner resources. Must not hold passwords.

use crate::Tenant;

/// A demo sign-in; each stands for the Practitioner of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staff {
    /// What is typed to sign in; unique inside the tenant.
    pub sign_in: &'static str,
    /// The name shown on pages.
    pub display_name: &'static str,
    /// Role: `administrator`, `doctor`, `nurse`, `carer`, `pharmacist`, `receptionist` or `auditor`.
    pub role: &'static str,
    /// Names of the branches this person works in, see [`crate::branches`]; never empty.
    pub branches: &'static [&'static str],
    /// Id of this person's Practitioner resource.
    pub practitioner: &'static str,
    pub(crate) given: &'static str,
    pub(crate) family: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) gender: &'static str,
    /// Whether the demo offers this sign-in; the others only appear in records.
    pub(crate) signs_in: bool,
}

const GARDEN: &str = "Garden wing";
const LAKESIDE: &str = "Lakeside wing";
const MAIN: &str = "Harbour main";
const HILL: &str = "Hill Road branch";
const BOTH_WINGS: &[&str] = &[GARDEN, LAKESIDE];
const BOTH_SITES: &[&str] = &[MAIN, HILL];

macro_rules! staff {
    ($name:ident: $([$sign_in:literal, $prefix:literal, $given:literal, $family:literal, $gender:literal,
        $role:literal, $branches:expr, $practitioner:literal, $signs_in:literal]),* $(,)?) => {
        const $name: &[Staff] = &[$(Staff {
            sign_in: $sign_in,
            display_name: concat!($given, " ", $family),
            role: $role,
            branches: $branches,
            practitioner: $practitioner,
            given: $given,
            family: $family,
            prefix: $prefix,
            gender: $gender,
            signs_in: $signs_in,
        }),*];
    };
}

// Doctors come first, then those who give medicines: records draw from the front of each role.
staff!(ROSEWOOD:
    ["amelia.thornbury", "Dr", "Amelia", "Thornbury", "female", "doctor", BOTH_WINGS, "rh-s-doctor", true],
    ["grace.okonedo", "Ms", "Grace", "Okonedo", "female", "nurse", BOTH_WINGS, "rh-s-nurse", true],
    ["joseph.tamblyn", "Mr", "Joseph", "Tamblyn", "male", "nurse", BOTH_WINGS, "rh-s-nurse-2", false],
    ["maya.lindqvist", "Ms", "Maya", "Lindqvist", "female", "carer", &[GARDEN], "rh-s-carer", true],
    ["tomasz.wierzba", "Mr", "Tomasz", "Wierzba", "male", "carer", &[LAKESIDE], "rh-s-carer-2", true],
    ["precious.adewole", "Ms", "Precious", "Adewole", "female", "carer", &[LAKESIDE], "rh-s-carer-3", false],
    ["imran.saddique", "Mr", "Imran", "Saddique", "male", "pharmacist", BOTH_WINGS, "rh-s-pharmacist", true],
    ["helen.marsden", "Mrs", "Helen", "Marsden", "female", "administrator", BOTH_WINGS, "rh-s-admin", true],
    ["peter.hallworth", "Mr", "Peter", "Hallworth", "male", "auditor", BOTH_WINGS, "rh-s-auditor", true],
);
staff!(HARBOUR:
    ["kavya.raghunath", "Dr", "Kavya", "Raghunath", "female", "doctor", BOTH_SITES, "hc-s-doctor", true],
    ["yusuf.barakati", "Dr", "Yusuf", "Barakati", "male", "doctor", &[MAIN], "hc-s-doctor-2", false],
    ["leena.kurupath", "Dr", "Leena", "Kurupath", "female", "doctor", &[HILL], "hc-s-doctor-3", false],
    ["sanjana.ilango", "Ms", "Sanjana", "Ilango", "female", "nurse", &[MAIN], "hc-s-nurse", true],
    ["rosario.magbanwa", "Mr", "Rosario", "Magbanwa", "male", "nurse", &[HILL], "hc-s-nurse-2", false],
    ["farida.contractwala", "Ms", "Farida", "Contractwala", "female", "receptionist", &[HILL], "hc-s-reception", true],
    ["dinesh.apterao", "Mr", "Dinesh", "Apterao", "male", "administrator", BOTH_SITES, "hc-s-admin", true],
    ["noora.alsenani", "Ms", "Noora", "Alsenani", "female", "auditor", BOTH_SITES, "hc-s-auditor", true],
);

/// The demo sign-ins of a tenant.
pub fn staff(tenant: Tenant) -> impl Iterator<Item = &'static Staff> {
    everyone(tenant).iter().filter(|person| person.signs_in)
}

/// Whoever stands behind a Practitioner resource, also without a sign-in.
#[must_use]
pub fn colleague(tenant: Tenant, practitioner: &str) -> Option<&'static Staff> {
    let mut all = everyone(tenant).iter();
    all.find(|person| person.practitioner == practitioner)
}

/// All who have a Practitioner resource.
pub(crate) const fn everyone(tenant: Tenant) -> &'static [Staff] {
    match tenant {
        Tenant::RosewoodHouse => ROSEWOOD,
        Tenant::HarbourClinic => HARBOUR,
    }
}
