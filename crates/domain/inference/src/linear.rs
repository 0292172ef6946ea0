//! The linear algebra that distances need: covariance shrunk towards a sphere (Ledoit and Wolf, "A
//! well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate Analysis 88, 2004),
//! inverses by Cholesky factors, quadratic forms. Symmetric matrices only; nothing iterative.

use crate::matrix::Matrix;

/// Mean of each column; nothing of no rows.
#[must_use]
pub fn means(rows: &Matrix) -> Option<Vec<f64>> {
    if rows.rows() == 0 {
        return None;
    }
    let mut sums = vec![0.0; rows.columns()];
    for row in rows.iter() {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    let count = rows.rows() as f64;
    Some(sums.into_iter().map(|sum| sum / count).collect())
}

/// Standard deviation of each column (dividing by n), 1 where a column does not vary.
#[must_use]
pub fn scales(rows: &Matrix, means: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; rows.columns()];
    for row in rows.iter() {
        for ((sum, value), mean) in sums.iter_mut().zip(row).zip(means) {
            *sum += (value - mean).powi(2);
        }
    }
    let count = rows.rows().max(1) as f64;
    sums.into_iter()
        .map(|sum| (sum / count).sqrt())
        .map(|scale| if scale > 0.0 { scale } else { 1.0 })
        .collect()
}

/// (row - center) / scale.
#[must_use]
pub fn standardised(row: &[f64], center: &[f64], scale: &[f64]) -> Vec<f64> {
    row.iter()
        .zip(center)
        .zip(scale)
        .map(|((value, center), scale)| (value - center) / scale)
        .collect()
}

/// A covariance pulled towards a multiple of the identity, and by how much (0 to 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The covariance.
    pub covariance: Matrix,
    /// The weight of the identity.
    pub shrinkage: f64,
}

/// The Ledoit-Wolf estimate; nothing of no rows or no columns.
#[must_use]
pub fn ledoit_wolf(rows: &Matrix) -> Option<Shrunk> {
    let center = means(rows)?;
    let (n, p) = (rows.rows() as f64, rows.columns());
    if p == 0 {
        return None;
    }
    let mut empirical = vec![0.0; p * p];
    let mut squares = vec![0.0; p * p];
    for row in rows.iter() {
        let apart: Vec<f64> = row.iter().zip(&center).map(|(v, m)| v - m).collect();
        for ((left, line), line_squares) in apart
            .iter()
            .zip(empirical.chunks_exact_mut(p))
            .zip(squares.chunks_exact_mut(p))
        {
            for ((right, cell), square) in apart.iter().zip(line).zip(line_squares) {
                let product = left * right;
                *cell += product / n;
                *square += product * product;
            }
        }
    }
    let size = p as f64;
    let trace: f64 = empirical.iter().step_by(p + 1).sum();
    let mu = trace / size;
    let fourth: f64 = squares.iter().sum();
    let second: f64 = empirical.iter().map(|cell| cell * cell).sum();
    let noise = (fourth / n - second) / (size * n);
    let spread = (second - 2.0 * mu * trace + size * mu * mu) / size;
    let shrinkage = if spread > 0.0 {
        noise.min(spread).max(0.0) / spread
    } else {
        0.0
    };
    for (place, cell) in empirical.iter_mut().enumerate() {
        *cell *= 1.0 - shrinkage;
        if place % (p + 1) == 0 {
            *cell += shrinkage * mu;
        }
    }
    Some(Shrunk {
        covariance: Matrix::new(p, p, empirical)?,
        shrinkage,
    })
}

/// The lower Cholesky factor, row-major; nothing unless the matrix is square and positive definite.
fn cholesky(matrix: &Matrix) -> Option<Vec<Vec<f64>>> {
    let p = matrix.rows();
    if p == 0 || matrix.columns() != p {
        return None;
    }
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(p);
    for row in 0..p {
        let mut line: Vec<f64> = Vec::with_capacity(p);
        for column in 0..=row {
            let known = factor.get(column).map_or(&line, |earlier| earlier);
            let dot: f64 = line.iter().zip(known).map(|(a, b)| a * b).sum();
            let left = matrix.get(row, column)? - dot;
            if row == column {
                if left <= 0.0 || !left.is_finite() {
                    return None;
                }
                line.push(left.sqrt());
            } else {
                line.push(left / known.get(column)?);
            }
        }
        factor.push(line);
    }
    Some(factor)
}

/// Whether a matrix is symmetric to nine digits and positive definite.
#[must_use]
pub fn is_positive_definite(matrix: &Matrix) -> bool {
    let most = matrix.values().iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let even = matrix.iter().enumerate().all(|(row, line)| {
        line.iter().enumerate().all(|(column, value)| {
            matrix
                .get(column, row)
                .is_some_and(|other| (value - other).abs() <= 1e-9 * most)
        })
    });
    even && cholesky(matrix).is_some()
}

/// The inverse of a positive definite matrix; nothing for another.
#[must_use]
pub fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let factor = cholesky(matrix)?;
    let p = factor.len();
    let mut values = vec![0.0; p * p];
    for unit in 0..p {
        // Forward: L y = e; backward: L' x = y.
        let mut y: Vec<f64> = Vec::with_capacity(p);
        for (row, line) in factor.iter().enumerate() {
            let dot: f64 = line.iter().zip(&y).map(|(a, b)| a * b).sum();
            let right = if row == unit { 1.0 } else { 0.0 };
            y.push((right - dot) / line.get(row)?);
        }
        let mut x = vec![0.0; p];
        for (row, line) in factor.iter().enumerate().rev() {
            let value = y.get(row)? / line.get(row)?;
            for (place, cell) in line.iter().enumerate().take(row) {
                *y.get_mut(place)? -= cell * value;
            }
            *x.get_mut(row)? = value;
        }
        for (row, value) in x.into_iter().enumerate() {
            *values.get_mut(row * p + unit)? = value;
        }
    }
    Matrix::new(p, p, values)
}

/// z' P z.
#[must_use]
pub fn quadratic(precision: &Matrix, z: &[f64]) -> f64 {
    precision
        .iter()
        .zip(z)
        .map(|(line, left)| left * line.iter().zip(z).map(|(p, right)| p * right).sum::<f64>())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn inverses_undo() {
        let mut chance = Chance::new(3);
        let rows: Vec<Vec<f64>> = (0..40)
            .map(|_| (0..6).map(|_| chance.normal()).collect())
            .collect();
        let shrunk = ledoit_wolf(&Matrix::of_rows(&rows).unwrap()).unwrap();
        assert!(shrunk.shrinkage > 0.0 && shrunk.shrinkage <= 1.0);
        let inverse = inverse(&shrunk.covariance).unwrap();
        assert!(is_positive_definite(&inverse));
        for row in 0..6 {
            for column in 0..6 {
                let cell: f64 = (0..6)
                    .map(|k| {
                        shrunk.covariance.get(row, k).unwrap() * inverse.get(k, column).unwrap()
                    })
                    .sum();
                let expected = if row == column { 1.0 } else { 0.0 };
                assert!((cell - expected).abs() < 1e-9, "{row} {column} {cell}");
            }
        }
    }

    #[test]
    fn what_has_no_inverse_is_refused() {
        let wrong: [&[[f64; 2]]; 3] = [
            &[[1.0, 2.0], [2.0, 1.0]],
            &[[0.0, 0.0], [0.0, 0.0]],
            &[[1.0, f64::NAN], [f64::NAN, 1.0]],
        ];
        for rows in wrong {
            let matrix = Matrix::of_rows(rows).unwrap();
            assert!(!is_positive_definite(&matrix), "{rows:?}");
        }
        let uneven = Matrix::of_rows(&[[1.0, 0.5], [0.1, 1.0]]).unwrap();
        assert!(!is_positive_definite(&uneven));
    }

    #[test]
    fn distances_are_the_hand_worked_ones() {
        let precision = Matrix::of_rows(&[[2.0, 0.5], [0.5, 1.0]]).unwrap();
        assert!((quadratic(&precision, &[1.0, -2.0]) - 4.0).abs() < 1e-12);
        let rows = Matrix::of_rows(&[[1.0, 5.0], [3.0, 5.0]]).unwrap();
        let center = means(&rows).unwrap();
        assert_eq!(scales(&rows, &center), [1.0, 1.0]);
        assert_eq!(standardised(&[4.0, 6.0], &center, &[2.0, 1.0]), [1.0, 1.0]);
    }
}
