//! The parts of an ONNX file that the guard judges and the built-in interpreter runs, borrowed from the
//! file's bytes. Field numbers are those of onnx.proto (IR version 14). Must not judge: see `check`.
//!
//! A singular message that occurs twice is refused: protobuf would merge the two, so that a runtime saw
//! another graph than the guard.

use super::GuardLimits;
use super::wire::{Field, Reader};
use crate::error::RuntimeError;

/// A whole file.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    /// Version of the format.
    pub ir_version: i64,
    /// What wrote it.
    pub producer: &'a str,
    /// Domain (empty: ai.onnx) and version of each operator set.
    pub opsets: Vec<(&'a str, i64)>,
    /// The graph.
    pub graph: Graph<'a>,
    /// How many functions of its own the model defines.
    pub functions: u32,
    /// Whether it carries training graphs.
    pub training: bool,
}

/// Nodes and what they start from.
#[derive(Debug, Clone, Default)]
pub struct Graph<'a> {
    /// In the file's order.
    pub nodes: Vec<Node<'a>>,
    /// Constants by name.
    pub initializers: Vec<TensorView<'a>>,
    /// Names of sparse constants.
    pub sparse: Vec<&'a str>,
    /// Declared inputs.
    pub inputs: Vec<ValueInfo<'a>>,
    /// Declared outputs.
    pub outputs: Vec<ValueInfo<'a>>,
}

/// One operation.
#[derive(Debug, Clone, Default)]
pub struct Node<'a> {
    /// Its own name, often empty.
    pub name: &'a str,
    /// The operator.
    pub op: &'a str,
    /// Empty: ai.onnx.
    pub domain: &'a str,
    /// Empty: absent.
    pub inputs: Vec<&'a str>,
    /// Empty: not wanted.
    pub outputs: Vec<&'a str>,
    /// Settings.
    pub attributes: Vec<Attribute<'a>>,
}

/// A named setting of a node.
#[derive(Debug, Clone)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: AttributeValue<'a>,
}

/// What a setting holds.
#[derive(Debug, Clone)]
pub enum AttributeValue<'a> {
    /// Nothing that is understood here (types, references).
    Other,
    /// A float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// Bytes, mostly text.
    Text(&'a [u8]),
    /// A tensor.
    Tensor(TensorView<'a>),
    /// A subgraph.
    Graph(Box<Graph<'a>>),
    /// Floats.
    Floats(Vec<f32>),
    /// Integers.
    Ints(Vec<i64>),
    /// Texts.
    Texts(Vec<&'a [u8]>),
    /// Tensors.
    Tensors(Vec<TensorView<'a>>),
    /// Subgraphs.
    Graphs(Vec<Graph<'a>>),
}

/// A tensor in the file; its numbers stay where they are.
#[derive(Debug, Clone, Default)]
pub struct TensorView<'a> {
    /// Its name.
    pub name: &'a str,
    /// As declared.
    pub dims: Vec<i64>,
    /// `TensorProto.DataType`.
    pub data_type: i64,
    /// Little-endian numbers.
    pub raw: Option<&'a [u8]>,
    /// Field number and content of the typed forms.
    pub typed: Vec<(u32, Field<'a>)>,
    /// Whether the file says that the data is elsewhere.
    pub external: bool,
}

/// A declared input or output.
#[derive(Debug, Clone, Default)]
pub struct ValueInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type, absent where not declared.
    pub kind: Option<Kind<'a>>,
}

/// A declared type.
#[derive(Debug, Clone)]
pub enum Kind<'a> {
    /// A tensor with its element type and, where declared, its shape.
    Tensor(i64, Option<Vec<Dimension<'a>>>),
    /// A sequence, map, optional or sparse tensor.
    NotATensor,
}

/// One dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension<'a> {
    /// A number.
    Fixed(i64),
    /// A name, or nothing.
    Open(&'a str),
}

/// What the reader has counted so far.
pub(super) struct Counted<'l> {
    limits: &'l GuardLimits,
    items: u64,
    nodes: u64,
    depth: u32,
}

impl<'l> Counted<'l> {
    pub(super) const fn new(limits: &'l GuardLimits) -> Self {
        Self {
            limits,
            items: 0,
            nodes: 0,
            depth: 0,
        }
    }

    fn item(&mut self) -> Result<(), RuntimeError> {
        self.items += 1;
        if self.items > self.limits.max_items {
            return Err(RuntimeError::too_large(
                "the number of names and settings in the model",
                self.items,
                self.limits.max_items,
            ));
        }
        Ok(())
    }

    fn node(&mut self) -> Result<(), RuntimeError> {
        self.nodes += 1;
        if self.nodes > self.limits.max_nodes {
            return Err(RuntimeError::too_large(
                "the number of nodes",
                self.nodes,
                self.limits.max_nodes,
            ));
        }
        self.item()
    }
}

fn once<T>(slot: Option<&T>, what: &str) -> Result<(), RuntimeError> {
    if slot.is_some() {
        return Err(RuntimeError::Corrupt(format!("{what} occurs twice")));
    }
    Ok(())
}

impl<'a> Model<'a> {
    pub(super) fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        let mut reader = Reader::new(bytes);
        let mut graph = None;
        let mut model = Self {
            ir_version: 0,
            producer: "",
            opsets: Vec::new(),
            graph: Graph::default(),
            functions: 0,
            training: false,
        };
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => model.ir_version = field.int()?,
                2 => model.producer = field.text()?,
                7 => {
                    once(graph.as_ref(), "the graph")?;
                    graph = Some(Graph::read(field.bytes()?, counted)?);
                }
                8 => {
                    counted.item()?;
                    model.opsets.push(read_opset(field.bytes()?)?);
                }
                20 => model.training = true,
                25 => model.functions = model.functions.saturating_add(1),
                _ => {}
            }
        }
        model.graph =
            graph.ok_or_else(|| RuntimeError::Corrupt("there is no graph in it".to_owned()))?;
        Ok(model)
    }
}

fn read_opset(bytes: &[u8]) -> Result<(&str, i64), RuntimeError> {
    let mut reader = Reader::new(bytes);
    let (mut domain, mut version) = ("", 0);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => domain = field.text()?,
            2 => version = field.int()?,
            _ => {}
        }
    }
    Ok((if domain == "ai.onnx" { "" } else { domain }, version))
}

impl<'a> Graph<'a> {
    fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        counted.depth += 1;
        if counted.depth > counted.limits.max_depth {
            return Err(RuntimeError::too_large(
                "the nesting of subgraphs",
                u64::from(counted.depth),
                u64::from(counted.limits.max_depth),
            ));
        }
        let mut reader = Reader::new(bytes);
        let mut graph = Self::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => {
                    counted.node()?;
                    graph.nodes.push(Node::read(field.bytes()?, counted)?);
                }
                5 => {
                    counted.item()?;
                    graph
                        .initializers
                        .push(TensorView::read(field.bytes()?, counted)?);
                }
                11 => {
                    counted.item()?;
                    graph.inputs.push(ValueInfo::read(field.bytes()?, counted)?);
                }
                12 => {
                    counted.item()?;
                    graph
                        .outputs
                        .push(ValueInfo::read(field.bytes()?, counted)?);
                }
                15 => {
                    counted.item()?;
                    graph.sparse.push("sparse initializer");
                }
                _ => {}
            }
        }
        counted.depth -= 1;
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        let mut reader = Reader::new(bytes);
        let mut node = Self::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => {
                    counted.item()?;
                    node.inputs.push(field.text()?);
                }
                2 => {
                    counted.item()?;
                    node.outputs.push(field.text()?);
                }
                3 => node.name = field.text()?,
                4 => node.op = field.text()?,
                5 => {
                    counted.item()?;
                    node.attributes
                        .push(Attribute::read(field.bytes()?, counted)?);
                }
                7 => node.domain = field.text()?,
                _ => {}
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    /// What to call the node in a message.
    pub fn called(&self) -> &'a str {
        if self.name.is_empty() {
            self.outputs.first().copied().unwrap_or(self.op)
        } else {
            self.name
        }
    }

    /// `domain:name`.
    pub fn operator(&self) -> String {
        let domain = if self.domain.is_empty() {
            "ai.onnx"
        } else {
            self.domain
        };
        format!("{domain}:{}", self.op)
    }

    /// The setting of this name.
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue<'a>> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| &attribute.value)
    }
}

/// Everything an `AttributeProto` may hold, before its type says which.
#[derive(Default)]
struct Raw<'a> {
    kind: i64,
    f: Option<f32>,
    i: Option<i64>,
    s: Option<&'a [u8]>,
    t: Option<TensorView<'a>>,
    g: Option<Graph<'a>>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    texts: Vec<&'a [u8]>,
    tensors: Vec<TensorView<'a>>,
    graphs: Vec<Graph<'a>>,
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        let mut reader = Reader::new(bytes);
        let mut name = "";
        let mut raw = Raw::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => name = field.text()?,
                2 => raw.f = Some(field.float()?),
                3 => raw.i = Some(field.int()?),
                4 => raw.s = Some(field.bytes()?),
                5 => {
                    once(raw.t.as_ref(), "a tensor of a setting")?;
                    raw.t = Some(TensorView::read(field.bytes()?, counted)?);
                }
                6 => {
                    once(raw.g.as_ref(), "a subgraph of a setting")?;
                    raw.g = Some(Graph::read(field.bytes()?, counted)?);
                }
                7 => field.floats(&mut raw.floats)?,
                8 => field.ints(&mut raw.ints)?,
                9 => {
                    counted.item()?;
                    raw.texts.push(field.bytes()?);
                }
                10 => {
                    counted.item()?;
                    raw.tensors.push(TensorView::read(field.bytes()?, counted)?);
                }
                11 => {
                    counted.item()?;
                    raw.graphs.push(Graph::read(field.bytes()?, counted)?);
                }
                20 => raw.kind = field.int()?,
                _ => {}
            }
        }
        Ok(Self {
            name,
            value: raw.value(name)?,
        })
    }
}

impl<'a> Raw<'a> {
    /// The type, where old files leave it out, from what is there.
    fn kind(&self) -> i64 {
        if self.kind != 0 {
            return self.kind;
        }
        let present = [
            self.f.is_some(),
            self.i.is_some(),
            self.s.is_some(),
            self.t.is_some(),
            self.g.is_some(),
            !self.floats.is_empty(),
            !self.ints.is_empty(),
            !self.texts.is_empty(),
            !self.tensors.is_empty(),
            !self.graphs.is_empty(),
        ];
        present
            .iter()
            .position(|there| *there)
            .map_or(0, |place| place as i64 + 1)
    }

    fn value(self, name: &str) -> Result<AttributeValue<'a>, RuntimeError> {
        let kind = self.kind();
        // A subgraph or tensor that the type does not name would be read by nobody here, but a runtime
        // may look at it all the same.
        let strays = (self.t.is_some() && kind != 4)
            || (self.g.is_some() && kind != 5)
            || (!self.tensors.is_empty() && kind != 9)
            || (!self.graphs.is_empty() && kind != 10);
        if strays {
            return Err(RuntimeError::Corrupt(format!(
                "setting {name:?} holds something its type does not name"
            )));
        }
        Ok(match kind {
            1 => AttributeValue::Float(self.f.unwrap_or_default()),
            2 => AttributeValue::Int(self.i.unwrap_or_default()),
            3 => AttributeValue::Text(self.s.unwrap_or_default()),
            4 => AttributeValue::Tensor(self.t.unwrap_or_default()),
            5 => AttributeValue::Graph(Box::new(self.g.unwrap_or_default())),
            6 => AttributeValue::Floats(self.floats),
            7 => AttributeValue::Ints(self.ints),
            8 => AttributeValue::Texts(self.texts),
            9 => AttributeValue::Tensors(self.tensors),
            10 => AttributeValue::Graphs(self.graphs),
            _ => AttributeValue::Other,
        })
    }
}

impl<'a> TensorView<'a> {
    pub(super) fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        let mut reader = Reader::new(bytes);
        let mut tensor = Self::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => field.ints(&mut tensor.dims)?,
                2 => tensor.data_type = field.int()?,
                4..=7 | 10 | 11 => {
                    counted.item()?;
                    tensor.typed.push((number, field));
                }
                8 => tensor.name = field.text()?,
                9 => tensor.raw = Some(field.bytes()?),
                13 => tensor.external = true,
                14 => tensor.external |= field.int()? != 0,
                _ => {}
            }
        }
        Ok(tensor)
    }
}

impl<'a> ValueInfo<'a> {
    fn read(bytes: &'a [u8], counted: &mut Counted<'_>) -> Result<Self, RuntimeError> {
        let mut reader = Reader::new(bytes);
        let mut info = Self::default();
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => info.name = field.text()?,
                2 => {
                    once(info.kind.as_ref(), "a type")?;
                    info.kind = read_type(field.bytes()?, counted)?;
                }
                _ => {}
            }
        }
        Ok(info)
    }
}

fn read_type<'a>(
    bytes: &'a [u8],
    counted: &mut Counted<'_>,
) -> Result<Option<Kind<'a>>, RuntimeError> {
    let mut reader = Reader::new(bytes);
    let mut kind = None;
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => {
                once(kind.as_ref(), "a tensor type")?;
                let mut inner = Reader::new(field.bytes()?);
                let (mut element, mut shape) = (0, None);
                while let Some((number, field)) = inner.field()? {
                    match number {
                        1 => element = field.int()?,
                        2 => {
                            once(shape.as_ref(), "a shape")?;
                            shape = Some(read_shape(field.bytes()?, counted)?);
                        }
                        _ => {}
                    }
                }
                kind = Some(Kind::Tensor(element, shape));
            }
            4 | 5 | 7..=9 => {
                once(kind.as_ref(), "a type")?;
                kind = Some(Kind::NotATensor);
            }
            _ => {}
        }
    }
    Ok(kind)
}

fn read_shape<'a>(
    bytes: &'a [u8],
    counted: &mut Counted<'_>,
) -> Result<Vec<Dimension<'a>>, RuntimeError> {
    let mut reader = Reader::new(bytes);
    let mut dims = Vec::new();
    while let Some((number, field)) = reader.field()? {
        if number != 1 {
            continue;
        }
        counted.item()?;
        let mut inner = Reader::new(field.bytes()?);
        let mut dim = Dimension::Open("");
        while let Some((number, field)) = inner.field()? {
            match number {
                1 => dim = Dimension::Fixed(field.int()?),
                2 => dim = Dimension::Open(field.text()?),
                _ => {}
            }
        }
        dims.push(dim);
    }
    Ok(dims)
}
