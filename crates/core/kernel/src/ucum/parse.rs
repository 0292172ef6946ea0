//! Reads unit expressions (UCUM, section 2): products, quotients, exponents, parentheses, annotations.

use super::ratio::Ratio;
use super::{UcumUnit, table};

/// Bytes a code may have.
const MAX_CODE: usize = 256;
/// Open parentheses.
const MAX_DEPTH: u32 = 16;

type Lookup = fn(&str) -> Option<UcumUnit>;

/// A code as written in a resource.
pub(super) fn unit(code: &str) -> Option<UcumUnit> {
    read(code, table::simple)
}

/// The right side of a row of the table.
pub(super) fn definition(code: &str) -> Option<UcumUnit> {
    read(code, table::defining)
}

fn read(code: &str, lookup: Lookup) -> Option<UcumUnit> {
    if code.is_empty() || code.len() > MAX_CODE || !code.is_ascii() && !code.contains('{') {
        return None;
    }
    let mut reader = Reader {
        rest: code,
        depth: 0,
        lookup,
    };
    let unit = reader.term()?;
    reader.rest.is_empty().then_some(unit)
}

struct Reader<'c> {
    rest: &'c str,
    depth: u32,
    lookup: Lookup,
}

impl<'c> Reader<'c> {
    fn eat(&mut self, symbol: char) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn term(&mut self) -> Option<UcumUnit> {
        let mut product = UcumUnit::one();
        let mut sign = if self.eat('/') { -1 } else { 1 };
        let mut first = sign == 1;
        loop {
            let factor = self.component()?;
            // A temperature stands alone.
            product = if first {
                factor
            } else {
                product.times(&factor, sign)?
            };
            first = false;
            sign = if self.eat('.') {
                1
            } else if self.eat('/') {
                -1
            } else {
                return Some(product);
            };
        }
    }

    fn component(&mut self) -> Option<UcumUnit> {
        if self.eat('(') {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return None;
            }
            let inner = self.term()?;
            self.depth -= 1;
            return self.eat(')').then_some(inner);
        }
        if self.rest.starts_with('{') {
            self.annotation()?;
            return Some(UcumUnit::one());
        }
        let unit = self.annotatable()?;
        if self.rest.starts_with('{') {
            self.annotation()?;
        }
        Some(unit)
    }

    fn annotation(&mut self) -> Option<()> {
        let end = self.rest.find('}')?;
        self.rest = self.rest.get(end + 1..)?;
        Some(())
    }

    /// A number, or a simple unit with an exponent.
    fn annotatable(&mut self) -> Option<UcumUnit> {
        let symbol = self.symbol();
        if let Ok(number) = symbol.parse::<u64>() {
            return UcumUnit::one().scaled(&Ratio::integer(number.into())?);
        }
        // The longest unit first: digits behind `10*` and `cm` are exponents.
        if let Some(unit) = (self.lookup)(symbol) {
            return Some(unit);
        }
        let digits = symbol.bytes().rev().take_while(u8::is_ascii_digit).count();
        let at = symbol.len().checked_sub(digits)?;
        let (name, exponent) = symbol.split_at_checked(at)?;
        let (name, sign) = match name.strip_suffix(['-', '+']) {
            Some(short) if name.ends_with('-') => (short, -1),
            Some(short) => (short, 1),
            None => (name, 1),
        };
        let exponent: i8 = exponent.parse().ok()?;
        UcumUnit::one().times(&(self.lookup)(name)?, sign * exponent)
    }

    /// Everything up to the next operator outside square brackets.
    fn symbol(&mut self) -> &'c str {
        let mut bracket = false;
        let end = self.rest.bytes().position(|byte| {
            bracket = byte == b'[' || bracket && byte != b']';
            !bracket && matches!(byte, b'.' | b'/' | b'(' | b')' | b'{' | b'}')
        });
        let (symbol, rest) = self
            .rest
            .split_at_checked(end.unwrap_or(self.rest.len()))
            .unwrap_or_default();
        self.rest = rest;
        symbol
    }
}
