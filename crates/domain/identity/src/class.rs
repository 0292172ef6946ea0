//! Resource types grouped into the classes that permissions are given for. A type that is not listed
//! has no class, and what has no class is denied.

use core::fmt;

/// A class of resource types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Who the patient is.
    Demographics,
    /// Appointments of patients.
    Appointments,
    /// Opening times and free slots; of no patient.
    Diary,
    /// Insurance cover.
    Coverage,
    /// Money; carries diagnoses.
    Billing,
    /// Encounters and episodes.
    Visits,
    /// What is measured and recorded at the bedside.
    Measurements,
    /// Conditions, allergies, procedures, immunisations, assessments.
    Findings,
    /// Plans, goals, teams, tasks.
    Care,
    /// Requests for investigations and services.
    Orders,
    /// Results of investigations.
    Results,
    /// Prescriptions.
    Prescriptions,
    /// Medicines given and taken.
    MedicinesGiven,
    /// Medicines and goods dispensed, asked for and delivered.
    Supplies,
    /// Written notes, documents and messages about patients.
    Notes,
    /// Consents.
    Consent,
    /// Provenance.
    Provenance,
    /// The audit trail as resources.
    Audit,
    /// Organisations, places, staff.
    Directory,
    /// Medicines and products as such.
    Products,
    /// Terminology, definitions, questionnaires, research.
    Knowledge,
    /// Plumbing: subscriptions, messages, parameters.
    Plumbing,
}

impl Class {
    /// Every class, in table order.
    pub const ALL: [Self; 22] = [
        Self::Demographics,
        Self::Appointments,
        Self::Diary,
        Self::Coverage,
        Self::Billing,
        Self::Visits,
        Self::Measurements,
        Self::Findings,
        Self::Care,
        Self::Orders,
        Self::Results,
        Self::Prescriptions,
        Self::MedicinesGiven,
        Self::Supplies,
        Self::Notes,
        Self::Consent,
        Self::Provenance,
        Self::Audit,
        Self::Directory,
        Self::Products,
        Self::Knowledge,
        Self::Plumbing,
    ];

    /// The class of a resource type; `None` for a type that is not of FHIR R4.
    #[must_use]
    pub fn of(resource_type: &str) -> Option<Self> {
        let at = TYPES
            .binary_search_by(|(name, _)| (*name).cmp(resource_type))
            .ok()?;
        TYPES.get(at).map(|(_, class)| *class)
    }

    /// The word in policy ids and in the reference.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demographics => "demographics",
            Self::Appointments => "appointments",
            Self::Diary => "diary",
            Self::Coverage => "coverage",
            Self::Billing => "billing",
            Self::Visits => "visits",
            Self::Measurements => "measurements",
            Self::Findings => "findings",
            Self::Care => "care",
            Self::Orders => "orders",
            Self::Results => "results",
            Self::Prescriptions => "prescriptions",
            Self::MedicinesGiven => "medicines-given",
            Self::Supplies => "supplies",
            Self::Notes => "notes",
            Self::Consent => "consent",
            Self::Provenance => "provenance",
            Self::Audit => "audit",
            Self::Directory => "directory",
            Self::Products => "products",
            Self::Knowledge => "knowledge",
            Self::Plumbing => "plumbing",
        }
    }

    /// What it is called in a sentence.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Demographics => "patient demographics",
            Self::Appointments => "appointments",
            Self::Diary => "schedules and slots",
            Self::Coverage => "insurance cover",
            Self::Billing => "billing records",
            Self::Visits => "encounters",
            Self::Measurements => "observations and measurements",
            Self::Findings => "clinical findings",
            Self::Care => "care plans and tasks",
            Self::Orders => "orders",
            Self::Results => "results",
            Self::Prescriptions => "prescriptions",
            Self::MedicinesGiven => "records of medicines given",
            Self::Supplies => "dispensing and supply records",
            Self::Notes => "clinical notes and documents",
            Self::Consent => "consents",
            Self::Provenance => "provenance records",
            Self::Audit => "audit events",
            Self::Directory => "the directory of organisations and staff",
            Self::Products => "medicines and products",
            Self::Knowledge => "definitions and terminology",
            Self::Plumbing => "subscriptions and messages",
        }
    }

    /// Whether its resources are about patients, so that branches and relationships decide who reaches
    /// them. Resources of such a class that are in no patient's compartment are reached by those with
    /// the whole tenant only.
    #[must_use]
    pub const fn is_about_patients(self) -> bool {
        !matches!(
            self,
            Self::Diary
                | Self::Audit
                | Self::Directory
                | Self::Products
                | Self::Knowledge
                | Self::Plumbing
        )
    }

    /// The resource types of the class, in alphabetical order.
    pub fn types(self) -> impl Iterator<Item = &'static str> {
        TYPES
            .iter()
            .filter(move |(_, class)| *class == self)
            .map(|(name, _)| *name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Every resource type of FHIR R4 (4.0.1) with its class, sorted by name for the look-up.
#[rustfmt::skip]
pub(crate) const TYPES: [(&str, Class); 146] = [
    ("Account", Class::Billing),
    ("ActivityDefinition", Class::Knowledge),
    ("AdverseEvent", Class::Findings),
    ("AllergyIntolerance", Class::Findings),
    ("Appointment", Class::Appointments),
    ("AppointmentResponse", Class::Appointments),
    ("AuditEvent", Class::Audit),
    ("Basic", Class::Notes),
    ("Binary", Class::Notes),
    ("BiologicallyDerivedProduct", Class::Measurements),
    ("BodyStructure", Class::Measurements),
    ("Bundle", Class::Notes),
    ("CapabilityStatement", Class::Knowledge),
    ("CarePlan", Class::Care),
    ("CareTeam", Class::Care),
    ("CatalogEntry", Class::Products),
    ("ChargeItem", Class::Billing),
    ("ChargeItemDefinition", Class::Knowledge),
    ("Claim", Class::Billing),
    ("ClaimResponse", Class::Billing),
    ("ClinicalImpression", Class::Notes),
    ("CodeSystem", Class::Knowledge),
    ("Communication", Class::Notes),
    ("CommunicationRequest", Class::Orders),
    ("CompartmentDefinition", Class::Knowledge),
    ("Composition", Class::Notes),
    ("ConceptMap", Class::Knowledge),
    ("Condition", Class::Findings),
    ("Consent", Class::Consent),
    ("Contract", Class::Billing),
    ("Coverage", Class::Coverage),
    ("CoverageEligibilityRequest", Class::Coverage),
    ("CoverageEligibilityResponse", Class::Coverage),
    ("DetectedIssue", Class::Findings),
    ("Device", Class::Measurements),
    ("DeviceDefinition", Class::Products),
    ("DeviceMetric", Class::Measurements),
    ("DeviceRequest", Class::Orders),
    ("DeviceUseStatement", Class::Measurements),
    ("DiagnosticReport", Class::Results),
    ("DocumentManifest", Class::Notes),
    ("DocumentReference", Class::Notes),
    ("EffectEvidenceSynthesis", Class::Knowledge),
    ("Encounter", Class::Visits),
    ("Endpoint", Class::Directory),
    ("EnrollmentRequest", Class::Coverage),
    ("EnrollmentResponse", Class::Coverage),
    ("EpisodeOfCare", Class::Visits),
    ("EventDefinition", Class::Knowledge),
    ("Evidence", Class::Knowledge),
    ("EvidenceVariable", Class::Knowledge),
    ("ExampleScenario", Class::Knowledge),
    ("ExplanationOfBenefit", Class::Billing),
    ("FamilyMemberHistory", Class::Findings),
    ("Flag", Class::Findings),
    ("Goal", Class::Care),
    ("GraphDefinition", Class::Knowledge),
    ("Group", Class::Care),
    ("GuidanceResponse", Class::Findings),
    ("HealthcareService", Class::Directory),
    ("ImagingStudy", Class::Results),
    ("Immunization", Class::Findings),
    ("ImmunizationEvaluation", Class::Findings),
    ("ImmunizationRecommendation", Class::Findings),
    ("ImplementationGuide", Class::Knowledge),
    ("InsurancePlan", Class::Directory),
    ("Invoice", Class::Billing),
    ("Library", Class::Knowledge),
    ("Linkage", Class::Notes),
    ("List", Class::Care),
    ("Location", Class::Directory),
    ("Measure", Class::Knowledge),
    ("MeasureReport", Class::Findings),
    ("Media", Class::Results),
    ("Medication", Class::Products),
    ("MedicationAdministration", Class::MedicinesGiven),
    ("MedicationDispense", Class::Supplies),
    ("MedicationKnowledge", Class::Products),
    ("MedicationRequest", Class::Prescriptions),
    ("MedicationStatement", Class::MedicinesGiven),
    ("MedicinalProduct", Class::Products),
    ("MedicinalProductAuthorization", Class::Products),
    ("MedicinalProductContraindication", Class::Products),
    ("MedicinalProductIndication", Class::Products),
    ("MedicinalProductIngredient", Class::Products),
    ("MedicinalProductInteraction", Class::Products),
    ("MedicinalProductManufactured", Class::Products),
    ("MedicinalProductPackaged", Class::Products),
    ("MedicinalProductPharmaceutical", Class::Products),
    ("MedicinalProductUndesirableEffect", Class::Products),
    ("MessageDefinition", Class::Knowledge),
    ("MessageHeader", Class::Plumbing),
    ("MolecularSequence", Class::Measurements),
    ("NamingSystem", Class::Knowledge),
    ("NutritionOrder", Class::Orders),
    ("Observation", Class::Measurements),
    ("ObservationDefinition", Class::Products),
    ("OperationDefinition", Class::Knowledge),
    ("OperationOutcome", Class::Plumbing),
    ("Organization", Class::Directory),
    ("OrganizationAffiliation", Class::Directory),
    ("Parameters", Class::Plumbing),
    ("Patient", Class::Demographics),
    ("PaymentNotice", Class::Billing),
    ("PaymentReconciliation", Class::Billing),
    ("Person", Class::Demographics),
    ("PlanDefinition", Class::Knowledge),
    ("Practitioner", Class::Directory),
    ("PractitionerRole", Class::Directory),
    ("Procedure", Class::Findings),
    ("Provenance", Class::Provenance),
    ("Questionnaire", Class::Knowledge),
    ("QuestionnaireResponse", Class::Measurements),
    ("RelatedPerson", Class::Demographics),
    ("RequestGroup", Class::Care),
    ("ResearchDefinition", Class::Knowledge),
    ("ResearchElementDefinition", Class::Knowledge),
    ("ResearchStudy", Class::Knowledge),
    ("ResearchSubject", Class::Findings),
    ("RiskAssessment", Class::Findings),
    ("RiskEvidenceSynthesis", Class::Knowledge),
    ("Schedule", Class::Diary),
    ("SearchParameter", Class::Knowledge),
    ("ServiceRequest", Class::Orders),
    ("Slot", Class::Diary),
    ("Specimen", Class::Measurements),
    ("SpecimenDefinition", Class::Products),
    ("StructureDefinition", Class::Knowledge),
    ("StructureMap", Class::Knowledge),
    ("Subscription", Class::Plumbing),
    ("Substance", Class::Products),
    ("SubstanceNucleicAcid", Class::Products),
    ("SubstancePolymer", Class::Products),
    ("SubstanceProtein", Class::Products),
    ("SubstanceReferenceInformation", Class::Products),
    ("SubstanceSourceMaterial", Class::Products),
    ("SubstanceSpecification", Class::Products),
    ("SupplyDelivery", Class::Supplies),
    ("SupplyRequest", Class::Supplies),
    ("Task", Class::Care),
    ("TerminologyCapabilities", Class::Knowledge),
    ("TestReport", Class::Knowledge),
    ("TestScript", Class::Knowledge),
    ("ValueSet", Class::Knowledge),
    ("VerificationResult", Class::Directory),
    ("VisionPrescription", Class::Orders),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_and_found() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, class) in TYPES {
            assert_eq!(Class::of(name), Some(class));
        }
        for unknown in [
            "",
            "patient",
            "Resource",
            "DomainResource",
            "Patient ",
            "Observations",
        ] {
            assert_eq!(Class::of(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn every_class_has_types_and_a_place() {
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
            assert!(class.types().next().is_some(), "{class}");
        }
    }
}
