//! Where a search looks: a type, the whole system, or the compartment of one resource. The compartments
//! are those of the R4 CompartmentDefinitions; the Patient compartment is the one decisions are made by.

use fhir::definitions::{Definitions, TypeId};
use store::{Clause, KeyForm, Predicate, ResourceKey};

use crate::error::QueryError;
use crate::record::clauses::{Clauses, any_of, malformed};
use crate::record::name_of;

/// Where a search looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Resources of one type.
    Type(TypeId),
    /// Resources of the types that `_type` names, or of all.
    System,
    /// Resources in a compartment, of one type or of all.
    Compartment {
        /// Whose compartment.
        of: ResourceKey,
        /// The type; `None` for `*`.
        ty: Option<TypeId>,
    },
}

impl Place {
    /// The path below the base address.
    #[must_use]
    pub fn path(&self) -> String {
        let definitions = Definitions::r4();
        match self {
            Self::Type(ty) => definitions.resource_name(*ty).to_owned(),
            Self::System => String::new(),
            Self::Compartment { of, ty } => {
                let ty = ty.map_or("*", |ty| definitions.resource_name(ty));
                format!("{}/{ty}", name_of(of))
            }
        }
    }
}

/// The reference parameters that put a resource of a type into a compartment; `{def}` for the resource
/// that the compartment is of.
type Rows = &'static [(&'static str, &'static [&'static str])];

const SELF: &str = "{def}";

const DEVICE: Rows = &[
    ("Account", &["subject"]),
    ("Appointment", &["actor"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["agent"]),
    ("ChargeItem", &["enterer", "performer-actor"]),
    (
        "Claim",
        &["procedure-udi", "item-udi", "detail-udi", "subdetail-udi"],
    ),
    ("Communication", &["sender", "recipient"]),
    ("CommunicationRequest", &["sender", "recipient"]),
    ("Composition", &["author"]),
    ("DetectedIssue", &["author"]),
    (
        "DeviceRequest",
        &["device", "subject", "requester", "performer"],
    ),
    ("DeviceUseStatement", &["device"]),
    ("DiagnosticReport", &["subject"]),
    ("DocumentManifest", &["subject", "author"]),
    ("DocumentReference", &["subject", "author"]),
    (
        "ExplanationOfBenefit",
        &["procedure-udi", "item-udi", "detail-udi", "subdetail-udi"],
    ),
    ("Flag", &["author"]),
    ("Group", &["member"]),
    ("Invoice", &["participant"]),
    ("List", &["subject", "source"]),
    ("Media", &["subject"]),
    ("MedicationAdministration", &["device"]),
    ("MessageHeader", &["target"]),
    ("Observation", &["subject", "device"]),
    ("Provenance", &["agent"]),
    ("QuestionnaireResponse", &["author"]),
    ("RequestGroup", &["author"]),
    ("RiskAssessment", &["performer"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["performer", "requester"]),
    ("Specimen", &["subject"]),
    ("SupplyRequest", &["requester"]),
];

const ENCOUNTER: Rows = &[
    ("CarePlan", &["encounter"]),
    ("CareTeam", &["encounter"]),
    ("ChargeItem", &["context"]),
    ("Claim", &["encounter"]),
    ("ClinicalImpression", &["encounter"]),
    ("Communication", &["encounter"]),
    ("CommunicationRequest", &["encounter"]),
    ("Composition", &["encounter"]),
    ("Condition", &["encounter"]),
    ("DeviceRequest", &["encounter"]),
    ("DiagnosticReport", &["encounter"]),
    ("DocumentManifest", &["related-ref"]),
    ("DocumentReference", &["encounter"]),
    ("Encounter", &[SELF]),
    ("ExplanationOfBenefit", &["encounter"]),
    ("Media", &["encounter"]),
    ("MedicationAdministration", &["context"]),
    ("MedicationRequest", &["encounter"]),
    ("NutritionOrder", &["encounter"]),
    ("Observation", &["encounter"]),
    ("Procedure", &["encounter"]),
    ("QuestionnaireResponse", &["encounter"]),
    ("RequestGroup", &["encounter"]),
    ("ServiceRequest", &["encounter"]),
    ("VisionPrescription", &["encounter"]),
];

const PRACTITIONER: Rows = &[
    ("Account", &["subject"]),
    ("AdverseEvent", &["recorder"]),
    ("AllergyIntolerance", &["recorder", "asserter"]),
    ("Appointment", &["actor"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["agent"]),
    ("Basic", &["author"]),
    ("CarePlan", &["performer"]),
    ("CareTeam", &["participant"]),
    ("ChargeItem", &["enterer", "performer-actor"]),
    ("Claim", &["enterer", "provider", "payee", "care-team"]),
    ("ClaimResponse", &["requestor"]),
    ("ClinicalImpression", &["assessor"]),
    ("Communication", &["sender", "recipient"]),
    (
        "CommunicationRequest",
        &["sender", "recipient", "requester"],
    ),
    ("Composition", &["subject", "author", "attester"]),
    ("Condition", &["asserter"]),
    ("CoverageEligibilityRequest", &["enterer", "provider"]),
    ("CoverageEligibilityResponse", &["requestor"]),
    ("DetectedIssue", &["author"]),
    ("DeviceRequest", &["requester", "performer"]),
    ("DiagnosticReport", &["performer"]),
    ("DocumentManifest", &["subject", "author", "recipient"]),
    ("DocumentReference", &["subject", "author", "authenticator"]),
    ("Encounter", &["practitioner", "participant"]),
    ("EpisodeOfCare", &["care-manager"]),
    (
        "ExplanationOfBenefit",
        &["enterer", "provider", "payee", "care-team"],
    ),
    ("Flag", &["author"]),
    ("Group", &["member"]),
    ("Immunization", &["performer"]),
    ("Invoice", &["participant"]),
    ("Linkage", &["author"]),
    ("List", &["source"]),
    ("Media", &["subject", "operator"]),
    ("MedicationAdministration", &["performer"]),
    ("MedicationDispense", &["performer", "receiver"]),
    ("MedicationRequest", &["requester"]),
    ("MedicationStatement", &["source"]),
    (
        "MessageHeader",
        &["receiver", "author", "responsible", "enterer"],
    ),
    ("NutritionOrder", &["provider"]),
    ("Observation", &["performer"]),
    ("Patient", &["general-practitioner"]),
    ("PaymentNotice", &["provider"]),
    ("PaymentReconciliation", &["requestor"]),
    ("Person", &["practitioner"]),
    ("Practitioner", &[SELF]),
    ("PractitionerRole", &["practitioner"]),
    ("Procedure", &["performer"]),
    ("Provenance", &["agent"]),
    ("QuestionnaireResponse", &["author", "source"]),
    ("RequestGroup", &["participant", "author"]),
    ("ResearchStudy", &["principalinvestigator"]),
    ("RiskAssessment", &["performer"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["performer", "requester"]),
    ("Specimen", &["collector"]),
    ("SupplyDelivery", &["supplier", "receiver"]),
    ("SupplyRequest", &["requester"]),
    ("VisionPrescription", &["prescriber"]),
];

const RELATED_PERSON: Rows = &[
    ("AdverseEvent", &["recorder"]),
    ("AllergyIntolerance", &["asserter"]),
    ("Appointment", &["actor"]),
    ("AppointmentResponse", &["actor"]),
    ("Basic", &["author"]),
    ("CarePlan", &["performer"]),
    ("CareTeam", &["participant"]),
    ("ChargeItem", &["enterer", "performer-actor"]),
    ("Claim", &["payee"]),
    ("Communication", &["sender", "recipient"]),
    (
        "CommunicationRequest",
        &["sender", "recipient", "requester"],
    ),
    ("Composition", &["author"]),
    ("Condition", &["asserter"]),
    ("Coverage", &["policy-holder", "subscriber", "payor"]),
    ("DocumentManifest", &["author", "recipient"]),
    ("DocumentReference", &["author"]),
    ("Encounter", &["participant"]),
    ("ExplanationOfBenefit", &["payee"]),
    ("Invoice", &["recipient"]),
    ("MedicationAdministration", &["performer"]),
    ("MedicationStatement", &["source"]),
    ("Observation", &["performer"]),
    ("Patient", &["link"]),
    ("Person", &["link"]),
    ("Procedure", &["performer"]),
    ("Provenance", &["agent"]),
    ("QuestionnaireResponse", &["author", "source"]),
    ("RelatedPerson", &[SELF]),
    ("RequestGroup", &["participant"]),
    ("Schedule", &["actor"]),
    ("ServiceRequest", &["performer"]),
    ("SupplyRequest", &["requester"]),
];

fn rows(owner: &str) -> Option<Rows> {
    Some(match owner {
        "Device" => DEVICE,
        "Encounter" => ENCOUNTER,
        "Practitioner" => PRACTITIONER,
        "RelatedPerson" => RELATED_PERSON,
        _ => return None,
    })
}

/// The types that have a compartment.
pub const COMPARTMENTS: [&str; 5] = [
    "Device",
    "Encounter",
    "Patient",
    "Practitioner",
    "RelatedPerson",
];

/// The types that may lie in the compartment of a type; `None` where that has none.
#[must_use]
pub fn members(owner: TypeId) -> Option<Vec<TypeId>> {
    let definitions = Definitions::r4();
    let name = definitions.resource_name(owner);
    if name == "Patient" {
        let lies = |ty: &TypeId| {
            *ty == owner
                || definitions
                    .search_params(*ty)
                    .iter()
                    .any(|param| param.compartment)
        };
        return Some(definitions.resource_types().filter(lies).collect());
    }
    let types = rows(name)?.iter().map(|(ty, _)| definitions.resource(ty));
    Some(types.flatten().collect())
}

/// The types a compartment search looks at.
pub(crate) fn types_of(of: &ResourceKey, ty: Option<TypeId>) -> Result<Vec<TypeId>, QueryError> {
    let definitions = Definitions::r4();
    let owner = definitions.resource_name(of.ty);
    let members = members(of.ty).ok_or_else(|| {
        malformed(
            owner,
            format!(
                "only these types have a compartment: {}",
                COMPARTMENTS.join(", ")
            ),
        )
    })?;
    match ty {
        None => Ok(members),
        Some(ty) if members.contains(&ty) => Ok(vec![ty]),
        Some(ty) => Err(malformed(
            &name_of(of),
            format!(
                "{} resources lie in no compartment of {owner}: search {} itself",
                definitions.resource_name(ty),
                definitions.resource_name(ty)
            ),
        )),
    }
}

/// The clause of a compartment, for the types asked for.
pub(crate) fn clause(
    clauses: &Clauses<'_>,
    of: &ResourceKey,
    types: &[TypeId],
) -> Result<Clause, QueryError> {
    let definitions = Definitions::r4();
    let Some(rows) = rows(definitions.resource_name(of.ty)) else {
        return Ok(any_of(vec![Predicate::Compartment(of.id.clone())]));
    };
    let mut found = Vec::new();
    for (name, codes) in rows {
        let Some(ty) = definitions.resource(name).filter(|ty| types.contains(ty)) else {
            continue;
        };
        for code in *codes {
            if *code == SELF {
                let own = any_of(vec![Predicate::Id(of.id.clone())]);
                found.push(clauses.of_type(ty, own)?);
            } else {
                found.push(Predicate::Key {
                    param: clauses.param(ty, code)?.id,
                    form: KeyForm::Local(of.ty, of.id.clone()),
                });
            }
        }
    }
    Ok(any_of(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_reference_that_may_point_to_the_owner() {
        let definitions = Definitions::r4();
        for owner in COMPARTMENTS {
            let owner_type = definitions.resource(owner).unwrap();
            assert!(members(owner_type).unwrap().len() > 20, "{owner}");
            for (name, codes) in rows(owner).unwrap_or_default() {
                let ty = definitions.resource(name).unwrap();
                for code in codes.iter().filter(|code| **code != SELF) {
                    let param = definitions
                        .search_param(ty, code)
                        .unwrap_or_else(|| panic!("{name}.{code}"));
                    assert_eq!(param.kind.code(), "reference", "{name}.{code}");
                    assert!(
                        param.targets.is_empty() || param.targets.contains(&owner_type),
                        "{owner}: {name}.{code}"
                    );
                }
            }
        }
        assert!(members(definitions.resource("Organization").unwrap()).is_none());
    }
}
