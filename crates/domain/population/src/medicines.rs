//! The medicines the population takes, each with a structured dose. ATC codes are stated for all;
//! dm+d codes only where they are known to be right. Must not decide who takes what.

use crate::concepts::{Concept, Unit, others, units};

/// When a medicine is due.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Schedule {
    /// Every day at these minutes after midnight.
    Daily(&'static [u16]),
    /// Once a week on a day (0 is Monday) at a minute after midnight.
    Weekly(u8, u16),
    /// When needed, for a reason, at most so many doses in 24 hours.
    Needed(&'static str, u8),
}

/// A product with the dose that this population takes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Medicine {
    pub(crate) name: &'static str,
    pub(crate) atc: &'static str,
    /// dm+d virtual medicinal product code; empty where none is stated.
    pub(crate) dmd: &'static str,
    /// Dose in units of the last decimal place.
    pub(crate) dose: i32,
    pub(crate) places: u32,
    pub(crate) unit: Unit,
    pub(crate) route: Concept,
    pub(crate) how: &'static str,
    pub(crate) schedule: Schedule,
}

const MORNING: &[u16] = &[480];
const NIGHT: &[u16] = &[1_320];
const TEATIME: &[u16] = &[1_080];
const TWICE: &[u16] = &[480, 1_200];
const THRICE: &[u16] = &[480, 840, 1_320];
const FOUR: &[u16] = &[480, 720, 1_020, 1_320];

const fn tablet(
    name: &'static str,
    atc: &'static str,
    dose: i32,
    unit: Unit,
    schedule: Schedule,
) -> Medicine {
    Medicine {
        name,
        atc,
        dmd: "",
        dose,
        places: 0,
        unit,
        route: others::ORAL,
        how: "by mouth",
        schedule,
    }
}

const fn milligrams(
    name: &'static str,
    atc: &'static str,
    dose: i32,
    times: &'static [u16],
) -> Medicine {
    tablet(name, atc, dose, units::MG, Schedule::Daily(times))
}

impl Medicine {
    const fn dmd(self, dmd: &'static str) -> Self {
        Self { dmd, ..self }
    }
    const fn tenths(self) -> Self {
        Self { places: 1, ..self }
    }
    const fn by(self, route: Concept, how: &'static str) -> Self {
        Self { route, how, ..self }
    }
}

const fn inhaled(
    name: &'static str,
    atc: &'static str,
    puffs: i32,
    schedule: Schedule,
) -> Medicine {
    tablet(name, atc, puffs, units::PUFF, schedule).by(others::INHALED, "inhaled")
}

pub(crate) const PARACETAMOL: Medicine = tablet(
    "Paracetamol 500mg tablets",
    "N02BE01",
    1,
    units::GRAM,
    Schedule::Daily(FOUR),
)
.dmd("42109611000001109");
pub(crate) const PARACETAMOL_PRN: Medicine = tablet(
    "Paracetamol 500mg tablets",
    "N02BE01",
    1,
    units::GRAM,
    Schedule::Needed("pain", 4),
)
.dmd("42109611000001109");
pub(crate) const AMLODIPINE: Medicine = milligrams("Amlodipine 5mg tablets", "C08CA01", 5, MORNING);
pub(crate) const RAMIPRIL: Medicine = milligrams("Ramipril 5mg capsules", "C09AA05", 5, MORNING);
pub(crate) const LOSARTAN: Medicine = milligrams("Losartan 50mg tablets", "C09CA01", 50, MORNING);
pub(crate) const TELMISARTAN: Medicine =
    milligrams("Telmisartan 40mg tablets", "C09CA07", 40, MORNING);
pub(crate) const BISOPROLOL: Medicine =
    milligrams("Bisoprolol 2.5mg tablets", "C07AB07", 25, MORNING).tenths();
pub(crate) const FUROSEMIDE: Medicine =
    milligrams("Furosemide 40mg tablets", "C03CA01", 40, MORNING);
pub(crate) const ATORVASTATIN: Medicine =
    milligrams("Atorvastatin 20mg tablets", "C10AA05", 20, NIGHT);
pub(crate) const ATORVASTATIN_HIGH: Medicine =
    milligrams("Atorvastatin 80mg tablets", "C10AA05", 80, NIGHT);
pub(crate) const APIXABAN: Medicine = milligrams("Apixaban 5mg tablets", "B01AF02", 5, TWICE);
pub(crate) const APIXABAN_LOW: Medicine =
    milligrams("Apixaban 2.5mg tablets", "B01AF02", 25, TWICE).tenths();
pub(crate) const WARFARIN: Medicine = milligrams("Warfarin 3mg tablets", "B01AA03", 3, TEATIME);
pub(crate) const CLOPIDOGREL: Medicine =
    milligrams("Clopidogrel 75mg tablets", "B01AC04", 75, MORNING);
pub(crate) const METFORMIN: Medicine = milligrams("Metformin 500mg tablets", "A10BA02", 500, TWICE);
pub(crate) const GLICLAZIDE: Medicine =
    milligrams("Gliclazide 80mg tablets", "A10BB09", 80, MORNING);
pub(crate) const GLIMEPIRIDE: Medicine =
    milligrams("Glimepiride 2mg tablets", "A10BB12", 2, MORNING);
pub(crate) const SITAGLIPTIN: Medicine =
    milligrams("Sitagliptin 100mg tablets", "A10BH01", 100, MORNING);
pub(crate) const GLARGINE: Medicine = tablet(
    "Insulin glargine 100units/ml solution for injection 3ml pre-filled disposable devices",
    "A10AE04",
    14,
    units::IU,
    Schedule::Daily(NIGHT),
)
.by(others::SUBCUTANEOUS, "under the skin");
pub(crate) const DONEPEZIL: Medicine = milligrams("Donepezil 10mg tablets", "N06DA02", 10, NIGHT);
pub(crate) const MEMANTINE: Medicine = milligrams("Memantine 20mg tablets", "N06DX01", 20, MORNING);
pub(crate) const SERTRALINE: Medicine =
    milligrams("Sertraline 50mg tablets", "N06AB06", 50, MORNING);
pub(crate) const MIRTAZAPINE: Medicine =
    milligrams("Mirtazapine 15mg tablets", "N06AX11", 15, NIGHT);
pub(crate) const LEVOTHYROXINE: Medicine = tablet(
    "Levothyroxine sodium 50microgram tablets",
    "H03AA01",
    50,
    units::MICROGRAM,
    Schedule::Daily(&[420]),
);
pub(crate) const OMEPRAZOLE: Medicine = milligrams(
    "Omeprazole 20mg gastro-resistant capsules",
    "A02BC01",
    20,
    MORNING,
);
pub(crate) const LANSOPRAZOLE: Medicine = milligrams(
    "Lansoprazole 15mg gastro-resistant capsules",
    "A02BC03",
    15,
    MORNING,
);
pub(crate) const PANTOPRAZOLE: Medicine = milligrams(
    "Pantoprazole 40mg gastro-resistant tablets",
    "A02BC02",
    40,
    MORNING,
);
pub(crate) const MACROGOL: Medicine = tablet(
    "Macrogol compound oral powder sachets NPF sugar free",
    "A06AD65",
    1,
    units::SACHET,
    Schedule::Daily(MORNING),
);
pub(crate) const SENNA: Medicine = tablet(
    "Senna 7.5mg tablets",
    "A06AB06",
    15,
    units::MG,
    Schedule::Needed("constipation", 1),
);
pub(crate) const ALENDRONIC: Medicine = tablet(
    "Alendronic acid 70mg tablets",
    "M05BA04",
    70,
    units::MG,
    Schedule::Weekly(6, 420),
);
pub(crate) const COLECALCIFEROL: Medicine = tablet(
    "Colecalciferol 800unit capsules",
    "A11CC05",
    800,
    units::IU,
    Schedule::Daily(MORNING),
);
pub(crate) const COLECALCIFEROL_WEEKLY: Medicine = tablet(
    "Colecalciferol 60,000unit capsules",
    "A11CC05",
    1,
    units::CAPSULE,
    Schedule::Weekly(6, 540),
);
pub(crate) const TIOTROPIUM: Medicine = inhaled(
    "Tiotropium bromide 2.5micrograms/dose inhalation solution cartridge with device CFC free",
    "R03BB04",
    2,
    Schedule::Daily(MORNING),
);
pub(crate) const SALBUTAMOL: Medicine = inhaled(
    "Salbutamol 100micrograms/dose inhaler CFC free",
    "R03AC02",
    2,
    Schedule::Needed("breathlessness", 4),
)
.dmd("39113611000001102");
pub(crate) const BUDESONIDE_FORMOTEROL: Medicine = inhaled(
    "Budesonide 200micrograms/dose / Formoterol 6micrograms/dose dry powder inhaler",
    "R03AK07",
    1,
    Schedule::Daily(TWICE),
);
pub(crate) const CO_CARELDOPA: Medicine = tablet(
    "Co-careldopa 25mg/100mg tablets",
    "N04BA02",
    1,
    units::TABLET,
    Schedule::Daily(&[420, 660, 900, 1_140]),
);
pub(crate) const LEVETIRACETAM: Medicine =
    milligrams("Levetiracetam 500mg tablets", "N03AX14", 500, TWICE);
pub(crate) const TAMSULOSIN: Medicine = tablet(
    "Tamsulosin 400microgram modified-release capsules",
    "G04CA02",
    400,
    units::MICROGRAM,
    Schedule::Daily(MORNING),
);
pub(crate) const BUPRENORPHINE: Medicine = tablet(
    "Buprenorphine 5micrograms/hour transdermal patches",
    "N02AE01",
    5,
    units::MICROGRAM_H,
    Schedule::Weekly(1, 600),
)
.by(others::TRANSDERMAL, "applied to the skin");
pub(crate) const LORAZEPAM: Medicine = tablet(
    "Lorazepam 1mg tablets",
    "N05BA06",
    5,
    units::MG,
    Schedule::Needed("distress", 2),
)
.tenths();
pub(crate) const EMOLLIENT: Medicine = tablet(
    "White soft paraffin 50% / Liquid paraffin 50% ointment",
    "D02AC",
    1,
    units::APPLICATION,
    Schedule::Daily(TWICE),
)
.by(others::TOPICAL, "to dry skin");
pub(crate) const AMOXICILLIN: Medicine =
    milligrams("Amoxicillin 500mg capsules", "J01CA04", 500, THRICE).dmd("39732411000001106");
pub(crate) const DOXYCYCLINE: Medicine =
    milligrams("Doxycycline 100mg capsules", "J01AA02", 100, MORNING);
pub(crate) const NITROFURANTOIN: Medicine = milligrams(
    "Nitrofurantoin 100mg modified-release capsules",
    "J01XE01",
    100,
    TWICE,
);
pub(crate) const TRIMETHOPRIM: Medicine =
    milligrams("Trimethoprim 200mg tablets", "J01EA01", 200, TWICE);
pub(crate) const AZITHROMYCIN: Medicine =
    milligrams("Azithromycin 500mg tablets", "J01FA10", 500, MORNING);
pub(crate) const IBUPROFEN: Medicine =
    milligrams("Ibuprofen 400mg tablets", "M01AE01", 400, THRICE);
pub(crate) const CETIRIZINE: Medicine = milligrams("Cetirizine 10mg tablets", "R06AE07", 10, NIGHT);
pub(crate) const IRON: Medicine =
    milligrams("Ferrous sulfate 200mg tablets", "B03AA07", 200, MORNING);
pub(crate) const FOLIC_ACID: Medicine = tablet(
    "Folic acid 400microgram tablets",
    "B03BB01",
    400,
    units::MICROGRAM,
    Schedule::Daily(MORNING),
);
pub(crate) const REHYDRATION: Medicine = tablet(
    "Oral rehydration salts oral powder sachets",
    "A07CA",
    1,
    units::SACHET,
    Schedule::Needed("loose stools", 8),
);
pub(crate) const SUMATRIPTAN: Medicine = tablet(
    "Sumatriptan 50mg tablets",
    "N02CC01",
    50,
    units::MG,
    Schedule::Needed("migraine", 2),
);
pub(crate) const PARACETAMOL_CHILD: Medicine = tablet(
    "Paracetamol 250mg/5ml oral suspension",
    "N02BE01",
    250,
    units::MG,
    Schedule::Needed("fever or pain", 4),
);
pub(crate) const AMOXICILLIN_CHILD: Medicine = milligrams(
    "Amoxicillin 250mg/5ml oral suspension",
    "J01CA04",
    250,
    THRICE,
);
