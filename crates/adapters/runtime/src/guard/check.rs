//! The judgement on a parsed graph: names, domains, operators, constants, order. Must not read bytes.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::constant::element_of;
use super::model::{AttributeValue, Dimension, Graph, Kind, Model, Node, TensorView, ValueInfo};
use super::rewrite::is_zip_map;
use super::{Facts, GuardLimits};
use crate::error::RuntimeError;
use crate::port::{Dim, Signature, TensorSpec};
use crate::tensor::TensorKind;

/// `domain name`, sorted; made from the schemas of the `onnx` package.
const OPERATORS: &str = include_str!("operators.txt");

/// Whether the standard knows the operator.
fn is_known(node: &Node<'_>) -> bool {
    let domain = if node.domain.is_empty() {
        "ai.onnx"
    } else {
        node.domain
    };
    OPERATORS
        .lines()
        .any(|line| line.split_once(' ') == Some((domain, node.op)))
}

/// Names that may be read inside a graph: its own and those of the graphs around it.
struct Scope<'s, 'a> {
    own: HashSet<&'a str>,
    outer: Option<&'s Scope<'s, 'a>>,
}

impl Scope<'_, '_> {
    fn has(&self, name: &str) -> bool {
        self.own.contains(name) || self.outer.is_some_and(|outer| outer.has(name))
    }
}

struct Judge<'l, 'a> {
    limits: &'l GuardLimits,
    nodes: u64,
    parameters: u64,
    operators: BTreeSet<String>,
    /// Operators found known before, so that each is looked up once.
    seen: HashSet<(&'a str, &'a str)>,
}

/// The signature and the counts of a sound model.
pub fn check(model: &Model<'_>, limits: &GuardLimits) -> Result<(Signature, Facts), RuntimeError> {
    check_header(model, limits)?;
    let mut judge = Judge {
        limits,
        nodes: 0,
        parameters: 0,
        operators: BTreeSet::new(),
        seen: HashSet::new(),
    };
    judge.graph(&model.graph, None)?;
    let signature = signature(&model.graph, limits)?;
    let facts = Facts {
        nodes: judge.nodes,
        parameters: judge.parameters,
        operators: judge.operators.into_iter().collect(),
        opsets: model
            .opsets
            .iter()
            .map(|(domain, version)| ((*domain).to_owned(), *version))
            .collect(),
        producer: model.producer.to_owned(),
    };
    Ok((signature, facts))
}

fn check_header(model: &Model<'_>, limits: &GuardLimits) -> Result<(), RuntimeError> {
    if !(1..=64).contains(&model.ir_version) {
        return Err(RuntimeError::Corrupt(format!(
            "version {} of the format does not exist",
            model.ir_version
        )));
    }
    if model.functions > 0 {
        return Err(RuntimeError::Unsound(format!(
            "the model defines {} functions of its own; inline them with onnx.inliner.inline_local_functions",
            model.functions
        )));
    }
    if model.training {
        return Err(RuntimeError::Unsound(
            "the model carries training graphs; export it for inference".to_owned(),
        ));
    }
    for (domain, version) in &model.opsets {
        let limit = match *domain {
            "" => limits.max_opset,
            "ai.onnx.ml" => limits.max_ml_opset,
            _ => i64::MAX,
        };
        if *version < 1 || *version > limit {
            let shown = if domain.is_empty() { "ai.onnx" } else { domain };
            return Err(RuntimeError::Unsound(format!(
                "operator set {shown} has version {version}; versions 1 to {limit} are taken"
            )));
        }
    }
    // Some exporters name a set twice; with two versions it would not be clear which one counts.
    let mut versions = HashMap::new();
    for (domain, version) in &model.opsets {
        if *versions.entry(*domain).or_insert(*version) != *version {
            return Err(RuntimeError::Unsound(format!(
                "operator set {domain:?} is named with two versions"
            )));
        }
    }
    Ok(())
}

impl<'a> Judge<'_, 'a> {
    fn graph(
        &mut self,
        graph: &Graph<'a>,
        outer: Option<&Scope<'_, 'a>>,
    ) -> Result<(), RuntimeError> {
        let scope = Scope {
            own: names_of(graph)?,
            outer,
        };
        if let Some(name) = graph.sparse.first() {
            return Err(RuntimeError::Unsound(format!(
                "a {name} is not taken; save it dense"
            )));
        }
        for tensor in &graph.initializers {
            self.tensor(tensor)?;
        }
        for input in &graph.inputs {
            if outer.is_none() {
                self.declared(input)?;
            }
        }
        for node in &graph.nodes {
            self.node(node, &scope)?;
        }
        for output in &graph.outputs {
            if !scope.has(output.name) {
                return Err(RuntimeError::Unsound(format!(
                    "nothing makes output {:?}",
                    output.name
                )));
            }
        }
        self.constant_sizes(graph)?;
        order_of(graph).map(|_| ())
    }

    fn tensor(&mut self, tensor: &TensorView<'_>) -> Result<(), RuntimeError> {
        let elements = tensor.checked_elements(self.limits.max_elements)?;
        self.parameters = self.parameters.saturating_add(elements);
        Ok(())
    }

    fn declared(&self, info: &ValueInfo<'_>) -> Result<(), RuntimeError> {
        let Some(Kind::Tensor(_, Some(shape))) = &info.kind else {
            return Ok(());
        };
        let mut product = 1_u64;
        for dim in shape {
            if let Dimension::Fixed(length) = dim {
                let length = u64::try_from(*length).map_err(|_| {
                    RuntimeError::Corrupt(format!("input {:?} has a negative dimension", info.name))
                })?;
                product = product.saturating_mul(length.max(1));
            }
        }
        if product > self.limits.max_elements {
            return Err(RuntimeError::too_large(
                format!("the number of elements of input {:?}", info.name),
                product,
                self.limits.max_elements,
            ));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node<'a>, scope: &Scope<'_, 'a>) -> Result<(), RuntimeError> {
        self.nodes += 1;
        if self.seen.insert((node.domain, node.op)) {
            self.operator(node)?;
        }
        for input in node.inputs.iter().filter(|name| !name.is_empty()) {
            if !scope.has(input) {
                return Err(RuntimeError::Unsound(format!(
                    "node {:?} reads {input:?}, which nothing makes",
                    node.called()
                )));
            }
        }
        for attribute in &node.attributes {
            match &attribute.value {
                AttributeValue::Tensor(tensor) => self.tensor(tensor)?,
                AttributeValue::Tensors(tensors) => {
                    for tensor in tensors {
                        self.tensor(tensor)?;
                    }
                }
                AttributeValue::Graph(graph) => self.graph(graph, Some(scope))?,
                AttributeValue::Graphs(graphs) => {
                    for graph in graphs {
                        self.graph(graph, Some(scope))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn operator(&mut self, node: &Node<'_>) -> Result<(), RuntimeError> {
        if !self
            .limits
            .domains
            .iter()
            .any(|domain| domain == node.domain)
        {
            let allowed: Vec<&str> = self
                .limits
                .domains
                .iter()
                .map(|domain| {
                    if domain.is_empty() {
                        "ai.onnx"
                    } else {
                        domain.as_str()
                    }
                })
                .collect();
            return Err(RuntimeError::CustomDomain {
                domain: node.domain.to_owned(),
                node: node.called().to_owned(),
                allowed: allowed.join(", "),
            });
        }
        let standard = matches!(node.domain, "" | "ai.onnx.ml");
        if standard && !is_known(node) {
            return Err(RuntimeError::UnknownOperator {
                operator: node.operator(),
                engine: "the ONNX standard".to_owned(),
                remedy: "export the model with standard operators".to_owned(),
            });
        }
        self.operators.insert(node.operator());
        Ok(())
    }

    /// Operators that make a tensor of a size that stands in a constant: the size is known here.
    fn constant_sizes(&self, graph: &Graph<'_>) -> Result<(), RuntimeError> {
        let sizes = constant_ints(graph);
        for node in &graph.nodes {
            let (place, added) = match node.op {
                "ConstantOfShape" => (0, false),
                "Expand" | "Reshape" | "Tile" => (1, false),
                "Pad" => (1, true),
                _ => continue,
            };
            let Some(lengths) = node.inputs.get(place).and_then(|name| sizes.get(name)) else {
                continue;
            };
            let elements = lengths.iter().fold(1_u64, |product, length| {
                product.saturating_mul(length.unsigned_abs().max(1))
            });
            // Paddings are added, not multiplied; one that alone is over the limit is refused.
            let elements = if added {
                lengths.iter().map(|l| l.unsigned_abs()).max().unwrap_or(0)
            } else {
                elements
            };
            if elements > self.limits.max_elements {
                return Err(RuntimeError::too_large(
                    format!("the number of elements that node {:?} makes", node.called()),
                    elements,
                    self.limits.max_elements,
                ));
            }
        }
        Ok(())
    }
}

/// Short constant lists of integers by name, for sizes.
fn constant_ints<'a>(graph: &Graph<'a>) -> HashMap<&'a str, Vec<i64>> {
    let mut sizes = HashMap::new();
    let ints = |tensor: &TensorView<'_>| -> Option<Vec<i64>> {
        if tensor.data_type != 7 || tensor.dims.len() > 1 {
            return None;
        }
        match super::tensor_of(tensor, 64).ok()?.data {
            crate::tensor::TensorData::I64(values) => Some(values),
            _ => None,
        }
    };
    for tensor in &graph.initializers {
        if let Some(values) = ints(tensor) {
            sizes.insert(tensor.name, values);
        }
    }
    for node in graph.nodes.iter().filter(|node| node.op == "Constant") {
        let values = match node.attributes.first().map(|attribute| &attribute.value) {
            Some(AttributeValue::Tensor(tensor)) => ints(tensor),
            Some(AttributeValue::Ints(values)) => Some(values.clone()),
            Some(AttributeValue::Int(value)) => Some(vec![*value]),
            _ => None,
        };
        if let (Some(name), Some(values)) = (node.outputs.first(), values) {
            sizes.insert(*name, values);
        }
    }
    sizes
}

/// Every name the graph makes; one made twice is refused.
fn names_of<'a>(graph: &Graph<'a>) -> Result<HashSet<&'a str>, RuntimeError> {
    let twice = |name: &str| RuntimeError::Unsound(format!("{name:?} is made twice"));
    let mut names = HashSet::new();
    for input in &graph.inputs {
        if input.name.is_empty() || !names.insert(input.name) {
            return Err(twice(input.name));
        }
    }
    let mut constants = HashSet::new();
    for tensor in &graph.initializers {
        if tensor.name.is_empty() || !constants.insert(tensor.name) {
            return Err(twice(tensor.name));
        }
        names.insert(tensor.name); // an input with a default is both
    }
    for node in &graph.nodes {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if !names.insert(output) {
                return Err(twice(output));
            }
        }
    }
    Ok(names)
}

/// Names a node reads, those that its subgraphs read from outside included.
fn reads<'a>(node: &Node<'a>, into: &mut Vec<&'a str>) {
    into.extend(node.inputs.iter().filter(|name| !name.is_empty()));
    for attribute in &node.attributes {
        match &attribute.value {
            AttributeValue::Graph(graph) => free_names(graph, into),
            AttributeValue::Graphs(graphs) => {
                for graph in graphs {
                    free_names(graph, into);
                }
            }
            _ => {}
        }
    }
}

/// Names that a subgraph reads; those it makes itself are harmless, as the graph around it cannot make them.
fn free_names<'a>(graph: &Graph<'a>, into: &mut Vec<&'a str>) {
    let mut own: HashSet<&str> = graph.inputs.iter().map(|input| input.name).collect();
    own.extend(graph.initializers.iter().map(|tensor| tensor.name));
    for node in &graph.nodes {
        own.extend(node.outputs.iter().copied());
    }
    let mut all = Vec::new();
    for node in &graph.nodes {
        reads(node, &mut all);
    }
    all.extend(graph.outputs.iter().map(|output| output.name));
    into.extend(all.into_iter().filter(|name| !own.contains(name)));
}

/// The nodes so that each comes after what it reads (Kahn), or the cycle.
pub fn order_of(graph: &Graph<'_>) -> Result<Vec<usize>, RuntimeError> {
    let mut maker: HashMap<&str, usize> = HashMap::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            maker.insert(output, place);
        }
    }
    let mut waits: Vec<u32> = vec![0; graph.nodes.len()];
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    let mut names = Vec::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        names.clear();
        reads(node, &mut names);
        for source in names.iter().filter_map(|name| maker.get(name)) {
            if let (Some(count), Some(list)) = (waits.get_mut(place), feeds.get_mut(*source)) {
                *count += 1;
                list.push(place);
            }
        }
    }
    let mut ready: std::collections::VecDeque<usize> = waits
        .iter()
        .enumerate()
        .filter(|(_, count)| **count == 0)
        .map(|(place, _)| place)
        .collect();
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some(place) = ready.pop_front() {
        order.push(place);
        for next in feeds.get(place).into_iter().flatten() {
            if let Some(count) = waits.get_mut(*next) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(*next);
                }
            }
        }
    }
    if order.len() < graph.nodes.len() {
        let stuck = waits.iter().position(|count| *count > 0);
        let node = stuck.and_then(|place| graph.nodes.get(place));
        return Err(RuntimeError::Cycle {
            node: node.map_or("", Node::called).to_owned(),
        });
    }
    Ok(order)
}

fn signature(graph: &Graph<'_>, limits: &GuardLimits) -> Result<Signature, RuntimeError> {
    let constants: HashSet<&str> = graph
        .initializers
        .iter()
        .map(|tensor| tensor.name)
        .collect();
    let inputs = graph
        .inputs
        .iter()
        .filter(|input| !constants.contains(input.name))
        .map(|input| spec("input", input))
        .collect::<Result<Vec<_>, _>>()?;
    let outputs = graph
        .outputs
        .iter()
        .map(|output| {
            let zip = graph
                .nodes
                .iter()
                .find(|node| is_zip_map(node) && node.outputs.first() == Some(&output.name));
            match zip {
                Some(node) => Ok(scores_of(node, output)),
                None => spec("output", output),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if outputs.is_empty() {
        return Err(RuntimeError::Unsound("the model has no output".to_owned()));
    }
    if inputs.len() + outputs.len() > 1024 {
        return Err(RuntimeError::too_large(
            "the number of inputs and outputs",
            (inputs.len() + outputs.len()) as u64,
            limits.max_items.min(1024),
        ));
    }
    Ok(Signature { inputs, outputs })
}

/// `ZipMap` passes a matrix with one column per label through.
fn scores_of(node: &Node<'_>, output: &ValueInfo<'_>) -> TensorSpec {
    let labels = ["classlabels_int64s", "classlabels_strings"]
        .iter()
        .find_map(|name| match node.attribute(name)? {
            AttributeValue::Ints(values) if !values.is_empty() => Some(values.len()),
            AttributeValue::Texts(values) if !values.is_empty() => Some(values.len()),
            _ => None,
        });
    let columns = labels.map_or_else(|| Dim::Dynamic(String::new()), Dim::Fixed);
    TensorSpec {
        name: output.name.to_owned(),
        kind: TensorKind::F32,
        shape: Some(vec![Dim::Dynamic(String::new()), columns]),
    }
}

fn spec(what: &str, info: &ValueInfo<'_>) -> Result<TensorSpec, RuntimeError> {
    let refused = |detail: String| RuntimeError::shape(info.name, detail);
    let (element, shape) = match &info.kind {
        Some(Kind::Tensor(element, shape)) => (*element, shape),
        Some(Kind::NotATensor) => {
            return Err(refused(format!(
                "this {what} is not a tensor; sequences, maps and optionals are not taken"
            )));
        }
        None => return Err(refused(format!("this {what} has no type"))),
    };
    let kind = element_of(element).ok_or_else(|| {
        refused(format!(
            "this {what} has element type {element} (TensorProto.DataType), which is not taken; cast it inside the model"
        ))
    })?;
    let shape = shape.as_ref().map(|dims| {
        dims.iter()
            .map(|dim| match dim {
                Dimension::Fixed(length) => usize::try_from(*length)
                    .map_or_else(|_| Dim::Dynamic(String::new()), Dim::Fixed),
                Dimension::Open(name) => Dim::Dynamic((*name).to_owned()),
            })
            .collect()
    });
    Ok(TensorSpec {
        name: info.name.to_owned(),
        kind,
        shape,
    })
}
