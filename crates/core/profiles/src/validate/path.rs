//! Where the walk is: a list on the stack, written out only for an issue.

use core::fmt;

/// An element and those around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    name: &'p str,
    /// The type chosen for a choice element; empty for others.
    of_type: &'p str,
    index: Option<usize>,
    /// How many there are above.
    depth: u32,
}

impl<'p> Path<'p> {
    pub(super) const fn root(name: &'p str) -> Self {
        Self {
            parent: None,
            name,
            of_type: "",
            index: None,
            depth: 0,
        }
    }

    pub(super) const fn member(&'p self, name: &'p str) -> Self {
        Self {
            parent: Some(self),
            name,
            of_type: "",
            index: None,
            depth: self.depth + 1,
        }
    }

    pub(super) const fn of_type(self, of_type: &'p str) -> Self {
        Self { of_type, ..self }
    }

    pub(super) const fn item(self, index: Option<usize>) -> Self {
        Self { index, ..self }
    }

    pub(super) const fn depth(&self) -> u32 {
        self.depth
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        if !self.of_type.is_empty() {
            write!(f, ".ofType({})", self.of_type)?;
        }
        Ok(())
    }
}
