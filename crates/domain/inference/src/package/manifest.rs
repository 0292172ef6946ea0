//! What a package declares, as types: whoever holds a [`Manifest`] holds one whose fields were checked.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::calibrate::Calibration;
use crate::conformal::{Groups, Interval, Level, SetMethod};
use crate::intake::Feature;
use crate::matrix::Matrix;
use crate::outside::{Detector, EnergyDetector, Gate};
use crate::steps::{AfterStep, ImageStep, RowStep};
use crate::strata::Strata;
use crate::tensor::{Tensor, TensorKind};

use super::attributes::SourceAttributes;
use super::content::PublicKey;

/// A model's name: small letters, digits and dashes, 2 to 64 of them, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl ModelName {
    /// Reads a name; nothing where it is none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let right = (2..=64).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(letter);
        right.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl TryFrom<String> for ModelName {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("no name of a model: use small letters, digits and dashes")
    }
}

/// A version of three numbers; later ones are larger (Semantic Versioning 2.0.0 without suffixes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Raised when the intended use or the inputs change.
    pub major: u32,
    /// Raised when the model changes.
    pub minor: u32,
    /// Raised when texts or evidence change.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

/// A text that is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("version is not three numbers; write it like 1.4.0")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let number = |part: Option<&str>| -> Result<u32, VersionError> {
            let part = part.ok_or(VersionError)?;
            let plain =
                part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            if !plain {
                return Err(VersionError);
            }
            part.parse().map_err(|_| VersionError)
        };
        let mut parts = text.split('.');
        let version = Self {
            major: number(parts.next())?,
            minor: number(parts.next())?,
            patch: number(parts.next())?,
        };
        parts.next().map_or(Ok(version), |_| Err(VersionError))
    }
}

/// Who and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, the same for every version.
    pub name: ModelName,
    /// Its version.
    pub version: Version,
    /// A title for people.
    pub title: String,
    /// What it does, in a few sentences.
    pub summary: String,
    /// Who made it.
    pub developer: String,
    /// How to reach them.
    pub contact: String,
    /// SPDX expression or the licence's name.
    pub licence: String,
    /// The day of release, as an ISO 8601 date.
    pub released: Option<String>,
}

/// What part the output has in a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A person decides with it among other things.
    Informs,
    /// It changes what a person would otherwise see or do.
    Augments,
    /// It decides.
    Replaces,
}

impl Role {
    /// The word in a manifest.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Informs => "informs",
            Self::Augments => "augments",
            Self::Replaces => "replaces",
        }
    }
}

/// What it is for, and what it is not for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intended {
    /// Intended use.
    pub purpose: String,
    /// Intended users.
    pub users: Vec<String>,
    /// Intended patients.
    pub population: String,
    /// Where care is given.
    pub setting: String,
    /// Its part in decisions.
    pub role: Role,
    /// Uses that are cautioned against.
    pub cautions: Vec<String>,
    /// Known limits.
    pub limits: Vec<String>,
    /// Whether a person must sign an answer off before it counts.
    pub sign_off: bool,
}

/// A tensor of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name in the model.
    pub name: String,
    /// Its elements.
    pub kind: TensorKind,
    /// Its sides; nothing for the side that grows with the batch.
    pub shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Whether a tensor is as declared.
    #[must_use]
    pub fn admits(&self, tensor: &Tensor) -> bool {
        tensor.name() == self.name
            && tensor.kind() == self.kind
            && tensor.shape().len() == self.shape.len()
            && tensor
                .shape()
                .iter()
                .zip(&self.shape)
                .all(|(found, declared)| declared.is_none_or(|side| side == *found))
    }

    /// Elements of one case.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().flatten().product()
    }
}

/// A code with its system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedConcept {
    /// The code system's URI.
    pub system: String,
    /// The code.
    pub code: String,
    /// Its text.
    pub display: Option<String>,
}

/// Where an input is found in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The resource type that is searched; `Patient` for the patient's own fields.
    pub resource: String,
    /// The code it must have.
    pub code: Option<CodedConcept>,
    /// FHIRPath from that resource to the value.
    pub path: String,
    /// How old it may be, in days; nothing for any age.
    pub within_days: Option<u32>,
}

/// A declared input with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What it is.
    pub feature: Feature,
    /// A title for people.
    pub title: String,
    /// Where it is found; nothing where callers must give it.
    pub source: Option<Source>,
}

/// Which images are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInput {
    /// DICOM modality (0008,0060).
    pub modality: String,
    /// Body part examined (0018,0015), where it matters.
    pub body_part: Option<String>,
    /// View position (0018,5101), where it matters.
    pub view: Option<String>,
    /// Words of which the series description must hold one, in any case.
    pub series_words: Vec<String>,
    /// Photometric interpretations that are taken.
    pub photometric: Vec<String>,
    /// Fewest rows and columns.
    pub least_side: u32,
}

/// What goes in.
#[derive(Debug, Clone, PartialEq)]
pub enum Inputs {
    /// Numbers from the record.
    Features {
        /// In the order of the row.
        inputs: Vec<Input>,
        /// Most values that may be filled in.
        most_missing: usize,
        /// Steps on the row.
        steps: Vec<RowStep>,
    },
    /// A picture.
    Image {
        /// Which.
        image: ImageInput,
        /// Steps on it.
        steps: Vec<ImageStep>,
    },
}

/// A label of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Its code.
    pub code: Option<CodedConcept>,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gives {
    /// A probability for each label.
    Classes {
        /// The labels in the model's order.
        labels: Vec<Label>,
        /// The label whose probability is the risk.
        event: usize,
    },
    /// A number.
    Number {
        /// Its UCUM unit.
        unit: Option<String>,
    },
    /// A number between a low and a high quantile: low, middle, high.
    Quantiles {
        /// Its UCUM unit.
        unit: Option<String>,
    },
    /// A label for each pixel.
    Mask {
        /// The labels in the model's order.
        labels: Vec<Label>,
    },
}

/// What comes out, and from which tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The tensor.
    pub tensor: TensorSpec,
    /// What it means.
    pub gives: Gives,
    /// Steps on it.
    pub steps: Vec<AfterStep>,
}

/// How calibration was fitted and what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationSummary {
    /// Cases it was fitted on.
    pub cases: u64,
    /// What data that was.
    pub data: String,
    /// Expected calibration error before and after.
    pub error: Option<(f64, f64)>,
    /// Brier score before and after.
    pub brier: Option<(f64, f64)>,
}

/// What conformal scores are of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConformalKind {
    /// Sets of labels.
    Sets(SetMethod),
    /// Intervals around a number.
    Split,
    /// Intervals around two quantiles.
    Quantiles,
}

/// Conformal prediction with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Conformal {
    /// What the scores are of.
    pub kind: ConformalKind,
    /// The share of answers that may miss the truth.
    pub level: Level,
    /// Scores of everybody and of groups.
    pub groups: Groups,
    /// The input whose value names the group.
    pub group_by: Option<String>,
}

/// A histogram of one input among reference cases, for drift.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// The input.
    pub feature: String,
    /// Inner edges, rising: one fewer than there are bins.
    pub edges: Vec<f64>,
    /// Cases in each bin.
    pub counts: Vec<u64>,
}

/// Reference cases that may be shown beside an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Their rows.
    pub rows: Matrix,
    /// What became of each.
    pub outcomes: Vec<String>,
    /// Why they may be shown.
    pub statement: String,
}

/// What the reference cases were like.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reference {
    /// How many cases.
    pub cases: u64,
    /// Checks of strangeness.
    pub detectors: Vec<Detector>,
    /// The check of logits.
    pub energy: Option<EnergyDetector>,
    /// Histograms for drift.
    pub bins: Vec<Bins>,
    /// Rows that explanations compare with.
    pub background: Option<Matrix>,
    /// Cases that may be shown.
    pub neighbours: Option<Neighbours>,
}

/// A measured performance.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Of whom: `all`, or a slice such as `sex=female`.
    pub slice: String,
    /// Of what: `auroc`, `sensitivity` and so on.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
    /// On how many cases.
    pub cases: u64,
    /// On which data.
    pub data: String,
}

/// A guideline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guideline {
    /// Its id in the manifest.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Where it stands, https.
    pub url: String,
}

/// What may change without a new sign-off (FDA, "Marketing Submission Recommendations for a Predetermined
/// Change Control Plan", 2024).
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeControl {
    /// The plan in words.
    pub plan: String,
    /// How far an operating threshold may be moved.
    pub threshold_shift: f64,
    /// Largest share of a canary, in percent.
    pub most_canary_percent: u8,
    /// Answers a version gives in the shadow before patients' carers see any.
    pub least_shadow_answers: u64,
    /// Whether a new version may follow without new sign-off when only its minor or patch number rises.
    pub retraining: bool,
}

/// A package's declarations, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Who and what.
    pub identity: Identity,
    /// The key that must have signed.
    pub signer: PublicKey,
    /// What for.
    pub intended: Intended,
    /// The tensor that takes the inputs.
    pub input_tensor: TensorSpec,
    /// What goes in.
    pub inputs: Inputs,
    /// What comes out.
    pub output: Output,
    /// Risk strata.
    pub strata: Option<Strata>,
    /// Calibration of probabilities.
    pub calibration: Calibration,
    /// How calibration was fitted.
    pub calibration_summary: Option<CalibrationSummary>,
    /// Conformal prediction.
    pub conformal: Option<Conformal>,
    /// Reference cases.
    pub reference: Reference,
    /// Performance by slice.
    pub evidence: Vec<Evidence>,
    /// Guidelines.
    pub guidelines: Vec<Guideline>,
    /// Source attributes.
    pub attributes: SourceAttributes,
    /// What may change.
    pub change_control: ChangeControl,
    /// Texts of the model card by section.
    pub card: BTreeMap<String, String>,
}

impl Manifest {
    /// The gate before the model.
    #[must_use]
    pub fn gate(&self) -> Gate {
        let detectors = self.reference.detectors.clone();
        match &self.inputs {
            Inputs::Features {
                inputs,
                most_missing,
                ..
            } => {
                let features = inputs.iter().map(|input| input.feature.clone()).collect();
                Gate::new(features, *most_missing, detectors)
            }
            Inputs::Image { .. } => Gate::new(Vec::new(), 0, detectors),
        }
    }
}
