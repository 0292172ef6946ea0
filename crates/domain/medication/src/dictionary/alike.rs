//! Names that are taken for each other: a list of known pairs with their differing letters raised, and a
//! measure for all others. Must not change a name on a label: raising letters is for a warning beside it.

/// Pairs known to be confused, with the differing letters raised.
const PAIRS: [(&str, &str); 24] = [
    ("azaTHIOPRINE", "aziTHROMYCIN"),
    ("amiTRIPTYLINE", "amINOPHYLLINE"),
    ("amLODIPine", "aMILoride"),
    ("buPROPion", "busPIRone"),
    ("carBAMazepine", "OXcarbazepine"),
    ("carBIMazole", "carBAMazepine"),
    ("chlorproMAZINE", "chlorPHENAMINE"),
    ("clonazePAM", "cloBAZam"),
    ("diazePAM", "dilTIAZem"),
    ("DULoxetine", "FLUoxetine"),
    ("gliCLAZide", "gliPIZide"),
    ("hydrALAZINE", "hydrOXYzine"),
    ("lamIVUDine", "lamOTRIGine"),
    ("lamoTRIgine", "levETIRAcetam"),
    ("meRCAPTOpurine", "merOPENem"),
    ("metFORMIN", "metroNIDAZOLE"),
    ("morphine", "HYDROmorphone"),
    ("OLANZapine", "QUEtiapine"),
    ("prednisoLONE", "prednisONE"),
    ("propRANOLol", "prOMETHazine"),
    ("quiNINE", "quiNIDine"),
    ("sertraLINE", "sertINDOLE"),
    ("sulfaDIAZINE", "sulfaSALAZINE"),
    ("vinBLAStine", "vinCRIStine"),
];

/// Why two names are taken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alike {
    /// A known pair: both names with the differing letters raised.
    Known(&'static str, &'static str),
    /// Much the same letters, in hundredths.
    Similar(u8),
}

/// Whether two names are easily taken for each other. A name is not alike itself.
#[must_use]
pub fn alike(one: &str, other: &str) -> Option<Alike> {
    let (a, b) = (one.trim().to_lowercase(), other.trim().to_lowercase());
    if a == b {
        return None;
    }
    for (left, right) in PAIRS {
        if left.to_lowercase() == a && right.to_lowercase() == b {
            return Some(Alike::Known(left, right));
        }
        if left.to_lowercase() == b && right.to_lowercase() == a {
            return Some(Alike::Known(right, left));
        }
    }
    let measure = similarity(&a, &b);
    (measure >= 70).then_some(Alike::Similar(measure))
}

/// What a name is known to be taken for: the name and the other, with the differing letters raised.
#[must_use]
pub fn known(name: &str) -> Vec<(&'static str, &'static str)> {
    let name = name.trim().to_lowercase();
    let pairs = PAIRS.iter().filter_map(|(left, right)| {
        if left.to_lowercase() == name {
            Some((*left, *right))
        } else if right.to_lowercase() == name {
            Some((*right, *left))
        } else {
            None
        }
    });
    pairs.collect()
}

/// Shared pairs of neighbouring letters (Dice), in hundredths; ends count, as readers look there first.
#[must_use]
pub fn similarity(one: &str, other: &str) -> u8 {
    let pairs = |name: &str| -> Vec<(char, char)> {
        let padded: Vec<char> = core::iter::once('^')
            .chain(name.chars())
            .chain(['$'])
            .collect();
        padded
            .iter()
            .copied()
            .zip(padded.iter().copied().skip(1))
            .collect()
    };
    let (mine, mut theirs) = (pairs(one), pairs(other));
    let all = mine.len() + theirs.len();
    let mut shared = 0;
    for pair in mine {
        if let Some(at) = theirs.iter().position(|own| *own == pair) {
            theirs.swap_remove(at);
            shared += 1;
        }
    }
    (200 * shared / all.max(1)) as u8
}
