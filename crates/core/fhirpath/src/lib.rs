//! FHIRPath (N1, release 2.0.0) over the R4 tree: text is compiled once, evaluation is typed, decimal,
//! bounded in cost, and pure. FHIRPath Patch stands here because its paths are FHIRPath.
