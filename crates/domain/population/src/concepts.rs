//! The codes the population uses, each once. Only codes of public code systems that are known to be
//! right stand here; where none is known the concept has text only. Must not hold behaviour.

/// A concept: one coding and its text. An empty code means text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Concept {
    pub(crate) system: &'static str,
    pub(crate) code: &'static str,
    pub(crate) text: &'static str,
}

/// A unit as people read it and as UCUM writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) ucum: &'static str,
}

/// Something measured: code, unit, decimal places and the usual range in units of the last place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) concept: Concept,
    pub(crate) unit: Unit,
    pub(crate) places: u32,
    /// Reference range; `(0, 0)` when none is stated.
    pub(crate) range: (i64, i64),
    pub(crate) category: &'static str,
}

pub(crate) const fn sct(code: &'static str, text: &'static str) -> Concept {
    Concept {
        system: "http://snomed.info/sct",
        code,
        text,
    }
}

pub(crate) const fn loinc(code: &'static str, text: &'static str) -> Concept {
    Concept {
        system: "http://loinc.org",
        code,
        text,
    }
}

pub(crate) const fn cvx(code: &'static str, text: &'static str) -> Concept {
    Concept {
        system: "http://hl7.org/fhir/sid/cvx",
        code,
        text,
    }
}

pub(crate) const fn plain(text: &'static str) -> Concept {
    Concept {
        system: "",
        code: "",
        text,
    }
}

const fn unit(name: &'static str, ucum: &'static str) -> Unit {
    Unit { name, ucum }
}

const fn vital(code: &'static str, text: &'static str, unit: Unit, places: u32) -> Measure {
    Measure {
        concept: loinc(code, text),
        unit,
        places,
        range: (0, 0),
        category: "vital-signs",
    }
}

const fn lab(concept: Concept, unit: Unit, places: u32, range: (i64, i64)) -> Measure {
    Measure {
        concept,
        unit,
        places,
        range,
        category: "laboratory",
    }
}

/// Units.
pub(crate) mod units {
    use super::{Unit, unit};
    pub(crate) const MMHG: Unit = unit("mmHg", "mm[Hg]");
    pub(crate) const PER_MINUTE: Unit = unit("/min", "/min");
    pub(crate) const KILOGRAM: Unit = unit("kg", "kg");
    pub(crate) const CENTIMETRE: Unit = unit("cm", "cm");
    pub(crate) const CELSIUS: Unit = unit("Cel", "Cel");
    pub(crate) const PERCENT: Unit = unit("%", "%");
    pub(crate) const SCORE: Unit = unit("score", "{score}");
    pub(crate) const MMOL_L: Unit = unit("mmol/L", "mmol/L");
    pub(crate) const MMOL_MOL: Unit = unit("mmol/mol", "mmol/mol");
    pub(crate) const UMOL_L: Unit = unit("umol/L", "umol/L");
    pub(crate) const MG_DL: Unit = unit("mg/dL", "mg/dL");
    pub(crate) const G_DL: Unit = unit("g/dL", "g/dL");
    pub(crate) const THOUSAND_UL: Unit = unit("10*3/uL", "10*3/uL");
    pub(crate) const UNITS_L: Unit = unit("U/L", "U/L");
    pub(crate) const MIU_L: Unit = unit("mIU/L", "m[IU]/L");
    pub(crate) const GFR: Unit = unit("mL/min/1.73m2", "mL/min/{1.73_m2}");
    pub(crate) const RATIO: Unit = unit("ratio", "{INR}");
    pub(crate) const KG_M2: Unit = unit("kg/m2", "kg/m2");
    pub(crate) const MG: Unit = unit("mg", "mg");
    pub(crate) const MICROGRAM: Unit = unit("micrograms", "ug");
    pub(crate) const IU: Unit = unit("units", "[iU]");
    pub(crate) const PUFF: Unit = unit("puff", "{puff}");
    pub(crate) const SACHET: Unit = unit("sachet", "{sachet}");
    pub(crate) const TABLET: Unit = unit("tablet", "{tablet}");
    pub(crate) const CAPSULE: Unit = unit("capsule", "{capsule}");
    pub(crate) const PATCH: Unit = unit("patch", "{patch}");
    pub(crate) const DROP: Unit = unit("drop", "[drp]");
    pub(crate) const MILLILITRE: Unit = unit("mL", "mL");
}

/// Observations.
pub(crate) mod measures {
    use super::{Concept, Measure, lab, loinc, sct, units, vital};
    pub(crate) const BLOOD_PRESSURE: Concept =
        loinc("85354-9", "Blood pressure panel with all children optional");
    pub(crate) const SYSTOLIC: Concept = loinc("8480-6", "Systolic blood pressure");
    pub(crate) const DIASTOLIC: Concept = loinc("8462-4", "Diastolic blood pressure");
    pub(crate) const SMOKING: Concept = loinc("72166-2", "Tobacco smoking status");
    pub(crate) const PULSE: Measure = vital("8867-4", "Heart rate", units::PER_MINUTE, 0);
    pub(crate) const BREATHING: Measure = vital("9279-1", "Respiratory rate", units::PER_MINUTE, 0);
    pub(crate) const OXYGEN: Measure = vital(
        "2708-6",
        "Oxygen saturation in Arterial blood",
        units::PERCENT,
        0,
    );
    pub(crate) const TEMPERATURE: Measure = vital("8310-5", "Body temperature", units::CELSIUS, 1);
    pub(crate) const WEIGHT: Measure = vital("29463-7", "Body weight", units::KILOGRAM, 1);
    pub(crate) const HEIGHT: Measure = vital("8302-2", "Body height", units::CENTIMETRE, 0);
    pub(crate) const BMI: Measure =
        vital("39156-5", "Body mass index (BMI) [Ratio]", units::KG_M2, 1);
    pub(crate) const NEWS2: Measure = Measure {
        concept: sct(
            "1104051000000101",
            "Royal College of Physicians NEWS2 (National Early Warning Score 2) total score",
        ),
        unit: units::SCORE,
        places: 0,
        range: (0, 0),
        category: "survey",
    };
    pub(crate) const GLUCOSE_BLOOD: Measure = lab(
        loinc("15074-8", "Glucose [Moles/volume] in Blood"),
        units::MMOL_L,
        1,
        (40, 110),
    );
    pub(crate) const HBA1C_IFCC: Measure = lab(
        loinc(
            "59261-8",
            "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol",
        ),
        units::MMOL_MOL,
        0,
        (20, 42),
    );
    pub(crate) const HBA1C_PERCENT: Measure = lab(
        loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        units::PERCENT,
        1,
        (40, 56),
    );
    pub(crate) const EGFR: Measure = lab(
        loinc(
            "62238-1",
            "Glomerular filtration rate/1.73 sq M.predicted by Creatinine-based formula (CKD-EPI)",
        ),
        units::GFR,
        0,
        (60, 120),
    );
    pub(crate) const CREATININE_MOLAR: Measure = lab(
        loinc("14682-9", "Creatinine [Moles/volume] in Serum or Plasma"),
        units::UMOL_L,
        0,
        (45, 104),
    );
    pub(crate) const CREATININE: Measure = lab(
        loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
        units::MG_DL,
        2,
        (60, 120),
    );
    pub(crate) const SODIUM: Measure = lab(
        loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"),
        units::MMOL_L,
        0,
        (133, 146),
    );
    pub(crate) const POTASSIUM: Measure = lab(
        loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
        units::MMOL_L,
        1,
        (35, 53),
    );
    pub(crate) const INR: Measure = lab(
        loinc("6301-6", "INR in Platelet poor plasma by Coagulation assay"),
        units::RATIO,
        1,
        (20, 30),
    );
    pub(crate) const GLUCOSE_FASTING: Measure = lab(
        loinc("1558-6", "Fasting glucose [Mass/volume] in Serum or Plasma"),
        units::MG_DL,
        0,
        (70, 100),
    );
    pub(crate) const HAEMOGLOBIN: Measure = lab(
        loinc("718-7", "Hemoglobin [Mass/volume] in Blood"),
        units::G_DL,
        1,
        (120, 160),
    );
    pub(crate) const WHITE_CELLS: Measure = lab(
        loinc(
            "6690-2",
            "Leukocytes [#/volume] in Blood by Automated count",
        ),
        units::THOUSAND_UL,
        1,
        (40, 110),
    );
    pub(crate) const PLATELETS: Measure = lab(
        loinc("777-3", "Platelets [#/volume] in Blood by Automated count"),
        units::THOUSAND_UL,
        0,
        (150, 410),
    );
    pub(crate) const CHOLESTEROL: Measure = lab(
        loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
        units::MG_DL,
        0,
        (100, 200),
    );
    pub(crate) const HDL: Measure = lab(
        loinc(
            "2085-9",
            "Cholesterol in HDL [Mass/volume] in Serum or Plasma",
        ),
        units::MG_DL,
        0,
        (40, 90),
    );
    pub(crate) const LDL: Measure = lab(
        loinc(
            "13457-7",
            "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation",
        ),
        units::MG_DL,
        0,
        (50, 130),
    );
    pub(crate) const TRIGLYCERIDE: Measure = lab(
        loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"),
        units::MG_DL,
        0,
        (50, 150),
    );
    pub(crate) const TSH: Measure = lab(
        loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"),
        units::MIU_L,
        2,
        (40, 450),
    );
    pub(crate) const ALT: Measure = lab(
        loinc(
            "1742-6",
            "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
        ),
        units::UNITS_L,
        0,
        (7, 45),
    );
}

/// Problems and findings.
pub(crate) mod problems {
    use super::{Concept, sct};
    pub(crate) const ALZHEIMER: Concept = sct("26929004", "Alzheimer's disease");
    pub(crate) const VASCULAR_DEMENTIA: Concept = sct("429998004", "Vascular dementia");
    pub(crate) const DIABETES_2: Concept = sct("44054006", "Type 2 diabetes mellitus");
    pub(crate) const COPD: Concept = sct("13645005", "Chronic obstructive lung disease");
    pub(crate) const AF: Concept = sct("49436004", "Atrial fibrillation");
    pub(crate) const HYPERTENSION: Concept = sct("38341003", "Hypertensive disorder");
    pub(crate) const HEART_FAILURE: Concept = sct("84114007", "Heart failure");
    pub(crate) const CKD_3: Concept = sct("433144002", "Chronic kidney disease stage 3");
    pub(crate) const OSTEOARTHRITIS: Concept = sct("396275006", "Osteoarthritis");
    pub(crate) const OSTEOPOROSIS: Concept = sct("64859006", "Osteoporosis");
    pub(crate) const PARKINSON: Concept = sct("49049000", "Parkinson's disease");
    pub(crate) const DEPRESSION: Concept = sct("35489007", "Depressive disorder");
    pub(crate) const HYPOTHYROID: Concept = sct("40930008", "Hypothyroidism");
    pub(crate) const FRAILTY: Concept = sct("248279007", "Frailty");
    pub(crate) const STROKE: Concept = sct("230690007", "Cerebrovascular accident");
    pub(crate) const EPILEPSY: Concept = sct("84757009", "Epilepsy");
    pub(crate) const CONSTIPATION: Concept = sct("14760008", "Constipation");
    pub(crate) const REFLUX: Concept = sct("235595009", "Gastroesophageal reflux disease");
    pub(crate) const FALLS: Concept = sct("161898004", "Falls");
    pub(crate) const INCONTINENCE: Concept = sct("165232002", "Urinary incontinence");
    pub(crate) const PROSTATE: Concept = sct("266569009", "Benign prostatic hyperplasia");
    pub(crate) const URINE_INFECTION: Concept = sct("68566005", "Urinary tract infectious disease");
    pub(crate) const CHEST_INFECTION: Concept = sct("10509002", "Acute bronchitis");
    pub(crate) const ASTHMA: Concept = sct("195967001", "Asthma");
    pub(crate) const HYPERLIPIDAEMIA: Concept = sct("55822004", "Hyperlipidemia");
    pub(crate) const ANAEMIA: Concept = sct("87522002", "Iron deficiency anemia");
    pub(crate) const VITAMIN_D: Concept = sct("34713006", "Vitamin D deficiency");
    pub(crate) const MIGRAINE: Concept = sct("37796009", "Migraine");
    pub(crate) const RHINITIS: Concept = sct("61582004", "Allergic rhinitis");
    pub(crate) const PHARYNGITIS: Concept = sct("195662009", "Acute viral pharyngitis");
    pub(crate) const GASTROENTERITIS: Concept = sct("25374005", "Gastroenteritis");
    pub(crate) const OTITIS: Concept = sct("65363002", "Otitis media");
    pub(crate) const BACK_PAIN: Concept = sct("279039007", "Low back pain");
    pub(crate) const PREGNANCY: Concept = sct("72892002", "Normal pregnancy");
    pub(crate) const KNEE_ARTHRITIS: Concept = sct("239873007", "Osteoarthritis of knee");
}

/// Concepts of the rest: routes, sites of care, allergies, procedures, documents, specialties.
pub(crate) mod others {
    use super::{Concept, loinc, plain, sct};
    pub(crate) const ORAL: Concept = sct("26643006", "Oral route");
    pub(crate) const INHALED: Concept = sct("447694001", "Respiratory tract route");
    pub(crate) const SUBCUTANEOUS: Concept = sct("34206005", "Subcutaneous route");
    pub(crate) const TRANSDERMAL: Concept = sct("45890007", "Transdermal route");
    pub(crate) const EYE: Concept = sct("54485002", "Ophthalmic route");
    pub(crate) const NO_KNOWN_ALLERGY: Concept = sct("716186003", "No known allergy");
    pub(crate) const PENICILLIN: Concept = sct("91936005", "Allergy to penicillin");
    pub(crate) const RASH: Concept = sct("271807003", "Eruption of skin");
    pub(crate) const URTICARIA: Concept = sct("126485001", "Urticaria");
    pub(crate) const ANAPHYLAXIS: Concept = sct("39579001", "Anaphylaxis");
    pub(crate) const NAUSEA: Concept = sct("422587007", "Nausea");
    pub(crate) const SWELLING: Concept = sct("41291007", "Angioedema");
    pub(crate) const NEVER_SMOKED: Concept = sct("266919005", "Never smoked tobacco");
    pub(crate) const EX_SMOKER: Concept = sct("8517006", "Ex-smoker");
    pub(crate) const SMOKER: Concept = sct("77176002", "Smoker");
    pub(crate) const CARE_PLAN: Concept = sct("734163000", "Care plan");
    pub(crate) const PROGRESS_NOTE: Concept = loinc("11506-3", "Progress note");
    pub(crate) const DISCHARGE_SUMMARY: Concept = loinc("18842-5", "Discharge summary");
    pub(crate) const CONSULT_NOTE: Concept = loinc("11488-4", "Consult note");
    pub(crate) const FULL_COUNT: Concept = loinc("58410-2", "CBC panel - Blood by Automated count");
    pub(crate) const LIPIDS: Concept = loinc("57698-3", "Lipid panel with direct LDL");
    pub(crate) const SUGAR_PANEL: Concept = plain("Diabetes monitoring profile");
    pub(crate) const KIDNEY_PANEL: Concept = plain("Renal function profile");
    pub(crate) const THYROID_PANEL: Concept = plain("Thyroid function profile");
    pub(crate) const CHEST_XRAY: Concept = sct("399208008", "Plain chest X-ray");
    pub(crate) const KNEE_XRAY: Concept = sct("74016001", "Knee X-ray");
    pub(crate) const ABDOMEN_SCAN: Concept = sct("45036003", "Ultrasonography of abdomen");
    pub(crate) const ECG: Concept = sct("29303009", "Electrocardiographic procedure");
    pub(crate) const SPIROMETRY: Concept = sct("127783003", "Spirometry");
    pub(crate) const DRESSING: Concept = sct("225358003", "Wound care");
    pub(crate) const OUTPATIENT: Concept = plain("Outpatient consultation");
    pub(crate) const RESIDENTIAL: Concept = plain("Residential care");
    pub(crate) const GP_VISIT: Concept = plain("Visit by general practitioner");
    pub(crate) const ADMISSION: Concept = sct("183452005", "Encounter Inpatient");
    pub(crate) const GENERAL_PRACTICE: Concept = sct("394814009", "General practice");
    pub(crate) const GENERAL_MEDICINE: Concept = sct("394802001", "General medicine");
    pub(crate) const PAEDIATRICS: Concept = sct("394537008", "Pediatric specialty");
    pub(crate) const ENDOCRINOLOGY: Concept = sct("394583002", "Endocrinology");
}
