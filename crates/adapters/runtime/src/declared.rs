//! A package's declarations held against its model: names, kinds and sides of the tensors. Must not be
//! skipped: a manifest that lies about shapes would only be found out at a patient.

use inference::package::{Manifest, TensorSpec as Declared};

use crate::error::RuntimeError;
use crate::port::{Dim, Signature, TensorSpec};

/// Whether the model takes the declared input alone, and gives the declared output.
///
/// # Errors
/// [`RuntimeError::Shape`], naming the tensor.
pub fn agree(manifest: &Manifest, signature: &Signature) -> Result<(), RuntimeError> {
    for (wanted, found, what) in [
        (&manifest.input_tensor, &signature.inputs, "input"),
        (&manifest.output.tensor, &signature.outputs, "output"),
    ] {
        let Some(own) = found.iter().find(|own| own.name == wanted.name) else {
            let names: Vec<&str> = found.iter().map(|own| own.name.as_str()).collect();
            let detail = format!(
                "the manifest names this {what}, the model has {}",
                names.join(", ")
            );
            return Err(RuntimeError::shape(&wanted.name, detail));
        };
        fits(wanted, own)?;
    }
    let stray = |own: &&TensorSpec| own.name != manifest.input_tensor.name;
    match signature.inputs.iter().find(stray) {
        Some(stray) => Err(RuntimeError::shape(
            &stray.name,
            "the model wants this input, which the manifest does not name",
        )),
        None => Ok(()),
    }
}

fn fits(wanted: &Declared, found: &TensorSpec) -> Result<(), RuntimeError> {
    if wanted.kind != found.kind {
        let detail = format!(
            "the manifest says {}, the model {}",
            wanted.kind.word(),
            found.kind.word()
        );
        return Err(RuntimeError::shape(&wanted.name, detail));
    }
    // A model that states no shape is found out by the first call, which is checked too.
    let Some(shape) = &found.shape else {
        return Ok(());
    };
    let side = |(wanted, found): (&Option<usize>, &Dim)| match (wanted, found) {
        (Some(wanted), Dim::Fixed(found)) => wanted == found,
        (None, Dim::Fixed(_)) => false,
        (_, Dim::Dynamic(_)) => true,
    };
    if wanted.shape.len() == shape.len() && wanted.shape.iter().zip(shape).all(side) {
        return Ok(());
    }
    let wanted_sides: Vec<String> = wanted
        .shape
        .iter()
        .map(|own| own.map_or_else(|| "-1".to_owned(), |own| own.to_string()))
        .collect();
    let found: Vec<String> = shape
        .iter()
        .map(|own| match own {
            Dim::Fixed(own) => own.to_string(),
            Dim::Dynamic(_) => "-1".to_owned(),
        })
        .collect();
    let detail = format!(
        "the manifest says [{}], the model [{}]",
        wanted_sides.join(", "),
        found.join(", ")
    );
    Err(RuntimeError::shape(&wanted.name, detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::TensorKind;

    fn declared(kind: TensorKind, shape: &[Option<usize>]) -> Declared {
        Declared {
            name: "X".to_owned(),
            kind,
            shape: shape.to_vec(),
        }
    }

    fn model(shape: Option<Vec<Dim>>) -> TensorSpec {
        TensorSpec {
            name: "X".to_owned(),
            kind: TensorKind::F32,
            shape,
        }
    }

    #[test]
    fn shapes_that_lie_are_refused() {
        let free = || Dim::Dynamic("n".to_owned());
        let cases = [
            (4, Some(vec![free(), Dim::Fixed(4)]), true),
            (5, Some(vec![free(), Dim::Fixed(4)]), false),
            (4, Some(vec![Dim::Fixed(1), Dim::Fixed(4)]), false),
            (4, Some(vec![Dim::Fixed(4)]), false),
            (4, Some(vec![free(), free()]), true),
            (4, None, true),
        ];
        for (side, found, good) in cases {
            let wanted = declared(TensorKind::F32, &[None, Some(side)]);
            let told = fits(&wanted, &model(found.clone()));
            assert_eq!(told.is_ok(), good, "{side} {found:?}: {told:?}");
        }
        let told = fits(&declared(TensorKind::F64, &[None]), &model(None));
        assert!(told.unwrap_err().to_string().contains("FP64"));
    }
}
