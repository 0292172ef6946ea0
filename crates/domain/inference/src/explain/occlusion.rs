//! Occlusion maps: how far a model's answer falls when a patch of the picture is covered (Zeiler and Fergus,
//! ECCV 2014, section 4.2). Patch, stride and what covers are declared and kept with the map. What it shows
//! is where the answer depends on the picture, at the grain of the patch; it does not show a cause, and two
//! patches that say the same hide each other.

use crate::matrix::Matrix;
use crate::steps::Image;

use super::{ExplainError, Function, column};

/// What covers the picture, where.
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Pixels from one patch to the next, at most the side.
    pub stride: usize,
    /// The value that covers each channel, such as its mean.
    pub baseline: Vec<f64>,
    /// Covered pictures in one call of the model.
    pub batch: usize,
}

/// A map of the picture's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The mean fall of the answer over the patches that cover each pixel, row by row.
    pub values: Vec<f64>,
    /// The answer for the whole picture.
    pub output: f64,
    /// Patches covered one at a time.
    pub patches: usize,
}

/// Where patches start along a side: every stride, and once flush with the end.
fn starts(side: usize, patch: usize, stride: usize) -> Vec<usize> {
    let last = side - patch;
    let mut starts: Vec<usize> = (0..=last).step_by(stride).collect();
    if starts.last() != Some(&last) {
        starts.push(last);
    }
    starts
}

/// The map of one column of the answer.
///
/// # Errors
/// [`ExplainError`]; [`ExplainError::Patches`] where they leave gaps or are larger than the picture.
pub fn occlusion<E>(
    image: &Image,
    output: usize,
    patches: &Patches,
    model: Function<'_, E>,
) -> Result<Heat, ExplainError<E>> {
    let (channels, height, width) = image.sides();
    let (patch, stride) = (patches.patch, patches.stride);
    let covers = (1..=patch).contains(&stride)
        && patch <= height.min(width)
        && patches.baseline.len() == channels;
    if !covers {
        return Err(ExplainError::Patches {
            patch,
            stride,
            height,
            width,
        });
    }
    let size = image.values().len();
    let wrong = || ExplainError::Background {
        found: size,
        wanted: size,
    };
    let whole = Matrix::new(1, size, image.values().to_vec()).ok_or_else(wrong)?;
    let whole = column(model, &whole, output)?
        .first()
        .copied()
        .unwrap_or_default();
    let places: Vec<(usize, usize)> = starts(height, patch, stride)
        .into_iter()
        .flat_map(|top| {
            let lefts = starts(width, patch, stride);
            lefts.into_iter().map(move |left| (top, left))
        })
        .collect();
    let mut sums = vec![0.0; height * width];
    let mut counts = vec![0.0; height * width];
    for batch in places.chunks(patches.batch.max(1)) {
        let mut values = Vec::with_capacity(batch.len() * size);
        for place in batch {
            values.extend(covered(image, *place, patches));
        }
        let rows = Matrix::new(batch.len(), size, values).ok_or_else(wrong)?;
        for ((top, left), answer) in batch.iter().zip(column(model, &rows, output)?) {
            for row in *top..top + patch {
                let from = row * width + left;
                let cells = sums.iter_mut().zip(&mut counts).skip(from).take(patch);
                for (sum, count) in cells {
                    *sum += whole - answer;
                    *count += 1.0;
                }
            }
        }
    }
    Ok(Heat {
        height,
        width,
        values: sums
            .iter()
            .zip(&counts)
            .map(|(sum, count)| sum / count)
            .collect(),
        output: whole,
        patches: places.len(),
    })
}

/// The picture with one patch covered.
fn covered(image: &Image, (top, left): (usize, usize), patches: &Patches) -> Vec<f64> {
    let (_, height, width) = image.sides();
    let mut values = image.values().to_vec();
    let planes = values.chunks_exact_mut((height * width).max(1));
    for (plane, baseline) in planes.zip(&patches.baseline) {
        let rows = plane.chunks_exact_mut(width.max(1)).skip(top);
        for row in rows.take(patches.patch) {
            for cell in row.iter_mut().skip(left).take(patches.patch) {
                *cell = *baseline;
            }
        }
    }
    values
}
