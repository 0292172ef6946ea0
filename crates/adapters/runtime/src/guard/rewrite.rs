//! `ZipMap` taken out of a file: it makes a list of dictionaries of a matrix of scores, which no tensor port
//! can carry and which costs more than the model. The node becomes an `Identity`, the output a tensor.
//! Must not change anything else.

use super::model::Node;
use super::wire::{Field, Reader, put_bytes, put_field, put_varint};
use crate::error::RuntimeError;
use crate::port::{Dim, Signature, TensorSpec};

/// Whether the node makes dictionaries of scores.
pub fn is_zip_map(node: &Node<'_>) -> bool {
    node.domain == "ai.onnx.ml" && node.op == "ZipMap"
}

/// The file without them.
pub fn without_zip_maps(bytes: &[u8], signature: &Signature) -> Result<Vec<u8>, RuntimeError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut reader = Reader::new(bytes);
    let mut has_default_domain = false;
    while let Some((number, field)) = reader.field()? {
        if number == 7 {
            put_bytes(&mut out, 7, &graph(field.bytes()?, signature)?);
        } else {
            if number == 8 {
                has_default_domain |= is_default_domain(field.bytes()?)?;
            }
            put_field(&mut out, number, field);
        }
    }
    if !has_default_domain {
        // Identity needs the default domain; any version of it has the operator.
        let mut opset = Vec::new();
        put_bytes(&mut opset, 1, b"");
        put_varint(&mut opset, 2 << 3);
        put_varint(&mut opset, 13);
        put_bytes(&mut out, 8, &opset);
    }
    Ok(out)
}

fn is_default_domain(bytes: &[u8]) -> Result<bool, RuntimeError> {
    let mut reader = Reader::new(bytes);
    let mut domain = "";
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            domain = field.text()?;
        }
    }
    Ok(domain.is_empty() || domain == "ai.onnx")
}

fn graph(bytes: &[u8], signature: &Signature) -> Result<Vec<u8>, RuntimeError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut reader = Reader::new(bytes);
    let mut passed = Vec::new();
    let mut fields = Vec::new();
    while let Some((number, field)) = reader.field()? {
        if number == 1
            && let Some((node, output)) = identity(field.bytes()?)?
        {
            put_bytes(&mut out, 1, &node);
            passed.push(output);
        } else {
            fields.push((number, field));
        }
    }
    for (number, field) in fields {
        match number {
            12 => {
                let name = name_of(field.bytes()?)?;
                let spec = signature.outputs.iter().find(|spec| spec.name == name);
                match spec.filter(|_| passed.contains(&name)) {
                    Some(spec) => put_bytes(&mut out, 12, &tensor_output(spec)),
                    None => put_field(&mut out, number, field),
                }
            }
            // What was said about the dictionaries no longer holds.
            13 if passed.contains(&name_of(field.bytes()?)?) => {}
            _ => put_field(&mut out, number, field),
        }
    }
    Ok(out)
}

fn name_of(bytes: &[u8]) -> Result<&str, RuntimeError> {
    let mut reader = Reader::new(bytes);
    let mut name = "";
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            name = field.text()?;
        }
    }
    Ok(name)
}

/// The `Identity` in place of a `ZipMap` with the name of its output, `None` for another node.
fn identity(bytes: &[u8]) -> Result<Option<(Vec<u8>, &str)>, RuntimeError> {
    let mut reader = Reader::new(bytes);
    let mut out = Vec::new();
    let (mut op, mut domain, mut output) = ("", "", "");
    while let Some((number, field)) = reader.field()? {
        match (number, field) {
            (1 | 3, Field::Bytes(content)) => put_bytes(&mut out, number, content),
            (2, _) => {
                output = field.text()?;
                put_bytes(&mut out, 2, output.as_bytes());
            }
            (4, _) => op = field.text()?,
            (7, _) => domain = field.text()?,
            _ => {}
        }
    }
    if (op, domain) != ("ZipMap", "ai.onnx.ml") {
        return Ok(None);
    }
    put_bytes(&mut out, 4, b"Identity");
    Ok(Some((out, output)))
}

fn tensor_output(spec: &TensorSpec) -> Vec<u8> {
    let mut tensor = Vec::new();
    put_varint(&mut tensor, 1 << 3);
    put_varint(&mut tensor, 1);
    if let Some(shape) = &spec.shape {
        let mut dims = Vec::new();
        for dim in shape {
            let mut message = Vec::new();
            match dim {
                Dim::Fixed(length) => {
                    put_varint(&mut message, 1 << 3);
                    put_varint(&mut message, *length as u64);
                }
                Dim::Dynamic(name) => put_bytes(&mut message, 2, name.as_bytes()),
            }
            put_bytes(&mut dims, 1, &message);
        }
        put_bytes(&mut tensor, 2, &dims);
    }
    let mut kind = Vec::new();
    put_bytes(&mut kind, 1, &tensor);
    let mut info = Vec::new();
    put_bytes(&mut info, 1, spec.name.as_bytes());
    put_bytes(&mut info, 2, &kind);
    info
}
