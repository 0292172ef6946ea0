//! ONNX files written by hand, so that hostile ones can be made. Must not check anything.

use runtime::guard::wire::{put_bytes, put_varint};

/// A message under construction.
#[derive(Default, Clone)]
pub struct Message(pub Vec<u8>);

impl Message {
    pub fn int(mut self, number: u32, value: i64) -> Self {
        put_varint(&mut self.0, u64::from(number) << 3);
        put_varint(&mut self.0, value as u64);
        self
    }

    pub fn text(mut self, number: u32, value: &str) -> Self {
        put_bytes(&mut self.0, number, value.as_bytes());
        self
    }

    pub fn bytes(mut self, number: u32, value: &[u8]) -> Self {
        put_bytes(&mut self.0, number, value);
        self
    }

    pub fn message(self, number: u32, value: &Self) -> Self {
        self.bytes(number, &value.0)
    }

    pub fn float(mut self, number: u32, value: f32) -> Self {
        put_varint(&mut self.0, u64::from(number) << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }
}

pub fn node(op: &str, domain: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let mut message = Message::default();
    for input in inputs {
        message = message.text(1, input);
    }
    for output in outputs {
        message = message.text(2, output);
    }
    message.text(4, op).text(7, domain)
}

/// A float tensor type; a negative length is a free dimension.
pub fn value(name: &str, element: i64, dims: &[i64]) -> Message {
    let mut shape = Message::default();
    for dim in dims {
        let dim = if *dim < 0 {
            Message::default().text(2, "n")
        } else {
            Message::default().int(1, *dim)
        };
        shape = shape.message(1, &dim);
    }
    let tensor = Message::default().int(1, element).message(2, &shape);
    let kind = Message::default().message(1, &tensor);
    Message::default().text(1, name).message(2, &kind)
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let mut tensor = Message::default();
    for dim in dims {
        tensor = tensor.int(1, *dim);
    }
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.int(2, 1).text(8, name).bytes(9, &raw)
}

/// A graph with one float input X and one float output Y.
pub fn graph(nodes: &[Message], constants: &[Message]) -> Message {
    let mut graph = Message::default();
    for node in nodes {
        graph = graph.message(1, node);
    }
    for constant in constants {
        graph = graph.message(5, constant);
    }
    graph
        .text(2, "g")
        .message(11, &value("X", 1, &[-1]))
        .message(12, &value("Y", 1, &[-1]))
}

pub fn model(graph: &Message) -> Vec<u8> {
    let opset = |domain: &str, version| Message::default().text(1, domain).int(2, version);
    Message::default()
        .int(1, 8)
        .message(7, graph)
        .message(8, &opset("", 17))
        .message(8, &opset("ai.onnx.ml", 3))
        .0
}
