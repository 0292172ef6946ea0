//! Rows of numbers: what tabular models take and give. Row-major doubles whose rows all have the same
//! width. Must not grow into linear algebra: what statistics need of that stands in `linear`.

/// Rows and columns of doubles, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of the given sides; nothing where the values do not fill it exactly.
    #[must_use]
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Option<Self> {
        (rows.checked_mul(columns) == Some(values.len())).then_some(Self {
            rows,
            columns,
            values,
        })
    }

    /// A matrix of rows; nothing where their widths differ. No rows make a matrix of no columns.
    #[must_use]
    pub fn of_rows<R: AsRef<[f64]>>(rows: &[R]) -> Option<Self> {
        let columns = rows.first().map_or(0, |row| row.as_ref().len());
        if rows.iter().any(|row| row.as_ref().len() != columns) {
            return None;
        }
        let values = rows
            .iter()
            .flat_map(|row| row.as_ref().iter().copied())
            .collect();
        Some(Self {
            rows: rows.len(),
            columns,
            values,
        })
    }

    /// One column.
    #[must_use]
    pub const fn of_column(values: Vec<f64>) -> Self {
        Self {
            rows: values.len(),
            columns: 1,
            values,
        }
    }

    /// How many rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Every value, row-major.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values, row-major.
    #[must_use]
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// One row; empty beyond the last.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        let from = row.saturating_mul(self.columns);
        self.values
            .get(from..from.saturating_add(self.columns))
            .unwrap_or_default()
    }

    /// The rows in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.rows).map(|row| self.row(row))
    }

    /// One column, copied; empty beyond the last.
    #[must_use]
    pub fn column(&self, column: usize) -> Vec<f64> {
        self.iter()
            .filter_map(|row| row.get(column).copied())
            .collect()
    }

    /// One value.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> Option<f64> {
        self.row(row).get(column).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_rows_make_a_matrix() {
        assert!(Matrix::new(2, 2, vec![1.0; 3]).is_none());
        assert!(Matrix::of_rows(&[vec![1.0], vec![1.0, 2.0]]).is_none());
        let matrix = Matrix::of_rows(&[[1.0, 2.0], [3.0, 4.0]]);
        let column = matrix.as_ref().map(|m| (m.column(1), m.row(1).to_vec()));
        assert_eq!(column, Some((vec![2.0, 4.0], vec![3.0, 4.0])));
        assert_eq!(matrix.and_then(|m| m.get(2, 0)), None);
    }
}
