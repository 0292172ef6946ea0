//! The permission table: the one place that says which role may do what. Reach (branches,
//! relationships, own record), scopes and emergency grants narrow or widen it in [`crate::decide`].
//! `docs/reference/permissions.md` is printed from here and kept fresh by a test.

use core::fmt::Write as _;

use crate::class::Class;
use crate::interaction::{Interaction, InteractionSet};
use crate::role::Role;

/// The edition of the table, part of every policy id in the ledger. Raise it when a cell changes.
pub const EDITION: u16 = 2;

const fn row(class: Class, cells: [&str; COLUMNS]) -> (Class, [InteractionSet; COLUMNS]) {
    let mut sets = [InteractionSet::NONE; COLUMNS];
    let mut rest: &[&str] = &cells;
    let mut done: &mut [InteractionSet] = &mut sets;
    while let ([cell, cells @ ..], [set, sets @ ..]) = (rest, done) {
        *set = InteractionSet::cell(cell);
        rest = cells;
        done = sets;
    }
    (class, sets)
}

const COLUMNS: usize = 11;
/// The column of emergency access, after those of the roles.
const EMERGENCY: usize = 10;

/// Letters: r read, s search, h history, c create, u update, d delete. The column `Operator` holds in a
/// tenant with a support grant for content only; `Emergency` is what a break-glass grant gives.
#[rustfmt::skip]
const TABLE: [(Class, [InteractionSet; COLUMNS]); 22] = [
    //                           Administr. Doctor   Nurse    Carer    Pharmac. Reception. Audit. Integr.   Patient Operator Emergency
    row(Class::Demographics,   ["",        "rshcu", "rshcu", "rsh",   "rsh",   "rshcu",   "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Appointments,   ["",        "rshcu", "rshcu", "rsh",   "rsh",   "rshcud",  "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Diary,          ["rshcud",  "rshcu", "rsh",   "rsh",   "rsh",   "rshcud",  "",    "rshcud", "rs",   "rsh",   ""]),
    row(Class::Coverage,       ["",        "rsh",   "rsh",   "",      "rsh",   "rshcu",   "",    "rshcud", "rsh",  "rsh",   ""]),
    row(Class::Billing,        ["",        "rsh",   "",      "",      "",      "",        "",    "rshcud", "rsh",  "rsh",   ""]),
    row(Class::Visits,         ["",        "rshcu", "rshcu", "rsh",   "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Measurements,   ["",        "rshcu", "rshcu", "rshc",  "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Findings,       ["",        "rshcu", "rshcu", "rsh",   "rshc",  "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Care,           ["",        "rshcu", "rshcu", "rshu",  "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Orders,         ["",        "rshcu", "rshc",  "rsh",   "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Results,        ["",        "rshcu", "rsh",   "rsh",   "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Prescriptions,  ["",        "rshcu", "rsh",   "rsh",   "rshcu", "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::MedicinesGiven, ["",        "rshcu", "rshcu", "rshcu", "rshcu", "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Supplies,       ["",        "rsh",   "rshc",  "rshc",  "rshcu", "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Notes,          ["",        "rshcu", "rshcu", "rshc",  "rshc",  "",        "",    "rshcud", "rsh",  "rsh",   "rshc"]),
    row(Class::Consent,        ["",        "rshcu", "rshcu", "rsh",   "rsh",   "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Provenance,     ["",        "rshc",  "rshc",  "rshc",  "rshc",  "",        "",    "rshcud", "rsh",  "rsh",   "rsh"]),
    row(Class::Audit,          ["",        "",      "",      "",      "",      "",        "rsh", "",       "",     "",      ""]),
    row(Class::Directory,      ["rshcud",  "rsh",   "rsh",   "rsh",   "rsh",   "rsh",     "rsh", "rshcud", "rs",   "rsh",   ""]),
    row(Class::Products,       ["rshcud",  "rsh",   "rsh",   "rsh",   "rshcu", "rs",      "",    "rshcud", "rs",   "rsh",   ""]),
    row(Class::Knowledge,      ["rshcud",  "rsh",   "rsh",   "rsh",   "rsh",   "rsh",     "rsh", "rshcud", "rs",   "rsh",   ""]),
    row(Class::Plumbing,       ["rshcud",  "",      "",      "",      "",      "",        "",    "rshcud", "",     "rsh",   ""]),
];

/// Who may do which operation.
#[rustfmt::skip]
const OPERATIONS: [(Interaction, &[Role]); 21] = [
    (Interaction::ManageOwnAccount, &[Role::Administrator, Role::Doctor, Role::Nurse, Role::Carer, Role::Pharmacist, Role::Receptionist, Role::Auditor, Role::Patient, Role::Operator]),
    (Interaction::BreakGlass,       &[Role::Doctor, Role::Nurse, Role::Carer, Role::Pharmacist]),
    (Interaction::ReviewBreakGlass, &[Role::Administrator, Role::Auditor]),
    (Interaction::ManageUsers,      &[Role::Administrator, Role::Operator]),
    (Interaction::ManageBranches,   &[Role::Administrator, Role::Operator]),
    (Interaction::ManageClients,    &[Role::Administrator, Role::Operator]),
    (Interaction::ManageSettings,   &[Role::Administrator, Role::Operator]),
    (Interaction::ManageTenants,    &[Role::Operator]),
    (Interaction::GrantSupport,     &[Role::Administrator, Role::Operator]),
    (Interaction::ViewAudit,        &[Role::Auditor]),
    (Interaction::ExportAudit,      &[Role::Auditor, Role::Operator]),
    (Interaction::VerifyLedger,     &[Role::Administrator, Role::Auditor, Role::IntegrationService, Role::Operator]),
    (Interaction::Erase,            &[Role::Administrator, Role::Operator]),
    (Interaction::Export,           &[Role::IntegrationService, Role::Operator]),
    (Interaction::Import,           &[Role::IntegrationService, Role::Operator]),
    (Interaction::Merge,            &[Role::IntegrationService]),
    (Interaction::Backup,           &[Role::Operator]),
    (Interaction::ViewHealth,       &[Role::Administrator, Role::Operator]),
    (Interaction::RunJobs,          &[Role::Operator]),
    (Interaction::OrderMedicines,   &[Role::Doctor, Role::Nurse, Role::Carer, Role::Pharmacist]),
    (Interaction::ApproveOrders,    &[Role::Doctor, Role::Nurse, Role::Pharmacist]),
];

/// What a role may do with a class, within its reach.
#[must_use]
pub fn cell(role: Role, class: Class) -> InteractionSet {
    column(role.column(), class)
}

/// What a break-glass grant gives on a class.
#[must_use]
pub fn emergency_cell(class: Class) -> InteractionSet {
    column(EMERGENCY, class)
}

fn column(column: usize, class: Class) -> InteractionSet {
    TABLE
        .get(class as usize)
        .and_then(|(_, sets)| sets.get(column))
        .copied()
        .unwrap_or(InteractionSet::NONE)
}

/// Whether a role may do an operation.
#[must_use]
pub fn may_operate(role: Role, operation: Interaction) -> bool {
    OPERATIONS
        .iter()
        .any(|(name, roles)| *name == operation && roles.contains(&role))
}

/// The reference page `docs/reference/permissions.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(PREFACE);
    let _ = write!(page, "Edition {EDITION} of the table.\n\n## Resources\n");
    page.push_str("\n| Class |");
    for role in Role::ALL {
        let _ = write!(page, " {role} |");
    }
    page.push_str(" emergency access |\n|---|");
    page.push_str(&"---|".repeat(COLUMNS));
    page.push('\n');
    for (class, sets) in TABLE {
        let _ = write!(page, "| {class} |");
        for set in sets {
            if set.is_empty() {
                page.push_str("  |");
            } else {
                let _ = write!(page, " `{set}` |");
            }
        }
        page.push('\n');
    }
    page.push_str("\n## Operations\n\n| Operation | Roles |\n|---|---|\n");
    for (operation, roles) in OPERATIONS {
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let _ = writeln!(page, "| {operation} | {} |", names.join(", "));
    }
    page.push_str("\n## Classes\n\n| Class | About patients | Types |\n|---|---|---|\n");
    for class in Class::ALL {
        let types: Vec<&str> = class.types().collect();
        let about = if class.is_about_patients() {
            "yes"
        } else {
            "no"
        };
        let _ = writeln!(page, "| {class} | {about} | {} |", types.join(", "));
    }
    page
}

const PREFACE: &str = "\
# Permissions

Printed from `crates/domain/identity/src/permissions.rs` by \
`cargo run -p theriac-identity --example permissions > docs/reference/permissions.md`; a test keeps this page fresh.

A request is allowed when a role of the caller has the letter of the interaction \
(`r` read, `s` search, `h` history, `c` create, `u` update, `d` delete) in the cell of the resource type's class, **and** reaches the patient:

- **Doctor, pharmacist, receptionist, integration service** reach every patient of the tenant, unless the assignment names branches.
- **Nurse, carer** reach the patients of the branches that the assignment names; nobody when it names none.
- **Patient** reaches the linked patient records only.
- A patient belongs to a branch when `Patient.managingOrganization` is the branch's Organization. A relationship (care team, referral, cover) adds single patients for a user or a branch.
- A look is allowed when the caller reaches one of the patients that the resource is about; a change needs all of them.
- Resources about patients that lie in no patient's compartment are reached by roles with the whole tenant only. Classes that are not about patients need no reach.
- **API clients** and narrowed tokens need a matching scope as well, and operations must be listed for the client.
- **Emergency access** (break-glass) adds the column `emergency access` for one patient, for a limited time, with the purpose `ETREAT`; each use is marked and the grant is reviewed by somebody else.
- **Merging patients** changes everything that refers to one of them, in one step: it is nobody's by a clinical role. A program does it (a patient \
index, the tool of a records office) that an administrator listed `merge` for, and it needs the letters for every resource it changes as well.
- **Bulk exports** of a program whose role is bound to branches hold the patients of those branches only; archives of a whole tenant need the whole tenant.
- **Operators** belong to the instance. In a tenant they need a support grant; the column `operator` and the operations erase, export and import need one for content.
- **Nobody gives themselves anything.** An administrator does not change the roles, state, second step or lock of their own account, nor reset its \
password (the own-password change asks for the current one); does not relate themselves or their own branch to a patient; makes tokens for themselves and \
for programs, never for another person; and nobody reviews their own emergency access. Each refusal is an entry of the access ledger.
- **Others may be given more than the giver has.** Administrators hold no clinical role, so a house could not be run otherwise. What guards it: the change \
ledger names giver, receiver and roles of every grant and cannot be rewritten; a password that an administrator resets must be changed at the next sign-in; \
programs hold program roles only, so that none can administer whoever made it; the last administrator cannot be removed. Auditors, who are given nothing \
clinical, should look at the grants of roles regularly.
- What no row allows is denied. A resource out of reach answers as if it did not exist.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_operations_stand_in_order() {
        for (at, (class, _)) in TABLE.iter().enumerate() {
            assert_eq!(*class as usize, at);
        }
        for ((operation, _), expected) in OPERATIONS.iter().zip(Interaction::OPERATIONS) {
            assert_eq!(*operation, expected);
        }
    }

    #[test]
    fn the_reference_page_is_fresh() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../docs/reference/permissions.md"
        );
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "run `cargo run -p theriac-identity --example permissions > docs/reference/permissions.md`"
        );
    }

    #[test]
    fn promises_of_the_roles_hold_in_every_row() {
        let clinical = |class: Class| {
            class.is_about_patients()
                && !matches!(
                    class,
                    Class::Demographics | Class::Appointments | Class::Coverage
                )
        };
        for class in Class::ALL {
            if class.is_about_patients() {
                assert!(cell(Role::Administrator, class).is_empty(), "{class}");
                assert!(cell(Role::Auditor, class).is_empty(), "{class}");
            }
            if clinical(class) {
                assert!(cell(Role::Receptionist, class).is_empty(), "{class}");
            }
            let changes = [
                Interaction::Create,
                Interaction::Update,
                Interaction::Delete,
            ];
            for interaction in changes {
                assert!(!cell(Role::Patient, class).contains(interaction), "{class}");
                assert!(
                    !cell(Role::Operator, class).contains(interaction),
                    "{class}"
                );
                let note = class == Class::Notes && interaction == Interaction::Create;
                assert_eq!(emergency_cell(class).contains(interaction), note, "{class}");
            }
            if !class.is_about_patients() {
                assert!(emergency_cell(class).is_empty(), "{class}");
            }
        }
        // The ledger is the audit trail: nobody writes AuditEvents.
        for role in Role::ALL {
            assert!(!cell(role, Class::Audit).contains(Interaction::Create));
        }
    }

    #[test]
    fn the_whole_table() {
        let mut text = String::new();
        for (class, sets) in TABLE {
            let cells: Vec<String> = sets
                .iter()
                .map(|set| format!("{:6}", set.to_string()))
                .collect();
            let _ = writeln!(text, "{:15} {}", class.as_str(), cells.join(" ").trim_end());
        }
        insta::assert_snapshot!(text);
    }
}
