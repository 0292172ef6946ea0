//! Any bytes as a model: the guard refuses them or tells a signature; what it lets through and the built-in
//! interpreter takes answers a call of zeros or refuses it, within its memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime::embedded::Embedded;
use runtime::{Budget, Dim, LoadLimits, Runtime, Tensor, TensorData, TensorKind};

fuzz_target!(|bytes: &[u8]| {
    let mut limits = LoadLimits::default();
    limits.call.memory_bytes = 16 << 20;
    limits.guard.max_elements = 1 << 20;
    let Ok(session) = Embedded.load(bytes, &limits) else { return };
    assert!(!session.signature().outputs.is_empty());
    let inputs = session.signature().inputs.iter().map(|spec| {
        let shape: Vec<usize> = spec.shape.iter().flatten().map(|dim| match dim {
            Dim::Fixed(length) => *length,
            Dim::Dynamic(_) => 2,
        }).collect();
        let count = shape.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim))?;
        if count > 1 << 16 {
            return None;
        }
        let data = match spec.kind {
            TensorKind::F32 => TensorData::F32(vec![0.0; count]),
            TensorKind::I64 => TensorData::I64(vec![0; count]),
            TensorKind::Bytes => TensorData::Bytes(vec![Vec::new(); count]),
            _ => return None,
        };
        Tensor::new(&spec.name, shape, data).ok()
    });
    let Some(inputs) = inputs.collect::<Option<Vec<_>>>() else { return };
    let _ = session.run(inputs, &Budget::default());
});
