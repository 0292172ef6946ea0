//! Multidirectional broadcasting (ONNX, "Broadcasting"): the joined shape, and two arrays walked together.
//! Must not know what is computed.

use crate::error::RuntimeError;

/// The shape two shapes agree on.
pub fn joined(left: &[usize], right: &[usize]) -> Result<Vec<usize>, RuntimeError> {
    let rank = left.len().max(right.len());
    let dim = |shape: &[usize], place: usize| {
        (place + shape.len())
            .checked_sub(rank)
            .and_then(|place| shape.get(place).copied())
            .unwrap_or(1)
    };
    (0..rank)
        .map(|place| match (dim(left, place), dim(right, place)) {
            (a, b) if a == b => Ok(a),
            (1, b) => Ok(b),
            (a, 1) => Ok(a),
            _ => Err(RuntimeError::shape(
                "broadcast",
                format!("shapes {left:?} and {right:?} do not fit together"),
            )),
        })
        .collect()
}

/// Steps of `shape` along the dimensions of `target`; 0 where it is repeated.
pub fn steps(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let strides = crate::embedded::value::strides_of(shape);
    let missing = target.len().saturating_sub(shape.len());
    std::iter::repeat_n(0, missing)
        .chain(
            shape
                .iter()
                .zip(strides)
                .map(|(dim, stride)| if *dim == 1 { 0 } else { stride }),
        )
        .collect()
}

/// Places in the source for each place of `target`, in row-major order.
pub struct Walk<'s> {
    target: &'s [usize],
    steps: Vec<usize>,
    at: Vec<usize>,
    place: usize,
    left: usize,
}

impl<'s> Walk<'s> {
    /// Over a source of `shape` repeated to `target`.
    pub fn new(shape: &[usize], target: &'s [usize]) -> Self {
        Self::with_steps(steps(shape, target), 0, target)
    }

    /// With steps of one's own.
    pub fn with_steps(steps: Vec<usize>, start: usize, target: &'s [usize]) -> Self {
        Self {
            target,
            steps,
            at: vec![0; target.len()],
            place: start,
            left: crate::embedded::value::elements_of(target).unwrap_or(0),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for ((at, dim), step) in self.at.iter_mut().zip(self.target).zip(&self.steps).rev() {
            *at += 1;
            self.place = self.place.wrapping_add(*step);
            if *at < *dim {
                break;
            }
            self.place = self.place.wrapping_sub(step.wrapping_mul(*dim));
            *at = 0;
        }
        Some(place)
    }
}

/// Both sides walked together.
pub fn zip<T: Clone, U: Clone, R>(
    (left, left_shape): (&[T], &[usize]),
    (right, right_shape): (&[U], &[usize]),
    shape: &[usize],
    mut join: impl FnMut(&T, &U) -> R,
) -> Vec<R> {
    if left_shape == right_shape {
        return left.iter().zip(right).map(|(a, b)| join(a, b)).collect();
    }
    if let [one] = right
        && left_shape == shape
    {
        return left.iter().map(|a| join(a, one)).collect();
    }
    if let [one] = left
        && right_shape == shape
    {
        return right.iter().map(|b| join(one, b)).collect();
    }
    Walk::new(left_shape, shape)
        .zip(Walk::new(right_shape, shape))
        .filter_map(|(a, b)| Some(join(left.get(a)?, right.get(b)?)))
        .collect()
}
