//! The declared steps between the record and a model's tensors, and back: what a package may ask for is this
//! list and nothing else, so that a step can be replayed from its declaration. Must not run code of a package.

use kernel::{Categorised, Category};

use crate::special::{sigmoid, softmax};

/// A step on a row of numbers before the model.
#[derive(Debug, Clone, PartialEq)]
pub enum RowStep {
    /// (x - center) / scale in each place.
    Standardise {
        /// What is taken away.
        center: Vec<f64>,
        /// What is divided by; positive.
        scale: Vec<f64>,
    },
    /// Every number brought between two.
    Clip {
        /// The least.
        low: f64,
        /// The largest.
        high: f64,
    },
    /// ln(1 + x) of one place.
    Log1p {
        /// The place.
        place: usize,
    },
    /// One place of whole numbers below `count` becomes `count` places of which one is 1.
    OneHot {
        /// The place.
        place: usize,
        /// How many values there are.
        count: usize,
    },
}

/// A step on an image before the model.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageStep {
    /// slope x + intercept: stored values to units (DICOM PS3.3 C.11.1.1.2).
    Rescale {
        /// The slope.
        slope: f64,
        /// The intercept.
        intercept: f64,
    },
    /// A window of values to 0..1, flat beyond (DICOM PS3.3 C.11.2.1.3.2, LINEAR_EXACT).
    Window {
        /// The middle.
        center: f64,
        /// The width; positive.
        width: f64,
    },
    /// Bilinear resize with half-pixel centres.
    Resize {
        /// New height.
        height: usize,
        /// New width.
        width: usize,
    },
    /// (x - mean) / deviation of each channel.
    Normalise {
        /// Mean of each channel.
        mean: Vec<f64>,
        /// Deviation of each channel; positive.
        deviation: Vec<f64>,
    },
    /// The one channel as often as asked.
    Repeat {
        /// Channels wanted.
        channels: usize,
    },
}

/// A step on a model's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AfterStep {
    /// Logits to probabilities.
    Softmax,
    /// One logit to one probability.
    Sigmoid,
    /// The probability p of an event to (1 - p, p).
    Complement,
    /// slope x + intercept.
    Affine {
        /// The slope.
        slope: f64,
        /// The intercept.
        intercept: f64,
    },
    /// e to the x.
    Exp,
}

/// Why a step could not be made on what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The step asks for another number of values.
    #[error(
        "step {step} wants {wanted} values and was given {found}; the package and its model disagree"
    )]
    Width {
        /// The step's word.
        step: &'static str,
        /// Wanted.
        wanted: usize,
        /// Found.
        found: usize,
    },
    /// A value the step has no answer for.
    #[error(
        "step {step} has no answer for the value in place {place}; check the range of the input"
    )]
    Value {
        /// The step's word.
        step: &'static str,
        /// The place.
        place: usize,
    },
}

impl Categorised for StepError {
    fn category(&self) -> Category {
        Category::Unprocessable
    }
}

fn width(step: &'static str, found: usize, wanted: usize) -> Result<(), StepError> {
    if found == wanted {
        return Ok(());
    }
    Err(StepError::Width {
        step,
        wanted,
        found,
    })
}

impl RowStep {
    /// How many numbers come out for so many in; nothing where they do not fit.
    #[must_use]
    pub fn width(&self, given: usize) -> Option<usize> {
        match self {
            Self::Standardise { center, .. } => (center.len() == given).then_some(given),
            Self::Clip { .. } => Some(given),
            Self::Log1p { place } => (*place < given).then_some(given),
            Self::OneHot { place, count } => (*place < given).then(|| given - 1 + count),
        }
    }

    /// The row after the step.
    ///
    /// # Errors
    /// [`StepError`] where the row does not fit. NaN stays NaN, but is no choice.
    pub fn apply(&self, mut row: Vec<f64>) -> Result<Vec<f64>, StepError> {
        match self {
            Self::Standardise { center, scale } => {
                width("standardise", row.len(), center.len())?;
                for ((value, center), scale) in row.iter_mut().zip(center).zip(scale) {
                    *value = (*value - center) / scale;
                }
            }
            Self::Clip { low, high } => {
                for value in &mut row {
                    *value = value.max(*low).min(*high) + 0.0 * *value;
                }
            }
            Self::Log1p { place } => {
                let step = "log1p";
                let (place, found) = (*place, row.len());
                let wanted = place + 1;
                let value = row.get_mut(place).ok_or(StepError::Width {
                    step,
                    wanted,
                    found,
                })?;
                if *value <= -1.0 {
                    return Err(StepError::Value { step, place });
                }
                *value = value.ln_1p();
            }
            Self::OneHot { place, count } => {
                let step = "one_hot";
                let (place, found) = (*place, row.len());
                let wanted = place + 1;
                let value = *row.get(place).ok_or(StepError::Width {
                    step,
                    wanted,
                    found,
                })?;
                let fits = value >= 0.0 && value < *count as f64 && value.fract().abs() < 1e-9;
                if !fits {
                    return Err(StepError::Value { step, place });
                }
                let one = value as usize;
                let choice = (0..*count).map(|at| f64::from(u8::from(at == one)));
                row.splice(place..=place, choice);
            }
        }
        Ok(row)
    }
}

/// Channels of rows of pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl Image {
    /// An image; nothing where the values do not fill it exactly.
    #[must_use]
    pub fn new(channels: usize, height: usize, width: usize, values: Vec<f64>) -> Option<Self> {
        let places = channels.checked_mul(height)?.checked_mul(width)?;
        (places == values.len()).then_some(Self {
            channels,
            height,
            width,
            values,
        })
    }

    /// Channels, height and width.
    #[must_use]
    pub const fn sides(&self) -> (usize, usize, usize) {
        (self.channels, self.height, self.width)
    }

    /// Channel by channel, row by row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same.
    #[must_use]
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    fn resized(&self, height: usize, width: usize) -> Self {
        let along = |from: usize, to: usize| -> Vec<(usize, usize, f64)> {
            (0..to)
                .map(|at| {
                    let last = from.saturating_sub(1);
                    let place =
                        ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).clamp(0.0, last as f64);
                    let low = place as usize;
                    (low, (low + 1).min(last), place - low as f64)
                })
                .collect()
        };
        let (down, across) = (along(self.height, height), along(self.width, width));
        let mut values = Vec::with_capacity(self.channels * height * width);
        let plane = (self.height * self.width).max(1);
        for channel in self.values.chunks_exact(plane) {
            let pixel = |row: usize, column: usize| {
                let at = row * self.width + column;
                channel.get(at).copied().unwrap_or_default()
            };
            for (top, bottom, v) in &down {
                for (left, right, h) in &across {
                    let above = pixel(*top, *left) * (1.0 - h) + pixel(*top, *right) * h;
                    let below = pixel(*bottom, *left) * (1.0 - h) + pixel(*bottom, *right) * h;
                    values.push(above * (1.0 - v) + below * v);
                }
            }
        }
        Self {
            channels: self.channels,
            height,
            width,
            values,
        }
    }
}

impl ImageStep {
    /// The image after the step.
    ///
    /// # Errors
    /// [`StepError::Width`] where the channels do not fit.
    pub fn apply(&self, mut image: Image) -> Result<Image, StepError> {
        match self {
            Self::Rescale { slope, intercept } => {
                for value in &mut image.values {
                    *value = slope * *value + intercept;
                }
            }
            Self::Window {
                center,
                width: wide,
            } => {
                for value in &mut image.values {
                    *value = ((*value - center) / wide + 0.5).clamp(0.0, 1.0);
                }
            }
            Self::Resize { height, width } => image = image.resized(*height, *width),
            Self::Normalise { mean, deviation } => {
                width("normalise", image.channels, mean.len())?;
                let plane = (image.height * image.width).max(1);
                let channels = image.values.chunks_exact_mut(plane);
                for ((channel, mean), deviation) in channels.zip(mean).zip(deviation) {
                    for value in channel {
                        *value = (*value - mean) / deviation;
                    }
                }
            }
            Self::Repeat { channels } => {
                width("repeat", image.channels, 1)?;
                image.values = image.values.repeat(*channels);
                image.channels = *channels;
            }
        }
        Ok(image)
    }
}

impl AfterStep {
    /// How many numbers come out for so many in; nothing where they do not fit.
    #[must_use]
    pub fn width(self, given: usize) -> Option<usize> {
        match self {
            Self::Softmax => (given > 1).then_some(given),
            Self::Sigmoid => (given == 1).then_some(1),
            Self::Complement => (given == 1).then_some(2),
            Self::Affine { .. } | Self::Exp => Some(given),
        }
    }

    /// The numbers after the step.
    ///
    /// # Errors
    /// [`StepError::Width`] where they do not fit.
    pub fn apply(self, mut row: Vec<f64>) -> Result<Vec<f64>, StepError> {
        match self {
            Self::Softmax => return Ok(softmax(&row)),
            Self::Sigmoid => {
                width("sigmoid", row.len(), 1)?;
                for value in &mut row {
                    *value = sigmoid(*value);
                }
            }
            Self::Complement => {
                width("complement", row.len(), 1)?;
                let rest = row.first().map_or(1.0, |p| 1.0 - p);
                row.insert(0, rest);
            }
            Self::Affine { slope, intercept } => {
                for value in &mut row {
                    *value = slope * *value + intercept;
                }
            }
            Self::Exp => {
                for value in &mut row {
                    *value = value.exp();
                }
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a, S> = (S, &'a [f64], Option<&'a [f64]>);

    #[test]
    fn rows_are_the_hand_worked_ones() {
        let standardise = RowStep::Standardise {
            center: vec![1.0, 2.0],
            scale: vec![2.0, 0.5],
        };
        let clip = RowStep::Clip {
            low: 0.0,
            high: 1.0,
        };
        let choice = RowStep::OneHot { place: 1, count: 3 };
        let log = RowStep::Log1p { place: 0 };
        let cases: [Case<'_, &RowStep>; 10] = [
            (&standardise, &[3.0, 1.0], Some(&[1.0, -2.0])),
            (&standardise, &[3.0], None),
            (&clip, &[-1.0, 0.5, 2.0], Some(&[0.0, 0.5, 1.0])),
            (&choice, &[7.0, 2.0], Some(&[7.0, 0.0, 0.0, 1.0])),
            (&choice, &[7.0, 3.0], None),
            (&choice, &[7.0, 0.5], None),
            (&choice, &[7.0, f64::NAN], None),
            (&choice, &[7.0], None),
            (&log, &[0.0, 4.0], Some(&[0.0, 4.0])),
            (&log, &[-1.0], None),
        ];
        for (step, row, expected) in cases {
            let found = step.apply(row.to_vec()).ok();
            assert_eq!(found.as_deref(), expected, "{step:?} of {row:?}");
            if expected.is_some() {
                assert_eq!(
                    step.width(row.len()),
                    expected.map(<[f64]>::len),
                    "{step:?}"
                );
            }
        }
        assert!(clip.apply(vec![f64::NAN]).unwrap()[0].is_nan());
    }

    #[test]
    fn images_are_the_hand_worked_ones() {
        let image = || Image::new(1, 2, 2, vec![0.0, 2.0, 4.0, 6.0]).unwrap();
        let after = |step: ImageStep| step.apply(image()).map(Image::into_values);
        let resize = ImageStep::Resize {
            height: 1,
            width: 1,
        };
        assert_eq!(after(resize).unwrap(), [3.0]);
        let wider = ImageStep::Resize {
            height: 2,
            width: 4,
        };
        let expected = [0.0, 0.5, 1.5, 2.0, 4.0, 4.5, 5.5, 6.0];
        assert_eq!(after(wider).unwrap(), expected);
        let window = ImageStep::Window {
            center: 3.0,
            width: 4.0,
        };
        assert_eq!(after(window).unwrap(), [0.0, 0.25, 0.75, 1.0]);
        let rescale = ImageStep::Rescale {
            slope: 2.0,
            intercept: -1.0,
        };
        assert_eq!(after(rescale).unwrap(), [-1.0, 3.0, 7.0, 11.0]);
        assert_eq!(after(ImageStep::Repeat { channels: 3 }).unwrap().len(), 12);
        let normalise = ImageStep::Normalise {
            mean: vec![2.0],
            deviation: vec![2.0],
        };
        assert_eq!(after(normalise).unwrap(), [-1.0, 0.0, 1.0, 2.0]);
        let two = ImageStep::Normalise {
            mean: vec![2.0; 2],
            deviation: vec![2.0; 2],
        };
        assert!(after(two).is_err());
        assert!(Image::new(1, 2, 2, vec![0.0; 3]).is_none());
    }

    #[test]
    fn answers_are_the_hand_worked_ones() {
        let affine = AfterStep::Affine {
            slope: 2.0,
            intercept: 1.0,
        };
        let cases: [Case<'_, AfterStep>; 6] = [
            (AfterStep::Softmax, &[1.0, 1.0], Some(&[0.5, 0.5])),
            (AfterStep::Sigmoid, &[0.0], Some(&[0.5])),
            (AfterStep::Sigmoid, &[0.0, 0.0], None),
            (AfterStep::Complement, &[0.25], Some(&[0.75, 0.25])),
            (affine, &[3.0], Some(&[7.0])),
            (AfterStep::Exp, &[0.0, 0.0], Some(&[1.0, 1.0])),
        ];
        for (step, row, expected) in cases {
            assert_eq!(
                step.apply(row.to_vec()).ok().as_deref(),
                expected,
                "{step:?}"
            );
            assert_eq!(
                step.width(row.len()),
                expected.map(<[f64]>::len),
                "{step:?}"
            );
        }
    }
}
