//! ViewDefinition to the compiled form: every path compiled, every column placed, every rule of the
//! specification checked before the first resource is seen.

use std::borrow::Cow;

use fhir::Definitions;
use fhir::definitions::TypeId;
use fhir::json::{Document, Kind, Limits, Value};
use fhirpath::{Expression, FhirType};

use crate::{Column, ColumnType, ViewError};

/// Columns a view may have.
const MAX_COLUMNS: usize = 1000;
/// How deep selects may stand in selects.
const MAX_DEPTH: u32 = 16;

/// A compiled view; immutable, to be kept and shared.
#[derive(Debug)]
pub struct View {
    pub(crate) resource: TypeId,
    name: Option<String>,
    columns: Vec<Column>,
    pub(crate) selects: Vec<Select>,
    pub(crate) conditions: Vec<Expression>,
    pub(crate) constants: Vec<Constant>,
}

/// A given value: a document `{"value": ..}`, so that its text stays as written.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) document: Document,
    pub(crate) ty: FhirType,
}

/// What the rows of a select are made for.
#[derive(Debug)]
pub(crate) enum Each {
    /// The context itself.
    Context,
    Item(Expression),
    ItemOrNull(Expression),
    Repeat(Vec<Expression>),
}

#[derive(Debug)]
pub(crate) struct Select {
    pub(crate) each: Each,
    /// Paths with the place of their column.
    pub(crate) columns: Vec<(usize, Expression)>,
    pub(crate) selects: Vec<Select>,
    pub(crate) unions: Vec<Select>,
}

impl View {
    /// Compiles a ViewDefinition.
    ///
    /// # Errors
    /// What the specification forbids (no resource, no select, two columns of one name, unions of unlike
    /// columns, undefined constants), paths that do not compile, and views beyond the limits.
    pub fn compile(definition: Value<'_>) -> Result<Self, ViewError> {
        let name = definition.get_str("resource");
        let Some(name) = name else {
            return Err(ViewError::new(
                "resource",
                "the type of resource is missing: name one",
            ));
        };
        let Some(resource) = Definitions::r4().resource(&name) else {
            return Err(ViewError::new(
                "resource",
                format!("{name:?} is no resource type of R4: check the spelling"),
            ));
        };
        let constants = constants(definition)?;
        let mut compiler = Compiler {
            columns: Vec::new(),
            known: constants.iter().map(|one| one.name.clone()).collect(),
        };
        let selects = compiler.selects(definition, "select", "", 0)?;
        if selects.is_empty() {
            return Err(ViewError::new(
                "select",
                "there is none: select at least one column",
            ));
        }
        if compiler.columns.is_empty() {
            return Err(ViewError::new("select", "no column is selected: add one"));
        }
        let conditions = compiler.conditions(definition)?;
        Ok(Self {
            resource,
            name: definition.get_str("name").map(Cow::into_owned),
            columns: compiler.columns,
            selects,
            conditions,
            constants,
        })
    }

    /// The type of resource it reads.
    #[must_use]
    pub const fn resource(&self) -> TypeId {
        self.resource
    }

    /// Its name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }
}

fn items<'a>(
    of: Value<'a>,
    member: &str,
    place: &str,
) -> Result<Vec<(String, Value<'a>)>, ViewError> {
    let Some(list) = of.get(member) else {
        return Ok(Vec::new());
    };
    let place = join(place, member);
    if list.kind() != Kind::Array {
        return Err(ViewError::new(&place, "this is no array: write [..]"));
    }
    Ok(list
        .items()
        .enumerate()
        .map(|(at, item)| (format!("{place}[{at}]"), item))
        .collect())
}

fn join(place: &str, member: &str) -> String {
    if place.is_empty() {
        member.to_owned()
    } else {
        format!("{place}.{member}")
    }
}

fn constants(definition: Value<'_>) -> Result<Vec<Constant>, ViewError> {
    let mut made: Vec<Constant> = Vec::new();
    for (place, item) in items(definition, "constant", "")? {
        let name = item.get_str("name").unwrap_or_default().into_owned();
        check_name(&name, &place)?;
        if made.iter().any(|known| known.name == name) {
            return Err(ViewError::new(
                &place,
                format!("{name:?} is defined twice: keep one"),
            ));
        }
        let value = item.members().find_map(|(key, value)| {
            let mut letters = key.strip_prefix("value")?.chars();
            let first = letters.next()?.to_ascii_lowercase();
            let ty = FhirType::named(&format!("{first}{}", letters.as_str()))?;
            matches!(ty, FhirType::Primitive(_)).then_some((ty, value))
        });
        let Some((ty, value)) = value else {
            return Err(ViewError::new(
                &place,
                "the constant has no value[x] of a primitive type",
            ));
        };
        let json = [b"{\"value\":", value.raw(), b"}"].concat();
        let document = Document::parse(json, &Limits::default())
            .map_err(|error| ViewError::new(&place, error.to_string()))?;
        made.push(Constant { name, document, ty });
    }
    Ok(made)
}

/// Names are those of SQL: a letter, then letters, digits and underscores.
fn check_name(name: &str, place: &str) -> Result<(), ViewError> {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(ViewError::new(
        place,
        format!("{name:?} is no name: begin with a letter, go on with letters, digits and _"),
    ))
}

struct Compiler {
    columns: Vec<Column>,
    /// Names of the constants.
    known: Vec<String>,
}

impl Compiler {
    fn expression(
        &self,
        of: Value<'_>,
        member: &str,
        place: &str,
    ) -> Result<Expression, ViewError> {
        let place = join(place, member);
        let Some(text) = of.get_str(member) else {
            return Err(ViewError::new(
                &place,
                "a path is missing: write FHIRPath as a string",
            ));
        };
        self.path(&text, &place)
    }

    fn path(&self, text: &str, place: &str) -> Result<Expression, ViewError> {
        let expression = fhirpath::compile(text).map_err(|error| ViewError::path(place, &error))?;
        let unknown = expression
            .variables()
            .into_iter()
            .find(|name| *name != "rowIndex" && !self.known.iter().any(|known| known == name));
        match unknown {
            Some(name) => Err(ViewError::new(
                place,
                format!("%{name} is not defined: add a constant of this name"),
            )),
            None => Ok(expression),
        }
    }

    fn conditions(&self, definition: Value<'_>) -> Result<Vec<Expression>, ViewError> {
        items(definition, "where", "")?
            .into_iter()
            .map(|(place, item)| self.expression(item, "path", &place))
            .collect()
    }

    fn selects(
        &mut self,
        of: Value<'_>,
        member: &str,
        place: &str,
        depth: u32,
    ) -> Result<Vec<Select>, ViewError> {
        items(of, member, place)?
            .into_iter()
            .map(|(place, item)| self.select(item, &place, depth))
            .collect()
    }

    fn select(&mut self, item: Value<'_>, place: &str, depth: u32) -> Result<Select, ViewError> {
        if depth > MAX_DEPTH {
            return Err(ViewError::new(
                place,
                "selects stand deeper than 16 levels: flatten them",
            ));
        }
        let each = self.each(item, place)?;
        let mut columns = Vec::new();
        for (place, column) in items(item, "column", place)? {
            columns.push(self.column(column, &place)?);
        }
        let selects = self.selects(item, "select", place, depth + 1)?;
        let unions = self.unions(item, place, depth + 1)?;
        if columns.is_empty() && selects.is_empty() && unions.is_empty() {
            return Err(ViewError::new(
                place,
                "nothing is selected: add column, select or unionAll",
            ));
        }
        Ok(Select {
            each,
            columns,
            selects,
            unions,
        })
    }

    fn each(&self, item: Value<'_>, place: &str) -> Result<Each, ViewError> {
        let given = ["forEach", "forEachOrNull", "repeat"]
            .iter()
            .filter(|member| item.get(member).is_some())
            .count();
        if given > 1 {
            return Err(ViewError::new(
                place,
                "forEach, forEachOrNull and repeat exclude each other",
            ));
        }
        if item.get("forEach").is_some() {
            return self.expression(item, "forEach", place).map(Each::Item);
        }
        if item.get("forEachOrNull").is_some() {
            return self
                .expression(item, "forEachOrNull", place)
                .map(Each::ItemOrNull);
        }
        let paths = items(item, "repeat", place)?;
        if paths.is_empty() {
            return Ok(Each::Context);
        }
        paths
            .into_iter()
            .map(|(place, path)| match path.as_str() {
                Some(text) => self.path(&text, &place),
                None => Err(ViewError::new(
                    &place,
                    "a path is missing: write FHIRPath as a string",
                )),
            })
            .collect::<Result<_, _>>()
            .map(Each::Repeat)
    }

    fn column(&mut self, item: Value<'_>, place: &str) -> Result<(usize, Expression), ViewError> {
        let name = item.get_str("name").unwrap_or_default().into_owned();
        check_name(&name, place)?;
        if self.columns.iter().any(|known| known.name == name) {
            return Err(ViewError::new(
                place,
                format!("there are two columns {name:?}: rename one"),
            ));
        }
        if self.columns.len() >= MAX_COLUMNS {
            return Err(ViewError::new(
                place,
                "the view has more than 1000 columns: split it",
            ));
        }
        let declared = item.get_str("type").map(Cow::into_owned);
        let ty = match &declared {
            None => ColumnType::Text,
            Some(name) => ColumnType::of(name).ok_or_else(|| {
                ViewError::new(
                    place,
                    format!("{name:?} is no primitive type: select its parts"),
                )
            })?,
        };
        let collection = match item.get("collection") {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| {
                ViewError::new(place, "collection is no boolean: write true or false")
            })?,
        };
        let path = self.expression(item, "path", place)?;
        self.columns.push(Column {
            name,
            ty,
            declared,
            collection,
            description: item.get_str("description").map(Cow::into_owned),
        });
        Ok((self.columns.len() - 1, path))
    }

    /// The branches of a union: each has the same columns, which are placed once.
    fn unions(
        &mut self,
        item: Value<'_>,
        place: &str,
        depth: u32,
    ) -> Result<Vec<Select>, ViewError> {
        let start = self.columns.len();
        let mut first: Option<Vec<Column>> = None;
        let mut made = Vec::new();
        for (place, branch) in items(item, "unionAll", place)? {
            self.columns.truncate(start);
            made.push(self.select(branch, &place, depth)?);
            let mine = self.columns.get(start..).unwrap_or_default().to_vec();
            match &first {
                None => first = Some(mine),
                Some(first) if !same_columns(first, &mine) => {
                    return Err(ViewError::new(
                        &place,
                        "the columns are not those of the first branch: give them the same names, \
                         types and order",
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(made)
    }
}

fn same_columns(a: &[Column], b: &[Column]) -> bool {
    let form = |column: &Column| (column.name.clone(), column.ty, column.collection);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| form(a) == form(b))
}
