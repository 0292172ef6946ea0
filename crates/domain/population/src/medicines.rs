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
    /// Minutes between two doses, what one should bring about and after how many minutes, of a medicine
    /// given when needed.
    pub(crate) plan: Option<(u16, &'static str, u16)>,
    /// Whether minutes matter.
    pub(crate) critical: bool,
    /// Whether a second person watches: a controlled drug of schedule 2 or 3.
    pub(crate) controlled: bool,
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
        plan: None,
        critical: false,
        controlled: false,
    }
}

const fn counted(
    name: &'static str,
    atc: &'static str,
    count: i32,
    unit: Unit,
    times: &'static [u16],
) -> Medicine {
    tablet(name, atc, count, unit, Schedule::Daily(times))
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
    const fn apart(self, minutes: u16, expected: &'static str, effect: u16) -> Self {
        Self {
            plan: Some((minutes, expected, effect)),
            ..self
        }
    }
    const fn critical(self) -> Self {
        Self {
            critical: true,
            ..self
        }
    }
    const fn controlled(self) -> Self {
        Self {
            controlled: true,
            ..self
        }
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

pub(crate) const PARACETAMOL: Medicine = counted(
    "Paracetamol 500mg tablet",
    "N02BE01",
    2,
    units::TABLET,
    THRICE,
)
.dmd("42109611000001109");
pub(crate) const PARACETAMOL_PRN: Medicine = tablet(
    "Paracetamol 500mg tablet",
    "N02BE01",
    2,
    units::TABLET,
    Schedule::Needed("pain", 3),
)
.dmd("42109611000001109")
.apart(240, "less pain", 60);
pub(crate) const AMLODIPINE: Medicine = counted(
    "Amlodipine 5mg tablet",
    "C08CA01",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const RAMIPRIL: Medicine = counted(
    "Ramipril 5mg capsule",
    "C09AA05",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const LOSARTAN: Medicine =
    counted("Losartan 50mg tablet", "C09CA01", 1, units::TABLET, MORNING);
pub(crate) const TELMISARTAN: Medicine =
    milligrams("Telmisartan 40mg tablets", "C09CA07", 40, MORNING);
pub(crate) const BISOPROLOL: Medicine = counted(
    "Bisoprolol 2.5mg tablet",
    "C07AB07",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const FUROSEMIDE: Medicine = counted(
    "Furosemide 40mg tablet",
    "C03CA01",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const ATORVASTATIN: Medicine = counted(
    "Atorvastatin 20mg tablet",
    "C10AA05",
    1,
    units::TABLET,
    NIGHT,
);
pub(crate) const ATORVASTATIN_HIGH: Medicine = counted(
    "Atorvastatin 80mg tablet",
    "C10AA05",
    1,
    units::TABLET,
    NIGHT,
);
pub(crate) const APIXABAN: Medicine =
    counted("Apixaban 5mg tablet", "B01AF02", 1, units::TABLET, TWICE);
pub(crate) const APIXABAN_LOW: Medicine =
    counted("Apixaban 2.5mg tablet", "B01AF02", 1, units::TABLET, TWICE);
pub(crate) const WARFARIN: Medicine =
    counted("Warfarin 3mg tablet", "B01AA03", 1, units::TABLET, TEATIME);
pub(crate) const CLOPIDOGREL: Medicine = counted(
    "Clopidogrel 75mg tablet",
    "B01AC04",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const METFORMIN: Medicine =
    counted("Metformin 500mg tablet", "A10BA02", 1, units::TABLET, TWICE);
pub(crate) const GLICLAZIDE: Medicine = counted(
    "Gliclazide 80mg tablet",
    "A10BB09",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const GLIMEPIRIDE: Medicine =
    milligrams("Glimepiride 2mg tablets", "A10BB12", 2, MORNING);
pub(crate) const SITAGLIPTIN: Medicine = counted(
    "Sitagliptin 100mg tablet",
    "A10BH01",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const GLARGINE: Medicine = tablet(
    "Insulin glargine 100 units/ml solution for injection",
    "A10AE04",
    14,
    units::IU,
    Schedule::Daily(NIGHT),
)
.by(others::SUBCUTANEOUS, "under the skin");
pub(crate) const DONEPEZIL: Medicine =
    counted("Donepezil 10mg tablet", "N06DA02", 1, units::TABLET, NIGHT);
pub(crate) const MEMANTINE: Medicine = counted(
    "Memantine 20mg tablet",
    "N06DX01",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const SERTRALINE: Medicine = counted(
    "Sertraline 50mg tablet",
    "N06AB06",
    1,
    units::TABLET,
    MORNING,
);
pub(crate) const MIRTAZAPINE: Medicine = counted(
    "Mirtazapine 15mg tablet",
    "N06AX11",
    1,
    units::TABLET,
    NIGHT,
);
pub(crate) const LEVOTHYROXINE: Medicine = counted(
    "Levothyroxine 50 micrograms tablet",
    "H03AA01",
    1,
    units::TABLET,
    &[420],
);
pub(crate) const OMEPRAZOLE: Medicine = counted(
    "Omeprazole 20mg capsule",
    "A02BC01",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const LANSOPRAZOLE: Medicine = counted(
    "Lansoprazole 15mg capsule",
    "A02BC03",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const PANTOPRAZOLE: Medicine = milligrams(
    "Pantoprazole 40mg gastro-resistant tablets",
    "A02BC02",
    40,
    MORNING,
);
pub(crate) const SENNA: Medicine = tablet(
    "Senna 7.5mg tablet",
    "A06AB06",
    2,
    units::TABLET,
    Schedule::Needed("constipation", 1),
)
.apart(1_200, "bowels open", 720);
pub(crate) const ALENDRONIC: Medicine = tablet(
    "Alendronic acid 70mg tablet",
    "M05BA04",
    1,
    units::TABLET,
    Schedule::Weekly(6, 420),
);
pub(crate) const COLECALCIFEROL: Medicine = counted(
    "Colecalciferol 800 units capsule",
    "A11CC05",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const COLECALCIFEROL_WEEKLY: Medicine = tablet(
    "Colecalciferol 60,000unit capsules",
    "A11CC05",
    1,
    units::CAPSULE,
    Schedule::Weekly(6, 540),
);
pub(crate) const SALBUTAMOL: Medicine = inhaled(
    "Salbutamol 100 micrograms/dose inhaler",
    "R03AC02",
    2,
    Schedule::Needed("breathlessness", 4),
)
.dmd("39113611000001102")
.apart(240, "easier breathing", 30);
pub(crate) const BUDESONIDE_FORMOTEROL: Medicine = inhaled(
    "Budesonide 200micrograms/dose / Formoterol 6micrograms/dose dry powder inhaler",
    "R03AK07",
    1,
    Schedule::Daily(TWICE),
);
pub(crate) const CO_CARELDOPA: Medicine = counted(
    "Co-careldopa 100mg/25mg tablet",
    "N04BA02",
    1,
    units::TABLET,
    &[420, 660, 900, 1_140],
)
.critical();
pub(crate) const LEVETIRACETAM: Medicine = counted(
    "Levetiracetam 500mg tablet",
    "N03AX14",
    1,
    units::TABLET,
    TWICE,
);
pub(crate) const TAMSULOSIN: Medicine = counted(
    "Tamsulosin 400 micrograms modified-release capsule",
    "G04CA02",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const BUPRENORPHINE: Medicine = tablet(
    "Buprenorphine 5 micrograms/hour transdermal patch",
    "N02AE01",
    1,
    units::PATCH,
    Schedule::Weekly(1, 600),
)
.by(others::TRANSDERMAL, "applied to the skin")
.controlled();
pub(crate) const LORAZEPAM: Medicine = tablet(
    "Lorazepam 1mg tablet",
    "N05BA06",
    5,
    units::TABLET,
    Schedule::Needed("distress", 2),
)
.tenths()
.apart(360, "calmer", 60);
pub(crate) const TIOTROPIUM: Medicine = tablet(
    "Tiotropium 18 micrograms inhalation powder capsule",
    "R03BB04",
    1,
    units::CAPSULE,
    Schedule::Daily(MORNING),
)
.by(others::INHALED, "inhaled");
pub(crate) const LACTULOSE: Medicine = tablet(
    "Lactulose 3.35g/5ml oral solution",
    "A06AD11",
    15,
    units::MILLILITRE,
    Schedule::Daily(TWICE),
);
pub(crate) const HYPROMELLOSE: Medicine = tablet(
    "Hypromellose 3mg/ml eye drops",
    "S01KA02",
    1,
    units::DROP,
    Schedule::Daily(FOUR),
)
.by(others::EYE, "in each eye");
pub(crate) const MORPHINE: Medicine = counted(
    "Morphine 10mg modified-release tablet",
    "N02AA01",
    1,
    units::TABLET,
    TWICE,
)
.controlled();
pub(crate) const AMOXICILLIN: Medicine = counted(
    "Amoxicillin 500mg capsule",
    "J01CA04",
    1,
    units::CAPSULE,
    THRICE,
)
.dmd("39732411000001106");
pub(crate) const DOXYCYCLINE: Medicine = counted(
    "Doxycycline 100mg capsule",
    "J01AA02",
    1,
    units::CAPSULE,
    MORNING,
);
pub(crate) const NITROFURANTOIN: Medicine = counted(
    "Nitrofurantoin 100mg modified-release capsule",
    "J01XE01",
    1,
    units::CAPSULE,
    TWICE,
);
pub(crate) const TRIMETHOPRIM: Medicine = counted(
    "Trimethoprim 200mg tablet",
    "J01EA01",
    1,
    units::TABLET,
    TWICE,
);
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
